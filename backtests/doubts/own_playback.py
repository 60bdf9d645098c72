"""Own playback: what a strategy written by hand comes to when it is played again with one thing changed at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from backtests.doubts.playback import POINTS, Outcome
from backtests.doubts.sensitivity import MULTIPLES, Sensitivity, least_multiple
from backtests.exchange.parameters import INTRABAR, LIMIT_FILL, CostParams
from backtests.run.own_run import OwnRun
from backtests.run.result import Result
from backtests.under_backtrader.broker import FuturesBroker
from foundation.errors import DataError
from foundation.progress import progress
from foundation.units import Quantity
from markets.candles import FloatArray, IntArray
from markets.market import Market

# A trade by symbol and the open of the bar of its first fill; its other fills: a bar's open, a reason and a price each.
Trips = dict[tuple[str, int], tuple[tuple[int, str, float], ...]]


def points_of(count: int) -> IntArray:
    """The bars of a run of `count`, at which equity is kept: evenly spaced, with the last one."""
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).astype(np.int64))


def check_same(result: Result) -> None:
    """Raises DataError for a strategy that does not come to the same when it is played again."""
    run = _run(result)
    fills = run.again().ledger.tables()[0]
    if not fills.equals(result.fills):
        fix = "keep nothing in the class or outside of it, and give random numbers a seed"
        raise DataError(result.name, "comes out different when the strategy is played again", fix=fix)


def outcome_of_tables(equity: FloatArray, fills: pd.DataFrame, cash: float, bars_per_year: float) -> Outcome:
    """The outcome of an account: its equity at every bar's close, and its fills."""
    kept = np.maximum(equity, 0.0)
    peak = np.maximum.accumulate(np.concatenate(([cash], kept)))[1:]
    return Outcome(
        profit=float(kept[-1]) - cash,
        total_return=float(kept[-1]) / cash - 1.0,
        sharpe=sharpe_of(kept, cash, bars_per_year) if len(fills) else 0.0,
        max_drawdown=float((1.0 - kept / peak).max()),
        trades=len(trips_of(fills)),
        liquidations=int((fills["reason"] == "liquidation").sum()),
        equity=kept[points_of(len(kept))],
    )


def sharpe_of(equity: FloatArray, cash: float, bars_per_year: float) -> float:
    """The yearly Sharpe ratio of bar returns, 0 where they do not vary; equity is nowhere below zero."""
    before = np.concatenate(([cash], equity[:-1]))
    returns = np.divide(equity, before, out=np.ones_like(equity), where=before > 0.0) - 1.0
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / deviation * math.sqrt(bars_per_year) if deviation > 1e-14 else 0.0


def outcome_of_broker(run: OwnRun, broker: FuturesBroker) -> Outcome:
    """What a run that was played again came to, from the first bar that counts on."""
    equity, fills = broker.playing.closes(slice(run.first, None))["equity"], broker.ledger.tables()[0]
    return outcome_of_tables(equity, fills, run.account.cash, run.markets[0].bars_per_year)


def trips_of(fills: pd.DataFrame) -> Trips:
    """The round trips that fills make, from flat or from a flip of side to the fill that ends them."""
    trips: dict[tuple[str, int], list[tuple[int, str, float]]] = {}
    running: dict[str, tuple[str, int]] = {}
    held: dict[str, float] = {}
    stamps = pd.DatetimeIndex(fills["timestamp"]).as_unit("ns").asi8.tolist()
    columns = (fills[name] for name in ("symbol", "reason", "position", "price"))
    for stamp, symbol, reason, position, price in zip(stamps, *columns, strict=True):
        before, held[symbol] = held.get(symbol, 0.0), position
        if symbol in running:
            trips[running[symbol]].append((stamp, reason, price))
        if before * position <= 0.0:
            running.pop(symbol, None)
            if position != 0.0:
                running[symbol] = (symbol, stamp)
                trips[symbol, stamp] = []
    return {key: tuple(rest) for key, rest in trips.items()}


def measure_own_sensitivity(result: Result) -> Sensitivity:
    """The sensitivity of a run, by playing its strategy again under each assumption.

    Unlike the kernel, which keeps the signals of a run, the strategy sees the account as it then is, and may act
    on it. Late by a bar: it sees every bar when the next one has closed.
    """
    run = _run(result)
    ours = outcome_of_tables(
        result.equity["equity"].to_numpy(), result.fills, run.account.cash, run.markets[0].bars_per_year
    )
    asked = _assumptions(run)
    brokers = {
        name: run.again(**changes) for name, changes in progress(asked.items(), "Playing other assumptions", len(asked))
    }
    found = {name: outcome_of_broker(run, broker) for name, broker in brokers.items()}
    trips = {name: trips_of(brokers[name].ledger.tables()[0]) for name in brokers if name in INTRABAR}
    own = trips_of(result.fills)
    depending = sum(any(other.get(key) != rest for other in trips.values()) for key, rest in own.items())

    def profit(multiple: float) -> float:
        return outcome_of_broker(run, run.again(**at_multiple(run, multiple))).profit

    return Sensitivity(
        timestamp=run.markets[0].candles.timestamp[run.first :][points_of(len(result.equity))],
        intrabar={word: found.get(word, ours) for word in INTRABAR},
        trades=len(own),
        depending=depending,
        bound=result.totals.bound_liquidations,
        limit_fill={word: found.get(word, ours) for word in LIMIT_FILL},
        costs={multiple: found.get(f"{multiple:g}", ours) for multiple in MULTIPLES},
        break_even=least_multiple(profit) if len(result.fills) else math.inf,
        delayed=found["late"],
    )


def _assumptions(run: OwnRun) -> dict[str, Mapping[str, Any]]:
    """What is changed for each assumption that is not the run's own."""
    account = run.account
    changed: dict[str, Mapping[str, Any]] = {
        **{word: {"account": account.replaced(intrabar=word)} for word in INTRABAR if word != account.intrabar},
        **{word: {"account": account.replaced(limit_fill=word)} for word in LIMIT_FILL if word != account.limit_fill},
        **{f"{multiple:g}": at_multiple(run, multiple) for multiple in MULTIPLES if multiple != 1.0},
    }
    return {**changed, "late": {"late": True}}


def at_multiple(run: OwnRun, multiple: float) -> dict[str, Any]:
    """Markets and costs with fees and slippage multiplied; rebates are not multiplied beyond 1."""
    spread = run.costs.half_spread
    wider = None if spread is None or multiple == 0.0 else Quantity(spread.amount * multiple, spread.unit)
    slippage, impact = run.costs.slippage_bps * multiple, run.costs.impact * multiple
    costs = CostParams.model_construct(
        **{**dict(run.costs), "slippage_bps": slippage, "impact": impact, "half_spread": wider}
    )
    return {"costs": costs, "markets": tuple(_charged(market, multiple) for market in run.markets)}


def _charged(market: Market, multiple: float) -> Market:
    rates = {name: getattr(market.contract, name) for name in ("taker_fee", "maker_fee", "liquidation_fee")}
    changed = {name: rate * (multiple if rate > 0.0 else min(multiple, 1.0)) for name, rate in rates.items()}
    return replace(market, contract=market.contract.model_copy(update=changed))


def _run(result: Result) -> OwnRun:
    if result.own is None:
        raise DataError(result.name, "was not played by a strategy written by hand")
    return result.own
