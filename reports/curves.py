"""Equity curves: an account's equity over time, its returns and its falls from a peak."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from backtests.run.result import Result
from foundation.errors import DataError
from markets.candles import FloatArray, IntArray, utc

if TYPE_CHECKING:
    import pandas as pd

    from backtests.doubts.simpler import Baseline

YEAR = 365 * 86_400_000_000_000


@dataclass(frozen=True, eq=False)
class EquityCurve:
    """Equity at the close of every bar of a run, in the settlement currency.

    `timestamp`: bar OPEN, UTC nanoseconds. `equity`: at the bar's close, never below zero; zero is
    final. `cash`: the balance before the first bar. `bar`: the length of a bar in nanoseconds.
    """

    timestamp: IntArray
    equity: FloatArray
    cash: float
    bar: int

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days."""
        return YEAR / self.bar

    @property
    def total_return(self) -> float:
        """The change of equity over the run, as a fraction of the starting cash."""
        return float(self.equity[-1]) / self.cash - 1.0

    @cached_property
    def returns(self) -> FloatArray:
        """The simple return of every bar, the first against the starting cash; 0 after ruin."""
        before = np.concatenate(([self.cash], self.equity[:-1]))
        alive = before > 0.0
        return np.where(alive, self.equity / np.where(alive, before, 1.0) - 1.0, 0.0)

    @cached_property
    def drawdown(self) -> FloatArray:
        """The fall from the highest equity so far (the starting cash included), a fraction from 0 to 1."""
        peak = np.maximum.accumulate(np.concatenate(([self.cash], self.equity)))[1:]
        return 1.0 - self.equity / peak

    @cached_property
    def longest_drawdown(self) -> int:
        """The longest stretch of bars spent below an earlier peak, whether it was won back or not."""
        below = np.concatenate(([0], (self.drawdown > 0.0).astype(np.int64), [0]))
        edges = np.flatnonzero(np.diff(below))
        return int((edges[1::2] - edges[::2]).max(initial=0))

    def monthly_returns(self) -> pd.DataFrame:
        """Returns by calendar month (UTC): a row a year, columns 1 to 12 and "year", NaN outside the run.

        A month's return is its last equity over the last equity before it; NaN after ruin.
        """
        import pandas as pd

        stamps = pd.DatetimeIndex(pd.to_datetime(self.timestamp, utc=True))
        months = stamps.year * 12 + stamps.month - 1
        last = np.flatnonzero(np.diff(months, append=-1))
        keys, by_month = months[last], _changes(self.equity[last], self.cash)
        table = pd.DataFrame(
            np.nan, index=pd.Index(np.unique(keys // 12), name="year"), columns=[*range(1, 13), "year"]
        )
        for key, change in zip(keys, by_month, strict=True):
            table.loc[key // 12, key % 12 + 1] = change
        ends = np.flatnonzero(np.diff(keys // 12, append=-1))
        table["year"] = _changes(self.equity[last][ends], self.cash)
        return table


def equity_curve(result: Result | Baseline) -> EquityCurve:
    """The equity curve of a result or a baseline."""
    if isinstance(result, Result):
        return read_curve(result.equity, result.account.cash, result.markets[0].candles.bar)
    return read_curve(result.equity, result.cash, result.bar)


def read_curve(table: pd.DataFrame, cash: float, bar: int) -> EquityCurve:
    """The equity curve in a table with the columns timestamp and equity; raises DataError when it holds no bar."""
    import pandas as pd

    return checked_curve(pd.DatetimeIndex(table["timestamp"]).as_unit("ns").asi8, table["equity"].to_numpy(), cash, bar)


def checked_curve(stamps: IntArray, values: FloatArray, cash: float, bar: int) -> EquityCurve:
    """The equity curve of some bars, by their opens in UTC nanoseconds; raises DataError when it holds no bar."""
    if len(stamps) == 0:
        raise DataError("equity table", "holds no bars", fix="play at least one bar")
    equity = np.asarray(values, dtype=np.float64)
    if not np.isfinite(equity).all():
        row = int(np.argmax(~np.isfinite(equity)))
        raise DataError(
            "equity table", f"has a value that is not a finite number at {utc(stamps[row])} UTC (row {row})"
        )
    return EquityCurve(stamps, np.maximum(equity, 0.0), cash, bar)


def keep_extremes(values: FloatArray, buckets: int) -> IntArray:
    """The rows to draw of a long line: first, last, and the lowest and highest of each bucket of bars.

    No extreme of the line is lost, whatever its length. A line of at most 2 x `buckets` keeps all rows.
    """
    count = len(values)
    if count <= 2 * buckets:
        return np.arange(count)
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    width = int(np.diff(edges).max())
    rows = np.minimum(edges[:-1, None] + np.arange(width)[None, :], edges[1:, None] - 1)
    window = values[rows]
    at = np.arange(buckets)
    kept = (rows[at, window.argmin(axis=1)], rows[at, window.argmax(axis=1)], [0, count - 1])
    return np.unique(np.concatenate(kept))


def _changes(equity: FloatArray, cash: float) -> FloatArray:
    before = np.concatenate(([cash], equity[:-1]))
    alive = before > 0.0
    return np.where(alive, equity / np.where(alive, before, 1.0) - 1.0, np.nan)
