"""How fast the kernel is: processor time a bar and setting, at few and many fills, beside Backtrader.

    .venv/bin/python benchmarks/sweep_speed.py

Prints nanoseconds of processor time a bar and setting, next to the targets, and exits 1 on a miss.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import NamedTuple

import numpy as np

import crossgate as cg
from backtests.exchange.stage import set_stage
from backtests.kernel.batch import play_batch
from backtests.kernel.scene import make_scene
from backtests.kernel.wishes import make_wish
from backtests.run.tables import Tables
from backtests.searches.grids import Grid
from backtests.searches.ground import settings_of
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries

BARS, SETTINGS = 100_000, 200
STOPS = [f"{one:g}%" for one in np.linspace(0.5, 5.0, 10)]
TARGETS = [f"{one:g}%" for one in np.linspace(1.0, 10.0, 10)]
LADDER = [{"distance": "1%", "share": 0.3}, {"distance": "2%", "share": 0.3}]


def noise(market: Market, seed: int) -> Forecasts:
    """Forecasts without any skill, at every bar."""
    random, stamps = np.random.default_rng(seed), market.candles.timestamp
    mean, sigma = random.normal(0.0, 3e-4, len(stamps)), np.full(len(stamps), 0.006)
    return Forecasts({market.symbol: ForecastSeries(stamps, mean, sigma, stamps - 1, np.zeros(len(stamps)))}, "noise")


class Measured(NamedTuple):
    """A case: nanoseconds of processor time a bar and setting, beside their target, and the mean fills of a setting."""

    name: str
    target: float
    nanoseconds: float
    fills: float


def measure(
    market: Market, forecasts: Forecasts, strategy: cg.CrossoverParams, name: str, target: float, **risk: object
) -> Measured:
    """A case, the median of five rounds; fills are two a trade."""
    base = Tables(strategy, cg.RiskParams(**{"sizing": "leverage", **risk}), cg.AccountParams(), cg.CostParams())
    grid = Grid(base, {"risk.stop_loss": STOPS, "risk.take_profit": TARGETS, "risk.leverage": [2, 3]})
    tables = [base.changed(point) for point in grid.points()]
    stage = set_stage([market], forecasts, base.costs, [strategy], [base.risk])
    scene = make_scene(stage.fed, stage.first)
    wish, settings = make_wish(stage, forecasts, strategy, base.risk.atr_bars, base.costs), settings_of(tables)
    play_batch(scene, wish, settings, base.account.cash)
    times = []
    for _ in range(5):
        before = time.process_time()
        tallies = play_batch(scene, wish, settings, base.account.cash)
        times.append(time.process_time() - before)
    spent = statistics.median(times) / (scene.bars.size * len(tables)) * 1e9
    return Measured(name, target, spent, 2.0 * float(tallies["trades"].mean()))


SLOW = cg.CrossoverParams(fast=150, slow=450, rule="crossover", confirmation="cross", cross_bars=1)
QUICK = cg.CrossoverParams(fast=8, slow=24, rule="crossover", confirmation="cross", cross_bars=3)


def cases(market: Market, forecasts: Forecasts) -> list[Measured]:
    """All cases."""
    return [
        measure(market, forecasts, SLOW, "few fills", 5.0),
        measure(market, forecasts, QUICK, "many fills", 9.0),
        measure(market, forecasts, QUICK, "trailing stop and ladder", 13.0, trailing_stop="2%", targets=LADDER),
    ]


def main() -> int:
    """Prints the table; 1 when a target is missed."""
    market = cg.demo_market(seed=5, bars=BARS)
    forecasts = noise(market, 1)
    found = cases(market, forecasts)
    for one in found:
        spent = f"{one.nanoseconds:.1f} ns a bar and setting (target {one.target:g})"
        print(f"{one.name}: {spent}, {one.fills:,.0f} fills a setting")
    before = time.process_time()
    cg.backtest(market, forecasts, QUICK, cg.RiskParams(sizing="leverage", stop_loss="2%", take_profit="4%"))
    spent = (time.process_time() - before) / BARS * 1e9
    print(f"one such run under Backtrader: {spent:,.0f} ns a bar, {spent / found[1].nanoseconds:,.0f} times as much")
    return int(any(one.nanoseconds > one.target for one in found))


if __name__ == "__main__":
    sys.exit(main())
