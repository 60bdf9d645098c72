"""Skill: how much better forecasts of the next return were than naive ones, and whether that is evident."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import talib

from markets.candles import BoolArray, FloatArray
from markets.market import Market
from models.forecasts import Forecasts

# Span of the exponentially weighted mean of past returns that serves as a naive forecast, in bars.
EWMA_BARS = 500
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Skill:
    """How forecasts of one market did, over the bars that have one and whose next return is known.

    Bars that cleaning touched do not count, neither as the bar of a forecast nor as its outcome.

    With y the next log return, f the forecast and b the expanding mean (of all returns known by then,
    from the first candle): `skill` = 1 - MSE(f) / MSE(b); `skill_against_zero` and `skill_against_ewma`
    the same against a forecast of zero and the exponentially weighted mean. `information_coefficient`
    and `rank_information_coefficient`: correlation of f and y, and of their ranks.
    `directional_accuracy`: share of non-zero returns whose sign a non-zero forecast had.
    `pesaran_timmermann_p`: of that share under independent signs, one-sided. `clark_west_p`: of f adding
    nothing to b, one-sided, with autocorrelation-robust variance. `oracle_skill`: of the true
    expectation g, and `oracle_ratio` = E[2fg - f^2] / E[g^2], 1 for f = g; None where g is unknown.
    `evident`: skill above 0, against zero too (forecasting nothing is no skill, though it beats a noisy
    mean), and clark_west_p below 0.05. `verdict`: one line for people. What is
    undefined (such as a correlation with a constant) is NaN.
    """

    symbol: str
    count: int
    skill: float
    skill_against_zero: float
    skill_against_ewma: float
    information_coefficient: float
    rank_information_coefficient: float
    directional_accuracy: float
    pesaran_timmermann_p: float
    clark_west_p: float
    oracle_skill: float | None
    oracle_ratio: float | None
    evident: bool
    verdict: str


def forecast_skill(market: Market, forecasts: Forecasts) -> Skill:
    """The skill of the forecasts on a market. Every naive forecast uses returns known by then only."""
    mean, _ = forecasts.on(market)
    returns = np.diff(np.log(market.candles.close))
    expanding, ewma = np.append(np.nan, expanding_mean(returns)[:-1]), np.append(np.nan, ewma_mean(returns)[:-1])
    repaired = market.candles.touched[:-1] | market.candles.touched[1:]
    known = np.isfinite(mean[:-1]) & np.isfinite(expanding) & ~repaired
    y, f, b = returns[known], mean[:-1][known], expanding[known]
    g = None if market.oracle is None else market.oracle[:-1][known]
    skill, against_zero, clark_west = skill_score(y, f, b), skill_score(y, f, np.zeros(len(y))), clark_west_p(y, f, b)
    evident = min(skill, against_zero) > 0.0 and clark_west < SIGNIFICANCE
    nonzero = (f != 0.0) & (y != 0.0)
    hits = np.sign(f[nonzero]) == np.sign(y[nonzero])
    return Skill(
        symbol=market.symbol,
        count=len(y),
        skill=skill,
        skill_against_zero=against_zero,
        skill_against_ewma=skill_score(y, f, ewma[known]),
        information_coefficient=correlation(f, y),
        rank_information_coefficient=correlation(ranks(f), ranks(y)),
        directional_accuracy=float(hits.mean()) if hits.size else math.nan,
        pesaran_timmermann_p=pesaran_timmermann_p(f[nonzero] > 0.0, y[nonzero] > 0.0),
        clark_west_p=clark_west,
        oracle_skill=None if g is None else skill_score(y, g, b),
        oracle_ratio=None if g is None else oracle_ratio(f, g),
        evident=evident,
        verdict=_verdict(skill, clark_west, len(y), evident),
    )


def expanding_mean(returns: FloatArray) -> FloatArray:
    """The mean of all returns up to and including each one."""
    mean: FloatArray = np.cumsum(returns) / np.arange(1, len(returns) + 1)
    return mean


def ewma_mean(returns: FloatArray) -> FloatArray:
    """The exponentially weighted mean of the returns up to each one, span EWMA_BARS; the expanding one before that."""
    smooth: FloatArray = talib.EMA(returns, EWMA_BARS) if len(returns) else returns
    mean: FloatArray = np.where(np.isnan(smooth), expanding_mean(returns), smooth)
    return mean


def skill_score(y: FloatArray, f: FloatArray, base: FloatArray) -> float:
    """1 - MSE(f) / MSE(base); NaN without rows, or where the base has no error."""
    error = float(np.square(y - base).sum())
    return 1.0 - float(np.square(y - f).sum()) / error if error > 0.0 else math.nan


def correlation(x: FloatArray, y: FloatArray) -> float:
    """Pearson's correlation; NaN where either does not vary."""
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])


def ranks(values: FloatArray) -> FloatArray:
    """The rank of each value, ties sharing their mean rank."""
    ranked: FloatArray = np.asarray(pd.Series(values).rank())
    return ranked


def pesaran_timmermann_p(forecast_up: BoolArray, outcome_up: BoolArray) -> float:
    """The one-sided p-value of as many right signs, were forecast and outcome independent (1992).

    NaN where all forecasts or all outcomes have one sign.
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


def clark_west_p(y: FloatArray, f: FloatArray, base: FloatArray) -> float:
    """The one-sided p-value of f being no better than the base that it nests (Clark and West 2007).

    d = (y - b)^2 - [(y - f)^2 - (b - f)^2], tested for a mean above 0 with Newey-West variance.
    """
    difference = np.square(y - base) - (np.square(y - f) - np.square(base - f))
    variance = newey_west(difference)
    return upper_tail(float(difference.mean()) / math.sqrt(variance)) if variance > 0.0 else math.nan


def newey_west(values: FloatArray) -> float:
    """The variance of the mean of an autocorrelated series: Bartlett weights, 4 (n / 100)^(2/9) lags."""
    n = len(values)
    if n < 2:
        return math.nan
    centred = values - values.mean()
    total = float(centred @ centred)
    lags = min(n - 1, math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0)))
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * float(centred[lag:] @ centred[:-lag])
    return total / n**2


def upper_tail(z: float) -> float:
    """The probability that a standard normal variable is above z."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def oracle_ratio(f: FloatArray, g: FloatArray) -> float:
    """E[2fg - f^2] / E[g^2]: the share of the oracle's gain that a forecast reaches; NaN for a constant oracle."""
    if len(g) == 0 or np.ptp(g) == 0.0:
        return math.nan
    return float((2.0 * f * g - np.square(f)).mean() / np.square(g).mean())


def _verdict(skill: float, p: float, count: int, evident: bool) -> str:
    if not math.isfinite(skill):
        return f"No verdict: {count:,} forecasts with a known outcome do not tell skill from chance."
    figures = f"skill {skill:+.3%} against the expanding mean over {count:,} bars"
    figures += f", Clark-West p = {p:.3g}" if math.isfinite(p) else ""
    return f"The forecasts show skill: {figures}." if evident else f"The forecasts show no evident skill: {figures}."
