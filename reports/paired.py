"""Paired differences: by how much one run differs from another over the same bars, and whether that can be luck."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from markets.candles import FloatArray
from reports.curves import EquityCurve
from reports.intervals import LEVEL, RESAMPLES, Interval, optimal_block, yearly_growth


class Difference(NamedTuple):
    """A figure of one run less that of another, and the range that holds it 95 times in 100."""

    value: float
    range: Interval

    @property
    def clear(self) -> bool:
        """Whether the range leaves zero out."""
        return self.range.low > 0.0 or self.range.high < 0.0


class Differences(NamedTuple):
    """What a run has more than another: yearly Sharpe ratio, CAGR, maximum drawdown."""

    sharpe: Difference
    cagr: Difference
    max_drawdown: Difference

    def record(self) -> dict[str, dict[str, float]]:
        """The differences as JSON can hold them."""
        return {
            name: {"difference": one.value, "from": one.range.low, "to": one.range.high}
            for name, one in self._asdict().items()
        }


def common_returns(curves: Mapping[str, EquityCurve]) -> FloatArray | None:
    """The returns of runs on the bars that all of them played, (runs, bars); None for runs of unlike bars."""
    runs = list(curves.values())
    if len({run.bar for run in runs}) > 1:
        return None
    stamps = runs[0].timestamp
    for run in runs[1:]:
        stamps = np.intersect1d(stamps, run.timestamp, assume_unique=True)
    return np.array([run.returns[np.searchsorted(run.timestamp, stamps)] for run in runs])


def paired_differences(
    curves: Mapping[str, EquityCurve], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, Differences]:
    """The differences of all runs but the first from the first, by name; none where they share too little.

    The stationary bootstrap draws the same blocks of bars from all runs, as long on average as the longest that
    `optimal_block` finds for any difference of returns; the range is that of the differences of the figures over
    the resamples, centred on nothing: a percentile interval. What moves both runs alike cancels, which two ranges side
    by side do not show. Ten runs are nine chances to be lucky: the range knows nothing of that.
    """
    from reports.bootstrap import resample_runs

    returns, first = common_returns(curves), next(iter(curves.values()))
    if returns is None or returns.shape[1] < 30:
        return {}
    moving = [gap for gap in returns[1:] - returns[0] if np.ptp(gap) > 0.0]
    if not moving:
        return {}
    block = max(optimal_block(gap) for gap in moving)
    drawn = _figures(
        resample_runs(returns, block, np.random.default_rng(seed), resamples), first.bars_per_year, returns
    )
    whole = _figures(resample_whole(returns), first.bars_per_year, returns)[0]
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return {
        name: Differences(
            *(
                Difference(
                    float(whole[at, figure] - whole[0, figure]),
                    Interval(*map(float, np.quantile(drawn[:, at, figure] - drawn[:, 0, figure], tails))),
                )
                for figure in range(3)
            )
        )
        for at, name in enumerate(curves)
        if at
    }


def resample_whole(returns: FloatArray) -> FloatArray:
    """The figures of the runs as they were, in the shape of one resample."""
    equity = np.maximum(np.cumprod(1.0 + returns, axis=1), 0.0)
    peak = np.maximum.accumulate(np.maximum(equity, 1.0), axis=1)
    deviation = returns.std(axis=1, ddof=1)
    sharpe = np.divide(returns.mean(axis=1), deviation, out=np.zeros(len(returns)), where=deviation > 0.0)
    growth = np.log(equity[:, -1], out=np.full(len(returns), -np.inf), where=equity[:, -1] > 0.0)
    return np.stack((sharpe, growth, (1.0 - equity / peak).max(axis=1)), axis=1)[None]


def _figures(drawn: FloatArray, bars_per_year: float, returns: FloatArray) -> FloatArray:
    yearly = drawn.copy()
    yearly[..., 0] *= math.sqrt(bars_per_year)
    yearly[..., 1] = yearly_growth(drawn[..., 1], bars_per_year / returns.shape[1])
    return yearly
