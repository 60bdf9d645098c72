"""Conformal intervals: bounds around a forecast, as wide as its own past errors say, bar by bar."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray

# Places in `numbers` of a state.
SCORES, MISSED, MEAN, SCALE, WIDTH = range(5)


class ConformalState(NamedTuple):
    """The past errors of one symbol's forecasts, and the interval that waits for its outcome.

    `ring`: the latest scores in the order of time; `ordered`: the same, rising. `numbers`: how many scores
    came, the share of misses aimed at now, and of the pending forecast its mean (NaN for none), its
    scale, and its half width in scales (NaN where it had no interval).
    """

    ring: FloatArray
    ordered: FloatArray
    numbers: FloatArray


def conformal_state(level: float, window: int) -> ConformalState:
    """The state before the first forecast, for intervals at `level` from the last `window` scores."""
    return ConformalState(
        np.zeros(window), np.full(window, np.inf), np.array([0.0, 1.0 - level, np.nan, np.nan, np.nan])
    )


@rule
def settle(state: ConformalState, outcome: float, level: float, gamma: float) -> None:
    """Scores the pending forecast by its outcome, |y - mean| / scale, and moves the share of misses aimed at.

    With alpha the share aimed at, alpha += gamma ((1 - level) - missed), missed being 1 where the score is
    above the width and 0 elsewhere (Gibbs and Candes 2021). Nothing pending, or an outcome that is NaN,
    changes neither; the pending forecast is gone afterwards.
    """
    numbers = state.numbers
    if not math.isnan(numbers[MEAN]) and not math.isnan(outcome):
        score = abs(outcome - numbers[MEAN]) / numbers[SCALE]
        if not math.isnan(numbers[WIDTH]):
            missed = 1.0 if score > numbers[WIDTH] else 0.0
            numbers[MISSED] += gamma * ((1.0 - level) - missed)
        _remember(state, score)
    numbers[MEAN] = numbers[SCALE] = numbers[WIDTH] = math.nan


@rule
def issue(state: ConformalState, mean: float, scale: float, least: int) -> float:
    """The half width, in scales, of the interval around a new forecast, which then waits for its outcome.

    The ceil((n + 1)(1 - alpha))-th smallest of the n scores kept: infinite where that is beyond the last, 0
    where alpha is 1 or more, NaN before the first `least` scores. No forecast (NaN) leaves nothing pending.
    """
    numbers = state.numbers
    numbers[MEAN], numbers[SCALE], numbers[WIDTH] = mean, scale, math.nan
    kept = min(int(numbers[SCORES]), len(state.ring))
    if math.isnan(mean) or not scale > 0.0:
        numbers[MEAN] = numbers[SCALE] = math.nan
    elif kept >= least:
        # A rank that is whole but for rounding is that rank.
        rank = math.ceil((kept + 1) * (1.0 - numbers[MISSED]) - 1e-9)
        numbers[WIDTH] = 0.0 if rank < 1 else math.inf if rank > kept else state.ordered[rank - 1]
    return float(numbers[WIDTH])


@rule
def _remember(state: ConformalState, score: float) -> None:
    """Puts a score in the ring, and in its place among the ordered ones; the oldest makes room."""
    ring, ordered, window = state.ring, state.ordered, len(state.ring)
    count = int(state.numbers[SCORES])
    kept, at = min(count, window), count % window
    if kept == window:
        kept -= 1
        place = kept
        leaving = ordered[place]
        while place > 0 and leaving != ring[at]:
            place -= 1
            leaving, ordered[place] = ordered[place], leaving
    place = kept
    while place > 0 and ordered[place - 1] > score:
        ordered[place] = ordered[place - 1]
        place -= 1
    ordered[place], ring[at] = score, score
    state.numbers[SCORES] = count + 1.0


def static_width(scores: FloatArray, level: float) -> float:
    """The half width of split conformal intervals: the ceil((n + 1) level)-th smallest of n scores, else infinity."""
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    return math.inf if rank > len(scores) else float(np.sort(scores)[rank - 1])
