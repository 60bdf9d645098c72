"""Volatility forecasts to measure others by: an exponential average, and HAR with leverage, bar by bar."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from foundation.compilation import rule
from foundation.units import nanoseconds
from markets.candles import FloatArray, IntArray
from models.regression import accumulate, dot, solve
from models.variance import LEAST_VOLATILITY, range_variance

# The windows of the heterogeneous autoregression, in bars, rising; each once for volatility and once for falls.
HAR_WINDOWS = np.array([1, 5, 22])
HAR_COLUMNS = 1 + 2 * len(HAR_WINDOWS)
REFIT_BARS = 24
LEAST_ROWS = 10 * HAR_COLUMNS
DAY = nanoseconds("1d")
# A time of day is as volatile as any other until so many days say how it is.
CLOCK_DAYS = 30


class EwmaState(NamedTuple):
    """`numbers`: how many squared returns came, their sum while they warm up, the average."""

    numbers: FloatArray


class HarState(NamedTuple):
    """What the regression of volatility has seen.

    `moves`, `ranges`: the returns and volatilities of the last bars, a ring each. `row`: the newest inputs.
    `gram`, `factor`, `moment`, `slopes`: of the regression. `numbers`: how many bars came, rows trained on, bars since
    the last fit (negative before the first), sum of squared returns, sum of squares forecast for them, the newest
    forecast before calibration (NaN for none).
    """

    moves: FloatArray
    ranges: FloatArray
    row: FloatArray
    gram: FloatArray
    factor: FloatArray
    moment: FloatArray
    slopes: FloatArray
    numbers: FloatArray


def ewma_state() -> EwmaState:
    """The state before the first bar."""
    return EwmaState(np.zeros(3))


def har_state() -> HarState:
    """The state before the first bar."""
    size, longest = HAR_COLUMNS, int(HAR_WINDOWS[-1])
    numbers = np.array([0.0, 0.0, -1.0, 0.0, 0.0, np.nan])
    return HarState(
        np.zeros(longest), np.zeros(longest), np.full(size, np.nan),
        np.zeros((size, size)), np.zeros((size, size)), np.zeros(size), np.zeros(size), numbers,
    )  # fmt: skip


@rule
def log_move(before: float, after: float) -> float:
    """The log return from one close to the next."""
    return math.log(after / before)


@rule(makes_arrays=True)
def log_moves(close: FloatArray) -> FloatArray:
    """The log return of each bar but the first, shape (bars - 1,)."""
    moves = np.empty(max(len(close) - 1, 0))
    for t in range(len(moves)):
        moves[t] = log_move(close[t], close[t + 1])
    return moves


@rule
def ewma_step(state: EwmaState, move: float, bars: int) -> float:
    """The deviation of the next log return after one more: sqrt(EMA_bars(return squared)).

    The average starts from the mean of the first `bars` squares; NaN until then. At least LEAST_VOLATILITY.
    """
    numbers, square = state.numbers, move * move
    numbers[0] += 1.0
    if numbers[0] <= bars:
        numbers[1] += square
        numbers[2] = numbers[1] / bars
        if numbers[0] < bars:
            return math.nan
    else:
        numbers[2] += 2.0 / (bars + 1.0) * (square - numbers[2])
    return max(math.sqrt(numbers[2]), LEAST_VOLATILITY)


@rule
def har_step(state: HarState, move: float, high: float, low: float) -> float:
    """The deviation of the next log return by HAR with leverage, after one more bar; NaN until it has learnt.

    With s the root of `range_variance`, Parkinson's volatility of a bar, and r its log return: s_{t+1} is
    regressed, over all rows known by t, on the means of s over 1, 5 and 22 bars and on the means of
    r over the same where they are below zero (Corsi 2009; Corsi and Reno 2012). The square of that
    forecast p is brought to the size of squared returns: sigma^2 = p^2 sum(r^2) / sum(p^2) over the forecasts
    so far. p is at least a quarter of the longest mean.
    """
    numbers, longest = state.numbers, len(state.moves)
    volatility = math.sqrt(range_variance(high, low))
    if not math.isnan(state.row[0]):
        accumulate(state.gram, state.moment, state.row, volatility)
        numbers[1] += 1.0
    if not math.isnan(numbers[5]):
        numbers[3] += move * move
        numbers[4] += numbers[5] * numbers[5]
    at = int(numbers[0]) % longest
    state.moves[at], state.ranges[at] = move, volatility
    numbers[0] += 1.0
    if numbers[0] < longest:
        return math.nan
    _har_row(state, at)
    numbers[5] = math.nan
    numbers[2] += 1.0 if numbers[2] >= 0.0 else 0.0
    due = numbers[2] < 0.0 or numbers[2] >= REFIT_BARS
    if due and numbers[1] >= LEAST_ROWS and solve(state.gram, state.moment, 0.0, state.factor, state.slopes):
        numbers[2] = 0.0
    if numbers[2] < 0.0:
        return math.nan
    numbers[5] = max(dot(state.row, state.slopes), 0.25 * state.row[len(HAR_WINDOWS)], LEAST_VOLATILITY)
    if numbers[4] <= 0.0:
        return math.nan
    return max(float(numbers[5]) * math.sqrt(numbers[3] / numbers[4]), LEAST_VOLATILITY)


@rule
def _har_row(state: HarState, at: int) -> None:
    """Writes the inputs at the newest bar, which lies at place `at` of the rings."""
    longest, windows = len(state.moves), len(HAR_WINDOWS)
    state.row[0] = 1.0
    moves = ranges = 0.0
    taken = 0
    for number in range(windows):
        while taken < HAR_WINDOWS[number]:
            moves += state.moves[(at - taken) % longest]
            ranges += state.ranges[(at - taken) % longest]
            taken += 1
        state.row[1 + number] = ranges / taken
        state.row[1 + windows + number] = min(moves / taken, 0.0)


@rule(makes_arrays=True)
def _ewma_scan(state: EwmaState, close: FloatArray, bars: int) -> FloatArray:
    sigma = np.empty(len(close))
    sigma[0] = math.nan
    for t in range(1, len(close)):
        sigma[t] = ewma_step(state, log_move(close[t - 1], close[t]), bars)
    return sigma


@rule(makes_arrays=True)
def _har_scan(state: HarState, close: FloatArray, high: FloatArray, low: FloatArray) -> FloatArray:
    sigma = np.empty(len(close))
    sigma[0] = math.nan
    for t in range(1, len(close)):
        sigma[t] = har_step(state, log_move(close[t - 1], close[t]), high[t], low[t])
    return sigma


def ewma_volatility(close: FloatArray, bars: int) -> FloatArray:
    """The deviation of the next log return by an exponential average of squares as known at each bar."""
    sigma: FloatArray = _ewma_scan(ewma_state(), close, bars)
    return sigma


def har_volatility(close: FloatArray, high: FloatArray, low: FloatArray) -> FloatArray:
    """The deviation of the next log return by HAR with leverage as known at each bar; see `har_step`."""
    sigma: FloatArray = _har_scan(har_state(), close, high, low)
    return sigma


def clock_volatility(timestamp: IntArray, bar: int, close: FloatArray, sigma: FloatArray) -> FloatArray:
    """A volatility brought to the time of day of the bar that it is of, as known at each bar; NaN where sigma is.

    `timestamp`: bar opens; `bar`: their length, both in nanoseconds. sigma times the root of the mean of (r / sigma)^2
    over the earlier forecasts of bars at the same time of day, CLOCK_DAYS more of which count as 1. All NaN for bars
    that a day does not hold several of, at the same times every day.
    """
    if DAY % bar or bar == DAY:
        return np.full(len(close), np.nan)
    ratio = np.square(np.append(np.diff(np.log(close)), np.nan) / sigma)
    known = np.isfinite(ratio)
    columns = pd.DataFrame({"sum": np.where(known, ratio, 0.0), "count": known.astype(np.float64)})
    # The sums before each row: the outcome of the row itself is not known yet.
    before = (columns.groupby((timestamp + bar) % DAY).cumsum() - columns).to_numpy()
    made: FloatArray = sigma * np.sqrt((CLOCK_DAYS + before[:, 0]) / (CLOCK_DAYS + before[:, 1]))
    return made


def quasi_likelihood(outcome: FloatArray, sigma: FloatArray) -> FloatArray:
    """The loss ln(sigma^2) + y^2 / sigma^2 of each volatility forecast; the outcome y is a return.

    It is QLIKE, v/h - ln(v/h) - 1 with v = y^2 and h = sigma^2, without the terms in v alone, which are the same
    for every forecast and infinite where the price stood still. The squared return is taken for v because its
    expectation is what sigma^2 claims, so that noise in it changes no ranking (Patton 2011).
    """
    loss: FloatArray = 2.0 * np.log(sigma) + np.square(outcome / sigma)
    return loss


def qlike(outcome: FloatArray, sigma: FloatArray) -> float:
    """The mean QLIKE of a volatility forecast less that of the best constant in hindsight; below 0 beats it."""
    square = float(np.square(outcome).mean()) if len(outcome) else 0.0
    return float(quasi_likelihood(outcome, sigma).mean()) - math.log(square) - 1.0 if square > 0.0 else math.nan
