"""Figures of tunings: trials against their goals, the Pareto front, and what each parameter explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from markets.candles import BoolArray, FloatArray
from reports.catalogue import CATALOGUE
from reports.figures import Sheet
from reports.heat_maps import label
from reports.palette import LIGHT


def draw_trials(
    across: FloatArray, up: FloatArray, kept: BoolArray, front: Sequence[int], labels: tuple[str, str], sheet: Sheet
) -> Figure:
    """Trials as dots, those that broke a constraint as crosses, and the rows of the `front` joined by a line.

    `labels`: metrics on both axes; an empty one is the number of the trial.
    """
    figure = sheet.figure()
    axes = _panel(figure, sheet, 6.0 * sheet.text / sheet.width)
    axes.scatter(
        across[~kept], up[~kept], s=26, marker="x", linewidths=1.3, color=LIGHT["second"], alpha=0.85, zorder=2
    )
    axes.scatter(across[kept], up[kept], s=15, color=LIGHT["first"], alpha=0.55, linewidths=0, zorder=3)
    rows = np.array(front, dtype=np.int64)
    if labels[0]:
        rows = rows[np.argsort(across[rows], kind="stable")]
    axes.plot(
        across[rows],
        up[rows],
        color=LIGHT["run"],
        linewidth=1.6,
        zorder=4,
        drawstyle="default" if labels[0] else "steps-post",
    )
    axes.scatter(across[rows], up[rows], s=38, color=LIGHT["run"], linewidths=0, zorder=5)
    for axis, name in ((axes.xaxis, labels[0]), (axes.yaxis, labels[1])):
        if name:
            axis.set_major_formatter(FuncFormatter(lambda value, _, name=name: CATALOGUE[name].write(value)))
    axes.set_xlabel(
        CATALOGUE[labels[0]].label if labels[0] else "Trial", fontsize=sheet.text, color=LIGHT["ink"], labelpad=7
    )
    axes.set_title(CATALOGUE[labels[1]].label, loc="left", fontsize=sheet.text, color=LIGHT["ink"], pad=9)
    axes.margins(0.03, 0.06)
    return figure


def draw_importance(importance: Mapping[str, Mapping[str, float]], sheet: Sheet) -> Figure:
    """A bar for each parameter and objective: the share of the objective's variation that it explains."""
    names = list(dict.fromkeys(name for one in importance.values() for name in one))
    names.sort(key=lambda name: -next(iter(importance.values())).get(name, 0.0))
    sheet = replace(sheet, height=(len(names) * (len(importance) * 15.0 + 12.0)) + 4.5 * sheet.text)
    figure = sheet.figure()
    axes = _panel(figure, sheet, 10.0 * sheet.text / sheet.width, foot=2.4, head=0.4)
    tall = 0.8 / len(importance)
    for number, (own, colour) in enumerate(
        zip(importance.values(), ("run", "second", "third", "fourth"), strict=False)
    ):
        at = np.arange(len(names)) + (number - (len(importance) - 1) / 2.0) * tall
        axes.barh(at, [own.get(name, 0.0) for name in names], height=tall * 0.9, color=LIGHT[colour], linewidth=0)
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=LIGHT["rule"], linewidth=0.8)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    return figure


def _panel(figure: Figure, sheet: Sheet, left: float, foot: float = 4.6, head: float = 2.4) -> Axes:
    bottom, top = foot * sheet.text / sheet.height, head * sheet.text / sheet.height
    axes = figure.add_axes(
        (left, bottom, 1.0 - left - 2.0 * sheet.text / sheet.width, 1.0 - bottom - top), facecolor="none"
    )
    for side in axes.spines.values():
        side.set_visible(False)
    axes.grid(axis="y", color=LIGHT["rule"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=sheet.text * 0.92, labelcolor=LIGHT["muted"], pad=5)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_locator(MaxNLocator(7 if sheet.width > 600 else 4))
    return axes
