"""How fast a report is written, and how large it is: 50,000 bars and about 1,000 trades, everything included.

    .venv/bin/python benchmarks/report_speed.py

The run is played beforehand; then a report on it is written twice, the second time with everything compiled and loaded,
which is the one that counts. Prints seconds, of the clock and of the processor, and megabytes next to their targets,
the dearest parts, and exits 1 on a miss.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import crossgate as cg
from backtests.run.result import Result
from foundation.trials import TrialLedger
from models import Forecasts, ForecastSeries
from reports.report import write_report

BARS, WARM_UP = 50_000, 500
SECONDS, MEGABYTES = 5.0, 6.0
TREE = str(Path(__file__).resolve().parent.parent)


def played() -> Result:
    """A run over the bars, whose forecasts are near the oracle."""
    market = cg.demo_market(seed=5, bars=BARS + WARM_UP)
    stamps = market.candles.timestamp[WARM_UP:]
    assert market.oracle is not None
    mean = market.oracle[WARM_UP:] + np.random.default_rng(1).normal(0.0, 2e-4, BARS)
    series = ForecastSeries(stamps, mean, np.full(BARS, 0.006), stamps - 1, np.arange(BARS) // 2160)
    strategy = cg.CrossoverParams(fast=20, slow=50, threshold="0.75cost")
    risk = cg.RiskParams(sizing="risk", risk_per_trade=0.005, leverage=3, stop_loss="2.5atr", take_profit="6atr")
    return cg.backtest(market, Forecasts({market.symbol: series}), strategy, risk, name="report speed")


def main() -> int:
    """Prints the table; 1 when a target is missed."""
    result = played()
    with tempfile.TemporaryDirectory() as folder:
        ledger = TrialLedger(Path(folder) / "trials")
        write_report(result, Path(folder) / "first", ledger=ledger)
        began, worked = time.perf_counter(), time.process_time()
        page = write_report(result, Path(folder) / "run", ledger=ledger)
        seconds, processor = time.perf_counter() - began, time.process_time() - worked
        size = page.stat().st_size / 1e6
        profile = cProfile.Profile()
        profile.runcall(write_report, result, Path(folder) / "profiled", ledger=ledger)
    trades = int((result.fills["position"] == 0.0).sum())
    print(f"{len(result.equity):,} bars, {trades:,} trades\n")
    print(f"{'':34}{'measured':>10}{'target':>10}")
    print(f"{'seconds, of the clock':34}{seconds:>10.2f}{SECONDS:>10.2f}")
    print(f"{'seconds, of this processor':34}{processor:>10.2f}")
    print(f"{'megabytes of report.html':34}{size:>10.2f}{MEGABYTES:>10.2f}\n")
    print_parts(profile)
    return int(seconds > SECONDS or size > MEGABYTES)


def print_parts(profile: cProfile.Profile, most: int = 25) -> None:
    """The functions of ours that took longest under the profiler, which slows them, with what they call."""
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    ours = [
        (entry[3], where) for where, entry in stats.items() if where[0].startswith(TREE) and ".venv" not in where[0]
    ]
    for seconds, (file, line, name) in sorted(ours, reverse=True)[:most]:
        print(f"{seconds:8.2f} s  {Path(file).relative_to(TREE)}:{line} {name}")


if __name__ == "__main__":
    sys.exit(main())
