"""Regression as time goes on: coefficients that at each bar rest on outcomes known by then."""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray


@rule
def accumulate(gram: FloatArray, moment: FloatArray, row: FloatArray, outcome: float) -> None:
    """Adds one row and its outcome to the sums X'X (lower half) and X'y."""
    for i in range(len(row)):
        moment[i] += row[i] * outcome
        for j in range(i + 1):
            gram[i, j] += row[i] * row[j]


@rule
def solve(gram: FloatArray, moment: FloatArray, penalty: float, factor: FloatArray, slopes: FloatArray) -> bool:
    """Whether (X'X + penalty diag(X'X)) slopes = X'y has one solution, which is then written to `slopes`.

    The first column, the constant, bears no penalty. By Cholesky, in the room of `factor`; a pivot below a billionth
    of its column means that columns say the same, and `slopes` stays as it was.
    """
    size = len(moment)
    for i in range(size):
        for j in range(i + 1):
            total = gram[i, j] * (1.0 + penalty) if i == j and i > 0 else gram[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = total / factor[j, j]
            elif total > 1e-9 * gram[i, i]:
                factor[i, i] = math.sqrt(total)
            else:
                return False
    for i in range(size):
        total = moment[i]
        for k in range(i):
            total -= factor[i, k] * slopes[k]
        slopes[i] = total / factor[i, i]
    for i in range(size - 1, -1, -1):
        total = slopes[i]
        for k in range(i + 1, size):
            total -= factor[k, i] * slopes[k]
        slopes[i] = total / factor[i, i]
    return True


@rule
def dot(first: FloatArray, second: FloatArray) -> float:
    """The sum of products."""
    total = 0.0
    for i in range(len(first)):
        total += first[i] * second[i]
    return total


@rule(makes_arrays=True)
def walk_regression(design: FloatArray, outcome: FloatArray, penalty_rows: float, every: int) -> FloatArray:
    """The forecast of each outcome by a ridge regression on the rows before it; NaN before the first fit.

    `design`: shape (bars, columns), row t known at the close of bar t, its first column 1. `outcome[t]` is
    known one bar LATER: row t is forecast from rows up to t - 1. Refitted every `every` bars, from ten rows a column
    on; rows that hold a NaN neither train nor have a forecast. The penalty counts as `penalty_rows` rows of
    inputs of usual size whose outcome is the constant.
    """
    bars, columns = design.shape
    gram, factor = np.zeros((columns, columns)), np.zeros((columns, columns))
    moment, slopes = np.zeros(columns), np.zeros(columns)
    forecast = np.full(bars, np.nan)
    seen, fitted, since = 0, False, every
    for t in range(bars):
        if t > 0 and not math.isnan(outcome[t - 1]) and not math.isnan(dot(design[t - 1], design[t - 1])):
            accumulate(gram, moment, design[t - 1], outcome[t - 1])
            seen += 1
        since += 1
        if since >= every and seen >= 10 * columns and solve(gram, moment, penalty_rows / seen, factor, slopes):
            fitted, since = True, 0
        if fitted:
            forecast[t] = dot(design[t], slopes)
    return forecast
