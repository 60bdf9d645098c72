"""What the plain-Python witness costs a bar, beside the compiled kernel that it is held against.

    .venv/bin/python benchmarks/witness_speed.py [BARS]

Prints microseconds of processor time a bar for a few settings on the demo market, and the memory of the process.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

import crossgate as cg
from backtests.agreement import TOLERANCE, first_difference
from backtests.solo import play_solo
from crossgate.witnessing import witnessed
from models import Forecasts, ForecastSeries
from witness import WitnessTrader

LADDER = [{"distance": "1atr", "share": 0.3}, {"distance": "2atr", "share": 0.3}]
SETTINGS = {
    "stop and target": (cg.RiskParams(), cg.CostParams()),
    "a ladder, trailing, impact": (cg.RiskParams(targets=LADDER, trailing_stop="2atr"), cg.CostParams(impact=0.5)),
    "liquidations": (
        cg.RiskParams(sizing="fraction", fraction=0.05, leverage=45, stop_loss="off"),
        cg.CostParams(),
    ),
}


def main() -> int:
    """Prints the table; 1 where the witness parts from the kernel."""
    bars = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    market = cg.demo_market(seed=5, bars=bars)
    stamps, oracle = market.candles.timestamp[500:], market.oracle
    assert oracle is not None
    mean = oracle[500:] + np.random.default_rng(1).normal(0.0, 2e-4, len(stamps))
    series = ForecastSeries(stamps, mean, np.full(len(stamps), 0.006), stamps - 1, np.zeros(len(stamps)))
    forecasts, strategy, parted = Forecasts({market.symbol: series}), cg.CrossoverParams(threshold="0.5cost"), False
    for name, (risk, costs) in SETTINGS.items():
        parts = ([market], forecasts, strategy, risk, cg.AccountParams(), costs)
        began = time.process_time()
        found = witnessed(WitnessTrader(*parts))
        each = (time.process_time() - began) / bars * 1e6
        difference = first_difference(play_solo(*parts).account(), found, TOLERANCE)
        parted = parted or difference is not None
        print(f"{name:28}{bars:>11,} bars{len(found.fills):>9,} fills{each:>8.1f} us a bar  {difference or 'agrees'}")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB at most")
    return int(parted)


if __name__ == "__main__":
    sys.exit(main())
