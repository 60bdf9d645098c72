"""Candles: the price bars of one contract, checked once where they enter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from foundation.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

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
        if self.touched.size == 0:
            object.__setattr__(self, "touched", np.zeros(len(self.timestamp), dtype=np.bool_))
        _freeze(self, "timestamp", np.int64)
        for name in (*_PRICES, "volume"):
            _freeze(self, name, np.float64)
        _freeze(self, "touched", np.bool_)
        _check_times(self)
        _check_prices(self)

    def __len__(self) -> int:
        return len(self.timestamp)

    def between(self, start: int | None, end: int | None) -> Candles:
        """The bars that open at or after `start` and before `end` (UTC nanoseconds)."""
        first = 0 if start is None else int(np.searchsorted(self.timestamp, start))
        last = len(self) if end is None else int(np.searchsorted(self.timestamp, end))
        return self.rows(first, last)

    def rows(self, first: int, last: int) -> Candles:
        """The bars from row `first` up to, not including, row `last`."""
        if last <= first:
            raise DataError(self.source, "holds no bar in the chosen span", fix="widen start and end")
        names = ("timestamp", *_PRICES, "volume", "touched")
        arrays: dict[str, Any] = {name: getattr(self, name)[first:last] for name in names}
        return Candles(**arrays, bar=self.bar, source=self.source)

    def frame(self) -> pd.DataFrame:
        """The bars as a table with a UTC timestamp column."""
        columns = {name: getattr(self, name) for name in (*_PRICES, "volume")}
        return pd.DataFrame({"timestamp": pd.to_datetime(self.timestamp, utc=True), **columns})


def utc(timestamp: int) -> str:
    """A UTC nanosecond stamp as people read it: 2024-06-30 23:00."""
    return pd.Timestamp(int(timestamp), unit="ns").strftime("%Y-%m-%d %H:%M")


def _freeze(candles: Candles, name: str, kind: type) -> None:
    array = np.array(getattr(candles, name), dtype=kind)
    if array.shape != (len(candles.timestamp),):
        raise DataError(candles.source, f"column {name} has {array.size} rows, timestamp has {len(candles.timestamp)}")
    array.setflags(write=False)
    object.__setattr__(candles, name, array)


def _check_times(candles: Candles) -> None:
    stamps, where = candles.timestamp, candles.source
    if len(stamps) == 0:
        raise DataError(where, "holds no bars", fix="hand in at least one candle")
    if candles.bar <= 0:
        raise DataError(where, f"has a bar length of {candles.bar} ns, which is not above zero")
    steps = np.diff(stamps)
    for wrong, what in (
        (steps < 0, "is not in time order at"),
        (steps == 0, "has a duplicate bar at"),
        (steps % candles.bar != 0, "has a stamp off the bar grid at"),
        (steps > candles.bar, "has a gap after"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            at = row if "gap" in what else row + 1
            missing = f" ({steps[row] // candles.bar - 1} bars missing)" if "gap" in what else ""
            problem = f"{what} {utc(stamps[at])} UTC (row {at}){missing}, {int(wrong.sum())} in all"
            raise DataError(where, problem, fix="mend the file; candles are never repaired in silence")


def _check_prices(candles: Candles) -> None:
    o, h, lo, c, v = candles.open, candles.high, candles.low, candles.close, candles.volume
    finite = np.isfinite(o) & np.isfinite(h) & np.isfinite(lo) & np.isfinite(c) & np.isfinite(v)
    for wrong, what in (
        (~finite, "has a value that is not a finite number"),
        ((o <= 0) | (h <= 0) | (lo <= 0) | (c <= 0), "has a price that is not above zero"),
        (v < 0, "has a negative volume"),
        ((h < np.maximum(o, c)) | (lo > np.minimum(o, c)), "violates low <= open, close <= high"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            at = f"{utc(candles.timestamp[row])} UTC (row {row}), {int(wrong.sum())} in all"
            raise DataError(candles.source, f"{what} at {at}", fix="mend the file; candles are never repaired in silence")
