"""Sections on what was done: decisions, orders, trades."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports import formats, tables
from reports.distributions import draw_distributions
from reports.findings import Findings
from reports.parts import Chart, Grid, Paragraph, Part, Section, Widget
from reports.untraded import explain_no_trade

LATEST = 50


def decisions(findings: Findings) -> Section:
    """What was decided at every bar and why, and which orders were not taken as given."""
    result = findings.result
    changed = tables.order_table(result.orders)
    untouched = Paragraph("Every order was taken as given: none was refused, none was shrunk.")
    parts: list[Part] = [Grid(tables.decision_table(result.decisions)), untouched if changed is None else Grid(changed)]
    if result.own is not None and result.decisions.empty:
        parts[0] = Paragraph("What a strategy written by hand decides, and why, it keeps to itself.")
    return Section("decisions", "Decisions", "Decisions and orders", parts)


def trades(findings: Findings) -> Section:
    """Trades in groups and one by one."""
    if findings.trades.empty:
        parts: list[Part] = [
            Paragraph(f"No trade was made. {explain_no_trade(findings.result.decisions, findings.result.orders)}")
        ]
        return Section("trades", "Trades", "Trades", parts)
    several = len(findings.result.markets) > 1
    count, latest = len(findings.trades), findings.trades.iloc[-LATEST:]
    caption = f"The last {len(latest)} of {count:,} trades" if count > LATEST else "All trades"
    static = Grid(tables.trade_table(latest, caption, several=several), wide=True, style="ledger")
    note = "Profit is after fees and liquidation charges, before funding, which has a column of its own. "
    parts = [
        Widget("trades.html", instead=[static]),
        Grid(tables.breakdown_table(findings.trades), wide=True),
        Paragraph(f"{note}0 bars: in and out within one bar. All trades stand in trades.parquet.", "aside"),
    ]
    return Section("trades", "Trades", "Trades", parts)


def distributions(findings: Findings) -> Section | None:
    """How the trades are spread: their returns and how long they were held."""
    chart = distribution_chart(findings.trades)
    return None if chart is None else Section("distributions", "Distributions", "How trades are spread", [chart])


def distribution_chart(trades: pd.DataFrame) -> Chart | None:
    """How trades are spread, for a page; None where none has ended."""
    closed = trades[trades["closed"].notna()]
    if closed.empty:
        return None
    rate, bars = closed["rate"].to_numpy(dtype=np.float64), closed["bars_held"].to_numpy(dtype=np.int64)
    won = float((rate > 0.0).mean())
    middle, mean = (formats.percent(float(one), signed=True, decimals=2) for one in (np.median(rate), rate.mean()))
    held = formats.decimal(float(np.median(bars)), digits=0)
    described = (
        f"Two histograms of {len(closed):,} closed trades: their returns, {formats.percent(won)} of them above zero, "
        f"and the bars for which they were held, half of them for at most {held}."
    )
    caption = (
        f"Return: profit after fees, before funding, over the notional of the entry; median {middle}, mean {mean}. "
        f"Holding time: median {held} bars. Dashes stand at the medians."
    )
    return Chart("distributions", lambda sheet: draw_distributions(rate, bars, sheet), described, caption, low=True)
