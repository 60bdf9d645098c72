"""Moving averages, average true range and crossings; each from the bars up to its own."""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray

# The age of a cross that has not happened yet, in bars.
NO_CROSS = 1_000_000_000
# How many simple averages are added up side by side: few enough for a processor's nearest cache.
TOGETHER = 512


@rule
def ema_step(previous: float, value: float, period: int) -> float:
    """The exponential average one bar on: `previous + 2 / (period + 1) * (value - previous)`."""
    return previous + 2.0 / (period + 1.0) * (value - previous)


@rule
def wilder_step(previous: float, value: float, period: int) -> float:
    """Wilder's average one bar on: `(previous * (period - 1) + value) / period`."""
    return (previous * (period - 1.0) + value) / period


@rule
def true_range(high: float, low: float, previous_close: float) -> float:
    """The bar's range, widened to the previous close: `max(h, c') - min(l, c')`."""
    return max(high, previous_close) - min(low, previous_close)


@rule
def window_mean(values: FloatArray, last: int, period: int) -> float:
    """The mean of the `period` values that end with row `last`."""
    total = 0.0
    for k in range(last - period + 1, last + 1):
        total += values[k]
    return total / period


@rule(makes_arrays=True)
def moving_average(values: FloatArray, period: int, exponential: bool) -> FloatArray:
    """The simple or exponential average at every bar; NaN until `period` values are known.

    The exponential one starts from the simple mean of its first `period` values.
    """
    out = np.full(len(values), math.nan)
    if exponential:
        for k in range(period - 1, len(values)):
            out[k] = window_mean(values, k, period) if k < period else ema_step(out[k - 1], values[k], period)
        return out
    for first in range(period - 1, len(values), TOGETHER):
        write_means(values, period, out[first : first + TOGETHER], first)
    return out


@rule
def write_means(values: FloatArray, period: int, out: FloatArray, first: int) -> None:
    """`window_mean` of the windows that end with rows `first` on: each added up in its own order, all side by side."""
    for j in range(len(out)):
        out[j] = 0.0
    begin, count = first - period + 1, len(out)
    while begin + 3 <= first:
        one, two = values[begin : begin + count], values[begin + 1 : begin + 1 + count]
        three, four = values[begin + 2 : begin + 2 + count], values[begin + 3 : begin + 3 + count]
        for j in range(count):
            out[j] = out[j] + one[j] + two[j] + three[j] + four[j]
        begin += 4
    while begin <= first:
        part = values[begin : begin + count]
        for j in range(count):
            out[j] += part[j]
        begin += 1
    for j in range(len(out)):
        out[j] /= period


@rule(makes_arrays=True)
def average_true_range(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> FloatArray:
    """Wilder's average of the true range at every bar; NaN for the first `period` bars.

    Starts from the mean of the `period` true ranges of bars 1 to `period`; bar 0 has none.
    """
    ranges = np.zeros(len(close))
    out = np.full(len(close), math.nan)
    for k in range(1, len(close)):
        ranges[k] = true_range(high[k], low[k], close[k - 1])
        if k == period:
            out[k] = window_mean(ranges, k, period)
        elif k > period:
            out[k] = wilder_step(out[k - 1], ranges[k], period)
    return out


@rule
def crossing_step(fast: float, slow: float, before: int, age: int) -> tuple[int, int, int]:
    """The side of two averages at a bar, the last side they had, and the bars since they crossed to it.

    `before` and `age` are what the previous bar gave; start with 0 and a large age, so that the first
    side seen is not taken for a cross. Equal or NaN averages have side 0 and keep the last side.
    """
    now = 1 if fast > slow else -1 if fast < slow else 0
    if now != 0 and now != before:
        return now, now, 0 if before != 0 else age + 1
    return now, before, age + 1


@rule
def confirmation(side: int, age: int, cross_bars: int) -> int:
    """What the averages confirm: their side; with `cross_bars` above 0 only that many bars from a cross."""
    return side if cross_bars == 0 or age < cross_bars else 0
