"""Distributions: histograms of what trades earned and how long they were held."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from markets.candles import FloatArray, IntArray
from reports.figures import Sheet
from reports.palette import LIGHT

MOST_BINS = 40


def draw_distributions(rate: FloatArray, bars: IntArray, sheet: Sheet) -> Figure:
    """The returns of closed trades, those above zero in the colour of gain, and the bars for which they were held."""
    figure = sheet.figure()
    bottom, top = 2.6 * sheet.text / sheet.height, 1 - 2.3 * sheet.text / sheet.height
    if sheet.width > 600:
        upper, lower = (sheet.plain_panel(figure, bottom, top, span) for span in ((0.0, 0.52), (0.5, 1.0)))
    else:
        middle = 0.5 * (bottom + top)
        upper = sheet.plain_panel(figure, middle + 1.5 * sheet.text / sheet.height, top)
        lower = sheet.plain_panel(figure, bottom, middle - 2.0 * sheet.text / sheet.height)
    edges = return_edges(rate)
    counts, _ = np.histogram(rate, edges)
    colours = np.where(edges[:-1] >= 0.0, LIGHT["gain"], LIGHT["loss"])
    _bars(upper, edges, counts, colours)
    upper.axvline(float(np.median(rate)), color=LIGHT["ink"], linewidth=1.2, linestyle=(0, (4, 3)))
    upper.axvline(0.0, color=LIGHT["muted"], linewidth=0.8)
    upper.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%".replace("-", "−")))  # noqa: RUF001
    edges = holding_edges(bars)
    counts, _ = np.histogram(bars, edges)
    _bars(lower, edges, counts, np.full(len(counts), LIGHT["first"]))
    lower.axvline(float(np.median(bars)), color=LIGHT["ink"], linewidth=1.2, linestyle=(0, (4, 3)))
    for axes, text in ((upper, "Trades by return"), (lower, "Trades by bars held")):
        axes.xaxis.set_major_locator(MaxNLocator(6 if sheet.width > 600 else 5))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        sheet.label(axes, text)
    return figure


def return_edges(rate: FloatArray) -> FloatArray:
    """Edges of equal bins that hold all returns; zero is one of them, so that no bin mixes gains and losses."""
    low, high = min(float(rate.min()), 0.0), max(float(rate.max()), 0.0)
    width = (high - low) / max(1, min(MOST_BINS - 2, int(2.0 * np.sqrt(len(rate))))) or 0.01
    edges = np.arange(np.floor(low / width), np.ceil(high / width) + 2) * width
    # A product of a width may miss the value that it was made from by a rounding.
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return edges


def holding_edges(bars: IntArray) -> FloatArray:
    """Edges of equal bins of whole bars, half a bar below and above, that hold all holding times."""
    width = int(np.ceil((bars.max() + 1) / MOST_BINS))
    return np.arange(0, bars.max() + width + 1, width) - 0.5


def _bars(axes: Axes, edges: FloatArray, counts: IntArray, colours: FloatArray) -> None:
    left, right = edges[:-1], edges[:-1] + np.diff(edges) * 0.92
    shown = counts > 0
    corners = [
        [(first, 0.0), (first, height), (last, height), (last, 0.0)]
        for first, last, height in zip(left[shown], right[shown], counts[shown], strict=True)
    ]
    axes.add_collection(PolyCollection(corners, facecolors=list(colours[shown]), linewidths=0))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.0, 1.05 * counts.max())
