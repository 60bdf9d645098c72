"""The catalogue of metrics: what each one is called in front of people, and how its value is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from reports import formats


class Entry(NamedTuple):
    """One metric: its label, how its value becomes text, and a sentence for those who ask what it is."""

    label: str
    write: Callable[[Any], str]
    meaning: str


def _signed_percent(value: float | None) -> str:
    return formats.percent(value, signed=True)


def _signed_money(value: float | None) -> str:
    return formats.money(value, signed=True)


def _bars(value: float | None) -> str:
    return formats.decimal(value, digits=1)


CATALOGUE = {
    "final_equity": Entry("Final equity", formats.money, "at the mark price, when the last bar closed"),
    "total_return": Entry("Total return", _signed_percent, "change of equity over starting cash"),
    "cagr": Entry("Yearly growth", _signed_percent, "compound growth in 365 days (CAGR)"),
    "volatility": Entry("Volatility", formats.percent, "standard deviation of bar returns, a year"),
    "sharpe": Entry(
        "Sharpe", formats.ratio, "mean over standard deviation of bar returns, a year of 365 days, no risk-free rate"
    ),
    "sortino": Entry("Sortino", formats.ratio, "mean over downside deviation of bar returns, a year"),
    "calmar": Entry("Calmar", formats.ratio, "yearly growth over the deepest drawdown"),
    "max_drawdown": Entry("Deepest drawdown", formats.percent, "largest fall from a peak of equity"),
    "max_drawdown_bars": Entry("Longest drawdown, bars", formats.count, "longest stretch below an earlier peak"),
    "exposure": Entry("Time in the market", formats.percent, "share of bars with a position at the close"),
    "turnover": Entry(
        "Turnover a year", lambda value: _times(value), "traded notional in 365 days over average equity"
    ),
    "trades": Entry("Trades", formats.count, "round trips, those still open included"),
    "long_trades": Entry("Long trades", formats.count, "round trips on the long side"),
    "short_trades": Entry("Short trades", formats.count, "round trips on the short side"),
    "win_rate": Entry("Win rate", formats.percent, "share of closed trades with a profit after fees"),
    "profit_factor": Entry("Profit factor", formats.ratio, "profits of winning over losses of losing trades"),
    "average_profit": Entry("Average trade", _signed_money, "mean profit of closed trades, after fees"),
    "average_bars_held": Entry("Bars held, average", _bars, "of closed trades"),
    "fees": Entry("Fees", formats.money, "trading fees paid"),
    "funding": Entry("Funding paid", formats.money, "net funding paid; below zero when received"),
    "slippage": Entry("Slippage", formats.money, "already inside the fill prices"),
    "liquidations": Entry("Liquidations", formats.count, "positions that the venue closed"),
    "liquidation_charges": Entry("Liquidation charges", formats.money, "clearance charges of liquidations"),
    "refusals": Entry("Refused orders", formats.count, "orders that the venue's filters or the margin refused"),
    "shrunk": Entry("Shrunk orders", formats.count, "orders cut down to the free margin"),
    "skill": Entry(
        "Forecast skill",
        lambda value: formats.percent(value, signed=True, decimals=3),
        "1 - MSE / MSE of the expanding mean",
    ),
    "bars": Entry("Bars", formats.count, "bars played"),
}
SIDE_BY_SIDE = (
    "final_equity", "total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "max_drawdown_bars",
    "exposure", "turnover", "trades", "win_rate", "profit_factor", "average_profit", "average_bars_held", "fees",
    "funding", "slippage", "liquidations", "skill",
)  # fmt: skip


def _times(value: float | None) -> str:
    text = formats.decimal(value, digits=1)
    return text if text == formats.NONE else f"{text}×"  # noqa: RUF001
