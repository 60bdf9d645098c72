"""Sections that set runs side by side: settings, metrics, differences, curves, likeness."""

from __future__ import annotations

from typing import Any

from reports import formats
from reports.comparison import Comparison
from reports.comparison_payload import group_length
from reports.comparison_tables import difference_table, likeness_tables, metrics_table, settings_table
from reports.figures import draw_lines
from reports.parts import Chart, Grid, Paragraph, Part, Section, Widget, legend
from reports.rolling import shared_window
from reports.sections.market import COPYRIGHT, SPANS
from reports.sections.performance import equity_chart, rolling_charts
from reports.tracing import relative_growth


def settings(comparison: Comparison) -> Section:
    """The settings in which the runs differ."""
    same = comparison.differences.empty
    parts: list[Part] = [
        Paragraph("The settings are the same.") if same else Grid(settings_table(comparison), wide=True)
    ]
    return Section("settings", "Settings", "Settings that differ", parts)


def metrics(comparison: Comparison) -> Section:
    """The metrics side by side."""
    return Section("metrics", "Metrics", "Side by side", [Grid(metrics_table(comparison), wide=True)])


def differences(comparison: Comparison) -> Section:
    """How far the runs stand from the first, and whether that can be luck."""
    table = difference_table(comparison)
    if table is None:
        text = "The runs share too few bars, or move alike at every one, so there is no difference to weigh."
        return Section("differences", "Differences", "Is the difference luck?", [Paragraph(text)])
    sharpe, cagr, fall = (sum(one.clear for one in found) for found in zip(*comparison.paired.values(), strict=True))
    said = (
        f"{_differ(len(comparison.paired), sharpe, cagr, fall)}, each figure taken alone at odds of 95 in 100. Size "
        "moves growth and drawdown without any skill; the Sharpe ratio hardly."
    )
    parts = [
        Paragraph(said),
        Grid(table, wide=True),
        Paragraph(
            "Ranges by the stationary bootstrap, 1,000 times: the same blocks of bars are drawn from both runs, so "
            "that what moves both alike cancels. Of twenty runs that differ by nothing one looks clear.",
            "aside",
        ),
    ]
    return Section("differences", "Differences", "Is the difference luck?", parts)


def _differ(runs: int, sharpe: int, cagr: int, fall: int) -> str:
    """How many runs differ from the first in which figure; of a single one, in which it does."""
    if runs > 1:
        more = "differ by more than luck explains in their Sharpe ratio"
        return f"Of {runs} compared with the first, {sharpe} {more}, {cagr} in growth and {fall} in drawdown"
    clear = [word for word, found in (("Sharpe ratio", sharpe), ("growth", cagr), ("drawdown", fall)) if found]
    if not clear:
        return "Neither the Sharpe ratio nor growth nor drawdown differs by more than luck explains"
    return f"By more than luck explains the runs differ in {' and '.join(clear)} alone"


def curves(comparison: Comparison) -> Section:
    """The curves of the runs over one another: equity, drawdown, growth over the first run, rolling Sharpe ratio."""
    drawn = [
        equity_chart(comparison.curves, comparison.currency, "compared"),
        _relative(comparison),
        *rolling_charts(comparison.curves, shared_window(comparison.curves)),
    ]
    return Section("curves", "Curves", "The curves of the runs", [Widget("curves.html", _controls(comparison), drawn)])


def _controls(comparison: Comparison) -> dict[str, Any]:
    """What the interactive chart offers."""
    curves = comparison.curves
    first, last = (edge(int(one.timestamp[at]) for one in curves.values()) for edge, at in ((min, 0), (max, -1)))
    days = (last - first) / 86_400e9
    return {
        "spans": [one for one in SPANS if one[0] < days],
        "legend": legend(curves),
        "first": next(iter(curves)),
        "grouped": group_length(comparison) // max(one.bar for one in curves.values()),
        "copyright": COPYRIGHT,
        "described": f"Curves of {', '.join(curves)}: equity, drawdown, growth over that of the first, rolling Sharpe.",
    }


def _relative(comparison: Comparison) -> Chart:
    names = list(comparison.curves)
    first = next(iter(comparison.curves.values()))
    lines = {name: relative_growth(first, run) for name, run in comparison.curves.items()}
    ends = "; ".join(f"{name} {formats.ratio(float(ratio[-1]))}" for name, (_, ratio) in lines.items() if len(ratio))
    return Chart(
        "relative",
        lambda sheet: draw_lines(lines, sheet, f"Growth over that of {names[0]}", level=1.0),
        f"Line chart of the growth of each run over that of {names[0]}, at the end: {ends}.",
        f"A line that rises gains on {names[0]}.",
        legend(names),
        low=True,
    )


def likeness(comparison: Comparison) -> Section:
    """How alike the runs are: returns, bars held, entries."""
    parts = [
        Paragraph("Runs that move alike and hold alike are one bet made several times."),
        *(Grid(table) for table in likeness_tables(comparison)),
    ]
    return Section("likeness", "Likeness", "How alike are they?", parts)
