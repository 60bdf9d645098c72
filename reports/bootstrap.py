"""Stationary bootstrap: what else the figures of a run could have been, had its returns come in another order."""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray
from reports.intervals import LEVEL, RESAMPLES, Interval, Intervals, optimal_block, yearly_growth


def bootstrap_intervals(
    returns: FloatArray, bars_per_year: float, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Intervals | None:
    """The percentile intervals of yearly Sharpe ratio, CAGR and maximum drawdown; None where nothing varies.

    The stationary bootstrap of Politis and Romano (1994): blocks of geometric length with the mean that
    `optimal_block` finds are drawn, with wrap-around, until as many bars are there as the run has. It keeps
    short dependence in the returns and assumes that nothing else changed over time. `returns`: simple
    returns per bar. Equal arguments give equal bits.
    """
    if len(returns) < 30 or np.ptp(returns) == 0.0:
        return None
    block = optimal_block(returns)
    drawn = resample_figures(returns, block, np.random.default_rng(seed), resamples)
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    sharpe = np.quantile(drawn[:, 0], tails) * math.sqrt(bars_per_year)
    growth = np.quantile(yearly_growth(drawn[:, 1], bars_per_year / len(returns)), tails)
    deepest = np.quantile(drawn[:, 2], tails)
    return Intervals(_interval(sharpe), _interval(growth), _interval(deepest), block)


def _interval(ends: FloatArray) -> Interval:
    return Interval(float(ends[0]), float(ends[1]))


def resample_figures(returns: FloatArray, block: float, random: np.random.Generator, resamples: int) -> FloatArray:
    """The figures of each resample of one run, shape (resamples, 3), see `resample_runs`."""
    return resample_runs(returns[None, :], block, random, resamples)[:, 0]


@rule(makes_arrays=True)
def resample_runs(returns: FloatArray, block: float, random: np.random.Generator, resamples: int) -> FloatArray:
    """The figures of each resample of runs: Sharpe ratio per bar, log growth, maximum drawdown.

    `returns`: (runs, bars); a resample draws the same bars of all runs, so that their figures can be set
    against one another. The answer: (resamples, runs, 3). Equity that falls to zero stays there: its log growth is
    -inf.
    """
    runs, n = returns.shape
    figures = np.empty((resamples, runs, 3))
    total, squares, equity = np.empty(runs), np.empty(runs), np.empty(runs)
    peak, deepest = np.empty(runs), np.empty(runs)
    for k in range(resamples):
        total[:], squares[:], equity[:], peak[:], deepest[:] = 0.0, 0.0, 1.0, 1.0, 0.0
        done = 0
        while done < n:
            length = 1
            if block > 1.0:
                length += int(math.log(1.0 - random.random()) / math.log(1.0 - 1.0 / block))
            at = int(random.random() * n)
            for _ in range(min(length, n - done)):
                for run in range(runs):
                    value = returns[run, at]
                    total[run] += value
                    squares[run] += value * value
                    equity[run] = max(0.0, equity[run] * (1.0 + value))
                    peak[run] = max(peak[run], equity[run])
                    deepest[run] = max(deepest[run], 1.0 - equity[run] / peak[run])
                at = at + 1 if at + 1 < n else 0
            done += length
        for run in range(runs):
            mean = total[run] / n
            variance = (squares[run] - n * mean * mean) / (n - 1)
            figures[k, run, 0] = mean / math.sqrt(variance) if variance > 0.0 else 0.0
            figures[k, run, 1] = math.log(equity[run]) if equity[run] > 0.0 else -math.inf
            figures[k, run, 2] = deepest[run]
    return figures
