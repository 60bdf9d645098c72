"""Our engine at the work of the comparison: run by benchmarks/peers.py."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import peer_work as work
from peer_reversal import Recorded, Reversal

import crossgate as cg
from backtests import AccountParams, CandleFeed, Cerebro, CostParams, FuturesBroker
from backtests.exchange.stage import set_stage
from backtests.kernel.batch import play_batch
from backtests.kernel.scene import make_scene
from backtests.kernel.wishes import make_wish
from backtests.run.tables import Tables
from backtests.searches.grids import Grid
from backtests.searches.ground import settings_of
from markets.candles import Candles
from markets.contract import Contract
from markets.funding import Funding
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries

Columns = dict[str, np.ndarray]


def market_of(columns: Columns) -> Market:
    """The market as a futures contract: fees, mark prices, funding every eight hours, a maintenance rate."""
    names = ("open", "high", "low", "close", "volume")
    candles = Candles(columns["stamp"], *(columns[name] for name in names), bar=work.MINUTE)
    due = candles.timestamp[::480]
    fees = {"taker_fee": work.FEE, "maker_fee": work.FEE, "maintenance_rate": 0.005, "maximum_leverage": 20.0}
    contract = Contract(venue="bench", symbol="BENCH", tick=work.TICK, lot=0.001, **fees)
    return Market(contract, candles, candles, Funding(due, np.full(len(due), 1e-5)))


def cerebro(market: Market, strategy: Any = Reversal) -> Any:
    """Everything but the run."""
    made = Cerebro()
    made.adddata(CandleFeed(dataname=market))
    made.broker = FuturesBroker(cash=work.CASH, leverage=3.0)
    made.addstrategy(strategy)
    return made


def one_run(columns: Columns, rounds: int) -> dict[str, Any]:
    """The reversal under our Cerebro, with the futures account."""
    markets: dict[int, Market] = {}

    def run(given: Columns) -> float:
        count = len(given["close"])
        if count not in markets:
            markets[count] = market_of(given)
        ready = cerebro(markets[count])
        ready.run()
        return float(ready.broker.getvalue())

    value, seconds = work.take(run, columns, rounds)
    return {"seconds": seconds, "value": value}


def fills(columns: Columns, rounds: int) -> dict[str, Any]:
    """The fills of the reversal."""
    del rounds
    return {"fills": cerebro(market_of(columns), Recorded).run()[0].fills}


def memory(columns: Columns, rounds: int) -> dict[str, Any]:
    """The most memory of a process that runs the reversal over ten times the bars, in MB, and that of its imports."""
    del rounds
    bars = 10 * len(columns["close"])
    columns.clear()
    imports = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    market = market_of(work.make_market(bars, swept=False))
    cerebro(market).run()
    return {"imports": imports, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def sweep(columns: Columns, rounds: int) -> dict[str, Any]:
    """All settings of both sweeps, by the kernel."""
    found = {}
    for name, (fast, slow) in work.SWEEPS.items():
        strategy = cg.CrossoverParams(
            fast=fast, slow=slow, average="sma", rule="crossover", confirmation="cross", cross_bars=1
        )
        base = Tables(strategy, cg.RiskParams(sizing="leverage"), AccountParams(cash=work.CASH), CostParams())
        axes = {
            "risk.stop_loss": [f"{100 * one:g}%" for one in work.STOPS],
            "risk.take_profit": [f"{100 * one:g}%" for one in work.TARGETS],
            "risk.leverage": list(work.LEVERAGES),
        }
        tables = [base.changed(point) for point in Grid(base, axes).points()]
        settings = settings_of(tables)

        def run(given: Columns, base: Any = base, strategy: Any = strategy, settings: Any = settings) -> Any:
            market = market_of(given)
            stamps = market.candles.timestamp
            none, ones = np.zeros(len(stamps)), np.ones(len(stamps))
            forecasts = Forecasts({market.symbol: ForecastSeries(stamps, none, ones, stamps - 1, none)})
            stage = set_stage([market], forecasts, base.costs, [strategy], [base.risk])
            wish = make_wish(stage, forecasts, strategy, base.risk.atr_bars, base.costs)
            return play_batch(make_scene(stage.fed, stage.first), wish, settings, base.account.cash)

        tallies, seconds = work.take(run, columns, rounds)
        found[name] = {"seconds": seconds, "settings": len(tables), "entries": float(tallies["trades"].mean())}
    return found


if __name__ == "__main__":
    work.contest({"run": one_run, "fills": fills, "memory": memory, "sweep": sweep})
