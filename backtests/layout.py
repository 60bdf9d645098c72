"""Layout: the rows of record arrays written and read from Python at once, not field by field."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, cast

import numpy as np

from backtests import records

_CODES = {np.dtype(records.REAL): "d", np.dtype(records.WHOLE): "q", np.dtype(records.BYTE): "b"}


class Layout:
    """How a row of an array of records lies in memory: fields of numbers, whatever lies between them."""

    def __init__(self, name: str, kind: np.dtype[Any]) -> None:
        fields = sorted((field[1], field[0], label) for label, field in (kind.fields or {}).items())
        text, end = "=", 0
        for at, number, _ in fields:
            text += "x" * (at - end) + _CODES[number]
            end = at + number.itemsize
        self.size = kind.itemsize
        self._struct = Struct(text + "x" * (self.size - end))
        self._make, self._names = _maker(name, [label for _, _, label in fields])

    def read(self, array: records.Records, row: int) -> Any:
        """A row as a named tuple of numbers."""
        return self._make(self._struct.unpack_from(cast(Any, array), row * self.size))

    def read_all(self, array: records.Records, count: int) -> list[Any]:
        """The first `count` rows."""
        return [self.read(array, row) for row in range(count)]

    def write(self, array: records.Records, row: int, values: dict[str, Any]) -> None:
        """Writes a row; what `values` does not name is zero."""
        self._struct.pack_into(cast(Any, array), row * self.size, *[values.get(name, 0) for name in self._names])


def _maker(name: str, fields: Sequence[str]) -> tuple[Callable[[Any], Any], Sequence[str]]:
    """What makes a named tuple of some fields out of their values, and the fields."""
    make: Any = namedtuple
    return make(name, fields)._make, fields


ORDER, FILL = Layout("OrderRow", records.ORDER), Layout("FillRow", records.FILL)
