"""Recursions: features that take one bar after another, each equal to its whole-series value.

Every class here is built from a feature's periods and called with one finished bar after another; it
answers NaN until its first value. Averages start as TA-Lib's do, from the mean of their first values.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from operator import mul

from models.forecasts import Bar

# TA-Lib takes sums of gains and losses below this for zero.
TALIB_ZERO = 1e-14
# A tenth of a basis point a bar, squared: the variance of a price that stands still.
LEAST_VARIANCE = 1e-10
# Averages closer than this, relative to their size, count as equal.
EQUAL = 1e-9


class Average:
    """An average with a recursion: average += weight x (value - average), from the mean of the first `bars` values.

    `weight` is 2 / (bars + 1) for an exponential average, 1 / bars for Wilder's. `skip`: values left out at the start.
    """

    __slots__ = ("_left", "_skip", "_sum", "bars", "value", "weight")

    def __init__(self, bars: int, weight: float, skip: int = 0) -> None:
        self.bars, self.weight, self.value = bars, weight, math.nan
        self._left, self._skip, self._sum = bars, skip, 0.0

    def __call__(self, value: float) -> float:
        if self._left == 0:
            self.value += self.weight * (value - self.value)
        elif self._skip:
            self._skip -= 1
        else:
            self._sum += value
            self._left -= 1
            if self._left == 0:
                self.value = self._sum / self.bars
        return self.value


def exponential(bars: int, skip: int = 0) -> Average:
    """The exponential average over `bars`."""
    return Average(bars, 2.0 / (bars + 1.0), skip)


def wilder(bars: int) -> Average:
    """Wilder's average over `bars`."""
    return Average(bars, 1.0 / bars)


class Return:
    """Log return over `bars`, as of `lag` bars ago."""

    def __init__(self, bars: int, lag: int = 0) -> None:
        self._bars, self._logs = bars, deque[float](maxlen=bars + lag + 1)

    def __call__(self, bar: Bar) -> float:
        logs = self._logs
        logs.append(math.log(bar.close))
        return logs[self._bars] - logs[0] if len(logs) == logs.maxlen else math.nan


class EmaDistance:
    """log(close / EMA)."""

    def __init__(self, bars: int) -> None:
        self._average = exponential(bars)

    def __call__(self, bar: Bar) -> float:
        return math.log(bar.close / self._average(bar.close))


class EmaSpread:
    """log(EMA_fast / EMA_slow)."""

    def __init__(self, fast: int, slow: int) -> None:
        self._fast, self._slow = exponential(fast), exponential(slow)

    def __call__(self, bar: Bar) -> float:
        return math.log(self._fast(bar.close) / self._slow(bar.close))


class EmaCrossover(EmaSpread):
    """1 while EMA_fast is above EMA_slow, -1 while it is below, 0 while they are equal."""

    def __call__(self, bar: Bar) -> float:
        return side(super().__call__(bar))


def side(spread: float) -> float:
    """1 above zero, -1 below it, 0 within EQUAL of it; NaN for NaN."""
    if abs(spread) <= EQUAL or math.isnan(spread):
        return 0.0 * spread
    return math.copysign(1.0, spread)


class Rsi:
    """Relative strength index on the range -1 to 1; 0 where the price has stood still for `bars`."""

    def __init__(self, bars: int) -> None:
        self._bars, self._up, self._down = bars, wilder(bars), wilder(bars)
        self._last, self._still = math.nan, 0

    def __call__(self, bar: Bar) -> float:
        change, self._last = bar.close - self._last, bar.close
        self._still = self._still + 1 if not change else 0
        if math.isnan(change):
            return math.nan
        up, down = self._up(max(change, 0.0)), self._down(max(-change, 0.0))
        total = up + down
        index = 0.0 if abs(total) < TALIB_ZERO else 100.0 * up / total
        return 0.0 if self._still >= self._bars else index / 50.0 - 1.0


class Macd:
    """(EMA_fast - EMA_slow - its EMA_signal) / close; the fast average starts with the slow one."""

    def __init__(self, fast: int, slow: int, signal: int) -> None:
        self._fast, self._slow = exponential(fast, slow - fast), exponential(slow)
        self._signal: Callable[[float], float] = exponential(signal)

    def __call__(self, bar: Bar) -> float:
        line = self._fast(bar.close) - self._slow(bar.close)
        return math.nan if math.isnan(line) else (line - self._signal(line)) / bar.close


class Atr:
    """Wilder's average true range / close."""

    def __init__(self, bars: int) -> None:
        self._average, self._last = wilder(bars), math.nan

    def __call__(self, bar: Bar) -> float:
        before, self._last = self._last, bar.close
        if math.isnan(before):
            return math.nan
        return self._average(max(bar.high, before) - min(bar.low, before)) / bar.close


class Window:
    """The newest `bars` values; what is asked of them is NaN until there are so many."""

    __slots__ = ("values",)

    def __init__(self, bars: int) -> None:
        self.values = deque[float](maxlen=bars)

    def mean(self, value: float) -> float:
        """Their mean, after one more of them."""
        values = self.values
        values.append(value)
        return sum(values) / len(values) if len(values) == values.maxlen else math.nan

    def score(self, value: float) -> float:
        """The newest one's distance from their mean in deviations; exactly 0 where all are equal."""
        mean = self.mean(value) - value
        if math.isnan(mean):
            return mean
        apart = [one - value - mean for one in self.values]
        spread = math.sqrt(sum(map(mul, apart, apart)) / len(apart))
        return -mean / spread if spread > 0.0 else 0.0


class SmaDistance:
    """log(close / SMA)."""

    def __init__(self, bars: int) -> None:
        self._window = Window(bars)

    def __call__(self, bar: Bar) -> float:
        return math.log(bar.close / self._window.mean(bar.close))


class SmaSpread:
    """log(SMA_fast / SMA_slow)."""

    def __init__(self, fast: int, slow: int) -> None:
        self._fast, self._slow = Window(fast), Window(slow)

    def __call__(self, bar: Bar) -> float:
        return math.log(self._fast.mean(bar.close) / self._slow.mean(bar.close))


class SmaCrossover(SmaSpread):
    """1 while SMA_fast is above SMA_slow, -1 while it is below, 0 while they are equal."""

    def __call__(self, bar: Bar) -> float:
        return side(super().__call__(bar))


class Bollinger:
    """Half the z-score of the close."""

    def __init__(self, bars: int) -> None:
        self._window = Window(bars)

    def __call__(self, bar: Bar) -> float:
        return 0.5 * self._window.score(bar.close)


class Volume:
    """The z-score of the volume."""

    def __init__(self, bars: int) -> None:
        self._window = Window(bars)

    def __call__(self, bar: Bar) -> float:
        return self._window.score(bar.volume)


class VwapDistance:
    """log(close / volume-weighted mean of (high + low + close) / 3); 0 where nothing was traded."""

    def __init__(self, bars: int) -> None:
        self._traded, self._paid = Window(bars), Window(bars)

    def __call__(self, bar: Bar) -> float:
        traded = self._traded.mean(bar.volume)
        paid = self._paid.mean((bar.high + bar.low + bar.close) / 3.0 * bar.volume)
        return math.log(bar.close * traded / paid) if paid != 0.0 else 0.0


class RealisedVariance:
    """The mean squared log return."""

    def __init__(self, bars: int) -> None:
        self._window, self._last = Window(bars), math.nan

    def mean_square(self, bar: Bar) -> float:
        """It over the newest returns, after one more bar."""
        change, self._last = math.log(bar.close) - self._last, math.log(bar.close)
        return change if math.isnan(change) else self._window.mean(change * change)


class RealisedVolatility(RealisedVariance):
    """The root of the mean squared log return."""

    def __call__(self, bar: Bar) -> float:
        return math.sqrt(self.mean_square(bar))


class Har(RealisedVariance):
    """The log of the mean squared log return, never below that of LEAST_VARIANCE."""

    def __call__(self, bar: Bar) -> float:
        variance = self.mean_square(bar)
        return variance if math.isnan(variance) else math.log(max(variance, LEAST_VARIANCE))


class Parkinson:
    """Parkinson's volatility."""

    def __init__(self, bars: int) -> None:
        self._window = Window(bars)

    def __call__(self, bar: Bar) -> float:
        return math.sqrt(self._window.mean(math.log(bar.high / bar.low) ** 2) / (4.0 * math.log(2.0)))


class Known:
    """A joined series as it stands."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, bar: Bar) -> float:
        return bar.known[self._name]


class Volatility:
    """The trailing volatility of models/samples.py: sqrt(EMA_bars(log return squared)), never below `least`."""

    def __init__(self, bars: int, least: float) -> None:
        self._average, self._least, self._last = exponential(bars), least * least, math.nan

    def __call__(self, bar: Bar) -> float:
        change, self._last = math.log(bar.close) - self._last, math.log(bar.close)
        if math.isnan(change):
            return math.nan
        variance = self._average(change * change)
        return math.sqrt(max(self._least, variance)) if variance == variance else math.nan
