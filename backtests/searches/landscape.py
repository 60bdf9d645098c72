"""Landscape: the Sharpe ratios of a grid seen as a whole: plateaus, and what each value does on its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from backtests.searches.grids import Grid
from markets.candles import FloatArray


def plateau(values: FloatArray, shape: tuple[int, ...], runs: Sequence[Sequence[int]] | None = None) -> FloatArray:
    """The worst value among each cell of a grid and its neighbours, corners included; NaN where one has none.

    `runs`: for each axis how long the runs of values are that are neighbours of one another; by default all are.
    """
    cells = np.where(np.isnan(values), -np.inf, values).reshape(shape)
    for axis, size in enumerate(shape):
        along = (size,) if runs is None else runs[axis]
        if len(along) == size:
            continue
        parts = [_worst_along(part, axis) for part in np.split(cells, np.cumsum(along)[:-1], axis)]
        cells = parts[0] if len(parts) == 1 else np.concatenate(parts, axis)
    return np.where(np.isneginf(cells), np.nan, cells).ravel()


def _worst_along(cells: FloatArray, axis: int) -> FloatArray:
    """The smallest of each cell and the two beside it on an axis."""
    edge = [(1, 1) if one == axis else (0, 0) for one in range(cells.ndim)]
    wide = np.moveaxis(np.pad(cells, edge, mode="edge"), axis, 0)
    worst: FloatArray = np.moveaxis(np.minimum(np.minimum(wide[:-2], wide[1:-1]), wide[2:]), 0, axis)
    return worst


def grid_plateau(grid: Grid, values: FloatArray) -> FloatArray:
    """The plateau of a grid's values; words, such as a way of sizing, and other units have no neighbours."""
    return plateau(values, grid.shape, list(grid.runs.values()))


def at_edges(grid: Grid, values: FloatArray, number: int) -> list[str]:
    """The axes at whose end a setting stands, while the value beside it there comes to something else.

    "off" is no end that could be moved.
    """
    found, cells = [], values.reshape(grid.shape)
    at = tuple(int(row[0]) for row in grid.columns(np.array([number])).values())
    for axis, (name, runs) in enumerate(grid.runs.items()):
        ends = np.cumsum((0, *runs))
        run = int(np.searchsorted(ends, at[axis], "right")) - 1
        first, last = int(ends[run]), int(ends[run + 1]) - 1
        if first == last or at[axis] not in (first, last) or grid.parsed[name][at[axis]] is None:
            continue
        inner = at[axis] + (1 if at[axis] == first else -1)
        if cells[at] != cells[(*at[:axis], inner, *at[axis + 1 :])]:
            found.append(name)
    return found


def effects(grid: Grid, values: FloatArray) -> pd.DataFrame:
    """What each value of each axis does on its own: the median, worst and best over all else; NaN where none is."""
    cells, rows = values.reshape(grid.shape), []
    for axis, (name, written) in enumerate(grid.axes.items()):
        sheets = np.moveaxis(cells, axis, 0)
        for value, sheet in zip(written, sheets, strict=True):
            known = sheet[~np.isnan(sheet)]
            three = (np.median(known), known.min(), known.max()) if known.size else (np.nan, np.nan, np.nan)
            rows.append((name, value, *map(float, three)))
    return pd.DataFrame(rows, columns=["axis", "value", "median", "worst", "best"])


def idle_axes(grid: Grid, values: FloatArray) -> list[str]:
    """The axes that change nothing: settings that differ in one of them alone have equal values, everywhere."""
    cells = values.reshape(grid.shape)
    firsts = ((name, np.take(cells, [0], axis)) for axis, name in enumerate(grid.axes))
    wide = [name for name, size in zip(grid.axes, grid.shape, strict=True) if size > 1]
    return [name for name, first in firsts if name in wide and _equal(cells, first)]


def _equal(cells: FloatArray, first: FloatArray) -> bool:
    return bool(((cells == first) | (np.isnan(cells) & np.isnan(first))).all())


def best_numbers(values: FloatArray, count: int, then: FloatArray | None = None) -> np.ndarray:
    """The numbers of the highest values, the highest first, those that are NaN never.

    Equal ones come in the order of the values `then`, the highest first, and of their numbers.
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) > count:
        least = np.partition(values[known], len(known) - count)[len(known) - count]
        known = known[values[known] >= least]
    second = np.zeros(len(known)) if then is None else -np.nan_to_num(then[known], nan=-np.inf)
    return known[np.lexsort((second, -values[known]))][:count]
