"""Scene: the markets of a run as compiled code looks at them, prepared once for all settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from backtests.exchange.bars import BarSource
from backtests.exchange.records import BAR, REAL, WHOLE, Records, contract_record
from foundation.compilation import rule
from foundation.lanes import WIDTH
from markets.candles import FloatArray, IntArray
from markets.market import Market

# The blocks of time for which a run's returns are summed.
BLOCKS = 16
# Bytes of a cache line.
LINE = 64
# A bar at which funding is due: what is asked of it, in one line.
EVENT = np.dtype(
    [("row", WHOLE)]
    + [(name, REAL) for name in ("mark_open", "mark_close", "funding_open", "funding_inside")]
    + [("unused", WHOLE, (3,))]
)


class Scene(NamedTuple):
    """What all settings of a sweep share; arrays have shape (symbols, bars) where nothing else is said.

    `bars`, `finer` (rows,), `contracts` (symbols,): records of the exchange. `low`, `high`: the lower and the
    higher of last and mark price in a bar; the lower is minus infinity where cleaning has touched it, so that such a
    bar lies outside of every band: it takes no fills and moves no stop. `lows`, `highs` (symbols, bars // WIDTH): those
    of WIDTH bars at a time. `lowest`, `highest` (symbols, bars + WIDTH): of the last price alone, then zeros.
    `events` (symbols, the most of them and one): EVENT records in time order, then such of the row after the last bar.
    `turn`: the number of the next event, that of this bar included.
    `close`: the last price. `mark`: the mark price at the close. `years` (symbols,): bars per year. `first`: the row of
    the first bar played. `edges` (BLOCKS,): the last row of each block of time.
    """

    bars: Records
    finer: Records
    contracts: Records
    low: FloatArray
    high: FloatArray
    lows: FloatArray
    highs: FloatArray
    lowest: FloatArray
    highest: FloatArray
    events: Records
    turn: IntArray
    close: FloatArray
    mark: FloatArray
    years: FloatArray
    first: int
    edges: IntArray


def make_scene(markets: Sequence[Market], first: int, impact_bars: int = 0) -> Scene:
    """The scene of markets with the same bars, played from row `first` on; `impact_bars` as in BarSource."""
    bars = room_for((len(markets), len(markets[0].candles)), blank=True)
    source = BarSource(markets, impact_bars, first)
    source.write_all(bars)
    contracts = np.concatenate([contract_record(market.contract) for market in markets])
    return scene_of(bars, source.finer, contracts, np.array([market.bars_per_year for market in markets]), first)


def scene_of(bars: Records, finer: Records, contracts: Records, years: FloatArray, first: int) -> Scene:
    """The scene of the exchange's records, as Scene has them."""
    bars, played = aligned(bars), bars.shape[1] - first
    (low, high, lowest, highest, close, mark), (lows, highs), (events, turn) = _surveyed(bars)
    edges = first + np.arange(1, BLOCKS + 1) * played // BLOCKS - 1
    return Scene(
        bars, finer, contracts, low, high, lows, highs, lowest, highest, events, turn, close, mark, years, first, edges
    )  # fmt: skip


Prices = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


@rule(makes_arrays=True)
def _surveyed(bars: Records) -> tuple[Prices, tuple[FloatArray, FloatArray], tuple[Records, IntArray]]:
    """What a scene says of its bars."""
    prices = _prices_of(bars)
    return prices, _by_blocks(prices[0], prices[1]), _events_of(bars)


@rule(makes_arrays=True)
def _prices_of(bars: Records) -> Prices:
    """`low`, `high`, `lowest`, `highest`, `close` and `mark` of a scene."""
    symbols, count = bars.shape
    low, high, close, mark = (
        np.empty((symbols, count)),
        np.empty((symbols, count)),
        np.empty((symbols, count)),
        np.empty((symbols, count)),
    )
    lowest, highest = np.zeros((symbols, count + WIDTH)), np.zeros((symbols, count + WIDTH))
    for s in range(symbols):
        for i in range(count):
            bar = bars[s, i]
            low[s, i], high[s, i] = np.minimum(bar.low, bar.mark_low), np.maximum(bar.high, bar.mark_high)
            if bar.blocked != 0:
                low[s, i] = -np.inf
            lowest[s, i], highest[s, i] = bar.low, bar.high
            close[s, i], mark[s, i] = bar.close, bar.mark_close
    return low, high, lowest, highest, close, mark


@rule(makes_arrays=True)
def _by_blocks(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`lows` and `highs` of a scene."""
    symbols, blocks = low.shape[0], low.shape[1] // WIDTH
    lows, highs = np.empty((symbols, blocks)), np.empty((symbols, blocks))
    for s in range(symbols):
        for k in range(blocks):
            lows[s, k], highs[s, k] = low[s, k * WIDTH], high[s, k * WIDTH]
            for i in range(k * WIDTH + 1, (k + 1) * WIDTH):
                lows[s, k], highs[s, k] = np.minimum(lows[s, k], low[s, i]), np.maximum(highs[s, k], high[s, i])
    return lows, highs


@rule(makes_arrays=True)
def _events_of(bars: Records) -> tuple[Records, IntArray]:
    """`events` and `turn` of a scene."""
    symbols, count = bars.shape
    turn, most = np.empty((symbols, count), dtype=np.int64), 0
    for s in range(symbols):
        seen = 0
        for i in range(count):
            turn[s, i] = seen
            seen += 1 if bars[s, i].funded != 0 else 0
        most = max(most, seen)
    events = np.zeros((symbols, most + 1), dtype=EVENT)
    for s in range(symbols):
        for k in range(most + 1):
            events[s, k].row = count
        for i in range(count):
            bar = bars[s, i]
            if bar.funded != 0:
                event = events[s, turn[s, i]]
                event.row, event.mark_open, event.mark_close = i, bar.mark_open, bar.mark_close
                event.funding_open, event.funding_inside = bar.funding_open, bar.funding_inside
    return events, turn


def aligned(bars: Records) -> Records:
    """The records where cache lines begin: as they are, or a copy."""
    if bars.flags.c_contiguous and bars.ctypes.data % LINE == 0:
        return bars
    found = room_for(bars.shape)
    # As bytes: field by field it takes fifty times as long.
    found.view(f"V{BAR.itemsize}")[:] = bars.view(f"V{BAR.itemsize}")
    return found


def room_for(shape: tuple[int, ...], *, blank: bool = False) -> Records:
    """Room for bars whose records begin where cache lines do; what is in it is zero if `blank`, else anything."""
    size = math.prod(shape) * BAR.itemsize
    room = (np.zeros if blank else np.empty)(size + LINE, dtype=np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size].view(BAR).reshape(shape)
