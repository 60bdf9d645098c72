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
from backtests.run.agreement import TOLERANCE, first_difference
from backtests.run.solo import play_solo
from crossgate.witnessing import witnessed
from models import Forecasts, ForecastSeries
from witness import WitnessTrader

# Random forecasts and no costs: the account neither grows without end nor is lost, however many bars there are.
FREE = {"slippage_bps": 0.0, "taker_fee": 0.0, "maker_fee": 0.0}
LADDER = [{"distance": "1atr", "share": 0.3}, {"distance": "2atr", "share": 0.3}]
SETTINGS = {
    "stop and target": (cg.RiskParams(risk_per_trade=0.0005), cg.CostParams(**FREE)),
    "a ladder, trailing, impact": (
        cg.RiskParams(risk_per_trade=0.0005, targets=LADDER, trailing_stop="2atr"),
        cg.CostParams(**FREE, impact=0.01),
    ),
    "liquidations": (
        cg.RiskParams(sizing="fraction", fraction=0.0005, leverage=45, stop_loss="off"),
        cg.CostParams(**FREE),
    ),
}


def main() -> int:
    """Prints the table; 1 where the witness parts from the kernel."""
    bars = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    market = cg.demo_market(seed=5, bars=bars)
    stamps = market.candles.timestamp[500:]
    mean = np.random.default_rng(1).normal(0.0, 1e-3, len(stamps))
    series = ForecastSeries(stamps, mean, np.full(len(stamps), 0.006), stamps - 1, np.zeros(len(stamps)))
    forecasts, strategy, parted = Forecasts({market.symbol: series}), cg.CrossoverParams(threshold="10bps"), False
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
