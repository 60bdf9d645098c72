"""Trained models: stored and read back to the bit, and the same bar by bar as all at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from planted_market import FEW, TINY, planted_market
from simple_market import HOUR

from foundation.errors import DataError
from markets.market import Market
from models.forecasts import NO_FORECAST, Bar, Forecaster, collect_forecasts
from models.parameters import FeatureParams
from models.storage import load_model, save_model
from models.trained import TrainedModel, train_model

MARKET = planted_market(900)
SEEN = MARKET.rows(0, 500)
RICH = FeatureParams(columns=("return:1", "ema_distance:5", "rsi:4", "atr:4", "vwap_distance:6", "macd:3:6:2"))


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    """A tiny model of two seeds, trained on the first 500 bars."""
    return train_model(SEEN, model=TINY.replaced(start="zero"), features=FEW, seeds=2, workers=1)


def bars(market: Market, first: int = 0, last: int | None = None) -> list[Bar]:
    """The candles of a market one by one."""
    c = market.candles
    columns = [column.tolist() for column in (c.timestamp, c.open, c.high, c.low, c.close, c.volume)]
    return [Bar(market.symbol, *row) for row in zip(*columns, strict=True)][first:last]


def test_stored_and_read_back(trained: TrainedModel, tmp_path: Path) -> None:
    """A model read back gives the same forecasts to the bit and keeps its settings."""
    again = load_model(save_model(trained, tmp_path / "model"))
    assert again.forecasts(MARKET).fingerprint == trained.forecasts(MARKET).fingerprint
    assert (again.features, again.model) == (trained.features, trained.model)
    assert load_model(tmp_path / "model").symbols.keys() == {"TEST"}


def test_equal_models_equal_bytes(trained: TrainedModel, tmp_path: Path) -> None:
    """Training and saving twice gives the same file, byte for byte, with one JSON metadata key."""
    anew = train_model(SEEN, model=TINY.replaced(start="zero"), features=FEW, seeds=2, workers=2)
    first, second = save_model(trained, tmp_path / "a.safetensors"), save_model(anew, tmp_path / "b.safetensors")
    assert first.read_bytes() == second.read_bytes()
    with safetensors.safe_open(first, framework="numpy") as opened:
        assert list(opened.metadata()) == ["crossgate"]
        record = json.loads(opened.metadata()["crossgate"])
    assert record["model"]["hidden"] == 4
    assert b"pickle" not in first.read_bytes()


def test_only_bars_after_the_training(trained: TrainedModel) -> None:
    """The forecasts begin with the first bar later than the last one that touched the model."""
    made = trained.forecasts(MARKET).series["TEST"]
    assert trained.symbols["TEST"].trained_through == SEEN.candles.timestamp[-1] + HOUR
    assert np.array_equal(made.timestamp, MARKET.candles.timestamp[501:])
    with pytest.raises(DataError, match="no bar is later than the training"):
        trained.forecasts(SEEN)


def test_a_cold_state_gives_no_forecast(trained: TrainedModel) -> None:
    """A market that begins after the training first warms the state, over 128 bars with inputs."""
    later = MARKET.rows(600, 900)
    made = trained.forecasts(later).series["TEST"]
    assert np.array_equal(made.timestamp, later.candles.timestamp[4 + 128 :])
    with pytest.raises(DataError, match="128 bars with inputs before it"):
        trained.forecasts(MARKET.rows(600, 700))


@pytest.mark.parametrize("first", [0, 450, 600])
def test_stepping_equals_batch(trained: TrainedModel, first: int) -> None:
    """Asked bar by bar the model answers what it answers for the whole market, to 1e-6 of sigma."""
    market = MARKET.rows(first, 900)
    whole = trained.forecasts(market).series["TEST"]
    stepped = collect_forecasts(trained, market).series["TEST"]
    assert np.array_equal(whole.timestamp, stepped.timestamp)
    assert np.abs((whole.mean - stepped.mean) / whole.sigma).max() <= 1e-6
    assert np.abs(whole.sigma - stepped.sigma).max() <= 1e-9
    assert np.ptp(whole.mean) > 0.0
    assert whole.members is not None
    np.testing.assert_allclose(whole.members.mean(axis=1), whole.mean, rtol=1e-12)


def test_stepping_equals_batch_with_many_features() -> None:
    """The same holds with recursive features, whose tail forgets to 1e-9."""
    model = train_model(SEEN, model=TINY, features=RICH, seeds=1, workers=1)
    whole = model.forecasts(MARKET).series["TEST"]
    stepped = collect_forecasts(model, MARKET).series["TEST"]
    assert np.abs((whole.mean - stepped.mean) / whole.sigma).max() <= 1e-6
    assert np.ptp(whole.mean) > 0.0


def test_forecaster_protocol(trained: TrainedModel) -> None:
    """A trained model is a Forecaster, and a bar that it was trained on has no forecast."""
    assert isinstance(trained, Forecaster)
    trained.reset()
    answers = [trained.forecast(bar) for bar in bars(MARKET)]
    assert all(np.isnan(answer.mean) for answer in answers[:501])
    assert all(np.isfinite(answer.mean) and answer.sigma > 0 for answer in answers[501:])
    assert NO_FORECAST._fields == answers[0]._fields


def test_a_gap_starts_afresh(trained: TrainedModel) -> None:
    """After a gap in time features and state are built anew, as if the bars before had never been."""
    trained.reset()
    held = [trained.forecast(bar) for bar in bars(MARKET, 300, 600) + bars(MARKET, 610, 900)]
    trained.reset()
    anew = [trained.forecast(bar) for bar in bars(MARKET, 610, 900)]
    np.testing.assert_array_equal([row[:2] for row in held[300:]], [row[:2] for row in anew])
    assert np.isnan(held[300 + 131].mean)
    assert np.isfinite(held[300 + 132].mean)


def test_a_second_run_starts_afresh(trained: TrainedModel) -> None:
    """Shown the same market again, the model answers the same again."""
    first = collect_forecasts(trained, MARKET)
    assert collect_forecasts(trained, MARKET).fingerprint == first.fingerprint


def test_several_symbols() -> None:
    """A model of two symbols holds each one's own networks, and steps them side by side."""
    other = planted_market(900, seed=3, symbol="OTHER")
    model = train_model([SEEN, other.rows(0, 500)], model=TINY, features=FEW, seeds=1, workers=1)
    batch = model.forecasts([MARKET, other])
    for pair in zip(bars(MARKET), bars(other), strict=True):
        for bar in pair:
            answer, expected = model.forecast(bar), batch.forecast(bar)
            np.testing.assert_allclose(answer[:4], expected[:4], atol=1e-8)


def test_what_a_model_does_not_know(trained: TrainedModel) -> None:
    """An unknown symbol or another bar length is an error that says so, stepped too."""
    with pytest.raises(DataError, match="knows no symbol TESTS"):
        trained.forecasts(planted_market(symbol="TESTS"))
    trained.reset()
    first = bars(MARKET)[0]
    trained.forecast(first)
    with pytest.raises(DataError, match="has bars of 30m, the model was trained on 1h"):
        trained.forecast(first._replace(timestamp=first.timestamp + HOUR // 2))


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "no metadata", "tensor", "nan", "format", "setting"])
def test_damaged_files(damage: str, trained: TrainedModel, tmp_path: Path) -> None:
    """A file that is not a whole model is one clear line that names it, never a traceback from inside."""
    file = save_model(trained, tmp_path)
    whole = file.read_bytes()
    with safetensors.safe_open(file, framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
        record = json.loads(opened.metadata()["crossgate"])
    name = next(iter(tensors))
    if damage in {"empty", "truncated", "text"}:
        file.write_bytes({"empty": b"", "truncated": whole[:-9], "text": b"weights"}[damage])
    else:
        if damage == "tensor":
            tensors[name] = tensors[name][:1]
        elif damage == "nan":
            tensors[name] = np.full_like(tensors[name], np.nan)
        elif damage == "format":
            record["format"] = 99
        elif damage == "setting":
            record["model"]["width"] = 3
        metadata = None if damage == "no metadata" else {"crossgate": json.dumps(record)}
        safetensors.numpy.save_file(tensors, file, metadata)
    with pytest.raises(DataError, match=r"model\.safetensors") as caught:
        load_model(tmp_path)
    assert "train" in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    """A path without a model says so."""
    with pytest.raises(DataError, match="is not there"):
        load_model(tmp_path / "nothing")
