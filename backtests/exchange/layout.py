"""Layout: the rows of record arrays written and read from Python at once, not field by field."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Any, cast

import numpy as np

from backtests.exchange import records

_CODES = {np.dtype(records.REAL): "d", np.dtype(records.WHOLE): "q", np.dtype(records.BYTE): "b"}


class Layout:
    """How a row of an array of records lies in memory: fields of numbers, whatever lies between them."""

    def __init__(self, name: str, kind: np.dtype[Any]) -> None:
        self.size = kind.itemsize
        self._fields = {label: (field[1], field[0]) for label, field in (kind.fields or {}).items()}
        self._names = self._sorted(self._fields)
        self._whole, self._make = self._struct(self._names), _maker(name, self._names)
        self._packers: dict[tuple[str, ...], Callable[..., None]] = {}

    def read_all(self, content: memoryview, count: int) -> list[Any]:
        """The first `count` rows as named tuples of numbers; `content`: the bytes of an array, by `bytes_of`."""
        unpack, make, size = self._whole.unpack_from, self._make, self.size
        return [make(unpack(content, at)) for at in range(0, count * size, size)]

    def reader(self, *names: str) -> Callable[[memoryview, int], list[tuple[Any, ...]]]:
        """What reads some fields of the first rows of an array, a tuple a row; named in the order of memory."""
        if list(names) != self._sorted(names):
            raise ValueError(f"fields are read in the order of memory: {self._sorted(names)}")
        unpack, size = self._struct(names).unpack_from, self.size
        return lambda content, count: [unpack(content, at) for at in range(0, count * size, size)]

    def write(self, content: memoryview, row: int, values: dict[str, Any]) -> None:
        """Writes a row; what `values` does not name is zero."""
        names = tuple(values)
        pack = self._packers.get(names) or self._packer(names)
        pack(content, row * self.size, *values.values())

    def _packer(self, names: tuple[str, ...]) -> Callable[..., None]:
        """What writes a row whose fields are named in some order; kept, as rows come in few kinds."""
        ordered = self._sorted(names)
        write = self._struct(ordered).pack_into
        if list(names) == ordered:
            self._packers[names] = write
        else:
            places = [names.index(name) for name in ordered]
            self._packers[names] = lambda content, at, *given: write(content, at, *[given[k] for k in places])
        return self._packers[names]

    def _sorted(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: self._fields[name][0])

    def _struct(self, names: Sequence[str]) -> Struct:
        """Some fields of a row, in the order of memory; what lies between them is skipped, or zero when written."""
        text, end = "=", 0
        for name in names:
            at, number = self._fields[name]
            text += "x" * (at - end) + _CODES[number]
            end = at + number.itemsize
        return Struct(text + "x" * (self.size - end))


def bytes_of(array: records.Records) -> memoryview:
    """The bytes of an array of records, which change with it."""
    return memoryview(cast(Any, array.view(np.uint8)))


def _maker(name: str, fields: Sequence[str]) -> Callable[[Any], Any]:
    """What makes a named tuple of some fields out of their values."""
    kind: Any = namedtuple
    make: Callable[[Any], Any] = kind(name, fields)._make
    return make


ORDER, FILL = Layout("OrderRow", records.ORDER), Layout("FillRow", records.FILL)
