"""Reasons: what people are told of why a strategy wants what it wants at a close, and why it did nothing about it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from foundation.compilation import rule
from markets.candles import FloatArray, IntArray
from strategies.rules import forecast_side
from strategies.sides import SideArray
from strategies.steps import BARRED, COOLING, LEAVE, WAITS, Records, traded

# What a decision says of itself, by number; then what an order, or the lack of one, makes of it.
REASONS = (
    "long", "short", "direction not traded", "before the start", "averages confirm nothing", "no forecast",
    "volatility outside its band", "not confirmed", "below threshold", "averages not known yet",
    "waits for an order", "cooling down after an exit", "barred after an exit", "held for its longest time",
    "size or exits not known yet", "no equity to trade",
)  # fmt: skip
LONG, SHORT, UNTRADED, EARLY, UNCROSSED, UNFORECAST, VOLATILE, UNCONFIRMED, BELOW, UNKNOWN = range(10)
UNSIZED, NO_EQUITY = 14, 15
# What a step says, where nothing was ordered; others leave the decision's own reason.
OF_STEP = {WAITS: 10, COOLING: 11, BARRED: 12, LEAVE: 13}

Row = Any


@rule
def reason_of(
    wanted: int, early: bool, decider: int, score: float, mean: float, threshold: float, quiet: bool, habits: Row
) -> int:
    """Why a side is wanted or none, a number of REASONS, when the averages are known.

    `early`: before the first bar it may decide on. `quiet`: sigma lies within its band.
    """
    if not traded(habits, wanted):
        return UNTRADED
    if wanted != 0:
        return LONG if wanted > 0 else SHORT
    if early:
        return EARLY
    if decider == 2:
        return UNCROSSED
    if math.isnan(mean):
        return UNFORECAST
    if not quiet:
        return VOLATILE
    return UNCONFIRMED if forecast_side(score, threshold) != 0 else BELOW


@rule(makes_arrays=True)
def reason_series(
    sides: SideArray,
    score: FloatArray,
    mean: FloatArray,
    sigma: FloatArray,
    threshold: FloatArray,
    slow: FloatArray,
    decider: int,
    sigma_band: tuple[float, float],
    first: int,
    habits: Records,
) -> npt.NDArray[np.int8]:
    """`reason_of` at every bar; bars before row `first` are early. `habits`: one record."""
    out = np.zeros(len(sides), dtype=np.int8)
    for k in range(len(sides)):
        quiet = sigma_band[0] <= sigma[k] <= sigma_band[1]
        out[k] = reason_of(sides[k], k < first, decider, score[k], mean[k], threshold[k], quiet, habits[0])
        if math.isnan(slow[k]):
            out[k] = UNKNOWN
    return out


def texts(numbers: IntArray | npt.NDArray[np.int8]) -> list[str]:
    """The words of reasons by number."""
    return [REASONS[number] for number in numbers.tolist()]
