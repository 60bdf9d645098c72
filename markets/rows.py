"""Rows of a stored series: which columns each kind has, what makes a row possible, and how two sets join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from foundation.errors import DataError, suggestion
from markets.candles import BoolArray, IntArray, check_prices, duration, utc
from markets.decimal_points import find_lost_points
from markets.funding import Funding, to_minute

Kind = Literal["candles", "mark", "funding", "tiers", "filters"]
Rows = dict[str, Any]

_BAR = ("open", "high", "low", "close")
COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    "candles": ("timestamp", *_BAR, "volume", "touched"),
    "mark": ("timestamp", *_BAR, "touched"),
    "funding": ("timestamp", "funding_rate"),
    "tiers": ("timestamp", "floor", "cap", "maintenance_rate", "maximum_leverage", "maintenance_amount"),
    "filters": ("timestamp", "tick", "lot", "minimum_quantity", "maximum_quantity", "minimum_notional"),
}
# A snapshot holds what a venue stated at one time, in one row or several; it counts until the next one.
SNAPSHOTS: frozenset[str] = frozenset({"tiers", "filters"})
# Figures that a venue may leave open; NaN says so.
_OPEN = frozenset({"cap", "maintenance_amount", "maximum_quantity"})
_EARLIEST = 1_230_768_000_000_000_000  # 2009-01-01
_LATEST = 4_102_444_800_000_000_000  # 2100-01-01


@dataclass(frozen=True, eq=False)
class Joined:
    """Stored rows and new ones as one set in time order; `replaced` holds the stored rows that gave way."""

    rows: Rows
    added: int
    known: int
    revised: int
    replaced: Rows


def checked_rows(kind: Kind, bar: int | None, columns: Mapping[str, Any], source: str) -> Rows:
    """The columns of a batch as rows in time order, each once, all of them possible; else DataError.

    `columns`: `timestamp` as UTC nanoseconds and the columns of the kind, in any order of rows;
    `touched` may be left out. Settlements are rounded to the minute, as in Funding. A row that
    stands in the batch twice counts once, and is refused where the two differ.
    """
    rows = _typed(kind, columns, source)
    if len(rows["timestamp"]) == 0:
        return rows
    if kind == "funding":
        rows = _once(kind, rows, source, rounded=True)
        Funding(rows["timestamp"], rows["funding_rate"], source)
        return rows
    rows = _once(kind, rows, source)
    if kind in SNAPSHOTS:
        _check_figures(kind, rows, source)
    else:
        check_prices({"volume": np.zeros(len(rows["timestamp"])), **rows}, source)
        check_grid(rows["timestamp"], int(rows["timestamp"][0]), bar or 1, source)
        lost = find_lost_points(rows)
        if lost is not None:
            problem = f"at {utc(int(rows['timestamp'][lost.row]))} UTC {lost.words()}"
            raise DataError(source, problem, fix="fetch the row again")
    return rows


def check_grid(stamps: IntArray, anchor: int, bar: int, source: str) -> None:
    """Raises DataError at the first stamp that is not whole bars away from `anchor`."""
    beside = (stamps - anchor) % bar != 0
    if beside.any():
        at = utc(int(stamps[np.argmax(beside)]))
        problem = f"has a stamp off the grid of {duration(bar)} bars at {at} UTC, {int(beside.sum())} in all"
        raise DataError(source, problem, fix=f"the grid is that of the bar at {utc(anchor)} UTC")


def join_rows(kind: Kind, old: Rows, new: Rows, source: str, *, revise: bool) -> Joined:
    """Stored rows and new ones, both checked, as one set; raises DataError where they differ and `revise` is False."""
    came = len(new["timestamp"])
    if kind in SNAPSHOTS:
        new = _changed_snapshots(kind, old, new)
    if len(old["timestamp"]) == 0:
        return Joined(new, len(new["timestamp"]), came - len(new["timestamp"]), 0, old)
    again = np.isin(new["timestamp"], old["timestamp"])
    differs = _differing(kind, old, _chosen(new, again))
    if differs.size and not revise:
        fix = "find out which is right; --revise takes the new rows and keeps the old ones aside"
        raise DataError(source, _difference(kind, old, new, differs), fix=fix)
    gives_way = np.isin(old["timestamp"], differs)
    revised = np.isin(new["timestamp"], differs)
    enters = ~again | revised
    kept, entering = _chosen(old, ~gives_way), _chosen(new, enters)
    both = {name: np.concatenate((kept[name], entering[name])) for name in COLUMNS[kind]}
    known = came - int(enters.sum())
    return Joined(_sorted(kind, both), int((~again).sum()), known, int(revised.sum()), _chosen(old, gives_way))


def empty_rows(kind: Kind) -> Rows:
    """No rows of a kind."""
    return {name: np.zeros(0, dtype=_type_of(name)) for name in COLUMNS[kind]}


def stack_rows(kind: Kind, parts: list[Rows]) -> Rows:
    """Sets of rows that follow one another, as one."""
    if not parts:
        return empty_rows(kind)
    return {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS[kind]}


def between(rows: Rows, start: int | None, end: int | None) -> Rows:
    """The rows stamped at or after `start` and before `end`."""
    stamps = rows["timestamp"]
    first = 0 if start is None else int(np.searchsorted(stamps, start))
    last = len(stamps) if end is None else int(np.searchsorted(stamps, end))
    return {name: values[first : max(first, last)] for name, values in rows.items()}


def _typed(kind: Kind, columns: Mapping[str, Any], source: str) -> Rows:
    wanted = COLUMNS[kind]
    for name in columns:
        if name not in wanted:
            raise DataError(source, f'has no column "{name}"', fix=suggestion(name, wanted))
    rows: Rows = {}
    for name in wanted:
        if name not in columns and name != "touched":
            raise DataError(source, f'is handed no column "{name}"', fix=f"it needs {', '.join(wanted)}")
        values = np.asarray(columns[name]) if name in columns else np.zeros(len(rows["timestamp"]), dtype=np.bool_)
        rows[name] = _converted(name, values, source)
        if rows[name].shape != rows["timestamp"].shape or rows[name].ndim != 1:
            problem = f"column {name} has the shape {rows[name].shape}, timestamp has {rows['timestamp'].shape}"
            raise DataError(source, problem, fix="hand in one value for each row")
    stamps = rows["timestamp"]
    strange = (stamps < _EARLIEST) | (stamps > _LATEST)
    if strange.any():
        problem = f"has a stamp of {int(stamps[np.argmax(strange)])} ns, {int(strange.sum())} in all"
        raise DataError(source, problem, fix="stamps are UTC nanoseconds from 2009 to 2100")
    return rows


def _converted(name: str, values: Any, source: str) -> Any:
    if name == "timestamp" and values.dtype.kind == "M":
        values = values.astype("datetime64[ns]").astype(np.int64)
    allowed = {"timestamp": "iu", "touched": "b"}.get(name, "iuf")
    if values.size and values.dtype.kind not in allowed:
        wanted = {"timestamp": "UTC nanoseconds (int64)", "touched": "booleans"}.get(name, "numbers")
        raise DataError(source, f"column {name} is of type {values.dtype}", fix=f"hand in {wanted}")
    return values.astype(_type_of(name))


def _type_of(name: str) -> type:
    return {"timestamp": np.int64, "touched": np.bool_}.get(name, np.float64)


def _once(kind: Kind, rows: Rows, source: str, *, rounded: bool = False) -> Rows:
    """The rows in time order without repeats."""
    if rounded:
        rows = {**rows, "timestamp": to_minute(rows["timestamp"])}
    rows = _sorted(kind, rows)
    names = [name for name in ("timestamp", "floor") if name in rows]
    same = np.all([np.diff(rows[name]) == 0 for name in names], axis=0)
    if not same.any():
        return rows
    wrong = same & ~np.all([_equal(values[1:], values[:-1]) for values in rows.values()], axis=0)
    if wrong.any():
        row = int(np.argmax(wrong))
        problem = (
            f"is handed two different rows of {utc(int(rows['timestamp'][row]))} UTC, {int(wrong.sum())} such in all"
        )
        raise DataError(source, problem, fix="find out which is right and hand in that one")
    return _chosen(rows, np.insert(~same, 0, True))


def _check_figures(kind: Kind, rows: Rows, source: str) -> None:
    for name in COLUMNS[kind][1:]:
        values = rows[name]
        wrong = (values < 0) | np.isinf(values) | (np.isnan(values) & (name not in _OPEN))
        if name == "cap":
            wrong = values <= rows["floor"]
        if wrong.any():
            row = int(np.argmax(wrong))
            problem = f"column {name} has {values[row]:g} at {utc(int(rows['timestamp'][row]))} UTC"
            raise DataError(source, problem, fix="hand in the venue's figure")


def _changed_snapshots(kind: Kind, old: Rows, new: Rows) -> Rows:
    """The new snapshots that say something else than the one before them, stored or new, or contradict a stored one."""
    stored = {int(stamp): _chosen(old, old["timestamp"] == stamp) for stamp in np.unique(old["timestamp"])}
    kept = []
    for stamp in np.unique(new["timestamp"]):
        snapshot = _chosen(new, new["timestamp"] == stamp)
        before = max((known for known in stored if known < stamp), default=None)
        if int(stamp) in stored or before is None or not _same_figures(kind, stored[before], snapshot):
            stored.setdefault(int(stamp), snapshot)
            kept.append(snapshot)
    return stack_rows(kind, kept)


def _same_figures(kind: Kind, one: Rows, other: Rows) -> bool:
    names = COLUMNS[kind][1:]
    same_length = len(one["timestamp"]) == len(other["timestamp"])
    return same_length and all(bool(_equal(one[name], other[name]).all()) for name in names)


def _differing(kind: Kind, old: Rows, new: Rows) -> IntArray:
    """The stamps of both at which their rows are not the same."""
    if kind in SNAPSHOTS:
        stamps = [
            stamp
            for stamp in np.unique(new["timestamp"])
            if not _same_figures(kind, _chosen(old, old["timestamp"] == stamp), _chosen(new, new["timestamp"] == stamp))
        ]
        return np.array(stamps, dtype=np.int64)
    at = np.searchsorted(old["timestamp"], new["timestamp"])
    same = np.all([_equal(old[name][at], new[name]) for name in COLUMNS[kind]], axis=0)
    different: IntArray = new["timestamp"][~same]
    return different


def _difference(kind: Kind, old: Rows, new: Rows, stamps: IntArray) -> str:
    """The first difference in words."""
    stamp = int(stamps[0])
    one, other = (_chosen(rows, rows["timestamp"] == stamp) for rows in (old, new))
    said = f"holds other rows at {len(stamps):,} of the stamps that came, the first at {utc(stamp)} UTC"
    for name in COLUMNS[kind][1:]:
        if len(one[name]) == len(other[name]) and not _equal(one[name], other[name]).all():
            row = int(np.argmax(~_equal(one[name], other[name])))
            said += f": {name} is {one[name][row]:.12g} there and {other[name][row]:.12g} in what came"
            break
    return said


def _equal(one: Any, other: Any) -> BoolArray:
    same: BoolArray = (one == other) | ((one != one) & (other != other))
    return same


def _sorted(kind: Kind, rows: Rows) -> Rows:
    stamps = rows["timestamp"]
    if kind in SNAPSHOTS:
        return _chosen(rows, np.lexsort((rows[COLUMNS[kind][1]], stamps)))
    return rows if bool((np.diff(stamps) >= 0).all()) else _chosen(rows, np.argsort(stamps, kind="stable"))


def _chosen(rows: Rows, which: Any) -> Rows:
    return {name: values[which] for name, values in rows.items()}
