"""Heat maps: two parameters of a sweep against each other, each cell with the worst of its neighbourhood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from backtests.searches.landscape import best_numbers
from backtests.searches.sweeps import Sweep
from markets.candles import FloatArray, IntArray
from reports import formats

# More rows or columns than this are joined, and the worst of what is joined stands for it.
MOST_CELLS = 24
# Up to so many columns a cell shows the setting's own ratio too.
ROOMY = 11


@dataclass(frozen=True)
class HeatCell:
    """A cell: the plateau as text, its own Sharpe ratio, the strength of its colour from 0 to 100, its sign."""

    text: str
    own: str
    heat: int
    tone: str
    chosen: bool
    title: str


@dataclass(frozen=True)
class HeatMap:
    """A map: `down` and `across` name its parameters; a row is the value's name and its cells. `held`: all else.

    `roomy`: cells have room for figures. `joined`: a row or column stands for several values, from the one it names up
    to the next.
    """

    name: str
    down: str
    across: str
    heads: list[str]
    rows: list[tuple[str, list[HeatCell]]]
    held: str
    roomy: bool
    joined: bool


def label(name: str) -> str:
    """A parameter, by `table.key`, as people read it."""
    return formats.words(name.partition(".")[2])


def chosen_number(found: Sweep) -> int:
    """The setting that the maps go through: the chosen one, else the best Sharpe ratio, else the first."""
    if found.chosen is not None:
        return found.chosen
    best = best_numbers(found.sharpe, 1)
    return int(best[0]) if len(best) else 0


def heat_maps(found: Sweep) -> list[HeatMap]:
    """The maps of the four parameters that matter most, two by two; all else as in the best setting by plateau."""
    spread = found.effects.groupby("axis", sort=False)["median"].agg(lambda one: float(one.max() - one.min()))
    varied = [name for name, values in found.grid.axes.items() if len(values) > 1]
    ranked = sorted(varied, key=lambda name: -np.nan_to_num(float(spread[name]), nan=-1.0))[:4]
    pairs = list(combinations(ranked, 2))
    scale = float(np.nanmax(np.abs(found.plateau), initial=0.0)) or 1.0
    return [_map(found, pair, f"map{number}", scale) for number, pair in enumerate(pairs)]


def _map(found: Sweep, pair: tuple[str, str], name: str, scale: float) -> HeatMap:
    grid, center = found.grid, np.array([chosen_number(found)])
    at = {axis: int(row[0]) for axis, row in grid.columns(center).items()}
    down, across = sorted(pair, key=lambda axis: -len(grid.axes[axis]))
    first, second = (np.arange(len(grid.axes[axis])) for axis in (down, across))
    rows = [np.broadcast_to(at[axis], (len(first), len(second))) for axis in grid.axes]
    order = list(grid.axes)
    rows[order.index(down)] = np.broadcast_to(first[:, None], (len(first), len(second)))
    rows[order.index(across)] = np.broadcast_to(second[None, :], (len(first), len(second)))
    numbers = np.ravel_multi_index(tuple(rows), grid.shape)
    sides, tops = _joined(len(first)), _joined(len(second))
    others = [f"{label(axis)} {grid.axes[axis][at[axis]]}" for axis in order if axis not in (down, across)]
    held = f"with {', '.join(others)}" if others else ""
    heads = [str(grid.axes[across][int(part[0])]) for part in tops]
    lines = []
    for side in sides:
        cells = []
        for top in tops:
            place = f"{label(down)} {_range(grid.axes[down], side)}, {label(across)} {_range(grid.axes[across], top)}"
            cells.append(_cell(found, numbers[np.ix_(side, top)], int(center[0]), scale, place))
        lines.append((str(grid.axes[down][int(side[0])]), cells))
    joined = len(first) > MOST_CELLS or len(second) > MOST_CELLS
    return HeatMap(name, label(down), label(across), heads, lines, held, len(heads) <= ROOMY, joined)


def _joined(count: int) -> list[IntArray]:
    return list(np.array_split(np.arange(count), min(count, MOST_CELLS)))


def _range(values: Any, part: IntArray) -> str:
    first, last = values[int(part[0])], values[int(part[-1])]
    return f"{first}" if len(part) == 1 else f"{first} to {last}"


def _cell(found: Sweep, numbers: IntArray, center: int, scale: float, place: str) -> HeatCell:
    level, own = _worst(found.plateau[numbers]), _worst(found.sharpe[numbers])
    heat = 0 if math.isnan(level) else round(100 * min(abs(level) / scale, 1.0))
    tone = "none" if math.isnan(level) else "above" if level >= 0.0 else "below"
    title = f"{place}: plateau {formats.ratio(level)}, Sharpe {formats.ratio(own)}"
    return HeatCell(formats.ratio(level), formats.ratio(own), heat, tone, bool((numbers == center).any()), title)


def _worst(values: FloatArray) -> float:
    return float(values.min()) if not np.isnan(values).any() else math.nan
