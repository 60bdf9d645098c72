"""The section on the price of each market, with the trades that were made in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from markets.market import Market
from reports import formats
from reports.figures import MARKED_TRADES, draw_price
from reports.findings import Findings
from reports.parts import Chart, Paragraph, Part, Section, Widget
from reports.payload import Groups
from reports.untraded import explain_no_trade

ZOOM_TRADES = 30
COPYRIGHT = "Copyright (с) 2026 TradingView, Inc."  # noqa: RUF001 - as in its notice
SPANS = ((365, "1Y", "One year"), (90, "3M", "Three months"), (30, "1M", "One month"), (7, "1W", "One week"))


def price(findings: Findings) -> Section:
    """Price and trades of every market."""
    parts: list[Part] = []
    if findings.trades.empty:
        parts += [
            Paragraph("No trade was made.", "strong"),
            Paragraph(explain_no_trade(findings.result.decisions, findings.result.orders)),
        ]
    chart = Widget("chart.html", _controls(findings), _charts(findings))
    return Section("price", "Price and trades", "Price and trades", [*parts, chart])


def _controls(findings: Findings) -> dict[str, Any]:
    """What the interactive chart offers."""
    result, traded = findings.result, not findings.trades.empty
    symbols = [market.symbol for market in result.markets]
    days = len(findings.curve.equity) * findings.curve.bar / 86_400e9
    spans = [one for one in SPANS if one[0] < days]
    layers = [("trades", "Trades", True), ("levels", "Stops and targets", True)] if traded else []
    layers += [("liquidation", "Liquidation price", True), ("fit", "Scale to the liquidation price", False)]
    layers += [("forecast", "Forecast interval", True)] if findings.evidence else []
    layers += [("baselines", "Equity of simpler rules", False)] if findings.baselines else []
    return {
        "symbols": symbols,
        "spans": spans,
        "layers": layers,
        "traded": traded,
        "grouped": Groups(len(findings.curve.equity)).size,
        "copyright": COPYRIGHT,
        "described": f"Chart of {', '.join(symbols)}: candles with trades, above equity, drawdown and position.",
    }


def _charts(findings: Findings) -> list[Chart]:
    """Each market over the whole run and, where that is too much to read, over its last trades."""
    charts, result = [], findings.result
    for number, market in enumerate(result.markets):
        own = findings.trades[findings.trades["symbol"] == market.symbol]
        stamps = market.candles.timestamp
        first = int(np.searchsorted(stamps, result.start))
        last = first + int((result.positions["symbol"] == market.symbol).sum())
        charts.append(_chart(market, own, first, last, f"price{number}", "The whole run."))
        if len(own) > MARKED_TRADES:
            lately = int(np.searchsorted(stamps, own["opened"].iloc[-ZOOM_TRADES].value))
            begin = max(first, lately - (last - lately) // 50 - 1)
            charts.append(_chart(market, own, begin, last, f"zoom{number}", f"The last {ZOOM_TRADES} trades."))
    return charts


def _chart(market: Market, trades: pd.DataFrame, first: int, last: int, name: str, text: str) -> Chart:
    stamps = market.candles.timestamp
    close = market.candles.close
    times = f"{formats.moment(pd.Timestamp(stamps[first]))} to {formats.moment(pd.Timestamp(stamps[last - 1]))} UTC"
    change = f"from {formats.price(float(close[first]))} to {formats.price(float(close[last - 1]))}"
    described = (
        f"Price of {market.symbol} from {times}, {change} {market.contract.settlement}, with the entries and exits of "
        "the trades. The trades stand in the table below."
    )
    shown = int((trades["opened"] >= pd.Timestamp(stamps[first], tz="UTC")).sum())
    caption = f"{text} {_explain_marks(shown)}"
    return Chart(name, lambda sheet: draw_price(market, trades, sheet, first, last), described, caption)


def _explain_marks(shown: int) -> str:
    if shown == 0:
        return "The band is each bar's low to high."
    entry = "Triangles are entries, up for long, down for short"
    colours = "green ended in profit after fees, red in loss"
    if shown > MARKED_TRADES:
        return f"{entry}: {colours}. A filled X is a liquidation."
    return f"{entry}. Exits: dot for target, cross for stop, filled X for liquidation, ring for a signal; {colours}."
