"""Stationary bootstrap: what else the figures of a run could have been, had its returns come in another order."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray

RESAMPLES = 1000
LEVEL = 0.95


class Interval(NamedTuple):
    """A range that holds a figure with a stated probability."""

    low: float
    high: float


class Intervals(NamedTuple):
    """The ranges of a run's figures, and the mean block length in bars that they rest on."""

    sharpe: Interval
    cagr: Interval
    max_drawdown: Interval
    block: float


def bootstrap_intervals(
    returns: FloatArray, bars_per_year: float, *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> Intervals | None:
    """The percentile intervals of yearly Sharpe ratio, yearly growth and deepest drawdown; None where nothing varies.

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


def yearly_growth(growth: FloatArray, years: float) -> FloatArray:
    """Log growth as growth a year, of runs that last 1 / `years` years; -1 for a run that was ruined."""
    return np.asarray(np.expm1(np.clip(growth * years, -700.0, 700.0)))


def _interval(ends: FloatArray) -> Interval:
    return Interval(float(ends[0]), float(ends[1]))


def optimal_block(values: FloatArray) -> float:
    """The mean block length for the stationary bootstrap of a mean (Politis and White 2004, corrected 2009).

    `(2 G^2 / D)^(1/3) n^(1/3)`, with G = sum of w(k) |k| R(k), D = 2 (sum of w(k) R(k))^2 over lags k from -M to M,
    R the autocovariance, w a flat-top window; M twice the lag after which the autocorrelation stays within
    `2 sqrt(log10(n) / n)`. At least 1, at most `min(3 sqrt(n), n / 3)`.
    """
    n = len(values)
    centred = values - values.mean()
    quiet = max(5, int(math.log10(n)))
    lags = min(math.ceil(math.sqrt(n)) + quiet, n - 1)
    covariance = _autocovariance(centred, lags)
    small = np.abs(covariance) < 2.0 * math.sqrt(math.log10(n) / n) * covariance[0]
    last = next((k for k in range(1, lags - quiet + 2) if small[k : k + quiet].all()), lags) - 1
    most = min(2 * max(last, 1), lags)
    share = np.arange(1, most + 1) / most
    weight = np.minimum(1.0, 2.0 * (1.0 - share))
    g = 2.0 * float((weight * np.arange(1, most + 1) * covariance[1 : most + 1]).sum())
    d = 2.0 * (float(covariance[0]) + 2.0 * float((weight * covariance[1 : most + 1]).sum())) ** 2
    length = (2.0 * g * g / d) ** (1.0 / 3.0) * n ** (1.0 / 3.0) if d > 0.0 else 1.0
    return float(min(max(length, 1.0), math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


def _autocovariance(centred: FloatArray, lags: int) -> FloatArray:
    """R(0) to R(lags) of values with mean zero, by way of their spectrum, the same on any number of cores."""
    n = len(centred)
    spectrum = np.fft.rfft(centred, 2 * n)
    found: FloatArray = np.fft.irfft(spectrum * spectrum.conj(), 2 * n)[: lags + 1] / n
    return found


def resample_figures(returns: FloatArray, block: float, random: np.random.Generator, resamples: int) -> FloatArray:
    """The figures of each resample of one run, shape (resamples, 3), see `resample_runs`."""
    return resample_runs(returns[None, :], block, random, resamples)[:, 0]


@rule(makes_arrays=True)
def resample_runs(returns: FloatArray, block: float, random: np.random.Generator, resamples: int) -> FloatArray:
    """The figures of each resample of runs: Sharpe ratio per bar, log growth, deepest drawdown.

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
