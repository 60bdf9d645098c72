"""Significance: tests of forecasts that keep their size, with errors that allow for autocorrelation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from markets.candles import BoolArray, FloatArray
from models.regression import dot


class Correlation(NamedTuple):
    """A correlation, its standard error, and the two-sided p-value of there being none; NaN where undefined."""

    value: float
    error: float
    p: float


def upper_tail(z: float) -> float:
    """The probability that a standard normal variable is above z."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def default_lags(n: int) -> int:
    """The autocorrelations that count in a long-run variance: 4 (n / 100)^(2/9), rounded down."""
    return min(max(n - 1, 0), int(4.0 * (n / 100.0) ** (2.0 / 9.0)))


def newey_west(values: FloatArray, lags: int | None = None) -> float:
    """The variance of the mean of an autocorrelated series (1987): Bartlett weights over `lags`, or `default_lags`."""
    n = len(values)
    if n < 2:
        return math.nan
    centred = values - values.mean()
    total = dot(centred, centred)
    lags = default_lags(n) if lags is None else lags
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * dot(centred[lag:], centred[:-lag])
    return total / n**2


def correlation(x: FloatArray, y: FloatArray) -> float:
    """Pearson's correlation; NaN where either does not vary."""
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def robust_correlation(x: FloatArray, y: FloatArray) -> Correlation:
    """Pearson's correlation with an error that allows for autocorrelation and changing variance.

    With both standardised it is the slope of y on x; its error is the HAC error of that slope: the
    Newey-West variance of the mean of x times the residual.
    """
    value = correlation(x, y)
    if math.isnan(value):
        return Correlation(value, math.nan, math.nan)
    first, second = ((one - one.mean()) / one.std() for one in (x, y))
    variance = newey_west(first * (second - value * first))
    error = math.sqrt(variance) if variance > 0.0 else math.nan
    return Correlation(value, error, 2.0 * upper_tail(abs(value) / error))


def ranks(values: FloatArray) -> FloatArray:
    """The rank of each value, ties sharing their mean rank."""
    ranked: FloatArray = np.asarray(pd.Series(values).rank())
    return ranked


def pesaran_timmermann_p(forecast_up: BoolArray, outcome_up: BoolArray) -> float:
    """The one-sided p-value of as many right signs, were forecast and outcome independent (1992).

    With P the share of right signs, x and y the shares of ups in forecasts and outcomes, and Q = xy + (1 - x)(1 - y):
    z = (P - Q) / sqrt(V(P) - V(Q)). NaN where all forecasts or all outcomes have one sign.
    """
    n = len(outcome_up)
    if n == 0:
        return math.nan
    right, x, y = (float(np.mean(part)) for part in (forecast_up == outcome_up, forecast_up, outcome_up))
    expected = y * x + (1.0 - y) * (1.0 - x)
    of_expected = (
        (2 * y - 1) ** 2 * x * (1 - x) / n + (2 * x - 1) ** 2 * y * (1 - y) / n + 4 * y * x * (1 - y) * (1 - x) / n**2
    )
    variance = expected * (1.0 - expected) / n - of_expected
    return upper_tail((right - expected) / math.sqrt(variance)) if variance > 0.0 else math.nan


def anatolyev_gerko_p(f: FloatArray, y: FloatArray) -> float:
    """The one-sided p-value of trading on the sign of f earning no more than chance would (2005).

    With s = sign(f): z = [mean(s y) - mean(s) mean(y)] / sqrt(V), V = 4 p (1 - p) var(y) / n, p = (1 + mean(s)) / 2.
    A test of direction weighed by what the move was worth. NaN where all forecasts have one sign.
    """
    if len(y) == 0:
        return math.nan
    sign = np.where(f > 0.0, 1.0, -1.0)
    p = 0.5 * (1.0 + float(sign.mean()))
    variance = 4.0 * p * (1.0 - p) * float(np.square(y - y.mean()).mean()) / len(y)
    excess = float((sign * y).mean() - sign.mean() * y.mean())
    return upper_tail(excess / math.sqrt(variance)) if variance > 0.0 else math.nan


def clark_west_p(y: FloatArray, f: FloatArray, base: FloatArray) -> float:
    """The one-sided p-value of f being no better than the base that it nests (Clark and West 2007).

    d = (y - b)^2 - [(y - f)^2 - (b - f)^2], tested for a mean above 0 with Newey-West variance. The base
    has to be the mean that the forecaster's model holds within: against a forecast of zero the
    test rejects nearly always where returns have a drift.
    """
    difference = np.square(y - base) - (np.square(y - f) - np.square(base - f))
    variance = newey_west(difference)
    return upper_tail(float(difference.mean()) / math.sqrt(variance)) if variance > 0.0 else math.nan


def diebold_mariano_p(first: FloatArray, second: FloatArray, horizon: int = 1) -> float:
    """The two-sided p-value of two forecasts, none of which nests the other, having equal mean losses (1995).

    max(horizon - 1, ceil(n^(1/3))) lags in the Newey-West variance, the correction of Harvey, Leybourne and Newbold
    (1997), Student's t with n - 1 degrees of freedom. NaN where the losses never differ.
    """
    from scipy.special import stdtr

    difference = np.asarray(first - second, dtype=np.float64)
    n = len(difference)
    if n < 3:
        return math.nan
    variance = newey_west(difference, min(max(horizon - 1, math.ceil(n ** (1.0 / 3.0))), n - 1))
    if not variance > 0.0:
        return math.nan
    correction = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = correction * float(difference.mean()) / math.sqrt(variance)
    return float(2.0 * stdtr(n - 1, -abs(statistic)))
