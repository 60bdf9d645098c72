"""Leverage: exponential averages of ranges and falls, and the variance that the likeliest sum of them forecasts."""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray, IntArray

# The constant of the sum, a deviation as a log return; its slope says how many of it.
CONSTANT = 0.01
# Where no variance falls below, in trailing variances.
LEAST = 1e-6


def leverage_columns(variances: FloatArray, close: FloatArray, spans: tuple[int, ...]) -> FloatArray:
    """Exponential averages over some spans, shape (bars, 4 x len(spans)); NaN until the longest span has passed.

    Of the bars' deviations (roots of their variances) and falls (log returns below zero, without their sign), then of
    their variances and squared falls: falls raise volatility, which is called leverage.
    """
    columns = np.empty((len(variances), 4 * len(spans)))
    _averages(variances, close, np.array(spans, dtype=np.int64), columns)
    columns[: spans[-1] if spans else 0] = np.nan
    return columns


@rule
def _averages(variances: FloatArray, close: FloatArray, spans: IntArray, columns: FloatArray) -> None:
    for t in range(len(variances)):
        fall = max(math.log(close[t - 1] / close[t]), 0.0) if t > 0 else 0.0
        for number in range(len(spans)):
            for kind in range(4):
                value = math.sqrt(variances[t]) if kind == 0 else fall
                value = variances[t] if kind == 2 else fall * fall if kind == 3 else value
                place = kind * len(spans) + number
                before = columns[t - 1, place] if t > 0 else value
                columns[t, place] = before + 2.0 / (spans[number] + 1.0) * (value - before)


def relative_leverage(columns: FloatArray, volatility: FloatArray) -> FloatArray:
    """The averages in trailing volatilities and their squares, each with a constant behind it: (bars, 4 spans + 2)."""
    half, units = columns.shape[1] // 2, volatility[:, None]
    constant = CONSTANT / units
    return np.column_stack((columns[:, :half] / units, constant, columns[:, half:] / units**2, constant**2))


def leverage_variance(slopes: FloatArray, columns: FloatArray) -> FloatArray:
    """The variance of the next bar in trailing variances: (deviations . a)^2 + variances . b, slopes a and b."""
    half = len(slopes) // 2
    variance: FloatArray = np.square(columns[:, :half] @ slopes[:half]) + columns[:, half:] @ slopes[half:]
    return np.maximum(variance, LEAST)


def fit_leverage(target: FloatArray, columns: FloatArray) -> FloatArray:
    """The slopes, none below zero, of least QLIKE over rows with a known `target`: next variances in trailing ones.

    QLIKE is the likelihood of a variance: heavy tails and clusters weigh on it far less than on squared errors. Found
    by L-BFGS in the logarithms of the slopes.
    """
    from scipy.optimize import minimize

    known = np.isfinite(target)
    shown, outcome = columns[known], target[known]
    half, size = columns.shape[1] // 2, np.maximum(np.abs(shown).mean(axis=0), 1e-12)
    scaled = shown / size

    def loss(logs: FloatArray) -> tuple[float, FloatArray]:
        slopes = np.exp(logs)
        deviation = scaled[:, :half] @ slopes[:half]
        variance = deviation**2 + scaled[:, half:] @ slopes[half:] + LEAST
        slope = (1.0 / variance - outcome / variance**2) / len(outcome)
        gradient = np.concatenate(((2.0 * slope * deviation) @ scaled[:, :half], slope @ scaled[:, half:]))
        return float((np.log(variance) + outcome / variance).mean()), gradient * slopes

    level = max(float(outcome.mean()), LEAST)
    start = np.log(np.concatenate((np.full(half, math.sqrt(level / 2.0) / half), np.full(half, level / 2.0 / half))))
    limits = [(-30.0, 10.0)] * len(start)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": 300})
    return np.asarray(np.exp(found.x) / size, dtype=np.float64)


class LeverageAverages:
    """The columns of `leverage_columns` bar by bar, before they are relative: the same steps."""

    def __init__(self, spans: tuple[int, ...]) -> None:
        self._rates = 2.0 / (np.tile(np.array(spans, dtype=np.float64), 4) + 1.0)
        self._values: FloatArray | None = None
        self._spans, self._count = spans, 0

    def step(self, variance: float, fall: float) -> FloatArray:
        """The averages at the close of a bar; NaN where they are not known yet."""
        newest = np.repeat([math.sqrt(variance), fall, variance, fall * fall], len(self._spans))
        before = newest if self._values is None else self._values
        self._values = before + self._rates * (newest - before)
        self._count += 1
        return self._values if self._count > self._spans[-1] else np.full(len(newest), np.nan)
