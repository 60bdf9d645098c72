"""How fast two positions on one cross account are played, by the kernel and under Backtrader, beside isolated margin.

    .venv/bin/python benchmarks/cross_speed.py

Prints nanoseconds of processor time a bar, symbol and setting of the kernel, and microseconds a bar and symbol of
`cg.backtest`, at few and many fills.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sweep_speed import STOPS, TARGETS, noise

import crossgate as cg
from backtests.exchange.stage import set_stage
from backtests.kernel.batch import play_batch
from backtests.kernel.scene import make_scene
from backtests.kernel.wishes import make_wish
from backtests.run.tables import Tables
from backtests.searches.grids import Grid
from backtests.searches.ground import settings_of
from markets.market import Market
from models.forecasts import Forecasts

BARS = 50_000
PERIODS = {"few fills": (150, 450), "many fills": (14, 36)}


def least(run: Callable[[], Any], rounds: int) -> float:
    """The least processor time of some rounds, after one that does not count."""
    run()
    times = []
    for _ in range(rounds):
        before = time.process_time()
        run()
        times.append(time.process_time() - before)
    return min(times)


def two_markets() -> tuple[list[Market], Forecasts]:
    """Two made markets with forecasts of noise."""
    markets = []
    for number, symbol in enumerate(("ONE", "TWO")):
        made = cg.demo_market(seed=5 + number, bars=BARS)
        markets.append(replace(made, contract=made.contract.replaced(symbol=symbol)))
    return markets, Forecasts({one.symbol: noise(one, k).series[one.symbol] for k, one in enumerate(markets)}, "noise")


def kernel(markets: list[Market], forecasts: Forecasts, base: Tables) -> tuple[float, float]:
    """Nanoseconds a bar, symbol and setting, and the mean number of trades."""
    grid = Grid(base, {"risk.stop_loss": STOPS[::2], "risk.take_profit": TARGETS[::5], "risk.leverage": [2, 3]})
    tables = [base.changed(point) for point in grid.points()]
    stage = set_stage(markets, forecasts, base.costs, [base.strategy], [base.risk])
    scene = make_scene(stage.fed, stage.first)
    wish, settings = make_wish(stage, forecasts, base.strategy, base.risk.atr_bars, base.costs), settings_of(tables)
    trades = float(play_batch(scene, wish, settings, base.account.cash)["trades"].mean())
    seconds = least(lambda: play_batch(scene, wish, settings, base.account.cash), 3)
    return seconds / (scene.bars.size * len(tables)) * 1e9, trades


def main() -> int:
    """Prints the table."""
    markets, forecasts = two_markets()
    for name, (fast, slow) in PERIODS.items():
        words = {"average": "sma", "rule": "crossover", "confirmation": "cross", "cross_bars": 1}
        strategy = cg.CrossoverParams(fast=fast, slow=slow, **words)
        for margin in ("isolated", "cross"):
            risk, account = cg.RiskParams(sizing="leverage", leverage=2), cg.AccountParams(margin=margin)
            found, trades = kernel(markets, forecasts, Tables(strategy, risk, account, cg.CostParams()))
            print(f"kernel, {name}, {margin}: {found:.1f} ns a bar, symbol and setting; {trades:.0f} trades")
            run = least(lambda a=account, r=risk, s=strategy: cg.backtest(markets, forecasts, s, r, a), 1)
            print(f"backtest, {name}, {margin}: {run / (2 * BARS) * 1e6:.1f} us a bar and symbol")
    return 0


if __name__ == "__main__":
    sys.exit(main())
