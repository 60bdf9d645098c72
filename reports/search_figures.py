"""Figures of searches: what each value does on its own, and settings as lines over all parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from markets.candles import FloatArray
from reports.figures import Sheet
from reports.heat_maps import HeatMap, label
from reports.palette import LIGHT

MOST_TICKS, MOST_HEADS = 6, 12


def draw_effects(effects: pd.DataFrame, runs: Mapping[str, Sequence[int]], sheet: Sheet) -> Figure:
    """For each parameter a panel: at each value the median Sharpe ratio over all else, and the range it lies in.

    `runs`: for each parameter how long the runs of values are that are neighbours; a line joins those alone.
    """
    names = list(dict.fromkeys(effects["axis"]))
    columns = min(len(names), 3 if sheet.width > 600 else 1)
    rows = -(-len(names) // columns)
    sheet = replace(sheet, height=rows * 190.0 + 10.0)
    figure = sheet.figure()
    low, high = float(np.nanmin(effects["worst"])), float(np.nanmax(effects["best"]))
    room = 0.06 * ((high - low) or 1.0)
    for number, name in enumerate(names):
        axes = _cell(figure, sheet, number, rows, columns)
        axes.set_ylim(low - room, high + room)
        _draw_effect(axes, effects[effects["axis"] == name], runs[name], sheet)
        axes.set_title(label(name), loc="left", fontsize=sheet.text, color=LIGHT["ink"], pad=7)
        if number % columns:
            axes.tick_params(labelleft=False)
    return figure


def _draw_effect(axes: Axes, own: pd.DataFrame, runs: Sequence[int], sheet: Sheet) -> None:
    at = np.arange(len(own))
    worst, best, median = (own[name].to_numpy(np.float64) for name in ("worst", "best", "median"))
    axes.axhline(0.0, color=LIGHT["muted"], linewidth=0.8, zorder=1)
    if len(own) > 30:
        axes.fill_between(at, worst, best, color=LIGHT["first"], alpha=0.25, linewidth=0, zorder=2)
    else:
        axes.vlines(at, worst, best, color=LIGHT["first"], alpha=0.45, linewidth=5.0, zorder=2)
    marker = "o" if len(own) <= 30 or len(runs) > 1 else ""
    for part in np.split(at, np.cumsum(runs)[:-1]):
        axes.plot(part, median[part], color=LIGHT["run"], linewidth=1.8, marker=marker, markersize=4.5, zorder=3)
    axes.set_xlim(-0.6, len(own) - 0.4)
    ticks = at[:: -(-len(own) // MOST_TICKS)]
    axes.set_xticks(ticks, [str(own["value"].iloc[tick]) for tick in ticks], fontsize=sheet.text * 0.92)


def draw_map(one: HeatMap, sheet: Sheet, title: str) -> Figure:
    """A heat map as a picture: cells in the colour of their plateau, with its value where there is room."""
    figure = sheet.figure(title)
    left, foot = 8.0 * sheet.text / sheet.width, 4.2 * sheet.text / sheet.height
    axes = figure.add_axes((left, foot, 0.97 - left, 1.0 - 5.5 * sheet.text / sheet.height - foot), facecolor="none")
    for side in axes.spines.values():
        side.set_visible(False)
    for row, (_, cells) in enumerate(one.rows):
        for column, cell in enumerate(cells):
            colour = LIGHT["run"] if cell.tone == "above" else LIGHT["second"]
            strength = 0.0 if cell.tone == "none" else 0.06 + 0.5 * cell.heat / 100.0
            axes.add_patch(
                Rectangle((column - 0.47, row - 0.46), 0.94, 0.92, color=colour, alpha=strength, linewidth=0)
            )
            if cell.chosen:
                corner = (column - 0.46, row - 0.45)
                axes.add_patch(Rectangle(corner, 0.92, 0.9, fill=False, edgecolor=LIGHT["ink"], linewidth=2.0))
            if len(cells) <= 16:
                axes.text(
                    column, row, cell.text, ha="center", va="center", fontsize=sheet.text * 0.9, color=LIGHT["ink"]
                )
    axes.set_xlim(-0.5, len(one.heads) - 0.5)
    axes.set_ylim(len(one.rows) - 0.5, -0.5)
    shown = range(0, len(one.heads), -(-len(one.heads) // MOST_HEADS))
    axes.set_xticks(shown, [one.heads[at] for at in shown])
    axes.set_yticks(range(len(one.rows)), [name for name, _ in one.rows])
    axes.tick_params(length=0, labelsize=sheet.text * 0.85, labelcolor=LIGHT["muted"])
    axes.set_xlabel(one.across, fontsize=sheet.text, color=LIGHT["ink"], labelpad=6)
    axes.set_ylabel(one.down, fontsize=sheet.text, color=LIGHT["ink"], labelpad=6)
    return figure


def _cell(figure: Figure, sheet: Sheet, number: int, rows: int, columns: int) -> Axes:
    """Axes in the cell of a table of panels."""
    row, column = divmod(number, columns)
    left, gap = 3.6 * sheet.text / sheet.width, 1.8 * sheet.text / sheet.width
    width = (1.0 - left - gap * columns) / columns
    height, foot, head = 1.0 / rows, 2.4 * sheet.text / sheet.height, 2.2 * sheet.text / sheet.height
    bottom = 1.0 - (row + 1) * height + foot
    axes = figure.add_axes((left + column * (width + gap), bottom, width, height - foot - head), facecolor="none")
    for side in axes.spines.values():
        side.set_visible(False)
    axes.grid(axis="y", color=LIGHT["rule"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(length=0, labelsize=sheet.text * 0.92, labelcolor=LIGHT["muted"], pad=5)
    return axes


def draw_parallel(
    columns: Sequence[tuple[str, FloatArray, Sequence[tuple[float, str]]]], best: int, sheet: Sheet
) -> Figure:
    """Settings as lines over upright axes, one a column: its name, a place from 0 to 1 for each setting, its ticks.

    The first `best` settings are drawn on top in the colour of the run, the very first one broad.
    """
    figure = sheet.figure()
    left = 3.4 * sheet.text / sheet.width
    # Names of neighbours stand one above another, in three rows where they are close.
    tiers = 2 if sheet.width > 80.0 * len(columns) else 3
    foot, head = 1.2 * sheet.text / sheet.height, (0.7 + 1.25 * tiers) * sheet.text / sheet.height
    axes = figure.add_axes((left, foot, 1.0 - 2.0 * left, 1.0 - foot - head), facecolor="none")
    axes.set_axis_off()
    axes.set_xlim(0.0, max(len(columns) - 1, 1))
    axes.set_ylim(-0.03, 1.03)
    places = np.column_stack([one for _, one, _ in columns])
    lines = np.stack([np.broadcast_to(np.arange(len(columns)), places.shape), places], axis=-1).astype(np.float64)
    whole = np.asarray(~np.isnan(places).any(axis=1))
    groups: list[tuple[Any, dict[str, Any]]] = [
        (lines[best:][whole[best:]], {"color": LIGHT["first"], "linewidth": 0.7, "alpha": 0.35}),
        (lines[1:best][whole[1:best]], {"color": LIGHT["run"], "linewidth": 1.1, "alpha": 0.7}),
        (lines[:1][whole[:1]], {"color": LIGHT["run"], "linewidth": 3.0}),
    ]
    for zorder, (group, style) in enumerate(groups, 2):
        axes.add_collection(LineCollection(list(group), zorder=zorder, **style))
    for number, (name, _, ticks) in enumerate(columns):
        axes.axvline(number, 0.03 / 1.06, 1.03 / 1.06, color=LIGHT["muted"], linewidth=0.9, zorder=1)
        last = number == len(columns) - 1
        axes.annotate(
            name, (number, 1.03), xytext=(0, 12 + (number % tiers) * sheet.text * 1.25), textcoords="offset points",
            ha="right" if last else "left" if number == 0 else "center", fontsize=sheet.text, color=LIGHT["ink"],
        )  # fmt: skip
        for place, text in ticks:
            axes.annotate(
                text, (number, place), xytext=(5, 0), textcoords="offset points", ha="left",
                va="center", fontsize=sheet.text * 0.85, color=LIGHT["muted"], zorder=9,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": LIGHT["paper"], "edgecolor": "none", "alpha": 0.8},
            )  # fmt: skip
    return figure
