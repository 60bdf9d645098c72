"""The catalogue of metrics: what each one is called in front of people, and how its value is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from models.level import LEAST_FORECASTS
from reports import formats

# The figures that are stretched to a year. On fewer days than this nothing is told by them: a yearly Sharpe ratio has a
# standard error of about sqrt(365 / days), which is 3.5 then, more than any ratio that lasts.
YEARLY = frozenset({"cagr", "volatility", "sharpe", "sortino", "calmar", "turnover"})
LEAST_DAYS = 30.0
TOO_SHORT = "too short"


class Entry(NamedTuple):
    """One metric: its label, how its value becomes text, and a sentence for those who ask what it is."""

    label: str
    write: Callable[[Any], str]
    meaning: str


def too_short(days: float | None) -> bool:
    """Whether a run of so many days is too short for figures of a year; False where its length is not known."""
    return days is not None and days < LEAST_DAYS


def left_out(name: str, value: float | None, days: float | None, bars: float | None) -> bool:
    """Whether a run is `too_short` for a figure of a year, or has too few bars for its skill to tell anything."""
    if name in YEARLY:
        return too_short(days)
    return name == "skill" and value is not None and bars is not None and bars < LEAST_FORECASTS


def figure(metrics: Mapping[str, Any], name: str) -> str:
    """A metric of a run as people read it; TOO_SHORT where it is `left_out`."""
    if left_out(name, metrics.get(name), metrics.get("days"), metrics.get("bars")):
        return TOO_SHORT
    return CATALOGUE[name].write(metrics.get(name))


def _signed_percent(value: float | None) -> str:
    return formats.percent(value, signed=True)


def _fine_percent(value: float | None) -> str:
    return formats.percent(value, decimals=3)


def _fine_signed(value: float | None) -> str:
    return formats.percent(value, signed=True, decimals=3)


def _signed_money(value: float | None) -> str:
    return formats.money(value, signed=True)


def _bars(value: float | None) -> str:
    return formats.decimal(value, digits=1)


CATALOGUE = {
    "rung": Entry("Rung", formats.count, "the first rung of the ladder of verdicts that a run does not climb"),
    "final_equity": Entry("Final equity", formats.money, "at the mark price, when the last bar closed"),
    "total_return": Entry("Total return", _signed_percent, "change of equity over starting cash"),
    "cagr": Entry("CAGR", _signed_percent, "compound annual growth rate of equity, in 365 days"),
    "volatility": Entry("Volatility", formats.percent, "standard deviation of bar returns, a year"),
    "sharpe": Entry(
        "Sharpe", formats.ratio, "mean over standard deviation of bar returns, a year of 365 days, no risk-free rate"
    ),
    "sortino": Entry("Sortino", formats.ratio, "mean over downside deviation of bar returns, a year"),
    "calmar": Entry("Calmar", formats.ratio, "CAGR over the maximum drawdown"),
    "max_drawdown": Entry("Maximum drawdown", formats.percent, "largest fall from a peak of equity"),
    "max_drawdown_bars": Entry("Longest drawdown, bars", formats.count, "longest stretch below an earlier peak"),
    "time_under_water": Entry("Time under water", formats.percent, "share of bars below an earlier peak of equity"),
    "skewness": Entry("Skewness", formats.ratio, "of bar returns"),
    "kurtosis": Entry("Kurtosis", formats.ratio, "of bar returns; 3 for a normal distribution"),
    "value_at_risk": Entry("Value at risk, 5 %", _fine_percent, "the loss of equity that 5 % of the bars exceed"),
    "expected_shortfall": Entry("Expected shortfall, 5 %", _fine_percent, "the mean loss of the worst 5 % of bars"),
    "tail_ratio": Entry("Tail ratio", formats.ratio, "95 % quantile of bar returns over the size of the 5 % one"),
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
    "payoff_ratio": Entry("Payoff ratio", formats.ratio, "mean winning over mean losing trade"),
    "expectancy": Entry("Expectancy", _fine_signed, "mean profit of closed trades over the entry's notional"),
    "longest_winning_streak": Entry("Longest winning streak", formats.count, "trades with a profit, one after another"),
    "longest_losing_streak": Entry(
        "Longest losing streak", formats.count, "trades without a profit, one after another"
    ),
    "long_profit": Entry("Profit of long trades", _signed_money, "of closed trades, after fees, before funding"),
    "short_profit": Entry("Profit of short trades", _signed_money, "of closed trades, after fees, before funding"),
    "open_profit": Entry(
        "Profit of open trades",
        _signed_money,
        "unrealised at the last mark price, after the fees of their entries",
    ),
    "average_bars_held": Entry("Bars held, average", _bars, "of closed trades"),
    "fees": Entry("Fees", formats.money, "trading fees paid"),
    "funding": Entry("Funding paid", formats.money, "net funding paid; below zero when received"),
    "slippage": Entry("Slippage", formats.money, "already inside the fill prices"),
    "liquidations": Entry("Liquidations", formats.count, "positions that the venue closed"),
    "liquidation_charges": Entry("Liquidation charges", formats.money, "clearance charges of liquidations"),
    "refusals": Entry("Refused orders", formats.count, "orders that the venue's filters or the margin refused"),
    "bound_liquidations": Entry(
        "Liquidations by the bound",
        formats.count,
        "liquidations of a cross account only if all other positions were at their worst prices of the bar at once",
    ),
    "shrunk": Entry(
        "Shrunk orders", formats.count, "orders cut down to the free margin, a bracket or the largest market order"
    ),
    "skill": Entry(
        "Forecast skill",
        _fine_signed,
        "1 - MSE / MSE of the expanding mean",
    ),
    "bars": Entry("Bars", formats.count, "bars played"),
    "days": Entry("Days", _bars, "the length of the run in days"),
}
# All metrics of a run, in the groups in which its page shows them.
GROUPS = {
    "Return": ("total_return", "final_equity", "cagr", "expectancy", "average_profit", "profit_factor", "skill"),
    "Risk": (
        "volatility", "max_drawdown", "max_drawdown_bars", "time_under_water", "value_at_risk", "expected_shortfall",
        "skewness", "kurtosis", "tail_ratio",
    ),
    "Return for risk": ("sharpe", "sortino", "calmar"),
    "Trades": (
        "trades", "long_trades", "short_trades", "win_rate", "payoff_ratio", "average_bars_held",
        "longest_winning_streak", "longest_losing_streak", "long_profit", "short_profit", "open_profit",
    ),
    "Activity": ("bars", "days", "exposure", "turnover", "refusals", "shrunk"),
    "Costs": ("fees", "funding", "slippage", "liquidations", "liquidation_charges", "bound_liquidations"),
}  # fmt: skip
SIDE_BY_SIDE = (
    "final_equity", "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown",
    "max_drawdown_bars", "time_under_water", "skewness", "value_at_risk", "expected_shortfall", "tail_ratio",
    "exposure", "turnover", "trades", "win_rate", "payoff_ratio", "profit_factor", "average_profit", "expectancy",
    "average_bars_held", "longest_winning_streak", "longest_losing_streak", "long_profit", "short_profit",
    "open_profit", "fees", "funding", "slippage", "liquidations", "skill",
)  # fmt: skip
# The same of whole runs, by whose verdicts they are compared first.
COMPARED = ("rung", *SIDE_BY_SIDE)


def _times(value: float | None) -> str:
    text = formats.decimal(value, digits=1)
    return text if text == formats.NONE else f"{text}×"  # noqa: RUF001
