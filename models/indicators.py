"""Indicators: the features that come with the house, each a function of the inputs and its numbers of bars."""

from __future__ import annotations

import math

import numpy as np
import talib

from markets.candles import FloatArray
from models import recursions as step
from models.features import ema_memory, feature, wilder_memory
from models.inputs import Inputs
from models.recursions import EQUAL, LEAST_VARIANCE

WEEK = 7 * 86_400_000_000_000
# 1970-01-01 was a Thursday; weeks begin on Monday.
MONDAY = 4 * 86_400_000_000_000


def _windows(values: FloatArray, bars: int) -> FloatArray:
    if len(values) < bars:
        return np.empty((0, bars))
    return np.lib.stride_tricks.sliding_window_view(values, bars)


def _aligned(values: FloatArray, length: int) -> FloatArray:
    return np.concatenate([np.full(length - len(values), np.nan), values])


def _ratio(top: FloatArray, bottom: FloatArray, otherwise: float) -> FloatArray:
    """`top / bottom`, and a stated value where the bottom is zero."""
    result: FloatArray = np.full(top.shape, otherwise)
    np.divide(top, bottom, out=result, where=bottom > 0.0)
    return result


def _scores(values: FloatArray, bars: int) -> FloatArray:
    """The newest value's distance from the mean of its window in deviations; exactly 0 in a constant one."""
    windows = _windows(values, bars)
    centred = windows - windows[:, -1:]
    return _ratio(-centred.mean(axis=1), centred.std(axis=1), 0.0)


@feature(
    name="return", warm_up=lambda bars: bars, memory=lambda bars: bars + 1, least=1, relative=True, step=step.Return
)
def log_return(inputs: Inputs, bars: int) -> FloatArray:
    """Log return over `bars`: log(close_t / close_{t - bars})."""
    logs = np.log(inputs.close)
    return _aligned(logs[bars:] - logs[:-bars], len(inputs)) if len(inputs) > bars else np.full(len(inputs), np.nan)


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars, relative=True, step=step.SmaDistance)
def sma_distance(inputs: Inputs, bars: int) -> FloatArray:
    """Log distance of the close from its simple average: log(close / SMA)."""
    distance: FloatArray = np.log(inputs.close / talib.SMA(inputs.close, bars))
    return distance


@feature(warm_up=lambda bars: bars - 1, memory=ema_memory, relative=True, step=step.EmaDistance)
def ema_distance(inputs: Inputs, bars: int) -> FloatArray:
    """Log distance of the close from its exponential average: log(close / EMA)."""
    distance: FloatArray = np.log(inputs.close / talib.EMA(inputs.close, bars))
    return distance


@feature(warm_up=lambda bars: bars, memory=wilder_memory, step=step.Rsi)
def rsi(inputs: Inputs, bars: int = 14) -> FloatArray:
    """Relative strength index, moved to the range -1 to 1; 0 where the price has stood still for `bars`."""
    index = talib.RSI(inputs.close, bars)
    moves = np.cumsum(np.diff(inputs.close, prepend=inputs.close[0]) != 0.0)
    still = np.zeros(len(moves), dtype=np.bool_)
    still[bars:] = moves[bars:] == moves[:-bars]
    return np.where(still, 0.0, index / 50.0 - 1.0)


def _macd_warm_up(fast: int, slow: int, signal: int) -> int:
    if fast >= slow:
        raise ValueError("has a fast average that is not shorter than the slow one")
    return slow + signal - 2


def _macd_memory(fast: int, slow: int, signal: int) -> int:
    return ema_memory(max(fast, slow)) + ema_memory(signal)


@feature(warm_up=_macd_warm_up, memory=_macd_memory, relative=True, step=step.Macd)
def macd(inputs: Inputs, fast: int = 12, slow: int = 26, signal: int = 9) -> FloatArray:
    """MACD histogram relative to the price: (EMA_fast - EMA_slow - its EMA_signal) / close."""
    histogram: FloatArray = talib.MACD(inputs.close, fast, slow, signal)[2] / inputs.close
    return histogram


@feature(warm_up=lambda bars: bars, memory=wilder_memory, relative=True, step=step.Atr)
def atr(inputs: Inputs, bars: int = 14) -> FloatArray:
    """Wilder's average true range relative to the price: ATR / close."""
    relative: FloatArray = talib.ATR(inputs.high, inputs.low, inputs.close, bars) / inputs.close
    return relative


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars, step=step.Bollinger)
def bollinger(inputs: Inputs, bars: int = 20) -> FloatArray:
    """Position between the Bollinger bands: (close - SMA) / (2 deviations), 0 where there is no deviation.

    -1 is the lower band, 1 the upper. Computed here because TA-Lib takes a variance below 1e-14 for
    zero, which it truly is not for a coin that costs 0.00001.
    """
    return _aligned(0.5 * _scores(inputs.close, bars), len(inputs))


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars, relative=True, step=step.VwapDistance)
def vwap_distance(inputs: Inputs, bars: int = 24) -> FloatArray:
    """Log distance of the close from the volume-weighted average of (high + low + close) / 3 over `bars`.

    0 where nothing was traded in any of them.
    """
    typical = (inputs.high + inputs.low + inputs.close) / 3.0
    traded = _windows(inputs.volume, bars).sum(axis=1)
    paid = _windows(typical * inputs.volume, bars).sum(axis=1)
    close = inputs.close[len(inputs) - len(traded) :]
    return _aligned(np.log(_ratio(close * traded, paid, 1.0)), len(inputs))


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars, step=step.Volume)
def volume(inputs: Inputs, bars: int = 24) -> FloatArray:
    """How unusual the volume is: its z-score over `bars`, 0 where all volumes are equal."""
    return _aligned(_scores(inputs.volume, bars), len(inputs))


@feature(
    warm_up=lambda bars, lag: bars + lag,
    memory=lambda bars, lag: bars + lag + 1,
    least=1,
    relative=True,
    step=step.Return,
)
def lagged_return(inputs: Inputs, bars: int = 1, lag: int = 1) -> FloatArray:
    """Log return over `bars` as of `lag` bars ago: log(close_{t - lag} / close_{t - lag - bars})."""
    logs, gone = np.log(inputs.close), bars + lag
    return _aligned(logs[bars : len(logs) - lag] - logs[: max(len(logs) - gone, 0)], len(inputs))


def _slow_first(fast: int, slow: int) -> int:
    if fast >= slow:
        raise ValueError("has a fast average that is not shorter than the slow one")
    return slow - 1


def _slow_memory(_fast: int, slow: int) -> int:
    return ema_memory(slow)


def _slow_bars(_fast: int, slow: int) -> int:
    return slow


@feature(warm_up=_slow_first, memory=_slow_memory, relative=True, step=step.EmaSpread)
def ema_spread(inputs: Inputs, fast: int = 20, slow: int = 50) -> FloatArray:
    """Log distance of the fast exponential average from the slow one: log(EMA_fast / EMA_slow)."""
    spread: FloatArray = np.log(talib.EMA(inputs.close, fast) / talib.EMA(inputs.close, slow))
    return spread


@feature(warm_up=_slow_first, memory=_slow_bars, relative=True, step=step.SmaSpread)
def sma_spread(inputs: Inputs, fast: int = 20, slow: int = 50) -> FloatArray:
    """Log distance of the fast simple average from the slow one: log(SMA_fast / SMA_slow)."""
    spread: FloatArray = np.log(talib.SMA(inputs.close, fast) / talib.SMA(inputs.close, slow))
    return spread


@feature(warm_up=_slow_first, memory=_slow_memory, step=step.EmaCrossover)
def ema_crossover(inputs: Inputs, fast: int = 20, slow: int = 50) -> FloatArray:
    """State of the crossover of exponential averages: 1 while the fast one is above, -1 below, 0 where equal."""
    return _state(ema_spread(inputs, fast, slow))


@feature(warm_up=_slow_first, memory=_slow_bars, step=step.SmaCrossover)
def sma_crossover(inputs: Inputs, fast: int = 20, slow: int = 50) -> FloatArray:
    """State of the crossover of simple averages: 1 while the fast one is above, -1 below, 0 where equal."""
    return _state(sma_spread(inputs, fast, slow))


def _state(spread: FloatArray) -> FloatArray:
    # Equal to within rounding is equal: a price that stands still crosses nothing.
    state: FloatArray = np.where(np.abs(spread) <= EQUAL, 0.0, np.sign(spread))
    return state


def _mean_square(inputs: Inputs, bars: int) -> FloatArray:
    """The mean of the squared log returns over `bars`; shorter than the inputs by `bars`."""
    mean: FloatArray = _windows(np.square(np.diff(np.log(inputs.close))), bars).mean(axis=1)
    return mean


@feature(warm_up=lambda bars: bars, memory=lambda bars: bars + 1, relative=True, step=step.RealisedVolatility)
def realised_volatility(inputs: Inputs, bars: int = 24) -> FloatArray:
    """Realised volatility of one bar: the root of the mean squared log return over `bars`."""
    return _aligned(np.sqrt(_mean_square(inputs, bars)), len(inputs))


@feature(warm_up=lambda bars: bars, memory=lambda bars: bars + 1, least=1, step=step.Har)
def har(inputs: Inputs, bars: int) -> FloatArray:
    """A HAR term: the log of the realised variance of one bar over `bars`, never below that of a still price.

    The classic three are a day, a week and a month: `har:24`, `har:168` and `har:720` on hourly bars.
    """
    return _aligned(np.log(np.maximum(_mean_square(inputs, bars), LEAST_VARIANCE)), len(inputs))


@feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars, relative=True, step=step.Parkinson)
def parkinson(inputs: Inputs, bars: int = 24) -> FloatArray:
    """Parkinson's volatility of one bar: sqrt(mean over `bars` of log(high / low) squared / (4 log 2))."""
    ranges = np.square(np.log(inputs.high / inputs.low))
    return _aligned(np.sqrt(_windows(ranges, bars).mean(axis=1) / (4.0 * math.log(2.0))), len(inputs))


@feature(warm_up=lambda _: 0, memory=lambda _: 1, least=1)
def week_sine(inputs: Inputs, cycle: int = 1) -> FloatArray:
    """Sine of the hour of the week (UTC, from Monday) at the bar's close, `cycle` turns a week; 7: of the day."""
    return np.sin(_angle(inputs, cycle))


@feature(warm_up=lambda _: 0, memory=lambda _: 1, least=1)
def week_cosine(inputs: Inputs, cycle: int = 1) -> FloatArray:
    """Cosine of the hour of the week (UTC, from Monday) at the bar's close, `cycle` turns a week."""
    return np.cos(_angle(inputs, cycle))


def _angle(inputs: Inputs, cycle: int) -> FloatArray:
    angle: FloatArray = 2.0 * math.pi * ((inputs.timestamp + inputs.bar - MONDAY) % WEEK * cycle) / WEEK
    return angle


@feature(warm_up=lambda: 0, memory=lambda: 1, needs=("funding_rate",), step=lambda: step.Known("funding_rate"))
def funding(inputs: Inputs) -> FloatArray:
    """The funding rate of the newest settlement, a fraction of notional: known at its stamp, not before."""
    return inputs.series("funding_rate")


@feature(warm_up=lambda: 0, memory=lambda: 1, needs=("basis",), step=lambda: step.Known("basis"))
def basis(inputs: Inputs) -> FloatArray:
    """Basis: log(last / mark) at the close of the newest finished mark bar."""
    return inputs.series("basis")
