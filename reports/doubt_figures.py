"""Figures of doubt: our curve among luck, between the orders inside bars, distances to liquidation, margin in use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from backtests.doubts.controls import Fan
from backtests.doubts.distance import Distance
from markets.candles import FloatArray, IntArray
from reports.figures import Sheet, amount, scale_by_factors
from reports.palette import DASHES, LIGHT, LINES

# From this ratio of the highest equity of a fan to the lowest on it stands on logarithms.
LOGARITHMIC = 4.0


def draw_fan(fan: Fan, sheet: Sheet, *, currency: str) -> Figure:
    """Equity of lucky runs as two bands and their median, with our curve over them.

    Equal steps upwards are equal growth where the highest equity is LOGARITHMIC times the lowest: a run that leaves
    luck behind would press the fan flat.
    """
    figure, axes = _panel(sheet)
    dates, (least, low, middle, high, most) = fan.timestamp.astype("datetime64[ns]"), fan.bands
    axes.fill_between(dates, least, most, color=LIGHT["first"], alpha=0.18, linewidth=0)
    axes.fill_between(dates, low, high, color=LIGHT["first"], alpha=0.3, linewidth=0)
    axes.plot(dates, middle, color=LIGHT["first"], linestyle=DASHES[1], linewidth=1.3)
    axes.plot(dates, fan.ours, color=LIGHT["run"], linewidth=1.9, zorder=4)
    low, high = (float(end(edge)) for end, edge in ((np.min, (least, fan.ours)), (np.max, (most, fan.ours))))
    steps = low > 0.0 and high >= LOGARITHMIC * low
    if steps:
        scale_by_factors(axes)
    return _finish(figure, axes, sheet, f"Equity, {currency}{', logarithmic' if steps else ''}", _amount)


def draw_range(stamps: IntArray, curves: Sequence[FloatArray], sheet: Sheet, *, currency: str) -> Figure:
    """The span between curves under different assumptions, each also drawn as a line; the first is the run."""
    figure, axes = _panel(sheet)
    dates = stamps.astype("datetime64[ns]")
    axes.fill_between(
        dates, np.min(curves, axis=0), np.max(curves, axis=0), color=LIGHT["run"], alpha=0.15, linewidth=0
    )
    for number, curve in reversed(list(enumerate(curves))):
        width = 1.9 if number == 0 else 1.2
        axes.plot(
            dates, curve, color=LIGHT[LINES[number]], linestyle=DASHES[number], linewidth=width, zorder=4 - number
        )
    return _finish(figure, axes, sheet, f"Equity, {currency}", _amount)


def draw_distance(distance: Distance, sheet: Sheet) -> Figure:
    """How near each position came to its liquidation price, the nearest of each stretch of time.

    Above as a share of the price, below in average true ranges.
    """
    figure = sheet.figure()
    foot, top = 3.4 * sheet.text / sheet.height, 1 - 2.3 * sheet.text / sheet.height
    middle = 0.5 * (foot + top)
    upper = sheet.panel(figure, middle + 0.9 * sheet.text / sheet.height, top)
    lower = sheet.panel(figure, foot, middle - 1.6 * sheet.text / sheet.height)
    _steps(upper, distance.timestamp, distance.path)
    _steps(lower, distance.timestamp, distance.atr_path)
    _finish(figure, upper, sheet, f"{distance.symbol}, distance to liquidation", _share)
    _finish(figure, lower, sheet, "The same in average true ranges", lambda value, _: f"{value:.4g}")
    upper.tick_params(labelbottom=False)
    upper.xaxis.get_offset_text().set_visible(False)
    upper.set_xlim(lower.get_xlim())
    return figure


def draw_margin(distance: Distance, sheet: Sheet) -> Figure:
    """The share of equity that was posted as margin, the largest of each stretch of time."""
    figure, axes = _panel(sheet)
    _steps(axes, distance.timestamp, distance.margin_path)
    return _finish(figure, axes, sheet, "Margin in use, share of equity", _share)


def _steps(axes: Axes, stamps: IntArray, values: FloatArray) -> None:
    dates = stamps.astype("datetime64[ns]")
    axes.fill_between(dates, values, 0.0, color=LIGHT["run"], alpha=0.12, linewidth=0, step="post")
    axes.step(dates, values, where="post", color=LIGHT["run"], linewidth=1.4)
    axes.set_ylim(bottom=0.0)


def _panel(sheet: Sheet) -> tuple[Figure, Axes]:
    figure = sheet.figure()
    return figure, sheet.panel(figure, 3.4 * sheet.text / sheet.height, 1 - 2.3 * sheet.text / sheet.height)


def _finish(figure: Figure, axes: Axes, sheet: Sheet, label: str, write: Callable[[float, object], str]) -> Figure:
    sheet.label(axes, label)
    axes.yaxis.set_major_formatter(FuncFormatter(write))
    axes.margins(x=0.01)
    return figure


def _amount(value: float, _: object) -> str:
    return amount(value)


def _share(value: float, _: object) -> str:
    return f"{100.0 * value:.4g}%"
