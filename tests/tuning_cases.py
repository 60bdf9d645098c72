"""Cases of tunings: a small market with forecasts, a space and goals for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from kernel_cases import forecasts, market

from strategies.parameters import CrossoverParams

TRIALS = 40
STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
OVER: dict[str, Any] = {
    "risk.stop_loss": "0.5%:5%",
    "risk.risk_per_trade": "0.001:0.05:log",
    "risk.leverage": [1, 2.0, 5],
    "strategy.slow": "2:12",
}
GOALS: dict[str, Any] = {"objectives": ("sharpe", "max_drawdown"), "constraints": ("max_drawdown<=5%", "trades>=20")}


def make_scene() -> tuple[Any, Any]:
    """A market of 300 bars and forecasts on it."""
    random = np.random.default_rng(5)
    markets = (market(random, "ONE", 300, 1.0),)
    return markets[0], forecasts(random, markets, 40)
