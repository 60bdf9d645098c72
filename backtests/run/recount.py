"""Recount: what a Result of Backtrader comes to, added up from its tables as the kernel adds up a setting."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from backtests.exchange.records import Records
from backtests.kernel.tally import TALLY, rate
from backtests.run.result import Result
from markets.candles import BoolArray, FloatArray

# How far a reported metric may lie from the recount, a fraction of the larger one, and what counts as zero: of one, or
# of the starting balance for an amount of money.
RELATIVE, ZERO = 1e-6, 1e-9
_MONEY = ("final_equity", "fees", "funding", "slippage", "liquidation_charges")
# A fill's columns, and what TALLY calls their sum.
_SUMS = {"fee": "fees", "slippage": "slippage", "liquidation_fee": "charges", "notional": "traded"}


def recount(result: Result) -> dict[str, float]:
    """The metrics of `rate` by name, from the tables of a Result alone; NaN where undefined."""
    tally = np.zeros(1, dtype=TALLY)
    _add_equity(tally, result.equity["equity"].to_numpy(dtype=np.float64), result.account.cash)
    held = (result.positions["position"] != 0.0).groupby(result.positions["timestamp"]).any()
    tally["held"], tally["funding"] = held.sum(), result.funding["payment"].sum()
    for name, total in _SUMS.items():
        tally[total] = result.fills[name].sum()
    tally["liquidations"] = (result.fills["reason"] == "liquidation").sum()
    for status, total in (("refused", "refusals"), ("shrunk", "shrunk")):
        tally[total] = (result.orders["status"] == status).sum()
    for _, own in result.fills.groupby("symbol"):
        _add_trades(tally, own)
    rated = rate(tally, result.markets[0].bars_per_year, result.account.cash)
    return {name: float(values[0]) for name, values in rated.items()}


def first_apart(told: Mapping[str, float | None], result: Result) -> str:
    """The first metric of `told` that is not what a Result comes to, in words; '' where all are, to a millionth.

    Every metric of `rate` has to be told, NaN or None where undefined.
    """
    for name, expected in recount(result).items():
        given = told[name]
        value = np.nan if given is None else float(given)
        zero = ZERO * (result.account.cash if name in _MONEY else 1.0)
        if not np.isclose(value, expected, rtol=RELATIVE, atol=zero, equal_nan=True):
            return f"{name} {value:.10g} and {expected:.10g}"
    return ""


def _add_equity(tally: Records, equity: FloatArray, cash: float) -> None:
    """What follows from the equity at the close of every bar."""
    equity = np.maximum(equity, 0.0)
    before = np.concatenate(([cash], equity[:-1]))
    alive: BoolArray = before > 0.0
    returns = np.where(alive, equity / np.where(alive, before, 1.0) - 1.0, 0.0)
    peak = np.maximum.accumulate(np.concatenate(([cash], equity)))[1:]
    tally["bars"], tally["equity"], tally["average"] = len(equity), equity[-1], equity.mean()
    tally["returns"], tally["squares"] = returns.sum(), (returns**2).sum()
    tally["falls"] = (np.minimum(returns, 0.0) ** 2).sum()
    tally["deepest"], tally["under"] = (1.0 - equity / peak).max(), (equity < peak).sum()


def _add_trades(tally: Records, fills: pd.DataFrame) -> None:
    """The round trips of one symbol; a fill ends at flat before another one turns to the other side."""
    after = fills["position"].to_numpy(dtype=np.float64)
    before = np.concatenate(([0.0], after[:-1]))
    opening, ending = (before == 0.0) & (after != 0.0), (before != 0.0) & (after == 0.0)
    profits = (fills["realised_pnl"] - fills["fee"] - fills["liquidation_fee"]).groupby(np.cumsum(opening)).sum()
    closed = profits.to_numpy()[: int(ending.sum())]
    tally["trades"] += opening.sum()
    tally["closed"] += len(closed)
    tally["wins"] += (closed > 0.0).sum()
    tally["won"] += closed[closed > 0.0].sum()
    tally["lost"] -= closed[closed < 0.0].sum()
