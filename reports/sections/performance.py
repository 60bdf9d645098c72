"""Sections on what the account did: equity, how sure that is, simpler rules, months, costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reports import formats, tables
from reports.catalogue import too_short
from reports.certainty_table import certainty_table, explain_certainty
from reports.curves import EquityCurve
from reports.figures import draw_equity, draw_lines
from reports.findings import Findings
from reports.parts import Chart, Grid, Grids, Paragraph, Part, Section, Widget, legend
from reports.rolling import rolling_sharpe
from reports.sentences import explain_baselines
from reports.standing import Standing


def equity(findings: Findings) -> Section:
    """The equity curve and its drawdown, over those of the baselines."""
    chart = replace(equity_chart(findings.curves, findings.result.settlement, "equity"), file="equity.png")
    return Section("equity", "Equity", "Equity and drawdown", [chart])


def equity_chart(curves: Mapping[str, EquityCurve], currency: str, name: str) -> Chart:
    """Equity curves over one another, drawdowns below, for a page; the first one is drawn on top."""
    said = "; ".join(
        f"{label} from {formats.money(curve.cash)} to {formats.money(float(curve.equity[-1]))} {currency}, "
        f"maximum drawdown {formats.percent(float(curve.drawdown.max()))}"
        for label, curve in curves.items()
    )
    return Chart(
        name,
        lambda sheet: draw_equity(curves, sheet, currency=currency),
        f"Line chart of equity with the drawdown below: {said}.",
        "Equity at the mark price at each bar's close, after all costs; the level line is the starting cash.",
        legend(curves),
    )


def rolling_charts(curves: Mapping[str, EquityCurve], bars: int) -> list[Part]:
    """The yearly Sharpe ratio of the last `bars` bars through time, or a word where these are too few days for one."""
    first = next(iter(curves.values()))
    if too_short(bars * first.bar / 86_400e9):
        return [Paragraph("A rolling Sharpe ratio is left out: the sample is too short to annualise.")]
    days = formats.decimal(bars * first.bar / 86_400e9, digits=0)
    lines = {name: rolling_sharpe(one, bars) for name, one in curves.items()}
    whose = " of each run" if len(curves) > 1 else ""
    return [
        Chart(
            "rolling",
            lambda sheet: draw_lines(lines, sheet, f"Sharpe of the last {days} days, annualised"),
            f"Line chart of the yearly Sharpe ratio of the last {days} days{whose}, through time.",
            "A ratio that holds up through time says more than one good stretch.",
            legend(lines) if len(curves) > 1 else (),
            low=True,
        )
    ]


def certainty(findings: Findings) -> Section:
    """The ranges of the headline figures and the odds of luck."""
    parts = [
        Paragraph(explain_certainty(findings.certainty)),
        Grid(certainty_table(findings.certainty, findings.metrics, findings.curve, findings.standing.overfitting)),
        *_searched(findings.standing),
        Paragraph(
            "Ranges by the stationary bootstrap: the run's own bar returns drawn again in blocks, 1,000 times. They "
            "know nothing of a market that changes, nor of settings chosen with hindsight.",
            "aside",
        ),
    ]
    return Section("certainty", "How sure", "How sure is that?", parts)


def _searched(standing: Standing) -> list[Part]:
    """What the searches behind a run leave of it: how many settings, and the probability that choosing overfitted."""
    if not standing.searched:
        return []
    told = f"{standing.searched:,} settings were searched for on this data"
    if standing.overfitting is None:
        return [Paragraph(f"{told}; none of the searches kept what a probability of overfitting (PBO) needs.")]
    share = formats.percent(standing.overfitting)
    return [
        Paragraph(
            f"{told}. The probability that the largest search overfitted (PBO) is {share}: in so many of all ways to "
            "halve its time the setting that was best in one half is at or below the middle in the other."
        )
    ]


def baselines(findings: Findings) -> Section:
    """The run beside the same account run by simpler rules."""
    metrics = {"This run": findings.metrics, **findings.baseline_metrics}
    parts = [
        Paragraph(explain_baselines(findings.baselines)),
        Grid(tables.side_by_side(metrics, "The same bars, cash and costs"), wide=True),
    ]
    return Section("baselines", "Simpler rules", "Against simpler rules", parts)


def months(findings: Findings) -> Section:
    """Returns by calendar month."""
    table = Grid(tables.monthly_table(findings.curve), wide=True, style="months")
    return Section("months", "Months", "Returns by month", [table])


def costs(findings: Findings) -> Section:
    """From the profit of trading to the change of equity."""
    parts = [
        Grid(tables.cost_table(findings.result, findings.curve), style="bridge"),
        Paragraph(
            "Slippage is part of every fill price and so of the profit; it is never taken off twice. Funding above "
            "zero was received.",
            "aside",
        ),
    ]
    return Section("costs", "Costs", "Costs", parts)


def metrics(findings: Findings) -> Section:
    """All metrics of the run, each with what it means."""
    parts = [
        Widget("aside.html", {"text": "Press a name for what it means."}),
        Paragraph("Figures of a year are those of 365 days.", "aside"),
        Grids(tables.metric_tables(findings.metrics), "metrics"),
    ]
    return Section("metrics", "Metrics", "All metrics", parts)
