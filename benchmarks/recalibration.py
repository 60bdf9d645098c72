"""What a running level of sigma is worth, and what it costs: `python benchmarks/recalibration.py [nasdaq] [planted]`.

`nasdaq`: the NASDAQ composite, on which the bars of the level were chosen for the S&P 500: QLIKE over that of HAR with
leverage in its best form, by bars. `planted`: a GJR-GARCH whose level never moves: the regret (0 oracle, 1 EWMA) of
Student-t sigmas, whose level follows squared errors, the median of five series.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.forecast import (
    DATA_SEEDS,
    INDEX_MODEL,
    TEST,
    VARIANCE_BASES,
    forecast_ensemble,
    run_index,
)
from benchmarks.volatility_problems import expected_qlike, garch
from models.parameters import LSTMParams

SPANS = (0, 60, 125, 250, 500, 1000, 2000)
PLANTED = (0, 250, 1000, 4000)


def nasdaq() -> None:
    """Prints the NASDAQ composite's table."""
    for bars in SPANS:
        run = run_index("nasdaq", INDEX_MODEL.replaced(recalibration_bars=bars))
        best = min(run.hars.values())
        beside = f"; HAR with such a level {run.har_followed / best:.3f}" if bars else ""
        print(f"NASDAQ composite, level over {bars:5,} sessions: {run.loss / best:.3f}{beside}", flush=True)


def planted() -> None:
    """Prints the planted table."""
    regrets: dict[int, list[float]] = {bars: [] for bars in PLANTED}
    for seed in range(DATA_SEEDS):
        problem = garch(20_000 + TEST, seed)
        true = np.square(problem.oracle[20_000:])
        for bars in PLANTED:
            more = {"variance_base": "leverage", **VARIANCE_BASES["leverage"]}
            params = LSTMParams(output="student", burn_in=64, recalibration_bars=bars, **more)
            sample = problem.sample(params)
            made = forecast_ensemble(sample, 20_000, 20_000 + TEST, params, 3)
            trailing = expected_qlike(np.square(sample.volatility[20_000:]), true)
            regrets[bars].append(expected_qlike(np.square(made.sigma), true) / trailing)
    for bars, found in regrets.items():
        print(f"planted GJR-GARCH, level over {bars:5,} bars: regret {np.median(found):.3f} {np.round(found, 3)}")


def main() -> None:
    """Prints the chosen tables, both by default."""
    chosen = sys.argv[1:] or ["nasdaq", "planted"]
    for name in chosen:
        {"nasdaq": nasdaq, "planted": planted}[name]()


if __name__ == "__main__":
    main()
