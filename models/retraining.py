"""What retraining is worth: one model left alone, retrained on schedule and on drift, on the same bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from foundation.errors import DataError, ParameterError
from foundation.units import nanoseconds
from markets.market import Market
from models.forecasts import Forecasts
from models.paired import PairedSkill, compare_forecasts
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.walkforward import as_list, walk_forward

FROZEN, SCHEDULED, DRIFT = "frozen", "scheduled", "on drift"
# Of one core: what a report may spend unasked on models that nobody trades, and what a network of the default settings
# takes (docs/models.md).
SMALL_SECONDS, NETWORK_SECONDS = 30.0, 0.6


class Worth(NamedTuple):
    """What retraining was worth on each market, and one line on the ways that were left out, or empty."""

    pairs: tuple[PairedSkill, ...]
    note: str


def retraining_ways(walk: WalkForwardParams) -> dict[str, WalkForwardParams]:
    """The same walk-forward frozen after its first training, retrained on schedule, and on drift.

    A holdout is retrained on all that came before. A pool drifts where one of its markets does.
    """
    moving = walk.replaced(scheme="expanding") if walk.scheme == "holdout" else walk
    ways = {
        FROZEN: moving.replaced(retrain="scheduled", scheme="holdout"),
        SCHEDULED: moving.replaced(retrain="scheduled"),
    }
    return {**ways, DRIFT: moving.replaced(retrain="drift")}


def retraining_forecasts(
    markets: Market | Sequence[Market],
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    *,
    walk: WalkForwardParams | None = None,
    **how: Any,
) -> dict[str, Forecasts]:
    """The forecasts of each way to retrain, by its name; `how` goes to `walk_forward`, whose cache knows its own."""
    ways = retraining_ways(WalkForwardParams.of(walk, "walk"))
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


def cheap_worth(
    markets: Market | Sequence[Market],
    forecasts: Forecasts,
    model: LSTMParams,
    features: FeatureParams,
    walk: WalkForwardParams,
    **how: Any,
) -> Worth:
    """The same beside the `forecasts` of a walk-forward, by what is kept and what trains in SMALL_SECONDS at most.

    The frozen model is the first one of any schedule, and so costs no training. What a way may cost at most is known
    beforehand (`extra_networks`); that, and not what the cache happens to hold, decides, so that equal runs have
    equal reports.
    """
    listed, named, left = as_list(markets), dict[str, Forecasts](), []
    if walk.scheme != "holdout" and walk.retrain == "scheduled" and _models(forecasts) < 2:
        return Worth((), "Retraining cannot be worth anything here: all forecasts are of one model.")
    for name, way in retraining_ways(walk).items():
        networks = 0 if way == walk else extra_networks(name, listed, forecasts, walk)
        seconds = networks * network_seconds(model)
        if seconds > SMALL_SECONDS:
            left.append(f"{name} (up to {networks:,} networks, about {seconds:,.0f} s of one core)")
            continue
        try:
            named[name] = forecasts if way == walk else walk_forward(listed, model, features, walk=way, **how)
        except (DataError, ParameterError) as error:
            left.append(f"{name} ({error})")
    fix = "`crossgate skill RUN --retraining` trains it, as does run.retraining = true in a config"
    note = f"Ways to retrain that were left out: {'; '.join(left)}. {fix}." if left else ""
    try:
        return Worth(tuple(compare_forecasts(one, named) for one in listed) if len(named) > 1 else (), note)
    except DataError as error:
        return Worth((), f"What retraining was worth cannot be said: {error}.")


def extra_networks(name: str, markets: Sequence[Market], forecasts: Forecasts, walk: WalkForwardParams) -> int:
    """The most networks that a way trains beside those of the walk-forward itself, with which it shares the first."""
    groups = 1 if walk.pooled else len(markets)
    if name == FROZEN:
        return 0
    if name == DRIFT:
        return walk.drift_retrains * walk.seeds * groups
    bars = max(len(one) for one in forecasts.series.values())
    tests = math.ceil(bars * markets[0].candles.bar / nanoseconds(str(walk.test)))
    return (tests - 1) * walk.seeds * groups


def network_seconds(model: LSTMParams) -> float:
    """About how many seconds of one core the training of a network takes: it grows with steps, chunks and states."""
    bars = model.steps / 200 * model.batch / 64 * (model.chunk + model.burn_in) / 144
    return NETWORK_SECONDS * bars * model.layers * max(1.0, model.hidden / 16)


def _models(forecasts: Forecasts) -> int:
    return max(len(set(one.model.tolist())) for one in forecasts.series.values())
