"""Nothing that is known at a bar's close may change when every later bar does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from look_ahead import Observed, what_changes
from planted_market import FEW, SHORT, TINY, planted_market

import models.samples
import models.training
from foundation.errors import LookAheadError
from markets.candles import Candles, FloatArray
from markets.market import Market
from models import features as features_module
from models.features import feature, parse_column
from models.forecasts import ForecastSeries
from models.inputs import Inputs
from models.parameters import FeatureParams, LSTMParams
from models.samples import build_sample
from models.schedule import make_folds
from models.training import train_network
from models.walkforward import walk_forward

COLUMNS = ("return:1", "return:7", "sma_distance:9", "ema_distance:5", "rsi:4", "macd:3:6:2", "atr:4", "bollinger:9")
COLUMNS = (*COLUMNS, "vwap_distance:9", "volume:9")
MARKET = planted_market()
# In the middle of the second test; its model is trained through an earlier bar.
ROW = 700


@pytest.fixture
def peek(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A feature with a planted leak, the log return of the NEXT bar, which no walk-forward refuses."""
    monkeypatch.setattr("models.proof.refuse_leaks", lambda *_: None)

    @feature(name="peek", warm_up=lambda: 0, memory=lambda: 1)
    def next_return(inputs: Inputs) -> FloatArray:
        return np.append(np.diff(np.log(inputs.close)), 0.0)

    yield "peek"
    del features_module._KINDS["peek"]


def features_at(*names: str) -> Any:
    """What features are worth at the bars up to ROW."""
    return lambda market: {name: parse_column(name).compute(market.candles)[: ROW + 1] for name in names}


def forecasts_at(features: FeatureParams = FEW) -> Any:
    """What is forecast at the bars up to ROW."""

    def observe(market: Market) -> Observed:
        made = walk_forward(market, TINY, features, walk=SHORT, workers=1, cache=False).series["TEST"]
        known = made.timestamp <= market.candles.timestamp[ROW]
        return {"mean": made.mean[known], "sigma": made.sigma[known], "through": made.trained_through[known]}

    return observe


def trained_before(market: Market) -> Observed:
    """Scaler, weights and validation loss of the second fold's model."""
    sample = build_sample(market.candles, FEW, TINY)
    fold = make_folds(sample.timestamp, sample.bar, SHORT, sample.memory)[1]
    assert fold.train_last < ROW
    trained = train_network(sample, fold.train_last, 60, "standard", TINY, 3)
    figures = {"centre": trained.scaler.centre, "spread": trained.scaler.spread, "loss": np.array(trained.loss)}
    return {**figures, **trained.weights}


def target_around(market: Market) -> Observed:
    """The target just before ROW and at ROW."""
    target = build_sample(market.candles, FEW, TINY).target
    return {"target before": target[:ROW], "target at": target[ROW : ROW + 1]}


def test_the_check_sees_a_leaking_feature(peek: str) -> None:
    """A feature that uses bar t + 1 is caught, and so are the forecasts that rest on it."""
    assert what_changes(MARKET, ROW, features_at(*COLUMNS, peek)) == {peek}
    leaking = FeatureParams(columns=("return:1", peek))
    assert "mean" in what_changes(MARKET, ROW, forecasts_at(leaking))


def test_no_forecast_sees_a_later_bar() -> None:
    """Mean, sigma and training end of every forecast up to a bar stand when all bars after it change."""
    assert what_changes(MARKET, ROW, forecasts_at()) == set()


def test_forecasts_see_their_own_bar() -> None:
    """The check itself is not blind: changing bar ROW too changes the forecast made at its close."""
    changed = what_changes(MARKET, ROW - 1, forecasts_at())
    assert {"mean", "sigma"} <= changed


def test_no_model_sees_a_bar_after_its_training() -> None:
    """Scaler, weights and losses stand when all bars after the last one of training change, and not before."""
    sample = build_sample(MARKET.candles, FEW, TINY)
    fold = make_folds(sample.timestamp, sample.bar, SHORT, sample.memory)[1]
    through = int(np.searchsorted(sample.timestamp, fold.trained_through)) - 1
    assert through == fold.train_last
    assert what_changes(MARKET, through, trained_before) == set()
    assert "loss" in what_changes(MARKET, through - 1, trained_before)


def test_the_check_sees_a_scaler_fitted_on_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scaler fitted on the full sample is caught, in the model and in the forecasts."""
    honest = models.training.fit_scaler

    def observed(inner: Any) -> Any:
        def observe(market: Market) -> Observed:
            every = build_sample(market.candles, FEW, TINY)
            rows = every.features[every.first :]
            monkeypatch.setattr(models.training, "fit_scaler", lambda scaling, _: honest(scaling, rows))
            return inner(market)

        return observe

    assert {"centre", "spread"} <= what_changes(MARKET, ROW, observed(trained_before))
    assert "mean" in what_changes(MARKET, ROW, observed(forecasts_at()))


def test_the_target_is_the_next_bar() -> None:
    """The target of a row is unknown at its close, and that of every row before is known."""
    assert what_changes(MARKET, ROW, target_around) == {"target at"}


def test_the_check_sees_a_target_from_the_same_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target built from the row's own bar is caught: it is known already when the forecast is made."""

    def same_bar(candles: Candles, volatility: FloatArray) -> Any:
        return (np.diff(np.log(candles.close), prepend=np.nan) / volatility).astype(np.float32)

    monkeypatch.setattr(models.samples, "next_return_target", same_bar)
    assert "target at" not in what_changes(MARKET, ROW, target_around)


def test_forecasts_refuse_a_model_that_saw_their_bar() -> None:
    """A walk-forward whose training runs into its test cannot be put into a ForecastSeries."""
    made = walk_forward(MARKET, TINY, FEW, walk=SHORT, workers=1, cache=False).series["TEST"]
    assert (made.timestamp > made.trained_through).all()
    with pytest.raises(LookAheadError, match="trained through"):
        replace(made, trained_through=made.timestamp)
    assert isinstance(made, ForecastSeries)


def test_training_ignores_features_after_its_last_bar() -> None:
    """Holes in features and targets beyond the last training bar are never touched by training."""
    sample = build_sample(MARKET.candles, FEW, TINY)
    poisoned = replace(sample, features=sample.features.copy(), target=sample.target.copy())
    poisoned.features[401:] = np.nan
    poisoned.target[400:] = np.nan
    whole, cut = (train_network(one, 400, 60, "standard", TINY, 3) for one in (sample, poisoned))
    assert all(np.array_equal(whole.weights[name], cut.weights[name]) for name in whole.weights)


def test_params_of_these_tests_train_something() -> None:
    """The tiny model of these tests does leave its first weights, so that the checks above mean something."""
    sample = build_sample(planted_market(trend=0.6).candles, FEW, TINY)
    trained = train_network(sample, 400, 60, "standard", LSTMParams(**{**TINY.model_dump(), "start": "zero"}), 3)
    assert trained.steps > 0
    assert trained.loss < trained.zero_loss
