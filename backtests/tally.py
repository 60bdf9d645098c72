"""Tally: what one setting of a sweep comes to, added up bar by bar and fill by fill."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from backtests.records import FILLED, LIQUIDATION, REFUSED, Desk, Records, Row
from backtests.scene import BLOCKS
from foundation.compilation import rule
from markets.candles import BoolArray, FloatArray

# Money in the settlement currency. `returns`, `squares`, `falls`: sums of the bar returns r, r^2 and min(r, 0)^2.
# `deepest`: the largest fall from a peak of equity, a fraction. `peak`, `trough`: the highest equity so far and the
# lowest since. `traded`: notional of all fills. `average`: the sum of equity over bars, then its mean. `before`: the
# equity of the bar before. `block`: the number of the block of time that is running. `blocks`: sums of returns.
_SUMS = "equity before returns squares falls peak trough deepest average fees funding slippage charges traded won lost"
_COUNTS = "bars held under trades closed wins liquidations refusals shrunk block ruined"
TALLY = np.dtype(
    [(name, np.float64) for name in _SUMS.split()]
    + [(name, np.int64) for name in _COUNTS.split()]
    + [("blocks", np.float64, (BLOCKS,))]
)


class Sums(NamedTuple):
    """What is added up bar by bar, as in TALLY."""

    returns: float
    squares: float
    falls: float
    peak: float
    trough: float
    deepest: float
    average: float
    before: float
    under: int


@rule
def begin(tally: Row, cash: float) -> None:
    """An account before its first bar."""
    tally.equity, tally.before, tally.peak, tally.trough = cash, cash, cash, cash


@rule(inline=True)
def sums_of(tally: Row) -> Sums:
    """What a tally has added up by now."""
    return Sums(
        tally.returns, tally.squares, tally.falls, tally.peak, tally.trough, tally.deepest, tally.average,
        tally.before, tally.under,
    )  # fmt: skip


@rule(inline=True)
def added(sums: Sums, equity: float) -> Sums:
    """The sums after one more bar: its return, and the equity's way from its peak."""
    value = equity / sums.before - 1.0 if sums.before > 0.0 else 0.0
    fall, peak, trough, deepest, under = min(value, 0.0), sums.peak, min(sums.trough, equity), sums.deepest, sums.under
    if equity >= peak:
        deepest, peak, trough = deepest_fall(deepest, peak, sums.trough), equity, equity
    else:
        under += 1
    return Sums(
        sums.returns + value, sums.squares + value * value, sums.falls + fall * fall, peak, trough, deepest,
        sums.average + equity, equity, under,
    )  # fmt: skip


@rule(inline=True)
def write_sums(tally: Row, sums: Sums, bars: int, held: bool) -> None:
    """The sums after some more bars put down in a tally; `held`: whether there was a position at their closes."""
    tally.returns, tally.squares, tally.falls, tally.average = sums.returns, sums.squares, sums.falls, sums.average
    tally.peak, tally.trough, tally.deepest, tally.under = sums.peak, sums.trough, sums.deepest, sums.under
    tally.before, tally.equity = sums.before, sums.before
    tally.bars += bars
    if held:
        tally.held += bars


@rule(inline=True)
def count_bar(tally: Row, equity: float, held: bool) -> None:
    """One bar closed. Equity at zero or below counts as zero."""
    write_sums(tally, added(sums_of(tally), max(equity, 0.0)), 1, held)


@rule(inline=True)
def count_idle(tally: Row, bars: int) -> None:
    """Some bars closed without a position: the equity stayed as it was."""
    tally.bars += bars
    tally.average += bars * tally.equity
    if tally.equity < tally.peak:
        tally.under += bars


@rule(inline=True)
def deepest_fall(deepest: float, peak: float, trough: float) -> float:
    """The larger of a fall and the one from a peak to the lowest equity since."""
    return max(deepest, 1.0 - trough / peak) if peak > 0.0 else deepest


@rule(inline=True)
def close_block(tally: Row) -> None:
    """A block of time is over: its returns are what the sum has grown by."""
    before = 0.0
    for k in range(tally.block):
        before += tally.blocks[k]
    tally.blocks[tally.block] = tally.returns - before
    tally.block += 1


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


@rule
def finish_tally(tally: Row, ruined: int) -> None:
    """The last bar has closed."""
    tally.deepest = deepest_fall(tally.deepest, tally.peak, tally.trough)
    tally.ruined = ruined
    tally.average /= max(tally.bars, 1)


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
            "calmar": _defined(traded & (tally["deepest"] > 0.0), growth / tally["deepest"]),
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
