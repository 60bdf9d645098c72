"""Figures: equity, drawdown, price and trades, drawn the same to the last byte every time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import HOURLY, MINUTELY, MONTHLY, SECONDLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from backtests.run.result import Result
from markets.candles import FloatArray, IntArray
from markets.market import Market
from reports.curves import EquityCurve, keep_extremes
from reports.palette import DASHES, LIGHT, look
from reports.skill_path import Band, SkillPath

# By what the ticks are apart: years, months, days, hours, minutes, seconds.
_DATES = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"]
_YEARS = ["", "%Y", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M"]


@dataclass(frozen=True)
class Sheet:
    """The size of a figure in points (1/72 inch), its smallest text, and the buckets that long lines are drawn in."""

    width: float
    height: float
    text: float = 11.0
    buckets: int = 700

    def figure(self, title: str = "") -> Figure:
        """An empty figure of this size, without a canvas of any window system."""
        figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=72, facecolor="none")
        if title:
            figure.text(0.012, 0.985, title, fontsize=self.text * 1.35, color=LIGHT["ink"], va="top", weight="bold")
        return figure

    def panel(self, figure: Figure, bottom: float, top: float, span: tuple[float, float] = (0.0, 1.0)) -> Axes:
        """Axes between two heights, given in fractions of the figure, with room for the labels at the left.

        `span`: the part of the width that it takes. Its horizontal axis is of dates.
        """
        axes = self.plain_panel(figure, bottom, top, span)
        _set_dates(axes, max(4, int(self.width / 95)))
        axes.xaxis.get_offset_text().set(color=LIGHT["muted"], fontsize=self.text)
        return axes

    def plain_panel(self, figure: Figure, bottom: float, top: float, span: tuple[float, float] = (0.0, 1.0)) -> Axes:
        """The same with numbers on its horizontal axis."""
        left = span[0] + 5.4 * self.text / self.width
        axes = figure.add_axes(
            (left, bottom, span[1] - 1.7 * self.text / self.width - left, top - bottom), facecolor="none"
        )
        for side in axes.spines.values():
            side.set_visible(False)
        axes.grid(axis="y", color=LIGHT["rule"], linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, labelsize=self.text, labelcolor=LIGHT["muted"], pad=5)
        axes.yaxis.set_major_locator(MaxNLocator(5 if self.height * (top - bottom) > 160 else 3))
        axes.margins(x=0.005)
        return axes

    def label(self, axes: Axes, text: str) -> None:
        """What a panel shows, above its labels at the left."""
        left = -5.2 * self.text / (self.width * axes.get_position().width)
        above = 1.0 + 0.55 * self.text / (self.height * axes.get_position().height)
        axes.text(
            left, above, text, transform=axes.transAxes, fontsize=self.text, color=LIGHT["ink"], va="bottom", ha="left"
        )


WIDE = Sheet(1000, 450, text=13.0)
NARROW = Sheet(380, 400, text=12.0, buckets=250)
LOW = Sheet(1000, 280, text=13.0)
LOW_NARROW = Sheet(380, 280, text=12.0, buckets=250)
PICTURE = Sheet(1000, 560, text=12.5)


# Above this many trades a figure marks each by its entry alone, in the colour of its outcome.
MARKED_TRADES = 80
# An axis of factors goes down to this part of the highest equity, and from so many times on only decades are marked.
DEEPEST, MOST_FACTORS = 1e-4, 1e3


def draw_equity(curves: Mapping[str, EquityCurve], sheet: Sheet, *, currency: str, title: str = "") -> Figure:
    """Equity curves over one another with their drawdowns below; the first one is the run, drawn on top.

    `curves`: by label, in one currency; with a `title` the figure has its own legend.
    """
    figure = sheet.figure(title)
    top = 1 - (5.2 if title else 2.3) * sheet.text / sheet.height
    middle, foot = 0.36 * top + 0.02, 3.4 * sheet.text / sheet.height
    upper, lower = (
        sheet.panel(figure, middle + 0.03, top),
        sheet.panel(figure, foot, middle - 2.0 * sheet.text / sheet.height),
    )
    for number, (label, curve) in reversed(list(enumerate(curves.items()))):
        style = _line_style(number)
        times, equity = np.append(curve.timestamp[0], curve.timestamp + curve.bar), np.append(curve.cash, curve.equity)
        fall = np.append(0.0, -curve.drawdown)
        _line(upper, times, equity, sheet, label=label, zorder=4 - 0.1 * number, **style)
        _line(lower, times, fall, sheet, zorder=4 - 0.1 * number, **{**style, "linewidth": style["linewidth"] * 0.75})
        if number == 0:
            kept = keep_extremes(fall, sheet.buckets)
            lower.fill_between(_dates(times[kept]), fall[kept], 0.0, color=LIGHT["run"], alpha=0.12, linewidth=0)
    upper.axhline(next(iter(curves.values())).cash, color=LIGHT["muted"], linewidth=0.8, zorder=1)
    wide = _spans_decades(curves)
    sheet.label(upper, f"Equity, {currency}{', logarithmic' if wide else ''}")
    sheet.label(lower, "Drawdown")
    if wide:
        scale_by_factors(upper)
    upper.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%".replace("-", "−")))  # noqa: RUF001
    lower.set_ylim(top=0.0)
    upper.tick_params(labelbottom=False)
    upper.xaxis.get_offset_text().set_visible(False)
    upper.set_xlim(lower.get_xlim())
    if title:
        _legend(upper, sheet, len(curves))
    return figure


def _spans_decades(curves: Mapping[str, EquityCurve]) -> bool:
    """Whether equal steps of money would hide what happened: from the lowest equity to the highest it is tenfold."""
    low = min(float(curve.equity.min()) for curve in curves.values())
    return low > 0.0 and max(float(curve.equity.max()) for curve in curves.values()) >= 10.0 * low


def draw_lines(
    lines: Mapping[str, tuple[IntArray, FloatArray]], sheet: Sheet, label: str, *, level: float | None = 0.0
) -> Figure:
    """Series by name over times of their own, the first on top; a `level` is a thin line to set them against."""
    figure = sheet.figure()
    axes = sheet.panel(figure, 3.4 * sheet.text / sheet.height, 1 - 2.3 * sheet.text / sheet.height)
    for number, (times, values) in reversed(list(enumerate(lines.values()))):
        if len(values):
            _line(axes, times, values, sheet, zorder=4 - 0.1 * number, **_line_style(number))
    if level is not None:
        axes.axhline(level, color=LIGHT["muted"], linewidth=0.8, zorder=1)
    sheet.label(axes, label)
    return figure


def draw_price(market: Market, trades: pd.DataFrame, sheet: Sheet, first: int, last: int) -> Figure:
    """The price over the bars from row `first` up to, not including, `last`, with entries and exits.

    The band is each bar's low to high. An entry is a triangle that points with the trade (up: long); an exit tells
    its reason by its shape: target a dot, stop a cross, liquidation a filled X, anything else a ring.
    A thin line joins the two, in the colour of gain or loss after fees. Above MARKED_TRADES trades only
    entries, in that colour, and liquidations are drawn.
    """
    figure = sheet.figure()
    axes = sheet.panel(figure, 3.4 * sheet.text / sheet.height, 1 - 2.3 * sheet.text / sheet.height)
    candles = market.candles.rows(first, last)
    low, high = keep_extremes(candles.low, sheet.buckets // 2), keep_extremes(candles.high, sheet.buckets // 2)
    both = np.union1d(low, high)
    dates = _dates(candles.timestamp)
    axes.fill_between(dates[both], candles.low[both], candles.high[both], color=LIGHT["first"], alpha=0.25, linewidth=0)
    _line(axes, candles.timestamp, candles.close, sheet, color=LIGHT["first"], linewidth=0.9)
    shown = trades[
        (trades["symbol"] == market.symbol) & (trades["opened"] >= pd.Timestamp(candles.timestamp[0], tz="UTC"))
    ]
    _draw_trades(axes, shown, small=len(shown) > MARKED_TRADES)
    sheet.label(axes, f"{market.symbol}, {market.contract.settlement}")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    axes.set_xlim(dates[0], dates[-1])
    axes.margins(x=0.01)
    return figure


def draw_skill(path: SkillPath, sheet: Sheet) -> Figure:
    """How the skill of a market's forecasts adds up over time, with that of the oracle where it is known."""
    figure = sheet.figure()
    axes = sheet.panel(figure, 3.4 * sheet.text / sheet.height, 1 - 2.3 * sheet.text / sheet.height)
    for number, values in enumerate((path.forecast, path.oracle)):
        if values is not None:
            _line(axes, path.timestamp, values, sheet, zorder=4 - 0.1 * number, **_line_style(number))
    axes.axhline(0.0, color=LIGHT["muted"], linewidth=0.8, zorder=1)
    sheet.label(axes, f"{path.symbol}, skill so far")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%".replace("-", "−")))  # noqa: RUF001
    return figure


def draw_band(band: Band, sheet: Sheet) -> Figure:
    """The last returns as dots over the intervals that were issued for them; those outside are drawn as losses."""
    figure = sheet.figure()
    axes = sheet.panel(figure, 3.4 * sheet.text / sheet.height, 1 - 2.3 * sheet.text / sheet.height)
    dates = _dates(band.timestamp)
    axes.fill_between(dates, band.lower, band.upper, color=LIGHT["first"], alpha=0.25, linewidth=0, step="mid")
    held = (band.lower <= band.outcome) & (band.outcome <= band.upper)
    for own, colour in ((held, LIGHT["run"]), (~held, LIGHT["loss"])):
        axes.scatter(dates[own], band.outcome[own], s=7.0, color=colour, linewidths=0, zorder=4)
    axes.axhline(0.0, color=LIGHT["muted"], linewidth=0.8, zorder=1)
    sheet.label(axes, f"{band.symbol}, log return of a bar")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%".replace("-", "−")))  # noqa: RUF001
    axes.set_xlim(dates[0], dates[-1])
    axes.margins(x=0.01)
    return figure


def picture_of(result: Result, curves: Mapping[str, EquityCurve]) -> Figure:
    """The equity picture of a run as a file of its own: with a title, a legend and the word for a synthetic market."""
    title = f"{result.name} (synthetic market)" if result.synthetic else result.name
    return draw_equity(curves, PICTURE, currency=result.settlement, title=title)


EXITS = {"take_profit": ("o", 1.0), "stop_loss": ("x", 1.0), "liquidation": ("X", 1.9)}


def _draw_trades(axes: Axes, trades: pd.DataFrame, *, small: bool) -> None:
    closed = trades[trades["closed"].notna()]
    for side, shape in (("long", "^"), ("short", "v")):
        own = trades[trades["side"] == side]
        colours = np.where(own["profit"] > 0.0, LIGHT["gain"], LIGHT["loss"]) if small else LIGHT["run"]
        size = 16.0 if small else 42.0
        axes.scatter(
            _moments(own["opened"]), own["entry_price"], s=size, c=colours, marker=shape, linewidths=0, zorder=5
        )
    if small:
        closed = closed[closed["exit_reason"] == "liquidation"]
    for gained, colour in ((True, "gain"), (False, "loss")):
        own = closed[(closed["profit"] > 0.0) == gained]
        ends = np.column_stack((_moments(own["opened"]), _moments(own["closed"]))).ravel()
        prices = own[["entry_price", "exit_price"]].to_numpy(dtype=np.float64).ravel()
        breaks = np.arange(2, len(prices), 2)
        ends, prices = np.insert(ends, breaks, np.datetime64("NaT")), np.insert(prices, breaks, np.nan)
        if len(own):
            axes.plot(ends, prices, color=LIGHT[colour], linewidth=1.1, zorder=3)
        for reason in sorted(set(own["exit_reason"])):
            shape, scale = EXITS.get(reason, ("o", 0.9))
            out = own[own["exit_reason"] == reason]
            inside = "none" if shape == "o" and reason not in EXITS else LIGHT[colour]
            style: dict[str, Any] = (
                {"color": LIGHT[colour]} if shape == "x" else {"facecolors": inside, "edgecolors": LIGHT[colour]}
            )
            axes.scatter(
                _moments(out["closed"]),
                out["exit_price"],
                s=25.0 * scale,
                marker=shape,
                linewidths=1.2,
                zorder=6,
                **style,
            )


def _set_dates(axes: Axes, most: int) -> None:
    # matplotlib leaves these two classes without types.
    locator = AutoDateLocator(minticks=min(3, most - 1), maxticks=most)  # type: ignore[no-untyped-call]
    # Its own steps leave holes, in which it warns, where few ticks have to cover a span.
    locator.intervald[MONTHLY] = locator.intervald[HOURLY] = [1, 2, 3, 4, 6, 12, 24]
    locator.intervald[MINUTELY] = [1, 5, 15, 30, 60]
    locator.intervald[SECONDLY] = [1, 5, 10, 15, 30, 60]
    formatter = ConciseDateFormatter(locator, formats=_DATES, offset_formats=_YEARS)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)


def _line_style(number: int) -> dict[str, Any]:
    colour, dashes = look(number)
    return {"color": LIGHT[colour], "linestyle": DASHES[dashes], "linewidth": 1.9 if number == 0 else 1.3}


def _line(axes: Axes, times: IntArray, values: FloatArray, sheet: Sheet, **style: Any) -> None:
    kept = keep_extremes(values, sheet.buckets)
    axes.plot(_dates(times[kept]), values[kept], solid_joinstyle="round", **style)


def _legend(axes: Axes, sheet: Sheet, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1], labels[::-1], loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=min(columns, 4),
        frameon=False, borderaxespad=0.2, fontsize=sheet.text, labelcolor=LIGHT["ink"], handlelength=2.4,
    )  # fmt: skip


def _dates(stamps: IntArray) -> Any:
    return stamps.astype("datetime64[ns]")


def _moments(times: pd.Series[Any]) -> Any:
    return pd.DatetimeIndex(times).as_unit("ns").asi8.astype("datetime64[ns]")


def scale_by_factors(axes: Axes) -> None:
    """Equal steps upwards are equal factors. What falls below `DEEPEST` of the highest runs out of the figure: an
    account that lost as much lost all of it, and the rest would be pressed flat."""
    low, high = axes.dataLim.intervaly
    axes.set_yscale("log")
    if low < DEEPEST * high:
        axes.set_ylim(bottom=DEEPEST * high)
    shown = high / max(low, DEEPEST * high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if shown < MOST_FACTORS else (1.0,)))
    axes.yaxis.set_minor_locator(NullLocator())


def amount(value: float) -> str:
    """Money at a mark of an axis, with no digit that the mark does not need."""
    digits = f"{abs(value):,.10g}" if abs(value) < 1e4 else f"{abs(value):,.0f}"
    return f"{'−' if value < 0 else ''}{digits}"  # noqa: RUF001
