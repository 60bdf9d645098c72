"""Market: one contract with everything that a backtest plays over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from foundation.errors import DataError, ParameterError
from foundation.fingerprint import fingerprint
from foundation.units import nanoseconds
from markets.candles import BoolArray, Candles, FloatArray, utc
from markets.contract import Contract
from markets.funding import Funding


@dataclass(frozen=True, eq=False)
class Market:
    """One contract with its candles, mark candles and funding stamps.

    `mark`: candles of the mark price, of any bar length, or None; see `mark_bars`.
    `funding`: settlements, or None. `synthetic`: made by a generator, and called so wherever it shows.
    `oracle`: the true expected log return of the NEXT bar at each bar, or None; only a synthetic
    market knows it, and no model is ever shown it.
    """

    contract: Contract
    candles: Candles
    mark: Candles | None = None
    funding: Funding | None = None
    synthetic: bool = False
    oracle: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.oracle is None:
            return
        oracle = np.array(self.oracle, dtype=np.float64)
        if oracle.shape != self.candles.close.shape or not np.isfinite(oracle).all():
            problem = f"has an oracle of shape {oracle.shape} for {len(self.candles)} candles, or one with gaps"
            raise DataError(self.candles.source, problem, fix="hand in one finite expected log return for each candle")
        oracle.setflags(write=False)
        object.__setattr__(self, "oracle", oracle)

    @property
    def symbol(self) -> str:
        """The contract's symbol; markets of one backtest have different ones."""
        return self.contract.symbol

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days; crypto trades on every one of them."""
        return 365 * 86_400_000_000_000 / self.candles.bar

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the contract and of every value in the series."""
        parts: list[object] = [self.contract.model_dump(mode="json")]
        for candles in (self.candles, self.mark):
            if candles is not None:
                parts += [candles.timestamp, candles.open, candles.high, candles.low, candles.close]
                parts += [candles.volume, candles.touched]
        if self.funding is not None:
            parts += [self.funding.timestamp, self.funding.rate]
        return fingerprint(*parts)

    def rows(self, first: int, last: int) -> Market:
        """The market over the candle rows from `first` up to, not including, `last`."""
        oracle = None if self.oracle is None else self.oracle[first:last]
        return replace(self, candles=self.candles.rows(first, last), oracle=oracle)

    def mark_bars(self) -> tuple[FloatArray, BoolArray]:
        """Mark prices on the candles' grid, shape (bars, 4): open, high, low, close; and a flag.

        Where the mark is missing, or its bars are longer than the candles, the last price stands
        in and the flag is True. Finer mark bars are joined into the candle that holds all of them.
        """
        candles = self.candles
        bars = np.column_stack((candles.open, candles.high, candles.low, candles.close))
        stands_in = np.ones(len(candles), dtype=np.bool_)
        mark = self.mark
        if mark is None or mark.bar > candles.bar or candles.bar % mark.bar:
            return bars, stands_in
        parts = candles.bar // mark.bar
        first = np.searchsorted(mark.timestamp, candles.timestamp)
        whole = first + parts <= len(mark)
        whole &= mark.timestamp[np.minimum(first, len(mark) - 1)] == candles.timestamp
        at = first[whole]
        window = at[:, None] + np.arange(parts)[None, :]
        bars[whole] = np.column_stack(
            (mark.open[at], mark.high[window].max(axis=1), mark.low[window].min(axis=1), mark.close[at + parts - 1])
        )
        stands_in[whole] = False
        return bars, stands_in

    def funding_bars(self) -> tuple[FloatArray, FloatArray]:
        """Funding rates on the candles' grid: those stamped at a bar's open, those inside the bar."""
        at_open, inside = np.zeros(len(self.candles)), np.zeros(len(self.candles))
        if self.funding is None:
            return at_open, inside
        stamps = self.funding.timestamp
        row = np.searchsorted(self.candles.timestamp, stamps, side="right") - 1
        held = (row >= 0) & (stamps < self.candles.timestamp[-1] + self.candles.bar)
        on_open = held & (self.candles.timestamp[np.maximum(row, 0)] == stamps)
        np.add.at(at_open, row[on_open], self.funding.rate[on_open])
        within = held & ~on_open
        np.add.at(inside, row[within], self.funding.rate[within])
        return at_open, inside

    def funding_hole(self, start: int) -> tuple[int, int] | None:
        """The first stretch from `start` to the last close without a settlement that was due, or None.

        UTC nanoseconds. Due is one in every `funding_interval` of the contract, at the latest.
        """
        end = int(self.candles.timestamp[-1]) + self.candles.bar
        if self.funding is None:
            return start, end
        return self.funding.missing(start, end, nanoseconds(self.contract.funding_interval))

    def check_funding(self, start: int) -> None:
        """Raises DataError where a settlement that was due from `start` on is missing."""
        hole = self.funding_hole(start)
        if hole is not None:
            fix = 'add the settlements, choose other start and end, or set account.missing_funding = "zero"'
            where = f"{utc(hole[0])} to {utc(hole[1])} UTC"
            raise DataError(f"{self.symbol} funding", f"has no settlement from {where}", fix=fix)


def common_span(markets: Sequence[Market]) -> list[Market]:
    """The markets cut to the bars that all of them have.

    Raises ParameterError for none, and DataError where they differ in bar length or currency, name a
    symbol twice or have no bar in common.
    """
    if not markets:
        raise ParameterError("market", "is missing", fix="hand in at least one Market")
    lead = markets[0]
    for one in markets[1:]:
        if one.symbol == lead.symbol:
            raise DataError(one.symbol, "is named twice", fix="hand in one market a symbol")
        if one.candles.bar != lead.candles.bar:
            raise DataError(
                one.symbol, f"has another bar length than {lead.symbol}", fix="use candles of one bar length"
            )
        if one.contract.settlement != lead.contract.settlement:
            raise DataError(
                one.symbol, f"settles in {one.contract.settlement}, {lead.symbol} in {lead.contract.settlement}"
            )
    start = max(int(one.candles.timestamp[0]) for one in markets)
    end = min(int(one.candles.timestamp[-1]) for one in markets)
    if start > end:
        raise DataError("markets", "have no bar in common", fix="choose markets that overlap in time")
    rows = [np.searchsorted(one.candles.timestamp, (start, end)) for one in markets]
    cut = [one.rows(int(first), int(last) + 1) for one, (first, last) in zip(markets, rows, strict=True)]
    for one in cut[1:]:
        if not np.array_equal(one.candles.timestamp, cut[0].candles.timestamp):
            raise DataError(
                one.symbol, f"has bars that open at other times than {lead.symbol}'s", fix="use one bar grid"
            )
    return cut
