"""How the cost grows with bars, settings, symbols and cores, and what one run is made of: docs/images/performance.png.

    .venv/bin/python benchmarks/curves.py

Prints the figures of docs/performance.md as tables and draws them. Times are processor time, the least of some rounds;
those of cores are wall time.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import backtrader as bt
import matplotlib as mpl
import numpy as np
import peer_work as work
from peer_crossgate import cerebro, market_of
from peer_reversal import Reversal

import crossgate as cg
from backtests.exchange.stage import set_stage
from backtests.kernel.batch import play_batch
from backtests.kernel.scene import make_scene
from backtests.kernel.wishes import make_wish
from backtests.run.tables import Tables
from backtests.searches.ground import settings_of
from foundation.parallel import run_all
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "performance.png"
QUICK = cg.CrossoverParams(fast=14, slow=36, average="sma", rule="crossover", confirmation="cross", cross_bars=1)
RISK = cg.RiskParams(sizing="fraction", stop_loss="0.5%", take_profit="1%")


class Empty(bt.Strategy):
    """Does nothing at every bar."""

    def next(self) -> None:
        pass


class Watching(Reversal):
    """Looks at the crossing of two averages, and does nothing about it."""

    def next(self) -> None:
        if self.cross[0]:
            pass


def least(run: Callable[[], Any], rounds: int = 3, clock: Callable[[], float] = time.process_time) -> float:
    """The least time of some rounds, in seconds, after one that warms up."""
    run()
    times = []
    for _ in range(rounds):
        before = clock()
        run()
        times.append(clock() - before)
    return min(times)


def silent(markets: Sequence[Market]) -> Forecasts:
    """Forecasts of nothing, for strategies that follow their averages alone."""
    series = {}
    for one in markets:
        stamps = one.candles.timestamp
        none = np.zeros(len(stamps))
        series[one.symbol] = ForecastSeries(stamps, none, none + 1.0, stamps - 1, none)
    return Forecasts(series)


def markets_of(count: int, bars: int) -> list[Market]:
    """Some markets, each a walk of its own."""
    made = []
    for number in range(count):
        one = market_of(work.make_market(bars, seed=number + 3, swept=False))
        made.append(dataclasses.replace(one, contract=one.contract.replaced(symbol=f"BENCH{number}")))
    return made


def taken_apart(bars: int = 100_000) -> dict[str, float]:
    """Microseconds a bar of one run: the loop alone, with averages looked at, with orders; and our strategy."""
    market = market_of(work.make_market(bars, swept=False))
    runs: dict[str, Callable[[], Any]] = {
        "an empty strategy": lambda: cerebro(market, Empty).run(),
        "two averages and their crossing": lambda: cerebro(market, Watching).run(),
        "with brackets (about 4,500 fills)": lambda: cerebro(market, Reversal).run(),
        "cg.backtest, LSTMCrossover with brackets": lambda: cg.backtest(market, silent([market]), QUICK, RISK),
    }
    return {name: least(run) / bars * 1e6 for name, run in runs.items()}


def by_bars() -> dict[str, dict[int, float]]:
    """Microseconds a bar of one run, in both loops."""
    found: dict[str, dict[int, float]] = {"fast loop": {}, "Backtrader's loop": {}}
    for bars in (10_000, 30_000, 100_000, 300_000):
        market = market_of(work.make_market(bars, swept=False))
        for loop, most in (("fast", 300_000), ("stock", 30_000)):
            if bars <= most:
                name = "fast loop" if loop == "fast" else "Backtrader's loop"

                def run(market: Market = market, loop: str = loop) -> None:
                    made = cerebro(market)
                    made.p.loop = loop
                    made.run()

                found[name][bars] = least(run, 2) / bars * 1e6
    return found


def kernel(bars: int, settings: int) -> tuple[Any, ...]:
    """What the kernel takes for some settings on a market."""
    market = market_of(work.make_market(bars, swept=False))
    base = Tables(QUICK, RISK, cg.AccountParams(), cg.CostParams())
    tables = [base.changed({"risk.stop_loss": f"{0.3 + 0.01 * number:g}%"}) for number in range(settings)]
    forecasts = silent([market])
    stage = set_stage([market], forecasts, base.costs, [QUICK], [RISK])
    wish = make_wish(stage, forecasts, QUICK, RISK.atr_bars, base.costs)
    return make_scene(stage.fed, stage.first), wish, settings_of(tables), base.account.cash


def by_settings(bars: int = 20_000) -> dict[str, dict[int, float]]:
    """Nanoseconds a bar and setting of the kernel; what all settings share is not counted."""
    found = {}
    for count in (1, 10, 100, 400):
        given = kernel(bars, count)
        found[count] = least(lambda given=given: play_batch(*given)) / bars / count * 1e9
    return {"kernel": found}


def by_symbols(bars: int = 20_000) -> dict[str, dict[int, float]]:
    """Microseconds a bar and symbol of one run that trades several symbols on one account."""
    found: dict[str, dict[int, float]] = {"isolated margin": {}, "cross margin": {}}
    for count in (1, 2, 4, 8):
        markets = markets_of(count, bars)
        for name, margin in (("isolated margin", "isolated"), ("cross margin", "cross")):
            given = (markets, silent(markets), QUICK, RISK, cg.AccountParams(margin=margin))
            found[name][count] = least(lambda given=given: cg.backtest(*given), 1) / bars / count * 1e6
    return found


def by_cores(bars: int = 50_000) -> dict[str, dict[int, float]]:
    """Settings a second of a sweep of 3,200 in one process and more, by wall time, with the start of the processes."""
    count, found = 400, {}
    for workers in [1, *(2**power for power in range(1, (os.cpu_count() or 1).bit_length()))]:
        pieces = [kernel(bars, count)] * 8
        spent = least(
            lambda pieces=pieces, workers=workers: run_all(play_batch, pieces, "", workers), 1, time.perf_counter
        )
        found[workers] = len(pieces) * count / spent
    return {"kernel": found}


def draw(panels: Sequence[tuple[str, str, dict[str, dict[int, float]]]]) -> None:
    """One small chart a curve."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.2), layout="constrained")
    for axis, (name, unit, curves) in zip(axes, panels, strict=True):
        for label, points in curves.items():
            axis.plot(list(points), list(points.values()), marker="o", label=label)
        places = sorted({place for points in curves.values() for place in points})
        axis.set_xscale("log")
        axis.set_xticks(places, [f"{place:,}" for place in places])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_xlabel(name)
        axis.set_title(unit, fontsize=10)
        axis.grid(visible=True, alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    """Measures, prints and draws."""
    for name, value in taken_apart().items():
        print(f"{name}: {value:.2f} us a bar")
    panels = [
        ("bars", "us a bar, one run", by_bars()),
        ("settings", "ns a bar and setting", by_settings()),
        ("symbols", "us a bar and symbol, one run", by_symbols()),
        ("processes", "settings a second, 50,000 bars", by_cores()),
    ]
    for name, unit, curves in panels:
        print(f"\n{unit}, by {name}")
        for label, points in curves.items():
            print(f"  {label}: " + ", ".join(f"{key:,}: {value:,.2f}" for key, value in points.items()))
    draw(panels)
    print(PICTURE)


if __name__ == "__main__":
    main()
