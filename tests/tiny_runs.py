"""Runs of a few readable bars, whose every figure can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from simple_market import Row, forecasts, market

from backtests.doubts.playback import Playback, make_playback
from backtests.exchange.parameters import AccountParams, CostParams
from strategies.parameters import CrossoverParams, RiskParams

ALONE = CrossoverParams(fast=1, slow=2, threshold="1bps", rule="forecast")
PLAIN = RiskParams(sizing="leverage", leverage=1.0, stop_loss="off", take_profit="off")
NO_COSTS = CostParams(slippage_bps=0.0)
CASH = 1000.0


def tiny(
    rows: Sequence[Row],
    signals: Mapping[int, int],
    risk: RiskParams = PLAIN,
    costs: CostParams = NO_COSTS,
    strategy: CrossoverParams = ALONE,
    account: AccountParams | None = None,
    **contract: object,
) -> Playback:
    """A run over some bars; `signals`: the wanted side at the close of a bar, by its row. `funding` as in `market`."""
    over = market(rows, **contract)  # type: ignore[arg-type]
    means = np.zeros(len(rows))
    for row, side in signals.items():
        means[row] = side * 0.01
    held = account or AccountParams(cash=CASH)
    return make_playback([over], forecasts(over, means), strategy, risk, held, costs)


def level(price: float, count: int = 1) -> list[Row]:
    """Bars that stand still at a price."""
    return [(price, price, price, price)] * count
