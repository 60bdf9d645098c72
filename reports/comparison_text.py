"""The text of a comparison: its tables in lines that fit a terminal, and the curves of its runs in a few marks each."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from foundation.spark import spark_line
from markets.candles import FloatArray
from reports import formats
from reports.catalogue import too_short
from reports.comparison_tables import comparison_tables, metrics_table, settings_table
from reports.rolling import rolling_sharpe, shared_window
from reports.summary import Line, Summary
from reports.tables import Table
from reports.tracing import relative_growth

if TYPE_CHECKING:
    from reports.comparison import Comparison

# What a cell is cut to; the page and the JSON have it whole.
MOST_CELL = 40
NARROWEST = 60
SHORTEST_CURVE, LONGEST_CURVE = 8, 32


class _Grid(NamedTuple):
    """A table as text: the first cell of a row names it. `runs`: whether the other heads are names of runs."""

    caption: str
    heads: list[str]
    rows: list[list[str]]
    runs: bool


def comparison_summary(comparison: Comparison, width: int) -> Summary:
    """All of a comparison in lines of at most `width` characters (60 at the least).

    Where the names of the runs make a table too wide, letters stand for them in the heads of all tables, and what is
    still too wide goes on below.
    """
    width, names = max(width, NARROWEST), list(comparison.runs)
    grids = [_grid(table, names) for table in _tables(comparison)]
    fits = all(_width(grid.heads, grid.rows) <= width for grid in grids)
    keys = dict(zip(names, names if fits else _letters(len(names)), strict=True))
    lines = [Line("figure", part) for one in comparison.played for part in textwrap.wrap(one, width)]
    if not fits:
        lines += [
            Line("figure", ""),
            Line("head", "Runs"),
            *(Line("figure", f"{keys[name]}  {name}") for name in names),
        ]
    for grid in grids:
        lines += _laid(_keyed(grid, keys, plain=fits), width)
    if comparison.differences.empty:
        lines += [Line("figure", ""), Line("figure", "settings: the same")]
    lines += _curves(comparison, keys, width)
    if comparison.warnings:
        lines.append(Line("figure", ""))
    for warning in comparison.warnings:
        lines += [Line("note", part) for part in textwrap.wrap(f"note: {warning}", width)]
    return Summary(tuple(lines if lines[0].text else lines[1:]))


def _tables(comparison: Comparison) -> Iterator[Table]:
    yield metrics_table(comparison)
    if not comparison.differences.empty:
        yield settings_table(comparison)
    yield from comparison_tables(comparison)


def _grid(table: Table, names: Sequence[str]) -> _Grid:
    heads = [str(head) for head in table.heads]
    rows = [[_cut(cell.text) for cell in row] for row in table.rows]
    return _Grid(table.caption, heads, rows, heads[1:] == list(names))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CELL else f"{text[: MOST_CELL - 1]}…"


def _letters(count: int) -> list[str]:
    """A, B, ... Z, AA, AB, ..."""
    singles = list(ascii_uppercase)
    pairs = [first + second for first in singles for second in singles]
    return [*singles, *pairs][:count] if count <= 702 else [f"#{number}" for number in range(1, count + 1)]


def _keyed(grid: _Grid, keys: dict[str, str], *, plain: bool) -> _Grid:
    """The table with letters for the names of runs in its heads, and before them where they name a row."""
    if plain:
        return grid
    heads = [grid.heads[0], *(keys[head] for head in grid.heads[1:])] if grid.runs else grid.heads
    rows = [[f"{keys[row[0]]}  {row[0]}" if row[0] in keys else row[0], *row[1:]] for row in grid.rows]
    return grid._replace(heads=heads, rows=rows)


def _laid(grid: _Grid, width: int) -> list[Line]:
    """The lines of a table: its caption, then as many columns as fit, then the others below."""
    lines = [Line("figure", ""), *(Line("head", part) for part in textwrap.wrap(grid.caption, width))]
    at, spaced = 1, len(lines)
    while at < len(grid.heads):
        end = at + 1
        while end < len(grid.heads) and _width(*_columns(grid, at, end + 1)) <= width:
            end += 1
        heads, rows = _columns(grid, at, end)
        lines += [Line("figure", ""), *(Line("figure", text) for text in _set(heads, rows))]
        at = end
    del lines[spaced]
    return lines


def _columns(grid: _Grid, first: int, last: int) -> tuple[list[str], list[list[str]]]:
    rows = [[row[0], *row[first:last]] for row in grid.rows]
    return [grid.heads[0], *grid.heads[first:last]], rows


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[at]) for row in [heads, *rows]) for at in range(len(heads))]


def _width(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return sum(_widths(heads, rows)) + 2 * (len(heads) - 1)


def _set(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns of text, the first set to the left, the others to the right."""
    widths = _widths(heads, rows)
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in [heads, *rows]
    ]


def _curves(comparison: Comparison, keys: dict[str, str], width: int) -> list[Line]:
    """The curves of the runs below one another, each kind on one scale for all of them."""
    curves = comparison.curves
    first, bars = next(iter(curves.values())), shared_window(curves)
    days = bars * first.bar / 86_400e9
    kinds: list[tuple[str, Callable[[str], FloatArray]]] = [
        ("equity", lambda name: curves[name].equity),
        ("drawdown", lambda name: -curves[name].drawdown),
        (f"over {next(iter(keys.values()))}", lambda name: relative_growth(first, curves[name])[1]),
    ]
    if not too_short(days):
        told = f"Sharpe, {formats.decimal(days, digits=0)} days"
        kinds.append((told, lambda name: rolling_sharpe(curves[name], bars)[1]))
    label = max(len(key) for key in keys.values())
    room = min(LONGEST_CURVE, max(SHORTEST_CURVE, (width - label) // len(kinds) - 2))
    lines = [Line("figure", ""), Line("head", "Curves, each kind on one scale")]
    lines.append(Line("figure", "  ".join([" " * label, *(_fitted(name, room) for name, _ in kinds)]).rstrip()))
    spans = [_span([value(name) for name in curves]) for _, value in kinds]
    for name, key in keys.items():
        drawn = [_spark(value(name), room, span) for (_, value), span in zip(kinds, spans, strict=True)]
        lines.append(Line("spark", "  ".join([key.ljust(label), *drawn]).rstrip()))
    return lines


def _fitted(text: str, room: int) -> str:
    return (text if len(text) <= room else f"{text[: room - 1]}…").ljust(room)


def _span(curves: Sequence[FloatArray]) -> tuple[float, float]:
    """The least and the largest value of some curves."""
    known = np.concatenate(curves)
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def _spark(values: FloatArray, room: int, span: tuple[float, float]) -> str:
    """A curve on the scale of a span; equal steps mean equal growth where the span is tenfold and above zero."""
    low, high = span
    if low > 0.0 and high >= 10.0 * low:
        values, span = np.log(values), (math.log(low), math.log(high))
    return spark_line(values.tolist(), room, span).ljust(room)
