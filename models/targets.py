"""Targets: what a network learns at each bar, known only some bars later."""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule
from markets.candles import BoolArray, Candles, FloatArray
from models.features import Float32Array
from models.parameters import LSTMParams


def next_return_target(candles: Candles, volatility: FloatArray) -> Float32Array:
    """The next bar's log return over the trailing volatility; NaN where it is unknown or artificial."""
    return relative_target(_next(np.diff(np.log(candles.close)), candles), volatility)


def next_variance_target(candles: Candles, variances: FloatArray, volatility: FloatArray) -> Float32Array:
    """The next bar's range variance over the trailing volatility squared; NaN where it is unknown or artificial."""
    return relative_target(_next(variances[1:], candles), np.square(volatility))


def relative_target(values: FloatArray, units: FloatArray) -> Float32Array:
    """What the next bar brings, in units that are known at the close of each."""
    return np.asarray(values / units, dtype=np.float32)


def _next(later: FloatArray, candles: Candles) -> FloatArray:
    """The value of the bar after each; NaN after the last, and where cleaning touched one of the two."""
    values = np.append(later, np.nan)
    values[:-1][candles.touched[:-1] | candles.touched[1:]] = np.nan
    return values


def barrier_target(candles: Candles, volatility: FloatArray, model: LSTMParams) -> Float32Array:
    """Which barrier is touched first within `barrier_bars` after each bar: 1 the upper, -1 the lower, 0 neither.

    The barriers lie `barrier_sigma` trailing volatilities from the close of bar t (Lopez de Prado 2018, the
    triple barrier). Known at the close of bar t + barrier_bars, however early a barrier is touched: so
    every label has one horizon. NaN in the last `barrier_bars` rows, where cleaning changed bar t or
    one until the touch, and where one bar touches both: which came first is not known.
    """
    labels: FloatArray = _barrier_labels(
        candles.high, candles.low, candles.close, candles.touched, volatility * model.barrier_sigma, model.barrier_bars
    )
    return labels.astype(np.float32)


@rule(makes_arrays=True)
def _barrier_labels(
    high: FloatArray, low: FloatArray, close: FloatArray, touched: BoolArray, distance: FloatArray, bars: int
) -> FloatArray:
    labels = np.full(len(close), np.nan)
    for t in range(len(close) - bars):
        if not (math.isnan(distance[t]) or touched[t]):
            upper, lower = close[t] * math.exp(distance[t]), close[t] * math.exp(-distance[t])
            labels[t] = _first_touch(high, low, touched, t, bars, upper, lower)
    return labels


@rule
def _first_touch(
    high: FloatArray, low: FloatArray, touched: BoolArray, t: int, bars: int, upper: float, lower: float
) -> float:
    for later in range(t + 1, t + bars + 1):
        above, below = high[later] >= upper, low[later] <= lower
        if touched[later] or (above and below):
            return math.nan
        if above or below:
            return 1.0 if above else -1.0
    return 0.0
