"""Sections that set runs side by side: settings, metrics, differences, curves, likeness."""

from __future__ import annotations

import numpy as np

from markets.candles import FloatArray, IntArray
from reports import formats, tables
from reports.comparison import Comparison
from reports.comparison_tables import difference_table, likeness_tables
from reports.figures import draw_lines
from reports.parts import Chart, Grid, Paragraph, Part, Section, legend
from reports.rolling import rolling_bars, rolling_sharpe
from reports.sections.performance import equity_chart
from reports.tables import Cell, Table


def settings(comparison: Comparison) -> Section:
    """The settings in which the runs differ."""
    names, changed = list(comparison.runs), comparison.differences
    rows = [
        [Cell(str(key)), *map(Cell, map(str, values))]
        for key, values in zip(changed.index, changed.to_numpy(), strict=True)
    ]
    table = Table("Settings that differ", ["Key", *names], rows, frozenset(range(len(names) + 1)))
    parts: list[Part] = [Grid(table, wide=True) if rows else Paragraph("The settings are the same.")]
    return Section("settings", "Settings", "Settings that differ", parts)


def metrics(comparison: Comparison) -> Section:
    """The metrics side by side."""
    table = tables.side_by_side({name: run.metrics for name, run in comparison.runs.items()}, "Metrics")
    return Section("metrics", "Metrics", "Side by side", [Grid(table, wide=True)])


def differences(comparison: Comparison) -> Section:
    """How far the runs stand from the first, and whether that can be luck."""
    table = difference_table(comparison)
    if table is None:
        text = "The runs share too few bars, or move alike at every one, so there is no difference to weigh."
        return Section("differences", "Differences", "Is the difference luck?", [Paragraph(text)])
    clear = sum(any(one.clear for one in found) for found in comparison.paired.values())
    said = f"{clear} of {len(comparison.paired)} runs differ from the first by more than luck explains"
    parts = [
        Paragraph(f"{said}, each taken alone at odds of 95 in 100."),
        Grid(table, wide=True),
        Paragraph(
            "Ranges by the stationary bootstrap, 1,000 times: the same blocks of bars are drawn from both runs, so "
            "that what moves both alike cancels. Of twenty runs that differ by nothing one looks clear.",
            "aside",
        ),
    ]
    return Section("differences", "Differences", "Is the difference luck?", parts)


def curves(comparison: Comparison) -> Section:
    """Equity and drawdown over one another, then what each run is worth in terms of the first."""
    chart = equity_chart(comparison.curves, _currency(comparison), "compared")
    return Section("equity", "Equity", "Equity and drawdown", [chart, *_relative(comparison)])


def _relative(comparison: Comparison) -> list[Part]:
    names = list(comparison.curves)
    first, *others = comparison.curves.values()
    lines: dict[str, tuple[IntArray, FloatArray]] = {names[0]: (first.timestamp, np.ones(len(first.equity)))}
    for name, run in zip(names[1:], others, strict=True):
        shared, ours, theirs = np.intersect1d(first.timestamp, run.timestamp, True, return_indices=True)
        alive = first.equity[ours] > 0.0
        growth = run.equity[theirs][alive] / run.cash / (first.equity[ours][alive] / first.cash)
        lines[name] = (shared[alive], growth)
    ends = "; ".join(f"{name} {formats.ratio(float(ratio[-1]))}" for name, (_, ratio) in lines.items() if len(ratio))
    return [
        Chart(
            "relative",
            lambda sheet: draw_lines(lines, sheet, f"Growth over that of {names[0]}", level=1.0),
            f"Line chart of the growth of each run over that of {names[0]}, at the end: {ends}.",
            f"A line that rises gains on {names[0]}.",
            legend(names),
            low=True,
        )
    ]


def rolling(comparison: Comparison) -> Section:
    """The Sharpe ratio of the last 90 days, through time."""
    bars = min(rolling_bars(run) for run in comparison.curves.values())
    lines = {name: rolling_sharpe(run, bars) for name, run in comparison.curves.items()}
    first = next(iter(comparison.curves.values()))
    days = formats.decimal(bars * first.bar / 86_400e9, digits=0)
    chart = Chart(
        "rolling",
        lambda sheet: draw_lines(lines, sheet, f"Sharpe of the last {days} days, a year"),
        f"Line chart of the yearly Sharpe ratio of the last {days} days of each run, through time.",
        "A ratio that holds up through time says more than one good stretch.",
        legend(lines),
        low=True,
    )
    return Section("rolling", "Rolling Sharpe", "Through time", [chart])


def likeness(comparison: Comparison) -> Section:
    """How alike the runs are: returns, bars held, entries."""
    parts = [
        Paragraph("Runs that move alike and hold alike are one bet made several times."),
        *(Grid(table) for table in likeness_tables(comparison)),
    ]
    return Section("likeness", "Likeness", "How alike are they?", parts)


def _currency(comparison: Comparison) -> str:
    return " or ".join(dict.fromkeys(str(run.record["settlement"]) for run in comparison.runs.values()))
