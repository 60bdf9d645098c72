"""Cursor: the bar that has closed, on which all lines of a run stand at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import cache
from typing import Any, NoReturn, cast

import backtrader as bt

from foundation.errors import CrossgateError, LookAheadError


class Cursor:
    """The row of the bar that has closed; -1 before the first one."""

    __slots__ = ("at",)

    def __init__(self) -> None:
        self.at = -1


class CursorLine:
    """What makes a line of Backtrader's read its place from a cursor, instead of being moved bar by bar.

    Mixed into the class of a line for the time of a run; the line must hold all its values.
    """

    array: Any
    _cursor: Cursor

    def __getitem__(self, ago: int) -> float:
        row = self._cursor.at + ago
        if ago > 0 or row < 0:
            raise _unknown(ago)
        value: float = self.array[row]
        return value

    def __setitem__(self, ago: int, value: float) -> None:
        self.array = unshared(self.array)
        super().__setitem__(ago, value)  # type: ignore[misc]

    def __len__(self) -> int:
        return self._cursor.at + 1

    def get(self, ago: int = 0, size: int = 1) -> Any:
        """Some values in a row, up to `ago` bars from here."""
        if ago > 0:
            raise _unknown(ago)
        return unshared(super().get(ago, size))  # type: ignore[misc]

    def _stays(self, place: int) -> NoReturn:
        raise CrossgateError('a line cannot be moved by hand in the fast loop; use Cerebro(loop="stock")')

    _idx = property(lambda line: line._cursor.at, _stays)
    lencount = property(lambda line: line._cursor.at + 1, _stays)


def _unknown(ago: int) -> LookAheadError:
    """What is said of a bar that a line cannot know: a row below zero would be one of the last bars of all."""
    what = "later than the last one closed" if ago > 0 else "before the first"
    return LookAheadError(f"a line was asked for the value at [{ago}], a bar {what}")


@cache
def _on_cursor(kind: Any) -> Any:
    return type(kind)(kind.__name__, (CursorLine, kind), {"__module__": __name__})


def stand_on(cursor: Cursor, lines: Iterable[Any]) -> list[Any]:
    """Those of the lines that did not stand on the cursor yet; from now on all of them do."""
    moved = []
    for line in lines:
        if not isinstance(line, CursorLine):
            line.__dict__["_cursor"] = cursor
            line.__class__ = _on_cursor(cast(Any, type(line)))
            moved.append(line)
    return moved


def step_off(lines: Iterable[Any]) -> None:
    """Gives lines back their own places, where the cursor stands now."""
    for line in lines:
        cursor = line.__dict__.pop("_cursor")
        line.__class__ = type(line).__bases__[1]
        line._idx, line.lencount = cursor.at, cursor.at + 1


def unshared(values: Any) -> Any:
    """Values as they are, or a copy of those in somebody else's memory."""
    return array("d", values.tobytes()) if isinstance(values, memoryview) else values


def lines_of(iterator: Any) -> list[Any]:
    """The lines that advance with a feed or an indicator: its own, or itself where it is one."""
    return [iterator] if isinstance(iterator, bt.linebuffer.LineBuffer) else list(iterator.lines.lines)
