"""Nothing that any output says of a bar may change when every later bar does."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import numpy as np
import pytest
from look_ahead import Observed, what_changes
from planted_faults import mutated
from planted_market import FEW, TINY, planted_market

import models.walkforward
from foundation.errors import LookAheadError
from markets.market import Market
from models.forecasts import ForecastSeries
from models.parameters import LSTMParams, Output, WalkForwardParams
from models.walkforward import walk_forward

# The purge is one bar and the embargo short: only the horizon of a label keeps its training out of the test.
WALK = WalkForwardParams(train="15d", test="5d", seeds=1, purge=1, embargo="1h")
MARKET = planted_market(520)
# The first bar of the second test: its model is trained until just before it.
ROW = 480
# Where the mean may be zero throughout: what the output says instead.
SEEN = {"volatility": "sigma", "barrier": "up_probability", "position": "position"}
# Labels three bars long, and a training that does leave its start.
MOVING = {"barrier_sigma": 1.0, "barrier_bars": 3, "start": "zero", "averaging": 0.0, "steps": 30}
MORE: dict[str, Any] = {
    "barrier": MOVING,
    "volatility": {"variance_base": "har"},
    "student": {"variance_base": "leverage"},
}


def model(output: str) -> LSTMParams:
    """The tiny model of an output; labels of barriers end three bars later."""
    return LSTMParams(**{**TINY.model_dump(), "har_bars": (1, 5), "output": output, **MORE.get(output, {})})


def forecasts_at(output: str, row: int = ROW) -> Any:
    """Every number that is forecast at the bars up to a row."""

    def observe(market: Market) -> Observed:
        made = walk_forward(market, model(output), FEW, walk=WALK, workers=1, cache=False).series["TEST"]
        known = made.timestamp <= market.candles.timestamp[row]
        columns = {one.name: getattr(made, one.name) for one in fields(ForecastSeries) if one.name != "levels"}
        return {name: np.asarray(values)[known] for name, values in columns.items() if values is not None}

    return observe


@pytest.mark.parametrize("output", get_args(Output))
def test_no_output_sees_a_later_bar(output: str) -> None:
    """All that is forecast up to a bar stands when all bars after it change; the forecast of the bar does see it."""
    assert what_changes(MARKET, ROW, forecasts_at(output)) == set()
    assert SEEN.get(output, "mean") in what_changes(MARKET, ROW - 1, forecasts_at(output))


def test_a_label_whose_horizon_is_not_purged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training on labels that end inside the test is refused: the forecasts are of bars that touched their model."""
    right, wrong = "max(walk.purge, horizon) + embargo", "walk.purge + embargo"
    faulty = mutated("models.schedule", right, wrong)
    monkeypatch.setattr(models.walkforward, "make_folds", faulty.make_folds)
    monkeypatch.setattr(models.walkforward, "left_out_bars", faulty.left_out_bars)
    with pytest.raises(LookAheadError, match="trained through"):
        forecasts_at("barrier")(MARKET)
