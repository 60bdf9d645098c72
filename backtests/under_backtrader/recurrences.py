"""Recurrences: the loops of Backtrader's indicators in compiled code, with the same doubles."""

from __future__ import annotations

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray

# Four times the square of the unit roundoff.
LEAST = 2.0**-104


@rule
def exact_sum(values: FloatArray, parts: FloatArray) -> float:
    """The sum of finite doubles, rounded once: `math.fsum` (Shewchuk 1997). `parts`: room for as many again."""
    count = 0
    for value in values:
        x, kept = value, 0
        for k in range(count):
            y = parts[k]
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                parts[kept] = low
                kept += 1
            x = high
        count = kept
        if x != 0.0:
            parts[count] = x
            count += 1
    if count == 0:
        return 0.0
    count -= 1
    high, low = parts[count], 0.0
    while count > 0:
        x = high
        count -= 1
        y = parts[count]
        high = x + y
        low = y - (high - x)
        if low != 0.0:
            break
    # Half-way cases are rounded to even only if nothing is left below them.
    if count > 0 and ((low < 0.0 and parts[count - 1] < 0.0) or (low > 0.0 and parts[count - 1] > 0.0)):
        y = low * 2.0
        x = high + y
        if y == x - high:
            high = x
    return float(high)


@rule
def rounded_sum(values: FloatArray, parts: FloatArray) -> float:
    """`exact_sum`, in most cases by one pass with the errors of its additions added up.

    That leaves an error of at most (n u)^2 times the sum of magnitudes, u = 2^-53 (Ogita, Rump and Oishi 2005): where
    the result is the same at both ends of it, it is the sum rounded once.
    """
    total, lost, size = 0.0, 0.0, 0.0
    for value in values:
        grown = total + value
        before = grown - value
        lost += (total - before) + (value - (grown - before))
        total = grown
        size += abs(value)
    error = len(values) * len(values) * LEAST * size
    found: float = total + (lost - error)
    return found if found == total + (lost + error) else exact_sum(values, parts)


@rule(makes_arrays=True)
def exact_means(values: FloatArray, period: int) -> FloatArray:
    """The mean of each window of `period` finite values, from the first full one on."""
    out, parts = np.empty(len(values) - period + 1), np.empty(period + 1)
    for k in range(len(out)):
        out[k] = rounded_sum(values[k : k + period], parts) / period
    return out


@rule(makes_arrays=True)
def smoothed(values: FloatArray, before: float, alpha: float, rest: float) -> FloatArray:
    """The exponential smoothing of values after one that is `before`: `before * rest + value * alpha`."""
    out = np.empty(len(values))
    for k in range(len(values)):
        before = before * rest + values[k] * alpha
        out[k] = before
    return out


@rule(makes_arrays=True)
def window_extremes(values: FloatArray, period: int, highest: bool) -> FloatArray:
    """The highest or lowest of each window of `period` values; of equal ones the first."""
    out = np.empty(len(values) - period + 1)
    for k in range(len(out)):
        best = values[k]
        for j in range(k + 1, k + period):
            if (values[j] > best) if highest else (values[j] < best):
                best = values[j]
        out[k] = best
    return out


@rule(makes_arrays=True)
def last_nonzero(values: FloatArray, before: float) -> FloatArray:
    """Each value, or where it is zero the one before."""
    out = np.empty(len(values))
    for k in range(len(values)):
        if values[k] != 0.0:
            before = values[k]
        out[k] = before
    return out
