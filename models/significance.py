"""Significance: tests of forecasts that keep their size, with errors that allow for autocorrelation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from markets.candles import BoolArray, FloatArray
from models.level import LEAST_ROWS
from models.regression import dot

# The span of the exponential means by which the tests of forecasts norm their weights, in bars.
NORMING_BARS = 250


class Correlation(NamedTuple):
    """A correlation, its standard error, and the two-sided p-value of there being none; NaN where undefined."""

    value: float
    error: float
    p: float


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


def long_run_error(values: FloatArray) -> float:
    """The error of a mean of autocorrelated values; NaN where nothing varies, or there are fewer than LEAST_ROWS.

    Over `default_lags` the root of `newey_west` is too small by what the estimated mean takes: with b the lags and one
    over n, the variance comes to 1 - b + b^2 / 3 of the true one (the mean of its limit under fixed b: Kiefer and
    Vogelsang 2005), and is divided by that. `student_tail` allows for how much it varies.
    """
    if len(values) < LEAST_ROWS:
        return math.nan
    share = _lag_share(len(values))
    variance = newey_west(values) / (1.0 - share + share**2 / 3.0)
    return math.sqrt(variance) if variance > 0.0 else math.nan


def student_tail(t: float, n: int) -> float:
    """The chance of a mean of n values above t of its `long_run_error`s, were its expectation 0.

    Student's t with 3 / (2 b) degrees of freedom: the limit of the variance has a squared coefficient of variation of
    4 b / 3 with Bartlett weights.
    """
    from scipy.special import stdtr

    return float(stdtr(1.5 / _lag_share(n), -t))


def _lag_share(n: int) -> float:
    return (default_lags(n) + 1) / n


def correlation(x: FloatArray, y: FloatArray) -> float:
    """Pearson's correlation; NaN where either does not vary."""
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def robust_correlation(x: FloatArray, y: FloatArray) -> Correlation:
    """Pearson's correlation with an error that allows for autocorrelation and changing variance.

    With both standardised it is the slope of y on x; its error is the HAC error of that slope: the `long_run_error` of
    the mean of x times the residual, each residual over what its own row leaves of it (1 - leverage: HC3 of MacKinnon
    and White 1985), and no smaller than without lags: where there is nothing to know scores do not follow each other,
    and a sum of few autocorrelations that takes the error down is luck. Without either a correlation of few bars is
    found significant too often.
    """
    value = correlation(x, y)
    if math.isnan(value):
        return Correlation(value, math.nan, math.nan)
    first, second = ((one - one.mean()) / one.std() for one in (x, y))
    left = 1.0 - (1.0 + np.square(first)) / len(x)
    known = left > 1e-9
    residual = np.where(known, (second - value * first) / np.where(known, left, 1.0), 0.0)
    scores = first * residual
    error = max(long_run_error(scores), math.sqrt(newey_west(scores, 0)))
    return Correlation(value, error, 2.0 * student_tail(abs(value) / error, len(x)))


def ranks(values: FloatArray) -> FloatArray:
    """The rank of each value, ties sharing their mean rank."""
    ranked: FloatArray = np.asarray(pd.Series(values).rank())
    return ranked


def trailing_mean(values: FloatArray) -> FloatArray:
    """The exponential mean of the values up to and including each one, span NORMING_BARS, weights of those there."""
    mean: FloatArray = np.asarray(pd.Series(values).ewm(span=NORMING_BARS).mean(), dtype=np.float64)
    return mean


def normed(values: FloatArray) -> FloatArray:
    """Each value over the root of the trailing mean square, itself included; 0 where it is 0 but for rounding."""
    size = np.sqrt(trailing_mean(np.square(values)))
    small = np.abs(values) <= 1e-9 * np.abs(values).max(initial=0.0)
    made: FloatArray = np.where(small, 0.0, values / np.where(small, 1.0, size))
    return made


def timing_weights(forecast_up: BoolArray) -> FloatArray:
    """What a sign says beyond what the signs before it said: s less the trailing mean of those before, normed."""
    sign = np.where(forecast_up, 1.0, -1.0)
    return normed(sign - np.append(sign[:1], trailing_mean(sign)[:-1]))


def mean_above_zero_p(values: FloatArray) -> float:
    """The one-sided p-value of a mean of 0, by its `long_run_error`; NaN where nothing varies."""
    error = long_run_error(values)
    return student_tail(float(values.mean()) / error, len(values)) if math.isfinite(error) else math.nan


def normed_pesaran_timmermann_p(forecast_up: BoolArray, outcome_up: BoolArray) -> float:
    """The one-sided p-value of as many right signs, were forecast and outcome independent.

    With s and v = -1 or 1 the signs, the mean of w (v - mean(v)) is tested for being above 0, w = `timing_weights`.
    Pesaran and Timmermann (1992) test the covariance of s and v: the same with w = s - mean(s). That mean
    knows all signs, and where the model follows past returns it leans against the outcomes, so that their test
    rejects too seldom. A mean that knows only earlier signs does not. NaN where all forecasts or all outcomes have one
    sign.
    """
    return mean_above_zero_p(_timed(forecast_up, np.where(outcome_up, 1.0, -1.0)))


def normed_anatolyev_gerko_p(f: FloatArray, y: FloatArray) -> float:
    """The one-sided p-value of trading on the sign of f earning no more than chance would (2005).

    As `normed_pesaran_timmermann_p`, with the return itself in the place of its sign: a test of direction weighed by
    what the move was worth. NaN where all forecasts have one sign.
    """
    return mean_above_zero_p(_timed(f > 0.0, y))


def pesaran_timmermann_p(forecast_up: BoolArray, outcome_up: BoolArray) -> float:
    """The one-sided p-value of as many right signs under independence as published (1992); NaN as the normed one."""
    n = len(outcome_up)
    if n < LEAST_ROWS:
        return math.nan
    up, rose = float(forecast_up.mean()), float(outcome_up.mean())
    expected = rose * up + (1.0 - rose) * (1.0 - up)
    of_expected = (2.0 * rose - 1.0) ** 2 * up * (1.0 - up) + (2.0 * up - 1.0) ** 2 * rose * (1.0 - rose)
    of_expected += 4.0 * rose * up * (1.0 - rose) * (1.0 - up) / n
    right = float((forecast_up == outcome_up).mean())
    return _normal_tail(right - expected, (expected * (1.0 - expected) - of_expected) / n)


def anatolyev_gerko_p(f: FloatArray, y: FloatArray) -> float:
    """The one-sided p-value of what trading on the sign of f earns as published (2005); NaN as the normed one."""
    if len(y) < LEAST_ROWS:
        return math.nan
    sign, up = np.where(f > 0.0, 1.0, -1.0), float((f > 0.0).mean())
    variance = 4.0 * up * (1.0 - up) * float(np.square(y - y.mean()).sum()) / len(y) ** 2
    return _normal_tail(float((sign * y).mean() - sign.mean() * y.mean()), variance)


def _normal_tail(excess: float, variance: float) -> float:
    return NormalDist().cdf(-excess / math.sqrt(variance)) if variance > 0.0 else math.nan


def _timed(forecast_up: BoolArray, outcome: FloatArray) -> FloatArray:
    return timing_weights(forecast_up) * (outcome - (outcome.mean() if len(outcome) else 0.0))


def normed_clark_west_p(y: FloatArray, f: FloatArray, base: FloatArray) -> float:
    """The one-sided p-value of f being no better than the base that it nests (Clark and West 2007), normed.

    d = (y - b)^2 - [(y - f)^2 - (b - f)^2] = 2 (f - b)(y - b), each over the trailing root mean square of f - b as
    known when f was made, tested for a mean above 0. Not normed, sums of d tend to integrals of one Brownian
    motion over another, skewed by how fast the model settles (Clark and McCracken 2001): a table of their
    limits asks how many parameters the model has, which for a network nobody knows. Normed, the steps have the
    same variance whatever the model did before, and the central limit theorem for martingales makes the law normal
    under every window. The base has to be what the forecaster's model comes to where it has learned nothing: a model
    with a constant against zero is rejected nearly always where returns have a drift, and a model that stopped at zero
    against a noisy mean too often, for then d has the mean b^2. `skill_p` asks for both.
    """
    return mean_above_zero_p(normed(f - base) * (y - base))


def skill_p(y: FloatArray, f: FloatArray, base: FloatArray) -> float:
    """The p-value of f adding nothing to `base` or adding nothing to zero: the larger of both normed Clark-West ones.

    An intersection-union test (Berger 1982): where one of both is what the model comes to without skill, it rejects at
    most as often as its level says, whichever it is. NaN where f never varies: no timing is claimed, and none tested.
    """
    if len(f) == 0 or np.ptp(f) == 0.0:
        return math.nan
    both = [normed_clark_west_p(y, f, one) for one in (base, np.zeros(len(y)))]
    return math.nan if any(map(math.isnan, both)) else max(both)


def clark_west_p(y: FloatArray, f: FloatArray, base: FloatArray) -> float:
    """The one-sided p-value of Clark and West (2007) as published, with `long_run_error`."""
    return mean_above_zero_p((f - base) * (y - base))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that allow for their number (Holm 1979): any of no effect is below a level as seldom as that says.

    The k-th smallest of n counts n - k + 1 times, and no less than those before it. NaN stays, and is no test.
    """
    adjusted, known = [math.nan] * len(p_values), [at for at, p in enumerate(p_values) if not math.isnan(p)]
    highest = 0.0
    for done, at in enumerate(sorted(known, key=lambda at: p_values[at])):
        highest = max(highest, min(1.0, (len(known) - done) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def diebold_mariano_p(first: FloatArray, second: FloatArray, horizon: int = 1) -> float:
    """The two-sided p-value of two forecasts, none of which nests the other, having equal mean losses (1995).

    max(horizon - 1, ceil(n^(1/3))) lags in the Newey-West variance, the correction of Harvey, Leybourne and Newbold
    (1997), Student's t with n - 1 degrees of freedom. NaN where the losses never differ, or are fewer than LEAST_ROWS.
    """
    from scipy.special import stdtr

    difference = np.asarray(first - second, dtype=np.float64)
    n = len(difference)
    if n < LEAST_ROWS:
        return math.nan
    variance = newey_west(difference, min(max(horizon - 1, math.ceil(n ** (1.0 / 3.0))), n - 1))
    if not variance > 0.0:
        return math.nan
    correction = math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    statistic = correction * float(difference.mean()) / math.sqrt(variance)
    return float(2.0 * stdtr(n - 1, -abs(statistic)))
