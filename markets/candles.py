"""Candles: the price bars of one contract, checked once where they enter."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from foundation.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SECOND = 1_000_000_000
_HOUR = 3600 * SECOND
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, eq=False)
class Candles:
    """Price bars of one length, in time order, without gaps, all prices above zero.

    `timestamp`: OPEN of each bar, UTC nanoseconds since 1970, int64, `bar` apart.
    `open, high, low, close`: quote currency for one unit of base. `volume`: base units, >= 0.
    `bar`: the length of a bar in nanoseconds. `touched`: bars that cleaning changed; they take
    no fills. `source`: the file or generator, named in errors. Arrays are read-only.

    A bar is known at its close, `timestamp + bar`, not before. Raises DataError naming the row.
    """

    timestamp: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    bar: int
    touched: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    source: str = "candles"

    def __post_init__(self) -> None:
        object.__setattr__(self, "timestamp", _converted(self.timestamp, "timestamp", np.int64, self.source))
        if np.size(self.touched) == 0:
            object.__setattr__(self, "touched", np.zeros(len(self.timestamp), dtype=np.bool_))
        _freeze(self, "timestamp", np.int64)
        for name in (*_PRICES, "volume"):
            _freeze(self, name, np.float64)
        _freeze(self, "touched", np.bool_)
        columns = {name: getattr(self, name) for name in ("timestamp", *_PRICES, "volume")}
        check_bars(columns, self.bar, self.source)

    def __len__(self) -> int:
        return len(self.timestamp)

    def between(self, start: int | None, end: int | None) -> Candles:
        """The bars that open at or after `start` and before `end` (UTC nanoseconds)."""
        first = 0 if start is None else int(np.searchsorted(self.timestamp, start))
        last = len(self) if end is None else int(np.searchsorted(self.timestamp, end))
        return self.rows(first, last)

    def rows(self, first: int, last: int) -> Candles:
        """The bars from row `first` up to, not including, row `last`: in the same memory, as they have been checked."""
        if last <= first or first >= len(self):
            held = f"it holds {utc(self.timestamp[0])} to {utc(self.timestamp[-1])} UTC"
            raise DataError(self.source, f"has no bar in the chosen span; {held}", fix="move start or end")
        part = copy(self)
        for name in ("timestamp", *_PRICES, "volume", "touched"):
            object.__setattr__(part, name, getattr(self, name)[first:last])
        return part

    def frame(self) -> pd.DataFrame:
        """The bars as a table with a UTC timestamp column."""
        import pandas as pd

        columns = {name: getattr(self, name) for name in (*_PRICES, "volume")}
        return pd.DataFrame({"timestamp": pd.to_datetime(self.timestamp, utc=True), **columns})


def utc(timestamp: int) -> str:
    """A UTC nanosecond stamp as people read it: 2024-06-30 23:00, with seconds where it has some."""
    whole = int(timestamp) % (60 * SECOND) == 0
    moment = datetime.fromtimestamp(int(timestamp) // SECOND, UTC)
    return moment.strftime("%Y-%m-%d %H:%M" if whole else "%Y-%m-%d %H:%M:%S")


def duration(bar: int) -> str:
    """A length of time in nanoseconds as people write it: 1h, 15m, 90m, 7s."""
    for unit, length in (("d", 86_400 * SECOND), ("h", 3_600 * SECOND), ("m", 60 * SECOND)):
        if bar % length == 0:
            return f"{bar // length}{unit}"
    return f"{bar / SECOND:g}s"


def check_bars(columns: Mapping[str, Any], bar: int, source: str, first_row: int = 0) -> None:
    """The strict check of price bars: rising stamps one `bar` apart, finite and consistent prices.

    `columns` holds the arrays of Candles by name; the first of them is row `first_row` of `source`.
    Raises DataError that names the source, the defect, the first row that has it, its time and the fix.
    """
    stamps: IntArray = columns["timestamp"]
    if len(stamps) == 0:
        raise DataError(source, "holds no bars", fix="hand in at least one candle")
    if bar <= 0:
        raise DataError(source, f"has a bar length of {bar} ns", fix="a bar is longer than zero")
    check_order(stamps, source, first_row)
    _check_grid(stamps, bar, source, first_row)
    check_prices(columns, source, first_row)


def check_order(stamps: IntArray, source: str, first_row: int = 0) -> None:
    """Raises DataError at the first stamp that is not later than the one before it."""
    steps = np.diff(stamps)
    for wrong, what, fix in (
        (steps < 0, "is not in time order", "sort the rows by timestamp"),
        (steps == 0, "has a duplicate timestamp", "keep one row for each timestamp"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong)) + 1
            raise DataError(source, f"{what} at {_place(stamps, row, first_row, wrong)}", fix=fix)


def _check_grid(stamps: IntArray, bar: int, source: str, first_row: int) -> None:
    steps = np.diff(stamps)
    off = steps % bar != 0
    if off.any():
        row = int(np.argmax(off)) + 1
        problem = f"has a stamp off the grid of {duration(bar)} bars at {_place(stamps, row, first_row, off)}"
        raise DataError(source, problem, fix="stamp every bar at its open, one bar length apart")
    gap = steps > bar
    if gap.any():
        row = int(np.argmax(gap))
        missing = int(steps[row]) // bar - 1
        problem = f"has a gap of {missing} {duration(bar)} bar(s) after {_place(stamps, row, first_row, gap)}"
        raise DataError(source, problem, fix="fetch the missing bars, or choose start and end on one side of the gap")


def check_prices(columns: Mapping[str, Any], source: str, first_row: int = 0) -> None:
    """Raises DataError at the first price or volume that cannot be, or bar that breaks low <= open, close <= high."""
    stamps = columns["timestamp"]
    for name in (*_PRICES, "volume"):
        values: FloatArray = columns[name]
        least = "a negative volume" if name == "volume" else "a price that is not above zero"
        for wrong, what in (
            (~np.isfinite(values), "a value that is missing or not a finite number"),
            (values < 0 if name == "volume" else values <= 0, least),
        ):
            if wrong.any():
                row = int(np.argmax(wrong))
                problem = f"column {name} has {what} ({values[row]:g}) at {_place(stamps, row, first_row, wrong)}"
                raise DataError(source, problem, fix="mend or fetch the row again")
    o, h, lo, c = (columns[name] for name in _PRICES)
    wrong = (h < np.maximum(o, c)) | (lo > np.minimum(o, c))
    if wrong.any():
        row = int(np.argmax(wrong))
        bar = f"open {o[row]:.12g}, high {h[row]:.12g}, low {lo[row]:.12g}, close {c[row]:.12g}"
        problem = f"breaks low <= open, close <= high ({bar}) at {_place(stamps, row, first_row, wrong)}"
        raise DataError(source, problem, fix="mend or fetch the row again")


def _place(stamps: IntArray, row: int, first_row: int, wrong: BoolArray) -> str:
    return f"{utc(stamps[row])} UTC (row {first_row + row}), {int(wrong.sum())} in all"


def _freeze(candles: Candles, name: str, kind: type) -> None:
    array = _converted(getattr(candles, name), name, kind, candles.source)
    if array.shape != candles.timestamp.shape or array.ndim != 1:
        problem = f"column {name} has the shape {array.shape}, timestamp has {candles.timestamp.shape}"
        raise DataError(candles.source, problem, fix="hand in one value for each bar")
    array.setflags(write=False)
    object.__setattr__(candles, name, array)


def _converted(values: Any, name: str, kind: type, source: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=kind)
    if kind is np.int64 and array.dtype.kind == "M":
        return array.astype("datetime64[ns]").astype(np.int64)
    if array.dtype.kind not in {np.int64: "iu", np.float64: "iuf", np.bool_: "b"}[kind]:
        wanted = {np.int64: "UTC nanoseconds (int64) or numpy datetime64", np.float64: "numbers", np.bool_: "booleans"}
        raise DataError(source, f"column {name} is of type {array.dtype}", fix=f"hand in {wanted[kind]}")
    return np.array(array, dtype=kind)


def open_grid(bar: int) -> int:
    """The step of the UTC grid that bars of a length open on, in nanoseconds: their length, an hour at the most."""
    return bar if 0 < bar < _HOUR and _HOUR % bar == 0 else _HOUR


def opens_beside(stamps: IntArray, bar: int) -> str | None:
    """What is wrong with bars that mostly open beside that grid: closes read as opens, or another clock; else None."""
    grid = open_grid(bar)
    beside = stamps % grid
    if np.count_nonzero(beside) * 2 <= len(stamps):
        return None
    row = int(np.argmax(beside != 0))
    closes = ", as closes do" if grid - int(beside[row]) <= SECOND else ""
    return f"its bars open beside the {duration(grid)} grid of UTC{closes}, the first at {utc(stamps[row])}"
