"""Landscape: the Sharpe ratios of a grid seen as a whole: plateaus, and what each value does on its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from backtests.grids import Grid, ordered
from markets.candles import FloatArray


def plateau(values: FloatArray, shape: tuple[int, ...], along: Sequence[bool] | None = None) -> FloatArray:
    """The worst value among each cell of a grid and its neighbours, corners included; NaN where one has none.

    `along`: for each axis whether its values have neighbours; by default all have.
    """
    cells = np.where(np.isnan(values), -np.inf, values).reshape(shape)
    for axis in range(cells.ndim):
        if along is not None and not along[axis]:
            continue
        edge = [(1, 1) if one == axis else (0, 0) for one in range(cells.ndim)]
        wide = np.moveaxis(np.pad(cells, edge, mode="edge"), axis, 0)
        cells = np.moveaxis(np.minimum(np.minimum(wide[:-2], wide[1:-1]), wide[2:]), 0, axis)
    return np.where(np.isneginf(cells), np.nan, cells).ravel()


def grid_plateau(grid: Grid, values: FloatArray) -> FloatArray:
    """The plateau of a grid's values; words, such as a way of sizing, have no neighbours."""
    return plateau(values, grid.shape, [ordered(values) for values in grid.parsed.values()])


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


def best_numbers(values: FloatArray, count: int) -> np.ndarray:
    """The numbers of the highest values, the highest first, equal ones by number; those that are NaN never."""
    known = np.flatnonzero(~np.isnan(values))
    if len(known) > count:
        least = np.partition(values[known], len(known) - count)[len(known) - count]
        known = known[values[known] >= least]
    return known[np.argsort(-values[known], kind="stable")][:count]
