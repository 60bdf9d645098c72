"""Warm-up: averages start at the bar where a backtest of the setting alone starts them, however long its impact is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import Match, forecasts, market

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.exchange.stage import WARM_UP_AVERAGES
from backtests.searches.sweeps import sweep
from foundation.trials import TrialLedger
from strategies.parameters import CrossoverParams, RiskParams

STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
RISK = RiskParams(stop_loss="2atr", atr_bars=14)
# A window that begins long before averages need it to: Wilder's average still shows its start after 280 bars.
LONG = CostParams(impact=0.1, impact_bars=600)


@pytest.fixture(scope="module")
def scene() -> tuple[Any, Any]:
    """A market whose prices are hardly rounded, and forecasts that begin after the long window."""
    random = np.random.default_rng(8)
    markets = (market(random, "ONE", 900, 1.0, tick=1e-12, lot=1e-12),)
    return markets[0], forecasts(random, markets, 650)


def test_a_long_impact_moves_the_start_of_averages_for_both(scene: tuple[Any, Any]) -> None:
    """Kernel and Backtrader come to the same fills, and those are not what a shorter window would make of the range."""
    assert LONG.impact_window > WARM_UP_AVERAGES * max(RISK.atr_bars, STRATEGY.slow)
    case = Match(0, (scene[0],), scene[1], STRATEGY, RISK, AccountParams(), LONG)
    ours, theirs = case.kernel().fills, case.backtrader().fills
    assert len(ours) == len(theirs) > 20
    for name in ("price", "quantity", "fee"):
        assert np.array_equal(ours[name].to_numpy(), theirs[name].to_numpy()), name


def test_a_search_that_varies_the_impact_has_room_for_its_window(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """Each setting ends where a backtest of it alone ends, though the base has no impact; the winners are replayed."""
    base, ledger = LONG.replaced(impact=0.0), TrialLedger(tmp_path)
    found = sweep(*scene, STRATEGY, RISK, costs=base, over={"costs.impact": [0.0, 0.1, 0.5]}, ledger=ledger)
    for number, impact in enumerate((0.0, 0.1, 0.5)):
        costs = base.replaced(impact=impact)
        alone = Match(0, (scene[0],), scene[1], STRATEGY, RISK, AccountParams(), costs).backtrader()
        assert found.table["final_equity"].iloc[number] == float(alone.equity["equity"].iloc[-1]), impact
