"""Sections on what was done: decisions, orders, trades."""

from __future__ import annotations

from reports import tables
from reports.findings import Findings
from reports.parts import Fold, Grid, Paragraph, Part, Section
from reports.sentences import explain_no_trade

LATEST = 50
MOST_TRADES = 1000


def decisions(findings: Findings) -> Section:
    """What was decided at every bar and why, and which orders were not taken as given."""
    result = findings.result
    changed = tables.order_table(result.orders)
    untouched = Paragraph("Every order was taken as given: none was refused, none was shrunk.")
    parts = [Grid(tables.decision_table(result.decisions)), untouched if changed is None else Grid(changed)]
    return Section("decisions", "Decisions", "Decisions and orders", parts)


def trades(findings: Findings) -> Section:
    """Trades in groups and one by one."""
    if findings.trades.empty:
        parts: list[Part] = [Paragraph(f"No trade was made. {explain_no_trade(findings.result)}")]
        return Section("trades", "Trades", "Trades", parts)
    several = len(findings.result.markets) > 1
    count, shown = len(findings.trades), findings.trades.iloc[-MOST_TRADES:]
    latest, earlier = shown.iloc[-LATEST:], shown.iloc[:-LATEST]
    caption = f"The last {len(latest)} of {count:,} trades" if len(earlier) else "All trades"
    parts = [Grid(tables.breakdown_table(findings.trades), wide=True)]
    parts.append(Grid(tables.trade_table(latest, caption, several=several), wide=True, style="ledger"))
    if len(earlier):
        older = f"The {len(earlier):,} trades before those"
        table = tables.trade_table(earlier, older, several=several)
        parts.append(Fold(older, [Grid(table, wide=True, style="tall ledger")]))
    note = "Profit is after fees and liquidation charges, before funding, which has a column of its own. "
    left_out = f" {count - len(shown):,} trades before those stand in trades.parquet." if count > len(shown) else ""
    parts.append(Paragraph(f"{note}0 bars: in and out within one bar.{left_out}", "aside"))
    return Section("trades", "Trades", "Trades", parts)
