"""Naive forecasts of the next return: what anybody could have said at each bar, refitted on what was known by then."""

from __future__ import annotations

import numpy as np
import talib

from markets.candles import FloatArray
from models.regression import walk_regression

# Span of the exponentially weighted mean of past returns, in bars.
EWMA_BARS = 500
AR_LAGS = 5
HAR_WINDOWS = (1, 5, 22)
RIDGE_LAGS = 24
# The ridge draws its slopes to zero as this many rows would whose outcome is the constant.
RIDGE_ROWS = 1000.0
REFIT_BARS = 24
NAMES = ("zero", "expanding mean", "EWMA", "AR", "HAR", "ridge on lags")


def naive_forecasts(close: FloatArray) -> dict[str, FloatArray]:
    """Each naive forecast by name; row t, made at the close of bar t, is of the log return of bar t + 1.

    `zero`; the `expanding mean` of all returns so far; their `EWMA` over 500 bars; least squares on the
    last five returns (`AR`), on the means of the last 1, 5 and 22 (`HAR`), and a `ridge` on the last 24. The
    regressions are refitted every 24 bars on all rows whose outcome is known; until they can be, they say the
    expanding mean. NaN at bar 0, before which there is no return; `EWMA` until there are 500 returns: with fewer it
    would be the expanding mean once more.
    """
    returns = np.diff(np.log(close))
    mean = expanding_mean(returns)
    outcome = np.append(returns[1:], np.nan)
    made = {
        "zero": np.zeros(len(returns)),
        "expanding mean": mean,
        "EWMA": ewma_mean(returns),
        "AR": walk_regression(_lags(returns, AR_LAGS), outcome, 0.0, REFIT_BARS),
        "HAR": walk_regression(_means(returns, HAR_WINDOWS), outcome, 0.0, REFIT_BARS),
        "ridge on lags": walk_regression(_lags(returns, RIDGE_LAGS), outcome, RIDGE_ROWS, REFIT_BARS),
    }
    filled = {
        name: values if name == "EWMA" else np.where(np.isnan(values), mean, values) for name, values in made.items()
    }
    return {name: np.append(np.nan, values) for name, values in filled.items()}


def expanding_mean(returns: FloatArray) -> FloatArray:
    """The mean of all returns up to and including each one."""
    mean: FloatArray = np.cumsum(returns) / np.arange(1, len(returns) + 1)
    return mean


def ewma_mean(returns: FloatArray) -> FloatArray:
    """The exponentially weighted mean of the returns up to each one, span EWMA_BARS; NaN until there are so many."""
    mean: FloatArray = talib.EMA(returns, EWMA_BARS) if len(returns) else returns
    return mean


def _lags(returns: FloatArray, count: int) -> FloatArray:
    """A constant, and the last `count` returns at each one, the newest first."""
    design = np.full((len(returns), 1 + count), np.nan)
    design[:, 0] = 1.0
    for lag in range(min(count, len(returns))):
        design[lag:, 1 + lag] = returns[: len(returns) - lag]
    return design


def _means(returns: FloatArray, windows: tuple[int, ...]) -> FloatArray:
    """A constant, and the mean of the last returns over each window."""
    total = np.append(0.0, np.cumsum(returns))
    design = np.full((len(returns), 1 + len(windows)), np.nan)
    design[:, 0] = 1.0
    for column, bars in enumerate(windows, 1):
        if bars <= len(returns):
            design[bars - 1 :, column] = (total[bars:] - total[:-bars]) / bars
    return design
