"""Market: one contract with everything that a backtest plays over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from foundation.errors import DataError, ParameterError
from foundation.fingerprint import fingerprint
from foundation.trials import SAME_CONTRACT
from foundation.units import nanoseconds
from markets.candles import BoolArray, Candles, FloatArray, IntArray, duration, utc
from markets.contract import Contract
from markets.exogenous import Exogenous
from markets.funding import Funding

# Finer candles that disagree with more than this part of the candles are those of another contract.
MOST_DISAGREEMENT = 0.05


@dataclass(frozen=True, eq=False)
class Market:
    """One contract with its candles, mark candles and funding stamps.

    `mark`: candles of the mark price, of any bar length, or None; see `mark_bars`.
    `finer`: shorter candles of the same contract, or None; they say what came first inside a candle,
    see `finer_bars`. `funding`: settlements, or None. `synthetic`: made by a generator, and called so
    wherever it shows. `exogenous`: series from outside, joined to the bars by the features that name them.
    `notes`: what a reader of results must know of how the market was put together.
    `oracle`: the true expected log return of the NEXT bar at each bar, or None; only a synthetic
    market knows it, and no model is ever shown it. Raises DataError for finer candles whose bars do not
    divide the candles, lie off their grid or are those of another contract.
    """

    contract: Contract
    candles: Candles
    mark: Candles | None = None
    funding: Funding | None = None
    synthetic: bool = False
    oracle: FloatArray | None = None
    finer: Candles | None = None
    exogenous: tuple[Exogenous, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [one.name for one in self.exogenous]
        if len(set(names)) < len(names):
            raise DataError(self.symbol, f"has two exogenous series of one name ({', '.join(names)})", fix="rename one")
        if self.finer is not None:
            _check_finer(self.candles, self.finer)
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
        for one in self.exogenous:
            settings = [one.name, list(one.values), one.stale_after, one.neutral, one.window]
            parts += [settings, one.event, one.published, *one.values.values()]
        if self.finer is not None:
            finer = self.finer
            parts += ["finer", finer.timestamp, finer.open, finer.high, finer.low, finer.close, finer.touched]
        return fingerprint(*parts)

    @property
    def trial_key(self) -> str:
        """The contract under which trials are counted, by the name that its data is fetched by.

        Every synthetic market is a contract of its own.
        """
        key = self.contract.key
        return f"{key} {self.fingerprint}" if self.synthetic else SAME_CONTRACT.get(key, key)

    def rows(self, first: int, last: int) -> Market:
        """The market over the candle rows from `first` up to, not including, `last`."""
        oracle = None if self.oracle is None else self.oracle[first:last]
        candles, finer = self.candles.rows(first, last), None
        if self.finer is not None:
            start, end = int(candles.timestamp[0]), int(candles.timestamp[-1]) + candles.bar
            held = [int(row) for row in np.searchsorted(self.finer.timestamp, (start, end))]
            finer = self.finer.rows(*held) if held[0] < held[1] else None
        return replace(self, candles=candles, oracle=oracle, finer=finer)

    def with_exogenous(self, *series: Exogenous) -> Market:
        """The market with these series from outside, besides those it has."""
        return replace(self, exogenous=(*self.exogenous, *series))

    def mark_bars(self, rows: slice = slice(None)) -> tuple[FloatArray, BoolArray]:
        """Mark prices on the candles' grid, or on some rows of it, shape (bars, 4): open, high, low, close; and a flag.

        Where the mark is missing, or its bars are longer than the candles, the last price stands
        in and the flag is True. Finer mark bars are joined into the candle that holds all of them.
        """
        bars, mark = _prices(self.candles, rows), self.mark
        if mark is None or mark.bar > self.candles.bar or self.candles.bar % mark.bar:
            return bars, np.ones(len(bars), dtype=np.bool_)
        same = mark.bar == self.candles.bar and len(mark) == len(self.candles)
        if same and np.array_equal(mark.timestamp[rows], self.candles.timestamp[rows]):
            return _prices(mark, rows), np.zeros(len(bars), dtype=np.bool_)
        joined, _, whole = _joined(self.candles, mark, rows)
        bars[whole] = joined[whole]
        return bars, ~whole

    def finer_bars(self) -> tuple[IntArray, BoolArray]:
        """The row of `finer` that opens with each candle, and whether the finer candles count there.

        They count where all of a candle is held, nothing was touched by cleaning, and their first open,
        extremes and last close are the candle's to a millionth of a tick. Raises DataError for none.
        """
        if self.finer is None:
            raise DataError(self.candles.source, "has no finer candles", fix="hand in finer = ...")
        joined, first, whole = _joined(self.candles, self.finer)
        touched = np.concatenate(([0], np.cumsum(self.finer.touched)))
        last = np.minimum(first + self.candles.bar // self.finer.bar, len(self.finer))
        clean = ~self.candles.touched & (touched[last] == touched[np.minimum(first, last)])
        apart = np.abs(joined - _prices(self.candles)).max(axis=1)
        return first, whole & clean & (apart <= 1e-6 * self.contract.tick)

    def finer_marks(self) -> tuple[FloatArray, FloatArray]:
        """The mark's highs and lows on the grid of `finer`; NaN where no mark of that length is known.

        In candles for which the last price stands in for the mark, the finer last prices stand in too.
        """
        if self.finer is None:
            raise DataError(self.candles.source, "has no finer candles", fix="hand in finer = ...")
        finer, mark = self.finer, self.mark
        high, low = np.full(len(finer), np.nan), np.full(len(finer), np.nan)
        if mark is not None and mark.bar <= finer.bar and finer.bar % mark.bar == 0:
            joined, _, _ = _joined(finer, mark)
            high, low = joined[:, 1].copy(), joined[:, 2].copy()
        row = np.searchsorted(self.candles.timestamp, finer.timestamp, side="right") - 1
        stands_in = self.mark_bars()[1][np.maximum(row, 0)]
        high[stands_in], low[stands_in] = finer.high[stands_in], finer.low[stands_in]
        return high, low

    def funding_bars(self, rows: slice = slice(None)) -> tuple[FloatArray, FloatArray]:
        """Funding rates on the candles' grid, or on some rows of it: stamped at a bar's open; inside the bar."""
        opens = self.candles.timestamp[rows]
        at_open, inside = np.zeros(len(opens)), np.zeros(len(opens))
        if self.funding is None:
            return at_open, inside
        held = slice(*np.searchsorted(self.funding.timestamp, (opens[0], opens[-1] + self.candles.bar)))
        stamps, rates = self.funding.timestamp[held], self.funding.rate[held]
        row = np.searchsorted(opens, stamps, side="right") - 1
        on_open = opens[row] == stamps
        np.add.at(at_open, row[on_open], rates[on_open])
        np.add.at(inside, row[~on_open], rates[~on_open])
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


def _prices(candles: Candles, rows: slice = slice(None)) -> FloatArray:
    return np.array((candles.open[rows], candles.high[rows], candles.low[rows], candles.close[rows])).T


def _joined(candles: Candles, finer: Candles, rows: slice = slice(None)) -> tuple[FloatArray, IntArray, BoolArray]:
    """Finer bars joined on the candles' grid: prices as in `mark_bars`, the first row of each, and where all are held.

    Prices are NaN where a candle is not held as a whole.
    """
    parts, opens = candles.bar // finer.bar, candles.timestamp[rows]
    first = np.searchsorted(finer.timestamp, opens)
    whole = first + parts <= len(finer)
    whole &= finer.timestamp[np.minimum(first, len(finer) - 1)] == opens
    at = first[whole]
    high, low = finer.high[at], finer.low[at]
    for part in range(1, parts):
        np.maximum(high, finer.high[at + part], out=high)
        np.minimum(low, finer.low[at + part], out=low)
    joined = np.full((len(opens), 4), np.nan)
    joined[whole] = np.column_stack((finer.open[at], high, low, finer.close[at + parts - 1]))
    return joined, first, whole


def _check_finer(candles: Candles, finer: Candles) -> None:
    """Raises DataError for finer candles that cannot be those of the candles."""
    lengths = f"{duration(finer.bar)} for candles of {duration(candles.bar)}"
    if finer.bar >= candles.bar or candles.bar % finer.bar:
        fix = "finer candles are shorter, and a whole number of them makes a candle"
        raise DataError(finer.source, f"has bars of {lengths}", fix=fix)
    if (int(finer.timestamp[0]) - int(candles.timestamp[0])) % finer.bar:
        problem = f"has bars that open off the grid of {candles.source}, first at {utc(finer.timestamp[0])} UTC"
        raise DataError(finer.source, problem, fix="use one grid of stamps")
    joined, _, whole = _joined(candles, finer)
    known = whole & ~candles.touched
    beyond = np.abs(joined - _prices(candles)).max(axis=1) > 1e-9 * candles.high
    apart = known & beyond
    if apart.sum() > MOST_DISAGREEMENT * known.sum():
        row = int(np.argmax(apart))
        problem = (
            f"does not make the candles of {candles.source} on {int(apart.sum()):,} of {int(known.sum()):,} bars, "
            f"first at {utc(candles.timestamp[row])} UTC"
        )
        raise DataError(finer.source, problem, fix="name the finer candles of the same contract and price")


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
