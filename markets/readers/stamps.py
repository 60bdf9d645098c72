"""Stamps: cells that say when, in any of the ways people write it, as UTC nanoseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import DataError
from markets.candles import SECOND, BoolArray, FloatArray, IntArray, duration, open_grid
from markets.readers.raw import RawTable

HOUR = 3600 * SECOND
DAY = 24 * HOUR
_EARLIEST = 1_230_768_000  # 2009-01-01: there was no crypto market before Bitcoin
_LATEST = 4_102_444_800  # 2100-01-01
_NEVER_BEFORE, _NEVER_AFTER = np.datetime64("1971-01-01"), np.datetime64("2200-01-01")
_UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
_FORMATS = ("%Y-%m-%d %I-%p", "%Y-%m-%d %H:%M:%S", "%Y.%m.%d %H:%M", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M")
NO_ZONE = "its stamps name no time zone and are read as UTC"


def read_stamps(raw: RawTable, name: str) -> tuple[IntArray, list[str]]:
    """A column of stamps as UTC nanoseconds, and what had to be assumed or converted.

    Numbers count seconds, milliseconds, microseconds or nanoseconds since 1970, told apart value by
    value by their size (each lies in 2009 to 2099 in one unit only). Words are ISO dates and times,
    or one of the forms that data vendors write. Raises DataError at the first cell that is neither.
    """
    cells = raw.column(name)
    _refuse_empty(raw, name, np.asarray(cells.is_null()))
    kind = cells.type
    if pa.types.is_timestamp(kind):
        stamps = np.array(cells.cast(pa.int64()).to_numpy(), dtype=np.int64)
        scale = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}[kind.unit]
        _refuse_outside(raw, name, (stamps < _EARLIEST * SECOND // scale) | (stamps >= _LATEST * SECOND // scale))
        return stamps * scale, [NO_ZONE] if kind.tz is None else []
    if pa.types.is_integer(kind):
        return _from_counts(raw, name, np.array(cells.to_numpy(), dtype=np.int64))
    if pa.types.is_floating(kind):
        return _from_fractions(raw, name, np.array(cells.cast(pa.float64()).to_numpy()))
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(raw.path, f"column {name} is of type {kind}, not stamps", fix="store UTC stamps")
    return _from_text(raw, name, cells)


def read_dates(cells: pa.ChunkedArray) -> IntArray:
    """Dates and times as nanoseconds, whatever zone they meant; 0 where a cell is empty or cannot be read."""
    for zone in (None, "UTC"):
        parsed = _cast(cells, pa.timestamp("ns", tz=zone))
        if parsed is not None:
            return parsed
    texts = cells.to_pandas()
    stamps = np.zeros(len(texts), dtype=np.int64)
    for form in _FORMATS:
        left = np.flatnonzero(stamps == 0)
        if left.size == 0:
            break
        seconds = pd.to_datetime(texts.iloc[left], format=form, errors="coerce").to_numpy().astype("datetime64[s]")
        known = ~np.isnat(seconds) & (seconds > _NEVER_BEFORE) & (seconds < _NEVER_AFTER)
        stamps[left[known]] = seconds[known].astype(np.int64) * SECOND
    return stamps


def in_utc(stamps: IntArray, notes: list[str], utc_offset: float | None) -> IntArray:
    """Stamps moved from a clock that is `utc_offset` hours ahead of UTC; without one, as they are."""
    if utc_offset is None:
        return stamps
    if NO_ZONE in notes:
        notes.remove(NO_ZONE)
    notes.append(f"its clock was said to be UTC{utc_offset:+g}; stamps moved by {-utc_offset:+g} h")
    return stamps - round(utc_offset * 3600) * SECOND


def _from_text(raw: RawTable, name: str, cells: pa.ChunkedArray) -> tuple[IntArray, list[str]]:
    try:
        return _from_counts(raw, name, np.array(pc.cast(cells, pa.int64()).to_numpy(), dtype=np.int64))
    except pa.ArrowException:
        pass
    try:
        return _from_fractions(raw, name, np.array(pc.cast(cells, pa.float64()).to_numpy()))
    except pa.ArrowException:
        pass
    zoned = _cast(cells, pa.timestamp("ns", tz="UTC"))
    stamps = read_dates(cells) if zoned is None else zoned
    unread = stamps == 0
    if unread.any():
        row = int(np.argmax(unread))
        problem = f"column {name} holds {raw.text(name, row)} in {raw.place(row)}, which is no date or time it can read"
        raise DataError(raw.path, problem, fix='write ISO time in UTC, such as "2024-01-31 13:00:00"')
    _refuse_outside(raw, name, (stamps < _EARLIEST * SECOND) | (stamps >= _LATEST * SECOND))
    return stamps, [NO_ZONE] if zoned is None else []


def _from_counts(raw: RawTable, name: str, counts: IntArray) -> tuple[IntArray, list[str]]:
    stamps = np.zeros(len(counts), dtype=np.int64)
    found: list[tuple[str, BoolArray]] = []
    for unit, scale in _UNITS.items():
        here = (counts >= _EARLIEST * scale) & (counts < _LATEST * scale)
        if here.any():
            stamps[here] = counts[here] * (SECOND // scale)
            found.append((unit, here))
    _refuse_outside(raw, name, stamps == 0)
    return stamps, _unit_notes(raw, found)


def _from_fractions(raw: RawTable, name: str, counts: FloatArray) -> tuple[IntArray, list[str]]:
    """Counts written with a decimal point; kept to the microsecond, as far as float64 carries them."""
    stamps = np.zeros(len(counts), dtype=np.int64)
    found: list[tuple[str, BoolArray]] = []
    for unit, scale in _UNITS.items():
        here = (counts >= _EARLIEST * scale) & (counts < _LATEST * scale)
        if here.any():
            stamps[here] = np.rint(counts[here] * (1_000_000 / scale)).astype(np.int64) * 1_000
            found.append((unit, here))
    _refuse_outside(raw, name, stamps == 0)
    return stamps, _unit_notes(raw, found)


def _unit_notes(raw: RawTable, found: list[tuple[str, BoolArray]]) -> list[str]:
    if len(found) < 2:
        return []
    counts = " and ".join(
        f"{int(here.sum()):,} in {unit} (first in {raw.place(int(np.argmax(here)))})" for unit, here in found
    )
    return [f"its stamps mix units: {counts}"]


def _cast(cells: pa.ChunkedArray, kind: Any) -> IntArray | None:
    """Stamps as int64, 0 where a cell is empty, or None where some cell is not of that kind."""
    try:
        stamps = pc.cast(pc.cast(cells, kind), pa.int64())
    except pa.ArrowException:
        return None
    return np.array(pc.fill_null(stamps, 0).to_numpy(), dtype=np.int64)


def _refuse_empty(raw: RawTable, name: str, empty: BoolArray) -> None:
    if empty.any():
        problem = f"column {name} is empty in {raw.place(int(np.argmax(empty)))}, {int(empty.sum()):,} in all"
        raise DataError(raw.path, problem, fix="mend or fetch the row again")


def _refuse_outside(raw: RawTable, name: str, outside: BoolArray) -> None:
    if outside.any():
        row = int(np.argmax(outside))
        problem = f"column {name} holds {raw.text(name, row)} in {raw.place(row)}, {int(outside.sum()):,} in all"
        raise DataError(
            raw.path, f"{problem}: no time between 2009 and 2099", fix="write UTC time or s, ms, us, ns since 1970"
        )


def common_step(stamps: IntArray) -> int:
    """The commonest step between distinct sorted stamps in nanoseconds; 0 where there are fewer than two."""
    steps = np.diff(np.unique(stamps))
    if steps.size == 0:
        return 0
    lengths, counts = np.unique(steps, return_counts=True)
    return int(lengths[np.argmax(counts)])


def to_open(raw: RawTable, stamps: IntArray, stamped_at: str, notes: list[str]) -> IntArray:
    """Stamps at the open of their bars: moved back by one bar where they stood at the close, or a second before it."""
    if stamped_at == "open":
        return stamps
    bar = common_step(stamps)
    if bar == 0:
        raise DataError(
            raw.path, "holds one bar stamped at its close, so its length is unknown", fix="hand in two bars or more"
        )
    notes.append(f"its bars are stamped at their close; stamps moved back by one bar ({duration(bar)}) to the open")
    short = -stamps % open_grid(bar)
    return stamps + np.where(short <= SECOND, short, 0) - bar
