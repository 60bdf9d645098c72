"""Layout: the rows of record arrays written and read from Python at once, not field by field."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, cast

import numpy as np

from backtests.exchange import records

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
        self._make = _maker(name, [label for _, _, label in fields])
        self._zeros, self._places = [0] * len(fields), {label: number for number, (_, _, label) in enumerate(fields)}

    def read(self, content: memoryview, row: int) -> Any:
        """A row as a named tuple of numbers; `content`: the bytes of an array, as `bytes_of` gives them."""
        return self._make(self._struct.unpack_from(content, row * self.size))

    def read_all(self, content: memoryview, count: int) -> list[Any]:
        """The first `count` rows."""
        unpack, make, size = self._struct.unpack_from, self._make, self.size
        return [make(unpack(content, row * size)) for row in range(count)]

    def write(self, content: memoryview, row: int, values: dict[str, Any]) -> None:
        """Writes a row; what `values` does not name is zero."""
        fields = self._zeros.copy()
        for name, value in values.items():
            fields[self._places[name]] = value
        self._struct.pack_into(content, row * self.size, *fields)


def bytes_of(array: records.Records) -> memoryview:
    """The bytes of an array of records, which change with it."""
    return memoryview(cast(Any, array.view(np.uint8)))


def _maker(name: str, fields: Sequence[str]) -> Callable[[Any], Any]:
    """What makes a named tuple of some fields out of their values."""
    kind: Any = namedtuple
    make: Callable[[Any], Any] = kind(name, fields)._make
    return make


ORDER, FILL = Layout("OrderRow", records.ORDER), Layout("FillRow", records.FILL)
