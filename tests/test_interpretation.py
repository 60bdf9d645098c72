"""Interpretation: the feature that matters is found, attributions add up, and gates are those of the equations."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted_faults import mutated
from planted_market import FEW, TINY, candles_around, planted_market
from simple_market import contract

from foundation.errors import DataError
from markets.market import Market
from models.attribution import attribute
from models.ensemble import Ensembles
from models.fitted import TrainedNetwork
from models.interpretation import Interpretation, interpret, permuted_blocks
from models.interpretation_cache import kept_interpretation
from models.parameters import FeatureParams, LSTMParams, Output, WalkForwardParams
from models.row_losses import row_losses
from models.samples import build_sample
from models.traces import trace_network
from models.trained import train_model
from models.training import train_network
from models.walkforward import walk_forward

# Volume and the clock say nothing of the next return of these markets.
SEVERAL = FeatureParams(columns=("volume:24", "return:1", "week_sine:7"))
MODEL = TINY.replaced(volatility_bars=32, steps=60, batch=16)
WALK = WalkForwardParams(train="40d", test="20d", seeds=2, embargo="1h")


@cache
def made(trend: float = 0.4, **changes: Any) -> tuple[Market, Ensembles]:
    """A market and the ensembles of a small walk-forward on it."""
    market = planted_market(1800, trend=trend)
    forecasts = walk_forward(market, MODEL.replaced(**changes), SEVERAL, walk=WALK, workers=1, cache=False)
    assert forecasts.ensembles is not None
    return market, forecasts.ensembles


def interpreted(**settings: Any) -> Interpretation:
    """The interpretation of the small walk-forward."""
    return interpret(*made(), **{"repeats": 3, "windows": 12, "window_bars": 16, **settings})


def test_the_feature_that_matters_ranks_first() -> None:
    """Of three features the one that tells of the next return is alone important, and has the largest attributions."""
    found = interpreted()
    assert found.importance[0].feature == "return:1"
    assert found.importance[0].rise > 5.0 * found.importance[0].error > 0.0
    assert all(abs(one.rise) < 4.0 * one.error + 1e-3 for one in found.importance[1:])
    last = found.attributions[-1]
    assert last.argmax() == found.features.index("return:1")
    assert found.coefficients is not None
    assert found.coefficients[:, 1].mean() > 0.1 > np.abs(found.coefficients[:, [0, 2]]).mean()
    assert found.bars == len(found.timestamp) == 1800 - 960


def test_nothing_matters_in_noise() -> None:
    """Where nothing can be known no feature is important: what networks made of noise is worth nothing."""
    found = interpret(*made(trend=0.0), repeats=3, windows=4, window_bars=16)
    assert all(one.rise < 3.0 * one.error + 1e-3 for one in found.importance)


def test_a_network_that_is_shown_no_change_has_no_importance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A permutation that changes nothing is seen: the feature that matters would have no importance."""
    faulty = mutated("models.interpretation", "mixed[params.replay :, columns] = shown[order][:, columns]", "pass")
    found = faulty.interpret(*made(), repeats=1, windows=1, window_bars=8)
    assert all(one.rise == 0.0 for one in found.importance)


def test_equal_seeds_equal_figures() -> None:
    """The same seed gives the same figures, another one others; they stand within some errors of each other."""
    first, again, other = interpreted(), interpreted(), interpreted(seed=5)
    assert first.importance == again.importance != other.importance
    assert first.importance[0].rise == pytest.approx(other.importance[0].rise, abs=3.0 * first.importance[0].error)


def test_fewer_bars_are_spread_over_all_tests() -> None:
    """With fewer bars each test gives the same share, its first ones."""
    whole, part = interpreted(), interpreted(bars=200)
    assert 200 <= part.bars <= 204
    starts = [stamp for stamp, _ in made()[1].symbols["TEST"]]
    assert set(starts) <= set(part.timestamp.tolist()) < set(whole.timestamp.tolist())


def test_blocks_keep_their_order() -> None:
    """Every row stands there once, nearly all behind the row before them."""
    order = permuted_blocks(1000, 20, np.random.default_rng(3))
    assert sorted(order) == list(range(1000))
    assert 940 < (np.diff(order) == 1).sum() < 999
    assert permuted_blocks(3, 20, np.random.default_rng(3)).tolist() in ([0, 1, 2], [1, 2, 0], [2, 0, 1])


def trained(bars: int = 800, **changes: Any) -> tuple[TrainedNetwork, np.ndarray]:
    """One network of a small market, and the features that it is shown."""
    params = MODEL.replaced(start="zero", steps=40, averaging=0.0, **changes)
    sample = build_sample(planted_market(bars, trend=0.5), FEW, params)
    return train_network(sample, 700, 20, "standard", params, 1), sample.features[sample.first :]


def test_attributions_add_up() -> None:
    """Completeness: over a window they sum to what the network says less what it says of mean inputs."""
    one, features = trained()
    other = train_network(
        build_sample(planted_market(800, trend=0.5), FEW, one.params), 700, 20, "robust", one.params, 2
    )
    windows = np.stack([features[row : row + 24] for row in range(0, 240, 24)])
    found = attribute([one, other], windows)
    assert found.gap < 1e-3 * np.abs(found.outputs - found.baseline).max()
    said = np.mean([[m.raw_values(w, m.fresh_state())[-1, 0] for w in windows] for m in (one, other)], axis=0)
    np.testing.assert_allclose(found.outputs, said, atol=1e-6)
    faulty = mutated("models.attribution", "baselines=0.0", "baselines=1.0").attribute([one, other], windows)
    assert faulty.gap > 0.05 * np.abs(found.outputs - found.baseline).max()


@pytest.mark.parametrize("layers", [1, 2])
def test_traces_are_the_gate_equations(layers: int) -> None:
    """Head and coefficients make the raw values, and forget gates those of the equations in torch."""
    torch = pytest.importorskip("torch")
    one, features = trained(layers=layers)
    trace = trace_network(one, features, one.fresh_state())
    bent = 4.0 * np.tanh(one.scaler.apply(features) / 4.0)
    raw = trace.head[:, 0] + (trace.head[:, 1:] * bent).sum(axis=1)
    np.testing.assert_allclose(raw, one.raw_values(features, one.fresh_state())[:, 0], atol=1e-6)
    shown, last = torch.from_numpy(bent).double(), layers - 1
    for layer in range(layers):
        lstm = torch.nn.LSTM(shown.shape[1], one.params.hidden).double()
        names = [name.replace("_l0", f"_l{layer}") for name, _ in lstm.named_parameters()]
        with torch.no_grad():
            for values, name in zip(lstm.parameters(), names, strict=True):
                values.copy_(torch.from_numpy(one.weights[f"lstm.{name}"]))
            before = torch.cat([torch.zeros(1, one.params.hidden).double(), (states := lstm(shown)[0])[:-1]])
            gates = shown @ lstm.weight_ih_l0.T + before @ lstm.weight_hh_l0.T + lstm.bias_ih_l0 + lstm.bias_hh_l0
        hidden, shown = one.params.hidden, states
        if layer == last:
            expected = torch.sigmoid(gates[:, hidden : 2 * hidden]).numpy()
            np.testing.assert_allclose(trace.forget, expected, atol=1e-5)


def remembering(decay: float) -> Market:
    """A market whose next return follows an exponential average of past ones that forgets by `decay` a bar."""
    random = np.random.default_rng(8)
    noise, returns, average = random.standard_normal(4000), np.zeros(4000), 0.0
    for t in range(1, 4000):
        average = decay * average + np.sqrt(1.0 - decay**2) * noise[t - 1]
        returns[t] = 0.7 * average + noise[t]
    closes = 20_000.0 * np.exp(np.cumsum(0.002 * returns / returns.std()))
    return Market(contract("TEST"), candles_around(closes, random), synthetic=True)


def test_forget_gates_of_a_long_memory() -> None:
    """Networks that learn what lasts for dozens of bars hold on to more than those that learn what is over at once."""
    params = MODEL.replaced(start="zero", head="linear", steps=150, batch=32, chunk=96, learning_rate=0.05, hidden=6)
    walk, columns = (
        WalkForwardParams(train="130d", seeds=2, scheme="holdout", embargo="1h"),
        FeatureParams(columns=("return:1",)),
    )
    memories = {}
    for decay in (0.2, 0.9):
        market = remembering(decay)
        ensembles = walk_forward(market, params, columns, walk=walk, workers=1, cache=False).ensembles
        assert ensembles is not None
        found = interpret(market, ensembles, repeats=1, windows=1, window_bars=8)
        memories[decay] = found.memory
        assert (np.diff(found.memory) >= 0.0).all()
        assert (found.forget[:, 1] <= found.forget[:, 2]).all()
    assert np.median(memories[0.9]) > 1.5 * np.median(memories[0.2])


@pytest.mark.parametrize("output", ["gaussian", "student", "quantiles", "volatility", "barrier", "position"])
def test_every_output_can_be_interpreted(output: Output) -> None:
    """Each output has a loss of its own, finite where its target is known; a variance base is one group of columns."""
    market = planted_market(700, trend=0.5)
    model = LSTMParams(**{**TINY.model_dump(), "output": output, "variance_base": "har", "har_bars": (1, 5)})
    made = walk_forward(market, model, FEW, walk=replace_walk(), workers=1, cache=False)
    assert made.ensembles is not None
    found = interpret(market, made.ensembles, repeats=1, windows=2, window_bars=8)
    assert {one.feature for one in found.importance} == {*FEW.columns, "variance base"}
    assert all(np.isfinite([one.rise, one.error]).all() for one in found.importance)
    assert np.isfinite(found.mean_loss)
    assert (found.coefficients is None) == (output == "volatility")
    sample = build_sample(market, FEW, model)
    network = made.ensembles.symbols["TEST"][0][1].members[0]
    losses = row_losses(network.forecast(sample.features[200:], network.fresh_state()), sample.rows(200, 700), model)
    assert np.array_equal(np.isfinite(losses), np.isfinite(sample.target[200:]))


def test_a_trained_model_can_be_interpreted() -> None:
    """The forecasts of a model that was trained before hold its networks, which are interpreted over their bars."""
    market = planted_market(1200, trend=0.5)
    model = train_model(market.rows(0, 900), model=MODEL, features=FEW, seeds=1, workers=1)
    made = model.forecasts(market)
    assert made.ensembles is not None
    found = interpret(market, made.ensembles, repeats=2, windows=4, window_bars=8)
    assert found.bars == len(made.series["TEST"]) == 299
    assert found.importance[0].feature == "return:1"


def replace_walk() -> WalkForwardParams:
    """One short training and what follows it."""
    shorter: WalkForwardParams = WALK.replaced(train="20d", scheme="holdout", seeds=1)
    return shorter


def test_losses_by_hand() -> None:
    """The measures of a mean, a volatility and a position, worked out for one bar or two."""
    sample = build_sample(planted_market(300), FEW, TINY)
    row = replace(sample.rows(100, 101), target=np.array([0.5], np.float32))
    assert row_losses(np.array([[0.2, 1.0]]), row, TINY)[0] == pytest.approx(0.09)
    volatility = TINY.replaced(output="volatility")
    two = replace(sample.rows(100, 102), target=np.array([0.5, 4.0], np.float32))
    # Variances of 4 and 16 are brought down to 3/16 of themselves, the mean of 0.5 / 4 and 4 / 16.
    found = row_losses(np.array([[0.0, 2.0], [0.0, 4.0]]), two, volatility)
    assert found.tolist() == pytest.approx([0.5 / 0.75 + np.log(0.75), 4.0 / 3.0 + np.log(3.0)])
    assert row_losses(np.array([[0.0, 0.2], [0.0, 0.4]]), two, volatility).tolist() == pytest.approx(found.tolist())
    position = TINY.replaced(output="position")
    two = replace(sample.rows(100, 102), target=np.array([0.5, -1.0], np.float32))
    found = row_losses(np.array([[0.0, 1.0, 0.4], [0.0, 1.0, -0.6]]), two, position)
    assert found.tolist() == pytest.approx([-0.2, 0.1 * 1.0 - 0.6])


def test_an_interpretation_is_worked_out_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Kept by content it comes back the same; another seed, other forecasts or a damaged file work it out anew."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path))
    market = planted_market(1200)
    forecasts = walk_forward(market, MODEL.replaced(steps=5), SEVERAL, walk=WALK, workers=1, cache=False)
    counted: list[int] = []

    def counting(*given: Any, seed: int) -> Interpretation:
        counted.append(seed)
        return interpret(*given, repeats=1, windows=2, window_bars=8, seed=seed)

    monkeypatch.setattr("models.interpretation_cache.interpret", counting)
    first, again = (kept_interpretation(market, forecasts, seed=1) for _ in range(2))
    assert counted == [1]
    for field in fields(Interpretation):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(again, field.name))
    kept_interpretation(market, forecasts, seed=2)
    (one, other) = tmp_path.glob("interpretations/*/*.npz")
    one.write_bytes(one.read_bytes()[:-40])
    other.write_bytes(b"")
    kept_interpretation(market, forecasts, seed=1)
    assert counted == [1, 2, 1]
    series = forecasts.series[market.symbol]
    moved = replace(series, mean=series.mean + 1e-9)
    kept_interpretation(market, replace(forecasts, series={market.symbol: moved}), seed=1)
    assert counted == [1, 2, 1, 1]
    with pytest.raises(DataError, match="come without their networks"):
        kept_interpretation(market, replace(forecasts, ensembles=None))
