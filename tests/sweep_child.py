"""A process of its own that sweeps in a folder, slowly enough to be interrupted or killed; run by tests."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from kernel_cases import forecasts, market

import backtests.searches.sweeps as sweeps
from foundation.cluster import on_cluster
from foundation.errors import CrossgateError
from foundation.trials import TrialLedger
from strategies.parameters import CrossoverParams

OVER: dict[str, list[Any]] = {
    "risk.stop_loss": [f"{k / 4}%" for k in range(4, 24)],
    "risk.take_profit": [f"{k}%" for k in range(1, 11)],
    "strategy.threshold": ["0.5bps", "2bps"],
}
STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
PIECE = 20


def scene() -> tuple[Any, Any]:
    """A market and forecasts on it, the same in every process."""
    random = np.random.default_rng(5)
    markets = (market(random, "ONE", 300, 1.0),)
    return markets[0], forecasts(random, markets, 40)


def slow_range(*words: Any) -> Any:
    """A piece that takes its time; from the setting `STALLS_AT` on it takes so long that somebody must stop it."""
    time.sleep(600.0 if words[-1] > STALLS_AT else 0.12)
    return HONEST(*words)


HONEST = sweeps.play_range
STALLS_AT = int(os.environ.get("SWEEP_STALLS_AT", "1000000"))


def run(folder: Path, workers: int, address: str | None = None, *, slow: bool = True) -> Any:
    """The sweep of this test in a folder."""
    sweeps.PIECE, sweeps.SMALL = PIECE, 0
    sweeps.play_range = slow_range if slow else HONEST
    with on_cluster(address):
        ledger = TrialLedger(folder.parent / f"{folder.name}-ledger")
        return sweeps.sweep(*scene(), STRATEGY, over=OVER, workers=workers, ledger=ledger, folder=folder)


if __name__ == "__main__":
    # A shell that starts tests in the background lets them ignore Ctrl-C; this process is not to inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
    except CrossgateError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        sys.exit(2)
    print("finished", flush=True)
