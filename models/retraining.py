"""What retraining is worth: one model left alone, retrained on schedule and on drift, on the same bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markets.market import Market
from models.forecasts import Forecasts
from models.paired import PairedSkill, compare_forecasts
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.walkforward import as_list, walk_forward

FROZEN, SCHEDULED, DRIFT = "frozen", "scheduled", "on drift"


def retraining_ways(walk: WalkForwardParams) -> dict[str, WalkForwardParams]:
    """The same walk-forward frozen after its first training, retrained on schedule, and on drift.

    A holdout is retrained on all that came before. A pool has no drift of its own.
    """
    moving = walk.replaced(scheme="expanding") if walk.scheme == "holdout" else walk
    ways = {
        FROZEN: moving.replaced(retrain="scheduled", scheme="holdout"),
        SCHEDULED: moving.replaced(retrain="scheduled"),
    }
    return ways if walk.pooled else {**ways, DRIFT: moving.replaced(retrain="drift")}


def retraining_forecasts(
    markets: Market | Sequence[Market],
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    *,
    walk: WalkForwardParams | None = None,
    **how: Any,
) -> dict[str, Forecasts]:
    """The forecasts of each way to retrain, by its name; `how` goes to `walk_forward`, whose cache knows its own."""
    ways = retraining_ways(walk or WalkForwardParams())
    return {name: walk_forward(markets, model, features, walk=one, **how) for name, one in ways.items()}


def retraining_worth(
    markets: Market | Sequence[Market],
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    *,
    walk: WalkForwardParams | None = None,
    **how: Any,
) -> tuple[PairedSkill, ...]:
    """What each way to retrain gained over the others on each market, with intervals from paired draws."""
    named = retraining_forecasts(markets, model, features, walk=walk, **how)
    return tuple(compare_forecasts(market, named) for market in as_list(markets))
