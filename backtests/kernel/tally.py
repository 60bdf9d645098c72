"""Tally: what one setting of a sweep comes to, added up bar by bar and fill by fill."""

from __future__ import annotations

import math

import numpy as np

from backtests.exchange.records import FILLED, LIQUIDATION, REFUSED, Desk, Records, Row
from backtests.kernel.scene import BLOCKS
from foundation.compilation import rule
from markets.candles import BoolArray, FloatArray

# Money in the settlement currency. `returns`, `squares`, `falls`: sums of the bar returns r, r^2 and min(r, 0)^2.
# `deepest`: the largest fall from a peak of equity, a fraction. `traded`: notional of all fills. `average`: the mean of
# equity over bars. `held`, `under`: bars with a position, and bars below a peak. `blocks`: sums of returns
# and of their squares, by block of time.
_SUMS = "equity returns squares falls deepest average fees funding slippage charges traded won lost"
_COUNTS = "bars held under trades closed wins liquidations refusals shrunk ruined"
TALLY = np.dtype(
    [(name, np.float64) for name in _SUMS.split()]
    + [(name, np.int64) for name in _COUNTS.split()]
    + [("blocks", np.float64, (2, BLOCKS))]
)


# A fall from a peak below this part of it is the residue of sums in doubles, and none.
NO_FALL = 1e-12


@rule(inline=True)
def count_news(tally: Row, desk: Desk, profits: Records) -> None:
    """The fills, payments and ended orders of a bar; `profits`: what each symbol's running trade has earned."""
    account = desk.account[0]
    for k in range(account.fills):
        count_fill(tally, desk.fills[k], profits)
    count_payments(tally, desk)
    for k in range(account.orders):
        order = desk.orders[k]
        if order.status == REFUSED:
            tally.refusals += 1
        elif order.status == FILLED and order.remark != 0:
            tally.shrunk += 1


@rule(inline=True)
def count_fill(tally: Row, fill: Row, profits: Records) -> None:
    """A fill, and the trade that it opens or ends."""
    s = fill.symbol
    cost = fill.fee + fill.liquidation_fee
    tally.fees += fill.fee
    tally.charges += fill.liquidation_fee
    tally.slippage += fill.slippage
    tally.traded += fill.notional
    if fill.reason == LIQUIDATION:
        tally.liquidations += 1
    if fill.opening == 1 and abs(fill.position) <= fill.quantity:
        tally.trades += 1
        profits[s] = 0.0
    profits[s] += fill.realised_pnl - cost
    if fill.position == 0.0:
        count_trade(tally, profits[s])


@rule(inline=True)
def count_payments(tally: Row, desk: Desk) -> None:
    """The funding of a bar."""
    for k in range(desk.account[0].payments):
        tally.funding += desk.payments[k].payment


@rule(inline=True)
def count_trade(tally: Row, profit: float) -> None:
    """A round trip has ended with a profit after fees and charges, before funding."""
    tally.closed += 1
    if profit > 0.0:
        tally.wins += 1
        tally.won += profit
    elif profit < 0.0:
        tally.lost -= profit


def rate(tally: Records, bars_per_year: float, cash: float) -> dict[str, FloatArray]:
    """The metrics of `reports.metrics` that tallies hold, an array a metric; NaN where undefined."""
    bars, mean = tally["bars"], tally["returns"] / tally["bars"]
    traded, total = tally["trades"] > 0, tally["equity"] / cash - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(np.maximum(tally["squares"] - bars * mean * mean, 0.0) / np.maximum(bars - 1, 1))
        exponent = np.minimum(np.log1p(total) * bars_per_year / bars, 700.0)
        growth = np.where(total > -1.0, np.expm1(exponent), -1.0)
        downside, year = np.sqrt(tally["falls"] / bars), math.sqrt(bars_per_year)
        turnover = tally["traded"] / tally["average"] / (bars / bars_per_year)
        found = {
            "total_return": total,
            "final_equity": tally["equity"],
            "cagr": growth,
            "volatility": deviation * year,
            "sharpe": _defined(traded & (deviation > 1e-10 * np.abs(mean)), mean / deviation * year),
            "sortino": _defined(traded & (downside > 1e-10 * np.abs(mean)), mean / downside * year),
            "calmar": _defined(traded & (tally["deepest"] > NO_FALL), growth / tally["deepest"]),
            "max_drawdown": tally["deepest"],
            "time_under_water": tally["under"] / bars,
            "exposure": tally["held"] / bars,
            "turnover": _defined(tally["average"] > 0.0, turnover),
            "win_rate": _defined(tally["closed"] > 0, tally["wins"] / tally["closed"]),
            "profit_factor": _defined(tally["lost"] > 0.0, tally["won"] / tally["lost"]),
            "liquidation_charges": tally["charges"],
        }
    plain = ("trades", "fees", "funding", "slippage", "liquidations", "refusals", "shrunk")
    return found | {name: tally[name] for name in plain}


def _defined(where: BoolArray, values: FloatArray) -> FloatArray:
    return np.where(where, values, np.nan)
