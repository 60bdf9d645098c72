"""Damage that leaves every cell a number: lost decimal points, repeated stretches, exchanged columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from markets.candles import FloatArray, IntArray, duration, opens_beside, utc
from markets.decimal_points import find_lost_points
from markets.quality import order_of, time_order
from markets.readers.reading import Defect, Reading
from markets.readers.stamps import common_step

_PRICES = ("open", "high", "low", "close")
# The fewest steps from bar to bar that tell columns apart.
_ENOUGH = 20
_REFETCH = "fetch the file anew and keep it away from spreadsheets"


def find_defects(reading: Reading) -> list[Defect]:
    """All damage for which a file is refused: what its reader noticed and what its bars give away, gravest first."""
    if reading.kind == "funding":
        return list(reading.defects)
    return [*find_damage(reading.columns, reading.place), *reading.defects, *_beside_the_hour(reading)]


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def find_damage(columns: Mapping[str, Any], place: Callable[[int], str]) -> list[Defect]:
    """The damage of a table of bars that no single cell gives away; `place` names a row in its file.

    For lost decimal points see `find_lost_points`. Rows count as repeated where two or more in a row equal, in
    every price and the volume, rows at other times; flat bars and bars without volume do not count.
    Open and close count as exchanged where the closes continue the opens before them instead of
    the other way round; volume and low, or high, where the volumes run along the closes, more evenly than they.
    """
    found = _lost_points(columns, place)
    if "volume" in columns and not found:
        found += _repeated(columns, place) or _priced_volumes(columns)
    return found or _exchanged(columns)


def _beside_the_hour(reading: Reading) -> list[Defect]:
    """Bars that mostly open beside the full hours (or minutes, ...) of UTC: closes read as opens, or another clock."""
    stamps: IntArray = reading.columns["timestamp"]
    problem = opens_beside(stamps, common_step(stamps[:1000]))
    fix = "say --stamps close if they stand at their closes, or the clock, such as --utc-offset 5.5"
    return [] if problem is None else [Defect("clock", problem, fix, len(stamps))]


def _lost_points(columns: Mapping[str, Any], place: Callable[[int], str]) -> list[Defect]:
    lost = find_lost_points(columns)
    if lost is None:
        return []
    return [Defect("lost decimal points", f"{place(lost.row)}: {lost.words()}", _REFETCH, lost.rows)]


def _repeated(columns: Mapping[str, Any], place: Callable[[int], str]) -> list[Defect]:
    stamps: IntArray = columns["timestamp"]
    volume: FloatArray = columns["volume"]
    rows = time_order(stamps, order_of(stamps))
    by_volume = rows[np.argsort(volume[rows], kind="stable")]
    one, other = by_volume[:-1], by_volume[1:]
    same = (volume[one] == volume[other]) & (volume[one] > 0) & (stamps[one] != stamps[other])
    one, other = one[same], other[same]
    for name in _PRICES:
        equal = columns[name][one] == columns[name][other]
        one, other = one[equal], other[equal]
    moved = columns["high"][other] > columns["low"][other]
    one, other = one[moved], other[moved]
    if len(one) < 2:
        return []
    later = np.argsort(stamps[other], kind="stable")
    one, other = one[later], other[later]
    lag = stamps[other] - stamps[one]
    position = np.empty(len(rows), dtype=np.int64)
    position[rows] = np.arange(len(rows))
    follows = (np.diff(lag) == 0) & (np.diff(position[other]) == 1)
    in_run = np.append(follows, False) | np.insert(follows, 0, False)
    if not in_run.any():
        return []
    first = int(np.argmax(in_run))
    row, source, total = int(other[first]), int(one[first]), int(in_run.sum())
    problem = (
        f"{place(row)}: the bar of {utc(stamps[row])} repeats that of {utc(stamps[source])} ({place(source)}) in every "
        f"price and volume, {duration(int(lag[first]))} apart ({total:,} rows so)"
    )
    return [Defect("repeated rows", problem, _REFETCH, total)]


def _priced_volumes(columns: Mapping[str, Any]) -> list[Defect]:
    """Volumes that are lows or highs: within e^0.25 of the closes, at a third of that column's steps or less."""
    stamps: IntArray = columns["timestamp"]
    rows = time_order(stamps, order_of(stamps))
    volume = np.log(columns["volume"][rows])
    beside = np.abs(volume - np.log(columns["close"][rows]))
    beside = beside[np.isfinite(beside)]
    if len(beside) < _ENOUGH or np.median(beside) >= 0.25:
        return []
    for name in ("low", "high"):
        even, wild = np.abs(np.diff(volume)), np.abs(np.diff(np.log(columns[name][rows])))
        known = np.isfinite(even) & np.isfinite(wild) & (even != wild)
        if np.count_nonzero(known) >= _ENOUGH and np.median(even[known]) * 3 < np.median(wild[known]):
            problem = f"its volumes run along its closes and its {name}s do not: they stand in each other's columns"
            return [Defect("exchanged columns", problem, "check the header", len(stamps))]
    return []


def _exchanged(columns: Mapping[str, Any]) -> list[Defect]:
    stamps: IntArray = columns["timestamp"]
    rows = time_order(stamps, order_of(stamps))
    opens, closes = columns["open"][rows], columns["close"][rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        onward = np.abs(np.log(opens[1:] / closes[:-1]))
        crosswise = np.abs(np.log(closes[1:] / opens[:-1]))
    known = np.isfinite(onward) & np.isfinite(crosswise) & (onward != crosswise)
    if np.count_nonzero(known) < _ENOUGH:
        return []
    ahead, across = float(np.median(onward[known])), float(np.median(crosswise[known]))
    if across * 3 >= ahead:
        return []
    problem = (
        f"its closes continue the opens before them ({across:.2g} apart) better than its opens the closes "
        f"({ahead:.2g}): open and close stand in each other's columns, or time runs backwards"
    )
    return [Defect("exchanged columns", problem, "check the header and the stamps", len(stamps))]
