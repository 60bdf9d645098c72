"""Bars: the BAR records of markets, all of them, or those around the bar that is played."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence

import numpy as np

from backtests.exchange.impact import checked_impact_units
from backtests.exchange.records import BAR, FINER, Records
from markets.candles import BoolArray, IntArray
from markets.market import Market

# How many bars' records fit in a processor's cache.
AT_ONCE = 4096
# Memory of which pages are only there once they are written, where the system has that.
_OWN_PAGES = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}


class BarSource:
    """The BAR records of markets with the same bars, written some rows at a time.

    `impact_bars`: over how many closed bars the market impact is measured; 0 leaves it out. `first`: the row at whose
    close the first order can be given. `finer`: the finer bars of all markets, one market after the other, as FINER
    records.
    """

    def __init__(self, markets: Sequence[Market], impact_bars: int = 0, first: int = 0) -> None:
        self.markets = markets
        self.impacts = [
            checked_impact_units(one.candles, impact_bars, first) if impact_bars else None for one in markets
        ]
        self.finer, self.within = _finer_records(markets)

    def write(self, bars: Records, rows: slice) -> None:
        """Some rows of all markets into `bars`, shape (symbols, bars), which hold zeros there."""
        for market, impact, within, room in zip(self.markets, self.impacts, self.within, bars[:, rows], strict=True):
            _write(market, room, rows)
            if impact is not None:
                room["impact"] = impact[rows]
            if within is not None:
                at, counts = within[0][rows], within[1][rows]
                room["finer_first"][counts] = at[counts]
                room["finer_count"][counts] = market.candles.bar // market.finer.bar if market.finer else 0

    def write_all(self, bars: Records) -> None:
        """All rows."""
        for rows in parts_of(bars.shape[1]):
            self.write(bars, rows)


class BarWindow:
    """The records of a run over a source, each written before it is played; those behind it are no longer held.

    `records` has shape (symbols, bars) and takes the addresses of all bars, but memory for some thousand of each market
    alone, where the system can take back a part of what it gave.
    """

    def __init__(self, source: BarSource) -> None:
        self.source, self.shape = source, (len(source.markets), len(source.markets[0].candles))
        count = self.shape[0] * self.shape[1]
        self._memory = mmap.mmap(-1, count * BAR.itemsize, **_OWN_PAGES)
        self.records: Records = np.frombuffer(self._memory, dtype=BAR).reshape(self.shape)
        self.written, self._left = 0, [0] * self.shape[0]

    def reach(self, first: int, end: int) -> None:
        """From now on the rows from `first` up to before `end` are there, and none before `first` is asked for."""
        if end <= self.written:
            return
        self._leave(first)
        while self.written < end:
            rows = slice(self.written, min(self.written + AT_ONCE, self.shape[1]))
            self.source.write(self.records, rows)
            self.written = rows.stop

    def _leave(self, first: int) -> None:
        """Gives back the whole pages of the rows before `first`."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        for s in range(self.shape[0]):
            begin = max(self._left[s], -(-s * self.shape[1] * BAR.itemsize // mmap.PAGESIZE) * mmap.PAGESIZE)
            end = (s * self.shape[1] + first) * BAR.itemsize // mmap.PAGESIZE * mmap.PAGESIZE
            if end > begin:
                self._memory.madvise(mmap.MADV_DONTNEED, begin, end - begin)
                self._left[s] = end


def parts_of(count: int) -> Iterator[slice]:
    """Some bars at a time, so that records are in a processor's cache until all of their fields are read or written."""
    yield from (slice(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE))


def _write(market: Market, room: Records, rows: slice) -> None:
    """Last and mark prices, funding and flags of some rows."""
    candles, (mark, _), (at_open, inside) = market.candles, market.mark_bars(rows), market.funding_bars(rows)
    for k, name in enumerate(("open", "high", "low", "close")):
        room[name], room[f"mark_{name}"] = getattr(candles, name)[rows], mark[:, k]
    room["funding_open"], room["funding_inside"], room["blocked"] = at_open, inside, candles.touched[rows]
    room["funded"] = (at_open != 0.0) | (inside != 0.0)


def _finer_records(markets: Sequence[Market]) -> tuple[Records, list[tuple[IntArray, BoolArray] | None]]:
    """The finer bars of all markets; and of each, at its candles, the row of their first, and whether they count."""
    parts: list[Records] = []
    within: list[tuple[IntArray, BoolArray] | None] = []
    for market in markets:
        if market.finer is None:
            within.append(None)
            continue
        at, counts = market.finer_bars()
        within.append((at + sum(map(len, parts)), counts))
        part = np.zeros(len(market.finer), dtype=FINER)
        for name in ("open", "high", "low"):
            part[name] = getattr(market.finer, name)
        part["mark_high"], part["mark_low"] = market.finer_marks()
        parts.append(part)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=FINER), within
