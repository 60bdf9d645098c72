"""Variance: what a bar's range says of it, and the bases on which a network's sigma is a residual."""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule
from markets.candles import Candles, FloatArray
from models.leverage import LeverageAverages, fit_leverage, leverage_columns, leverage_variance, relative_leverage
from models.parameters import LSTMParams

# A tenth of a basis point a bar, as a log return.
LEAST_VOLATILITY = 1e-5


@rule
def range_variance(high: float, low: float) -> float:
    """The variance that a bar's range speaks of: log(high / low)^2 / (4 log 2), Parkinson (1980).

    Unbiased for a price that moves as a Brownian motion without drift and is seen all the time. Never
    below LEAST_VOLATILITY squared: a price that stands still is assumed to be able to move.
    """
    return max(math.log(high / low) ** 2 / (4.0 * math.log(2.0)), LEAST_VOLATILITY**2)


@rule(makes_arrays=True)
def _variances(high: FloatArray, low: FloatArray) -> FloatArray:
    variances = np.empty(len(high))
    for t in range(len(high)):
        variances[t] = range_variance(high[t], low[t])
    return variances


def bar_variance(candles: Candles, measure: str) -> FloatArray:
    """The variance of each bar by its range, shape (bars,), known at its close.

    `parkinson`: from high and low. `true_range`: from the range that takes in the close before, so
    that a gap between two bars counts; the first bar has none.
    """
    high, low = candles.high, candles.low
    if measure == "true_range":
        before = candles.close[:-1]
        high = np.concatenate((high[:1], np.maximum(high[1:], before)))
        low = np.concatenate((low[:1], np.minimum(low[1:], before)))
    variances: FloatArray = _variances(high, low)
    return variances


def har_columns(variances: FloatArray, close: FloatArray, bars: tuple[int, ...]) -> FloatArray:
    """The columns of HAR with leverage, shape (bars, 2 x len(bars)); NaN where unknown.

    The means of the bars' deviations (roots of their variances) over the last 1, 5, 22 ... bars, then the means
    of their log returns over the same, 0 where they are above it: falls raise volatility (Corsi and Reno 2012).
    """
    returns = np.append(np.nan, np.diff(np.log(close)))
    columns = np.full((len(variances), 2 * len(bars)), np.nan)
    for number, length in enumerate(bars):
        if len(variances) > length:
            for place, values in ((number, np.sqrt(variances)), (number + len(bars), returns)):
                columns[length - 1 :, place] = np.lib.stride_tricks.sliding_window_view(values, length).mean(axis=1)
    columns[:, len(bars) :] = np.minimum(columns[:, len(bars) :], 0.0)
    return columns


def raw_columns(variances: FloatArray, close: FloatArray, params: LSTMParams) -> FloatArray:
    """What a model's variance base rests on, shape (bars, columns); nothing for the trailing volatility."""
    if params.variance_base == "leverage":
        return leverage_columns(variances, close, params.har_bars)
    return har_columns(variances, close, params.har_bars if params.variance_base == "har" else ())


def relative_columns(columns: FloatArray, volatility: FloatArray, params: LSTMParams) -> FloatArray:
    """The columns over the trailing volatility, and behind them one per cent over it: the constant in those units."""
    if columns.shape[1] == 0:
        return columns
    if params.variance_base == "leverage":
        return relative_leverage(columns, volatility)
    return np.column_stack((columns, np.full(len(columns), 0.01))) / volatility[:, None]


def fit_base(target: FloatArray, columns: FloatArray, params: LSTMParams) -> FloatArray:
    """The slopes of a variance base. HAR: of the least-squares regression of the next bar's deviation on its columns.

    `target`: its variance over the trailing volatility squared, NaN where unknown. Errors count in log returns,
    not in trailing volatilities. Empty where there are no columns: the base is then the trailing volatility itself.
    """
    if columns.shape[1] == 0:
        return np.empty(0)
    if params.variance_base == "leverage":
        return fit_leverage(target, columns)
    known = np.isfinite(target)
    volatility = 0.01 / columns[known, -1]
    design, deviation = columns[known] * volatility[:, None], np.sqrt(target[known]) * volatility
    return np.asarray(np.linalg.lstsq(design, deviation, rcond=None)[0], dtype=np.float64)


def base_log(slopes: FloatArray, columns: FloatArray, params: LSTMParams) -> FloatArray:
    """log(variance of the base / trailing volatility squared) at each row; 0 where the base is the trailing volatility.

    `columns`: those of `relative_columns`. The deviation of HAR is never taken to be below a quarter of its mean over
    the longest window.
    """
    if len(slopes) == 0:
        return np.zeros(len(columns))
    if params.variance_base == "leverage":
        logarithms: FloatArray = np.log(leverage_variance(slopes, columns))
        return logarithms
    least = 0.25 * columns[:, columns.shape[1] // 2 - 1]
    logs: FloatArray = 2.0 * np.log(np.maximum(columns @ slopes, least))
    return logs


def base_columns(params: LSTMParams) -> int:
    """How many columns at the end of the features carry the base: some for each window, and constants; or none."""
    return {"har": 2 * len(params.har_bars) + 1, "leverage": 4 * len(params.har_bars) + 2}.get(params.variance_base, 0)


def shown_columns(columns: int, params: LSTMParams) -> int:
    """How many of a sample's columns a network is shown: all, but for those of the leverage base."""
    return columns - (base_columns(params) if params.variance_base == "leverage" else 0)


class BaseColumns:
    """The columns of `raw_columns` bar by bar, from running sums; empty without a base.

    Equal to those but for the rounding of the sums.
    """

    def __init__(self, params: LSTMParams) -> None:
        self._bars = np.array(params.har_bars if params.variance_base == "har" else (), dtype=np.int64)
        self._leverage = LeverageAverages(params.har_bars) if params.variance_base == "leverage" else None
        self._ring = np.zeros((int(self._bars[-1]) if len(self._bars) else 0, 2))
        self._sums, self._count = np.zeros((len(self._bars), 2)), 0
        self._gaps, self._close = params.range_measure == "true_range", math.nan

    def step(self, high: float, low: float, close: float) -> FloatArray:
        """The columns at the close of a bar; NaN where they are not known yet."""
        before, self._close = self._close, close
        first = math.isnan(before)
        if self._gaps and not first:
            high, low = max(high, before), min(low, before)
        if self._leverage is not None:
            return self._leverage.step(range_variance(high, low), 0.0 if first else max(math.log(before / close), 0.0))
        if len(self._bars) == 0:
            return np.empty(0)
        newest = (math.sqrt(range_variance(high, low)), 0.0 if first else math.log(close / before))
        length = len(self._ring)
        # A place of the ring that was never written holds zeros, and so it leaves no sum.
        self._sums += np.array(newest) - self._ring[(self._count - self._bars) % length]
        self._ring[self._count % length] = newest
        self._count += 1
        # The first bar has no return: a window counts once it lies behind that bar.
        means = np.where(self._count > self._bars, (self._sums / self._bars[:, None]).T, np.nan)
        return np.concatenate((means[0], np.minimum(means[1], 0.0)))
