"""Course: what accounts are worth over a tile of bars, put down where that changes and valued later, side by side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from backtests.exchange.records import Desk
from foundation.compilation import rule
from foundation.lanes import WIDTH
from markets.candles import FloatArray


class Course(NamedTuple):
    """From which bar on what is in eight accounts; a row holds until the next one of the same account.

    `changed` (bars,): bit k is set where account k changes, bit WIDTH + k where only its cash does and it has a
    position. `worth` (bars * fields, WIDTH), an account a column: of such a bar the cash, and where more has changed
    whether there is a position (1 or 0), and for each symbol its size, which is the quantity times the contract's face,
    and its entry price. `begin`, `end`: the rows of the scene that the tile goes from and to.
    `lane`: the account being played.
    """

    changed: npt.NDArray[np.uint16]
    worth: FloatArray
    begin: int
    end: int
    lane: int


@rule(makes_arrays=True)
def new_course(bars: int, symbols: int) -> Course:
    """Room for a tile of so many bars."""
    return Course(np.zeros(bars, dtype=np.uint16), np.zeros((bars * fields(symbols), WIDTH)), 0, 0, 0)


@rule
def fields(symbols: int) -> int:
    """How many numbers say what is in an account."""
    return 2 + 2 * symbols


@rule(inline=True)
def note_worth(course: Course, desk: Desk, i: int) -> None:
    """A bar has closed on which the account changed. A ruined one keeps its equity for good."""
    lane, account, held = course.lane, desk.account[0], 0.0
    row = (i - course.begin) * fields(len(desk.positions))
    for s in range(len(desk.positions)):
        position, size, entry = desk.positions[s], 0.0, 1.0
        if position.quantity != 0.0 and account.ruined == 0:
            size, entry, held = position.quantity * desk.contracts[s].face, position.entry, 1.0
        course.worth[row + 2 + 2 * s, lane], course.worth[row + 3 + 2 * s, lane] = size, entry
    course.worth[row, lane], course.worth[row + 1, lane] = account.equity if account.ruined else account.cash, held
    course.changed[i - course.begin] |= 1 << lane


@rule(inline=True)
def note_cash(course: Course, desk: Desk, i: int) -> None:
    """A bar has closed on which an account with a position has paid or received funding, and no more."""
    course.worth[(i - course.begin) * fields(len(desk.positions)), course.lane] = desk.account[0].cash
    course.changed[i - course.begin] |= 1 << WIDTH + course.lane
