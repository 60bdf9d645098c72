"""Rows of an answer: the numbers of a page in the units of the project, refused where they are not what was asked."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from foundation.errors import DataError
from markets.candles import SECOND, BoolArray, utc
from markets.cleaning import CleaningParams, clean_candles
from markets.fetching.spans import Span
from markets.fetching.venues import Endpoint, Key
from markets.funding import Funding

Columns = dict[str, Any]
_EARLIEST = 1_230_768_000 * SECOND  # 2009-01-01
_LATEST = 4_102_444_800 * SECOND  # 2100-01-01
_UNITS = {"ms": 1_000_000, "s": SECOND}


def read_rows_of(where: str, endpoint: Endpoint, rows: list[Any], symbol: str, bar: int) -> Columns:
    """The rows of an answer as columns, in their order; stamps are those of the open, UTC nanoseconds.

    Raises DataError for rows of another symbol, cells that are no number, and stamps in another unit.
    """
    if endpoint.symbol is not None:
        for row in rows:
            if _cell(where, row, endpoint.symbol) != symbol:
                problem = f"was asked for {symbol} and answered for {_cell(where, row, endpoint.symbol)}"
                raise DataError(where, problem, fix="nothing of it was stored; try again later")
    columns: Columns = {}
    for name, key in endpoint.columns.items():
        cells = [_cell(where, row, key) for row in rows]
        columns[name] = _stamps(where, endpoint, cells) if name == "timestamp" else _numbers(where, name, cells)
    if endpoint.stamped_at == "close":
        columns["timestamp"] = columns["timestamp"] - bar
    return columns


def within(columns: Columns, span: Span) -> Columns:
    """The rows whose stamps lie in the span; venues add rows around it, which belong to other pages."""
    stamps = columns["timestamp"]
    return chosen(columns, (stamps >= span.start) & (stamps < span.end))


def chosen(columns: Columns, rows: BoolArray) -> Columns:
    """Some of the rows."""
    return {name: values[rows] for name, values in columns.items()}


def stacked(parts: list[Columns]) -> Columns:
    """Sets of rows as one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def checked(where: str, kind: str, columns: Columns, bar: int, cleaning: CleaningParams) -> Columns:
    """The rows in time order, each once, through the same checks as the rows of a file.

    A row that comes twice counts once, and is refused where the two differ. Gaps stay gaps: what lies between
    them is checked stretch by stretch. Raises DataError.
    """
    columns = _once(where, columns)
    if kind == "funding":
        rates = Funding(columns["timestamp"], columns["funding_rate"], where)
        return {"timestamp": rates.timestamp, "funding_rate": rates.rate}
    beside = columns["timestamp"] % bar != 0
    if beside.any():
        at = utc(int(columns["timestamp"][np.argmax(beside)]))
        problem = f"has a {kind} bar beside the grid, at {at} UTC, {int(beside.sum())} in all"
        raise DataError(where, problem, fix="nothing of it was stored; try another --bar")
    cuts = np.flatnonzero(np.diff(columns["timestamp"]) != bar) + 1
    edges = [0, *cuts.tolist(), len(columns["timestamp"])]
    runs = [
        clean_candles({name: values[first:last] for name, values in columns.items()}, cleaning, bar=bar, source=where)
        for first, last in pairwise(edges)
    ]
    return stacked([{**run.columns, "touched": run.touched} for run in runs])


def _once(where: str, columns: Columns) -> Columns:
    order = np.argsort(columns["timestamp"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    again = np.insert(np.diff(columns["timestamp"]) == 0, 0, False)
    if not again.any():
        return columns
    before = np.roll(again, -1)
    same = np.all([values[again] == values[before] for values in columns.values()], axis=0)
    if not same.all():
        at = utc(int(columns["timestamp"][again][np.argmin(same)]))
        raise DataError(where, f"has two different rows of {at} UTC", fix="nothing of it was stored; try again later")
    return chosen(columns, ~again)


def _cell(where: str, row: Any, key: Key) -> Any:
    try:
        return row[key]
    except (KeyError, IndexError, TypeError):
        raise DataError(where, f'has a row without "{key}": {str(row)[:100]}', fix="try again later") from None


def _numbers(where: str, name: str, cells: list[Any]) -> Any:
    try:
        return np.array([float(cell) for cell in cells], dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(where, f"has a {name} that is no number", fix="nothing of it was stored") from None


def _stamps(where: str, endpoint: Endpoint, cells: list[Any]) -> Any:
    try:
        if endpoint.stamp == "iso":
            texts = [str(cell).removesuffix("Z") for cell in cells]
            stamps = np.array(texts, dtype="datetime64[ns]").astype(np.int64)
        else:
            unit = _UNITS[endpoint.stamp]
            stamps = np.array([round(float(cell)) for cell in cells], dtype=np.int64)
            if stamps.size and int(np.abs(stamps).max()) >= _LATEST // unit:
                stamps = np.full(len(cells), _LATEST, dtype=np.int64)
            else:
                stamps = stamps * unit
    except (TypeError, ValueError, OverflowError):
        raise DataError(where, "has a stamp that is no time", fix="nothing of it was stored") from None
    strange = (stamps < _EARLIEST) | (stamps >= _LATEST)
    if strange.any():
        shown = cells[int(np.argmax(strange))]
        problem = f"has the stamp {shown}, which is no time from 2009 to 2100 in {endpoint.stamp}"
        raise DataError(where, problem, fix="the venue may have changed its unit; nothing was stored")
    return stamps
