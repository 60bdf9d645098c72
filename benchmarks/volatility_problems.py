"""Volatility problems: a planted GARCH with leverage, and stock indices, with the forecasts to measure others by."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from benchmarks.planted import BURN_IN, SIGMA, Problem, noise
from foundation.compilation import rule
from markets.candles import Candles, FloatArray
from models.samples import trailing_volatility

DAY = 86_400_000_000_000
# Weights of the last squared return, of it after a fall, and of the last variance.
SHOCK, FALL, MEMORY = 0.03, 0.10, 0.90
WINDOWS = (1, 5, 22)
# The span of an exponential average whose weight is RiskMetrics' 0.94, nearly.
EWMA_BARS = 32


def garch(bars: int, seed: int) -> Problem:
    """r_(t+1) = s_(t+1) e, s^2 a GJR-GARCH(1, 1) of mean variance sigma^2, e Student-t(5). Oracle: s_(t+1)."""
    returns, oracle = _garch(noise(bars, seed), SHOCK, FALL, MEMORY)
    returns, oracle = SIGMA * returns[BURN_IN:], SIGMA * oracle[BURN_IN:]
    close = np.exp(np.cumsum(returns))
    trailing = trailing_volatility(close, EWMA_BARS)
    spreads = [np.log(trailing_volatility(close, span) / trailing) for span in (4, 128)]
    relative = np.column_stack((returns, np.abs(returns), np.minimum(returns, 0.0)))
    return Problem(returns, oracle, relative, np.column_stack(spreads))


@rule(makes_arrays=True)
def _garch(shocks: FloatArray, shock: float, fall: float, memory: float) -> tuple[FloatArray, FloatArray]:
    returns, oracle, variance = np.zeros(len(shocks)), np.zeros(len(shocks)), 1.0
    for t in range(len(shocks)):
        returns[t] = np.sqrt(variance) * shocks[t]
        weight = shock + (fall if returns[t] < 0.0 else 0.0)
        variance = (1.0 - shock - 0.5 * fall - memory) + weight * returns[t] ** 2 + memory * variance
        oracle[t] = np.sqrt(variance)
    return returns, oracle


def expected_qlike(variance: FloatArray, true: FloatArray) -> float:
    """The mean of v / h - log(v / h) - 1 with the true variance v: what a forecast h loses to the oracle."""
    ratio = true / variance
    return float((ratio - np.log(ratio) - 1.0).mean())


def stock_index(name: str) -> Candles:
    """The S&P 500 (`sp500`) or NASDAQ composite (`nasdaq`), 1999 to 2018, from the package arch.

    Sessions are numbered as days that follow each other.
    """
    table = import_module(f"arch.data.{name}").load()
    columns = (table[name].to_numpy(dtype=np.float64) for name in ("Open", "High", "Low", "Close", "Volume"))
    return Candles(DAY * np.arange(len(table)), *columns, bar=DAY, source=name)


def har_leverage(variance: FloatArray, close: FloatArray, last: int, form: str) -> FloatArray:
    """The next bar's variance by HAR with leverage at every bar, fitted by least squares on the bars before `last`.

    The variance ("level"), its root ("root") or its logarithm ("log") is regressed on its means over 1, 5 and 22 bars
    and on the mean returns over the same where they are below zero (Corsi and Reno 2012), then brought to the level
    of least QLIKE in the fit: the mean of variance over forecast is 1.
    """
    turned = {"level": variance, "root": np.sqrt(variance), "log": np.log(variance)}[form]
    returns = np.append(0.0, np.diff(np.log(close)))
    falls = [np.minimum(_means(returns, span), 0.0) for span in WINDOWS]
    design = np.column_stack((np.ones(len(close)), *(_means(turned, span) for span in WINDOWS), *falls))
    fit = slice(WINDOWS[-1], last - 1)
    slopes = np.linalg.lstsq(design[fit], turned[WINDOWS[-1] + 1 : last], rcond=None)[0]
    fitted = design @ slopes
    back = {"level": lambda x: x, "root": np.square, "log": np.exp}[form](fitted)
    back = np.maximum(back, np.nanmin(variance))
    level: FloatArray = back * (variance[WINDOWS[-1] + 1 : last] / back[fit]).mean()
    return level


def _means(values: FloatArray, span: int) -> FloatArray:
    means = np.full(len(values), np.nan)
    means[span - 1 :] = np.lib.stride_tricks.sliding_window_view(values, span).mean(axis=1)
    return means
