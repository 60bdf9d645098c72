"""A sweep of very many settings: time and peak memory over those of the data.

    .venv/bin/python benchmarks/million.py [SETTINGS] [BARS] [WORKERS]

By default a million settings over 10,000 bars in this process. Prints memory in MB: of the process before the sweep,
with imports, bars and compiled code, and how much more it was at the most; exits 1 beyond 1 GB more.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import crossgate as cg
from backtests.searches.sweeps import sweep
from foundation.trials import TrialLedger
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries

LIMIT = 1000.0


def noise(market: Market) -> Forecasts:
    """Forecasts without any skill, at every bar."""
    random, stamps = np.random.default_rng(1), market.candles.timestamp
    mean, sigma = random.normal(0.0, 8e-4, len(stamps)), np.full(len(stamps), 0.006)
    return Forecasts({market.symbol: ForecastSeries(stamps, mean, sigma, stamps - 1, np.zeros(len(stamps)))}, "noise")


def axes(settings: int) -> dict[str, list[object]]:
    """A stop, a target and a leverage with about so many combinations."""
    side = max(2, round(settings ** (1 / 3)))
    return {
        "risk.stop_loss": [f"{one:.4f}%" for one in np.linspace(0.5, 8.0, side)],
        "risk.take_profit": [f"{one:.4f}%" for one in np.linspace(0.5, 16.0, side)],
        "risk.leverage": [float(one) for one in np.round(np.linspace(1.0, 20.0, side), 4)],
    }


def peak() -> float:
    """The most memory that this process, or the largest of those it started, ever held, in MB."""
    held = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(held) / 1024.0


def main() -> int:
    """Prints the figures; 1 where the memory is beyond the limit."""
    settings, bars, workers = (int(one) for one in (*sys.argv[1:], *("1000000", "10000", "1")[len(sys.argv) - 1 :]))
    market = cg.demo_market(seed=5, bars=bars)
    forecasts, strategy = noise(market), cg.CrossoverParams(fast=20, slow=60, threshold="3bps")
    with tempfile.TemporaryDirectory() as folder:
        ledger, out = TrialLedger(Path(folder) / "ledger"), Path(folder) / "sweep"
        few = {"risk.leverage": [1.0, 2.0]}
        sweep(market, forecasts, strategy, over=few, ledger=ledger, folder=out, workers=1)
        before, begun, spent = peak(), time.perf_counter(), time.process_time()
        found = sweep(market, forecasts, strategy, over=axes(settings), ledger=ledger, folder=out, workers=workers)
        lasted, used = time.perf_counter() - begun, time.process_time() - spent
        size = (out / "settings.parquet").stat().st_size / 1e6
    more = peak() - before
    print(f"{len(found):,} settings x {bars:,} bars: {lasted:,.0f} s, {used:,.0f} s of this process's processor time")
    print(f"{used / len(found) * 1e6:,.1f} us a setting, {used / (len(found) * bars) * 1e9:,.1f} ns a bar and setting")
    print(f"memory {before:,.0f} MB before, {more:,.0f} MB more at the most; settings.parquet {size:,.0f} MB")
    return int(more > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
