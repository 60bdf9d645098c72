"""The backtest: markets and forecasts in, a Result out, by way of Backtrader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.exchange.stage import Stage, set_stage
from backtests.run.result import Result
from backtests.run.tables import Tables, on_tables
from backtests.under_backtrader.broker import FuturesBroker
from backtests.under_backtrader.feed import CandleFeed
from backtests.under_backtrader.loop import Cerebro
from foundation.errors import ParameterError
from markets.candles import utc
from markets.market import Market
from models.forecasts import Forecaster, Forecasts, collect_forecasts
from strategies.lstm_crossover import Decision, LSTMCrossover
from strategies.outlook import Outlook, make_outlook
from strategies.parameters import CrossoverParams, RiskParams
from strategies.reasons import texts

# An account that has fallen to this part of its starting cash can hardly trade any more.
AS_GOOD_AS_RUINED = 0.05


@on_tables
def backtest(
    markets: list[Market],
    forecasts: Forecasts | Forecaster,
    tables: Tables,
    *,
    name: str = "backtest",
    config: dict[str, Any] | None = None,
    loop: Literal["fast", "stock"] = "fast",
) -> Result:
    """The Result of trading one or several markets on forecasts, from the first bar that has one.

    `forecasts` may be any Forecaster: it is then asked bar by bar. Several markets share the account,
    each with an equal part of the equity, over the span that all of them have. Orders are decided at
    a bar's close and filled at the next open. `loop`: "fast", or "stock" for Backtrader's own, with every decision
    and every bar worked out one by one; both come to the same record. Raises ParameterError for a leverage above a
    contract's maximum, and DataError where funding is missing unless `missing_funding = "zero"`.
    """
    strategy, risk, account, costs = tables.strategy, tables.risk, tables.account, tables.costs
    asked = forecasts if isinstance(forecasts, Forecasts) else _collect(forecasts, markets)
    stage = set_stage(markets, asked, costs, [strategy], [risk])
    played, start = stage.played, stage.start
    notes = [*run_notes(played, start, account), *asked.notes]
    decided: list[Any] = [[] for _ in stage.fed]
    if loop == "fast":
        decided = [_outlook(one, stage.first, asked, strategy, risk, costs) for one in stage.fed]
    cerebro = _cerebro(stage, asked, strategy, risk, account, costs, decided, loop)
    cerebro.run()
    record = run_tables(cerebro.broker, decided, stage)
    ruined = bool(cerebro.broker.account["ruined"][0])
    notes += loss_notes(record, account, ruined=ruined)
    return Result(
        name=name, markets=played, forecasts=asked, strategy=strategy, risk=risk, account=account, costs=costs,
        start=start, notes=tuple(notes), ruined=ruined, config=config or {}, **record,
    )  # fmt: skip


def loss_notes(tables: dict[str, Any], account: AccountParams, *, ruined: bool) -> list[str]:
    """What a reader must know of the run itself: ruin, liquidations, and an account that is as good as ruined."""
    count, least = tables["totals"].liquidations, float(tables["equity"]["equity"].min()) / account.cash
    notes = [f"{count} positions were liquidated"] if count > 1 else ["a position was liquidated"] * count
    if ruined:
        notes.insert(0, "the account was ruined: equity reached zero and stayed there")
    if tables["totals"].bound_liquidations:
        bound = f"{tables['totals'].bound_liquidations} of the liquidations"
        notes.append(f"{bound} assume that all other positions were at their worst prices of the bar at the same time")
    if least < AS_GOOD_AS_RUINED and not ruined:
        notes.append(f"the account fell to {least:.2%} of its starting cash: it is as good as ruined")
    return notes


def _collect(forecaster: Forecaster, markets: Sequence[Market]) -> Forecasts:
    if not isinstance(forecaster, Forecaster):
        raise ParameterError("forecasts", "should be Forecasts or have a method forecast(bar)", value=forecaster)
    return collect_forecasts(forecaster, markets, type(forecaster).__name__)


def run_notes(markets: Sequence[Market], start: int, account: AccountParams) -> list[str]:
    """What a reader must know first: stand-ins and missing funding; refuses the latter by default."""
    notes = []
    for market in markets:
        candles = market.candles
        if market.synthetic:
            notes.append(f"{market.symbol} is a synthetic market: it says nothing about a real one")
        if account.missing_funding == "refuse":
            market.check_funding(start)
        hole = market.funding_hole(start)
        if hole is not None:
            where = f"{utc(hole[0])} to {utc(hole[1])} UTC"
            notes.append(f"{market.symbol} funding is missing, first from {where}; it was played as zero")
        if market.finer is not None:
            silent = int((~market.finer_bars()[1][candles.timestamp >= start]).sum())
            if silent:
                where = f"{market.symbol} finer candles are missing, or do not make the candle, on {silent:,} bars"
                notes.append(f"{where}; there the path inside a bar is assumed")
        _, stands_in = market.mark_bars()
        count = int(stands_in[candles.timestamp >= start].sum())
        if count:
            missing = f"{market.symbol} mark price is missing or coarser than the candles on {count:,} bars"
            notes.append(f"{missing}; the last price stood in")
        notes += [*market.notes, *_repaired(market, start)]
    return notes


def _repaired(market: Market, start: int) -> list[str]:
    """How many bars cleaning touched, of candles and mark prices, from `start` on."""
    notes = []
    for candles, what in ((market.candles, "take no fills and count for no skill"), (market.mark, "are mark prices")):
        count = 0 if candles is None else int(candles.touched[candles.timestamp >= start].sum())
        if count:
            notes.append(f"{market.symbol}: {count:,} bars were touched by cleaning; they {what}")
    return notes


def _outlook(
    market: Market, first: int, forecasts: Forecasts, strategy: CrossoverParams, risk: RiskParams, costs: CostParams
) -> Outlook:
    """What the strategy wants at every bar of a market that is fed."""
    rates = market.contract.taker_fee + costs.slippage_rates(market.candles.close, market.contract.tick)
    return make_outlook(market, forecasts, strategy, risk, rates, first)


def _cerebro(
    stage: Stage, forecasts: Forecasts, strategy: CrossoverParams, risk: RiskParams, account: AccountParams,
    costs: CostParams, decided: Sequence[Any], loop: str,
) -> Any:  # fmt: skip
    """A Cerebro that is ready to run; `decided`: one Outlook a market, or a list to put Decisions down in."""
    cerebro = Cerebro(loop=loop)
    for market in stage.fed:
        cerebro.adddata(CandleFeed(dataname=market))
    cerebro.broker = FuturesBroker.of(account, costs, risk.leverage)
    cerebro.broker.first = stage.first
    parameters = {name: getattr(table, name) for table in (strategy, risk) for name in type(table).model_fields}
    known = {"outlooks": decided} if loop == "fast" else {"record": lambda number, row: decided[number].append(row)}
    cerebro.addstrategy(LSTMCrossover, forecaster=forecasts, start=stage.start, **known, **parameters)
    return cerebro


def run_tables(broker: FuturesBroker, decided: Sequence[Any], stage: Stage) -> dict[str, Any]:
    """The tables of a Result, from the first played row on."""
    first = stage.first
    fills, payments, orders = broker.ledger.tables()
    stamps = broker.ledger.stamps
    time = pd.to_datetime(stamps[first:], utc=True, unit="ns")
    equity = pd.DataFrame({"timestamp": time, **broker.playing.closes(slice(first, None))})
    parts = []
    for market, history in zip(stage.fed, broker.position_history, strict=True):
        columns = {name: history[name][first:] for name in ("liquidation_price", "margin", "unrealised")}
        held, mark = history["position"][first:], market.mark_bars(slice(first, None))[0][:, 3]
        head = {"timestamp": time, "symbol": market.symbol, "position": held, "mark": mark}
        parts.append(pd.DataFrame({**head, **columns}))
    single = len(parts) == 1
    for name in ("position", "mark", "liquidation_price"):
        equity[name] = parts[0][name] if single else np.nan
    return {
        "fills": fills,
        "funding": payments,
        "orders": orders,
        "equity": equity,
        "positions": pd.concat(parts, ignore_index=True),
        "decisions": pd.concat(map(_decisions, stage.fed, decided, [first] * len(decided)), ignore_index=True),
        "totals": broker.ledger.totals(),
    }


def _decisions(market: Market, decided: Any, first: int) -> pd.DataFrame:
    """One market's decisions from row `first` on: of an Outlook, or one after the other."""
    columns: dict[str, Any] = {field: [] for field in Decision._fields}
    if isinstance(decided, Outlook):
        columns |= {"timestamp": market.candles.timestamp[first:], "close": market.candles.close[first:]}
        columns |= {name: getattr(decided, name)[first:] for name in ("mean", "sigma", "threshold", "fast", "slow")}
        columns |= {"signal": np.asarray(decided.sides)[first:], "reason": texts(decided.reasons[first:])}
    elif len(decided) > first:
        columns = dict(zip(Decision._fields, zip(*decided[first:], strict=True), strict=True))
    part = pd.DataFrame(columns).astype({"signal": np.int8, "reason": str})
    part["timestamp"] = pd.to_datetime(part["timestamp"], utc=True, unit="ns")
    part.insert(1, "symbol", pd.Series([market.symbol] * len(part), dtype=str))
    return part
