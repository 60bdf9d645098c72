"""Steps: what a strategy does at a close about the side it wants, and what it remembers between closes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from foundation.compilation import rule
from strategies.parameters import CrossoverParams, RiskParams
from strategies.rules import CLOSE, HOLD, OPEN, REVERSE, action

Records = npt.NDArray[Any]
# One record of such an array; its fields are known to compiled code only.
Row = Any

# The bar of an exit that has not happened.
NEVER = -1_000_000_000
# `barred`: the side on which no entry is made until it is no longer wanted. `entered`, `left`: how many bars
# there were when the position was entered, and when the last one was left.
MEMORY = np.dtype([("barred", np.int64), ("entered", np.int64), ("left", np.int64)])
# `reverse`: whether the opposite signal opens the other side. `longs`, `shorts`: whether that side is opened.
HABITS = np.dtype(
    [("maximum_bars", np.int64), ("cooldown_bars", np.int64)]
    + [(name, np.int8) for name in ("reverse", "longs", "shorts")]
)
# What was done at a close, by number.
NOTHING, WAITS, COOLING, BARRED, LEAVE, ENTER, CLOSE_FOR_SIGNAL, CLOSE_AND_ENTER = range(8)


def new_memory(symbols: int) -> Records:
    """One MEMORY record a symbol, of a strategy that has done nothing yet."""
    memory = np.zeros(symbols, dtype=MEMORY)
    memory["left"] = NEVER
    return memory


def habits_record(strategy: CrossoverParams, risk: RiskParams) -> Records:
    """One HABITS record of the parameters, as compiled code takes them."""
    record = np.zeros(1, dtype=HABITS)
    record["maximum_bars"], record["cooldown_bars"] = risk.maximum_bars, risk.cooldown_bars
    record["reverse"] = strategy.on_opposite == "reverse"
    record["longs"], record["shorts"] = strategy.direction != "short", strategy.direction != "long"
    return record


@rule
def traded(habits: Row, side: int) -> bool:
    """Whether positions on a side are opened; one on the other side is closed by its signal all the same."""
    return bool(side == 0 or (habits.longs if side > 0 else habits.shorts))


@rule(inline=True)
def next_step(memory: Row, habits: Row, wanted: int, held: int, waiting: bool, bars: int) -> int:
    """What to do at a close about a wanted side, by number; changes what is remembered.

    `held`: the side of the open position, 0 for none. `waiting`: whether an earlier order is still on its way.
    `bars`: how many there are by now. ENTER and CLOSE_AND_ENTER open the wanted side, LEAVE and the closes
    end the position that is held.
    """
    if memory.barred != 0 and wanted != memory.barred:
        memory.barred = 0
    if waiting:
        return WAITS
    opens = traded(habits, wanted)
    step = action(wanted, held, memory.barred, habits.reverse == 1 and opens)
    if step == OPEN:
        if not opens:
            return NOTHING
        return COOLING if bars - memory.left < habits.cooldown_bars else ENTER
    if step == HOLD:
        if held != 0 and 0 < habits.maximum_bars <= bars - memory.entered + 1:
            return LEAVE
        return BARRED if wanted != 0 and wanted == memory.barred and held == 0 else NOTHING
    if step == CLOSE:
        memory.barred = wanted
    return CLOSE_AND_ENTER if step == REVERSE else CLOSE_FOR_SIGNAL


@rule(inline=True)
def remember_entry(memory: Row, bars: int) -> None:
    """An entry has filled."""
    memory.entered = bars


@rule(inline=True)
def remember_exit(memory: Row, bars: int, side: int, asked_for: bool) -> None:
    """A position on a side was left; an exit that no signal asked for bars that side until it is no longer wanted."""
    memory.left = bars
    if not asked_for:
        memory.barred = side


# The same for Python, which hands over arrays of one record faster than records.


@rule
def next_step_at(memories: Records, habits: Records, wanted: int, held: int, waiting: bool, bars: int) -> int:
    """`next_step` of the first record of each."""
    return next_step(memories[0], habits[0], wanted, held, waiting, bars)


@rule
def remember_entry_at(memories: Records, bars: int) -> None:
    """`remember_entry` in the first record."""
    remember_entry(memories[0], bars)


@rule
def remember_exit_at(memories: Records, bars: int, side: int, asked_for: bool) -> None:
    """`remember_exit` in the first record."""
    remember_exit(memories[0], bars, side, asked_for)
