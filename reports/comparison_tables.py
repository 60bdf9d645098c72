"""Tables of a comparison: paired differences, correlation of returns, overlap of positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports import formats
from reports.catalogue import CATALOGUE, COMPARED, TOO_SHORT, YEARLY, too_short
from reports.paired import Difference
from reports.tables import Cell, Table, side_by_side

if TYPE_CHECKING:
    from reports.comparison import Comparison

_PAIRED = ("sharpe", "cagr", "max_drawdown")


def comparison_tables(comparison: Comparison) -> list[Table]:
    """All of them, of those that these runs have."""
    paired = difference_table(comparison)
    return [*([paired] if paired is not None else []), *likeness_tables(comparison)]


def metrics_table(comparison: Comparison) -> Table:
    """The metrics of the runs side by side, the rung of the verdict that their folders keep first."""
    figures = {name: {"rung": run.rung, **run.metrics} for name, run in comparison.runs.items()}
    return side_by_side(figures, f"Metrics, money in {comparison.currency}", COMPARED)


def settings_table(comparison: Comparison) -> Table:
    """The settings in which the runs differ."""
    names, changed = list(comparison.runs), comparison.differences
    rows = [
        [Cell(str(key)), *map(Cell, map(str, values))]
        for key, values in zip(changed.index, changed.to_numpy(), strict=True)
    ]
    return Table("Settings that differ", ["", *names], rows, frozenset(range(len(names) + 1)))


def likeness_tables(comparison: Comparison) -> list[Table]:
    """How alike the runs are, run against run."""
    found = [
        _square(comparison.correlation, "Correlation of returns on the bars that all played", formats.ratio),
        _square(comparison.overlap, "Bars held alike, of the bars on which either holds", _percent),
        _square(comparison.entries, "Entries of a row that the column made too", _percent),
    ]
    return [table for table in found if table is not None]


def difference_table(comparison: Comparison) -> Table | None:
    """What each run has more than the first, the range of that, and a star where zero lies outside of it."""
    if not comparison.paired:
        return None
    first = next(iter(comparison.runs))
    heads = ["", *(head for name in _PAIRED for head in (CATALOGUE[name].label, "95 % range"))]
    rows, short = [], any(too_short(run.metrics.get("days")) for run in comparison.runs.values())
    for name, found in comparison.paired.items():
        cells = []
        for figure in _PAIRED:
            left_out = short and figure in YEARLY
            cells += [Cell(TOO_SHORT), Cell("")] if left_out else _difference(figure, getattr(found, figure))
        rows.append([Cell(name), *cells])
    said = "in percentage points (pp) where it is one of percentages; a star where zero is outside the range"
    caption = f"Difference from {first} over the bars that all played, {said}"
    return Table(caption, heads, rows)


def _difference(figure: str, found: Difference) -> list[Cell]:
    write = formats.ratio if figure == "sharpe" else formats.points
    better = -found.value if figure == "max_drawdown" else found.value
    tone = "" if not found.clear else "gain" if better > 0.0 else "loss"
    star = "*" if found.clear else ""
    return [Cell(write(found.value) + star, tone), Cell(f"{write(found.range.low)} to {write(found.range.high)}")]


def _square(values: pd.DataFrame, caption: str, write: Callable[[Any], str]) -> Table | None:
    """A square table of runs against runs, shaded by size; None where all of it is undefined."""
    figures = values.to_numpy(dtype=np.float64)
    if not np.isfinite(figures).any():
        return None
    rows = [
        [Cell(str(name)), *(_shaded(float(value), write) for value in row)]
        for name, row in zip(values.index, figures, strict=True)
    ]
    return Table(caption, ["", *map(str, values.columns)], rows)


def _shaded(value: float, write: Callable[[Any], str]) -> Cell:
    if not np.isfinite(value):
        return Cell(formats.NONE)
    heat = round(100 * abs(value))
    return Cell(write(value), ("gain" if value > 0.0 else "loss") if heat else "", heat)


def _percent(value: float) -> str:
    return formats.percent(value, decimals=0)
