"""Variance: what a bar's range says of it, and the bases on which a network's sigma is a residual."""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule
from markets.candles import Candles, FloatArray
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


@rule
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


def har_columns(variances: FloatArray, bars: tuple[int, ...]) -> FloatArray:
    """The logs of the average variance over the last 1, 5, 22 ... bars, shape (bars, len(bars)); NaN where unknown.

    Corsi (2009), in logs, so that what is regressed on them stays above zero.
    """
    columns = np.full((len(variances), len(bars)), np.nan)
    for number, length in enumerate(bars):
        if len(variances) >= length:
            windows = np.lib.stride_tricks.sliding_window_view(variances, length)
            columns[length - 1 :, number] = np.log(windows.mean(axis=1))
    return columns


def fit_base(target: FloatArray, columns: FloatArray) -> FloatArray:
    """Constant and slopes of the least-squares regression of log(target) on HAR columns, over rows with a target.

    Empty where there are no columns: the base is then the trailing volatility itself.
    """
    if columns.shape[1] == 0:
        return np.empty(0)
    known = np.isfinite(target) & (target > 0.0)
    design = np.column_stack((np.ones(int(known.sum())), columns[known]))
    return np.asarray(np.linalg.lstsq(design, np.log(target[known]), rcond=None)[0], dtype=np.float64)


def base_log(coefficients: FloatArray, columns: FloatArray) -> FloatArray:
    """log(variance of the base / trailing volatility squared) at each row; 0 where the base is the trailing volatility.

    `columns`: HAR columns less the log of the trailing volatility squared, shape (rows, len(har_bars)).
    """
    if len(coefficients) == 0:
        return np.zeros(len(columns))
    logs: FloatArray = coefficients[0] + columns @ coefficients[1:]
    return logs


def base_columns(params: LSTMParams) -> int:
    """How many columns at the end of a sample's features carry the base: one for each of `har_bars`, or none."""
    return len(params.har_bars) if params.variance_base == "har" else 0


class BaseColumns:
    """The columns of the variance base bar by bar: one running sum for each of `har_bars`; empty without a base.

    Equal to `har_columns` but for the rounding of the sums.
    """

    def __init__(self, params: LSTMParams) -> None:
        self._bars = np.array(params.har_bars[: base_columns(params)], dtype=np.int64)
        self._ring = np.zeros(int(self._bars[-1]) if len(self._bars) else 0)
        self._sums, self._count = np.zeros(len(self._bars)), 0
        self._gaps, self._close = params.range_measure == "true_range", math.nan

    def step(self, high: float, low: float, close: float) -> FloatArray:
        """The columns at the close of a bar; NaN where they are not known yet."""
        if len(self._bars) == 0:
            return np.empty(0)
        if self._gaps and not math.isnan(self._close):
            high, low = max(high, self._close), min(low, self._close)
        variance, length = range_variance(high, low), len(self._ring)
        # A place of the ring that was never written holds the zero that has left no sum.
        leaving = self._ring[(self._count - self._bars) % length]
        self._sums += variance - np.where(self._count >= self._bars, leaving, 0.0)
        self._ring[self._count % length] = variance
        self._count, self._close = self._count + 1, close
        return np.where(self._count >= self._bars, np.log(self._sums / self._bars), np.nan)
