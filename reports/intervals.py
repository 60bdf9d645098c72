"""Intervals: the ranges of a run's figures, and the length of the blocks of bars that they rest on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from markets.candles import FloatArray
from reports import formats

RESAMPLES = 1000
LEVEL = 0.95


class Interval(NamedTuple):
    """A range that holds a figure with a stated probability."""

    low: float
    high: float


def binomial_range(count: int, draws: int) -> Interval:
    """The range of a chance that came true `count` times in `draws`; each end of it holds 19 times in 20 at least.

    The exact one of Clopper and Pearson (1934), by quantiles of the beta distribution: `low` is the chance at which
    as many or more have odds of 1 - LEVEL, `high` that at which as few or fewer do. None of n: up to
    1 - (1 - LEVEL)^(1/n), about 3 / n. Raises ValueError for a count that is not within 0 to `draws`, or no draw.
    """
    if not 0 <= count <= draws or draws == 0:
        raise ValueError(f"{count} of {draws}")
    edge = (1.0 - LEVEL) ** (1.0 / draws)
    if count in (0, draws):
        return Interval(edge, 1.0) if count else Interval(0.0, 1.0 - edge)
    # scipy.special takes a while to load, and few who need ranges need this one.
    from scipy.special import betaincinv

    low = float(betaincinv(count, draws - count + 1, 1.0 - LEVEL))
    return Interval(low, float(betaincinv(count + 1, draws - count, LEVEL)))


def odds_words(count: int, draws: int) -> str:
    """The range of a chance in words: "below 3.0%", "above 97.0%" or "from 1.4% to 3.9%"."""
    low, high = (formats.percent(end) for end in binomial_range(count, draws))
    return f"below {high}" if count == 0 else f"above {low}" if count == draws else f"from {low} to {high}"


class Intervals(NamedTuple):
    """The ranges of a run's figures, and the mean block length in bars that they rest on."""

    sharpe: Interval
    cagr: Interval
    max_drawdown: Interval
    block: float


def yearly_growth(growth: FloatArray, years: float) -> FloatArray:
    """Log growth as growth a year, of runs that last 1 / `years` years; -1 for a run that was ruined."""
    return np.asarray(np.expm1(np.clip(growth * years, -700.0, 700.0)))


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
