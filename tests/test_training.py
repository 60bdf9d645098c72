"""Training: it learns what is planted, repeats itself to the bit, and says what is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_market import FEW, TINY, planted_market

from foundation.errors import DataError, ParameterError
from models.descent import Descent
from models.network import ForecastNetwork
from models.outputs import fit_level
from models.parameters import FeatureParams, LSTMParams
from models.samples import LEAST_VOLATILITY, Sample, build_sample, trailing_volatility
from models.schedule import rows_needed, split_rows
from models.training import train_network

SAMPLE = build_sample(planted_market().candles, FEW, TINY)


def tiny(**changes: object) -> LSTMParams:
    """The tiny model with some settings changed."""
    changed: LSTMParams = TINY.replaced(**changes)
    return changed


def test_target() -> None:
    """The target of a row is the next log return over the volatility of squares up to the row itself."""
    candles = planted_market().candles
    returns = np.diff(np.log(candles.close))
    variance = np.mean(returns[:4] ** 2)
    for value in returns[4:500]:
        variance += 2 / 5 * (value**2 - variance)
    assert SAMPLE.volatility[500] == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert SAMPLE.target[500] == pytest.approx(returns[500] / np.sqrt(variance), rel=1e-6)
    assert np.isnan(SAMPLE.target[-1])


def test_target_of_a_touched_bar() -> None:
    """Neither the return into a bar that cleaning touched nor the one out of it is a label."""
    candles = planted_market().candles
    touched = np.zeros(len(candles), dtype=np.bool_)
    touched[300] = True
    target = build_sample(replace(candles, touched=touched), FEW, TINY).target
    assert np.isnan(target[[299, 300]]).all()
    assert np.isfinite(target[[298, 301]]).all()


def test_volatility_of_a_still_price() -> None:
    """A price that stands still has the least volatility, so that no division fails."""
    assert (trailing_volatility(np.full(50, 7.0), 4)[4:] == LEAST_VOLATILITY).all()
    assert np.isnan(trailing_volatility(np.full(3, 7.0), 4)).all()


def test_inputs_in_units_of_volatility() -> None:
    """Relative price changes are shown over the trailing volatility, other features as they are."""
    candles, columns = planted_market().candles, ("return:1", "rsi:5")
    plain = build_sample(candles, FeatureParams(columns=columns, units="plain"), TINY)
    scaled = build_sample(candles, FeatureParams(columns=columns), TINY)
    np.testing.assert_allclose(scaled.features[9:, 0], plain.features[9:, 0] / plain.volatility[9:], rtol=1e-6)
    assert np.array_equal(scaled.features[9:, 1], plain.features[9:, 1])


def test_learns_a_planted_trend() -> None:
    """From zero and from a regression the network finds a strong trend, and the regression is there at once."""
    sample = build_sample(planted_market(2000, trend=0.5).candles, FEW, TINY)
    losses: dict[str, float] = {}
    for start in ("zero", "regression"):
        trained = train_network(sample, 1900, 60, "standard", tiny(start=start, steps=150, batch=32), 1)
        assert trained.loss < 0.96 * trained.zero_loss
        means = trained.forecast(sample.features[sample.first :], trained.fresh_state())[:, 0]
        assert np.corrcoef(means[:-1], sample.target[sample.first : -1])[0, 1] > 0.15
        losses[start] = trained.loss
    assert losses["regression"] < 1.02 * losses["zero"]
    at_once = train_network(sample, 1900, 60, "standard", tiny(steps=1), 1)
    assert at_once.loss < 0.96 * at_once.zero_loss


def test_noise_is_not_learned() -> None:
    """Early stopping keeps the zero forecast, or next to it, where there is nothing to know."""
    sample = build_sample(planted_market(2000, trend=0.0, seed=4).candles, FEW, TINY)
    trained = train_network(sample, 1900, 60, "standard", tiny(steps=60), 1)
    means = trained.forecast(sample.features[sample.first :], trained.fresh_state())[:, 0]
    assert np.square(means).mean() < 0.02 * np.nanmean(np.square(sample.target))


def test_equal_seeds_equal_bits() -> None:
    """The same seed gives the same bits whatever random state and threads were before; another seed does not."""
    threads = torch.get_num_threads()
    first = train_network(SAMPLE, 700, 60, "standard", tiny(start="zero", dropout=0.1), 5)
    torch.manual_seed(123)
    torch.rand(7)
    torch.set_num_threads(2)
    again = train_network(SAMPLE, 700, 60, "standard", tiny(start="zero", dropout=0.1), 5)
    other = train_network(SAMPLE, 700, 60, "standard", tiny(start="zero", dropout=0.1), 6)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert all(np.array_equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert any(not np.array_equal(first.weights[name], other.weights[name]) for name in first.weights)


def test_training_leaves_the_random_state_alone() -> None:
    """Torch's own random numbers go on as if nothing had been trained."""
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    train_network(SAMPLE, 700, 60, "standard", TINY, 5)
    assert torch.equal(torch.rand(3), expected)


def test_rows_are_apart() -> None:
    """Fit and validation rows are `gap` apart, and the validation rows end where training does."""
    rows = split_rows(SAMPLE, 700, 60, TINY)
    assert rows.fit_first == SAMPLE.first
    assert rows.check_first - rows.fit_last == 60
    assert rows.check_last == 700
    assert rows.check_last - rows.check_first == round(0.2 * (700 - SAMPLE.first))


def test_too_few_rows() -> None:
    """One row below the need is an error that says the need; at the need it trains."""
    needed = SAMPLE.first + rows_needed(60, TINY)
    with pytest.raises(DataError, match=rf"has {needed - 1} bars to train on, and the model needs {needed}"):
        train_network(SAMPLE, needed - 1, 60, "standard", TINY, 1)
    assert np.isfinite(train_network(SAMPLE, needed, 60, "standard", TINY, 1).loss)


def test_a_loss_that_is_no_number() -> None:
    """A diverging training stops with an error that names the learning rate, and makes no model."""
    broken = replace(SAMPLE, target=np.where(np.arange(len(SAMPLE)) == 200, np.inf, SAMPLE.target).astype(np.float32))
    with pytest.raises(ParameterError, match=r"model\.learning_rate = 0\.02: makes the training loss inf at step"):
        train_network(broken, 700, 60, "standard", tiny(start="zero", batch=64), 1)


@pytest.mark.parametrize(("first", "last", "rows"), [(0, 560, "fit"), (560, 700, "validation")])
def test_too_few_targets(first: int, last: int, rows: str) -> None:
    """Rows of which cleaning touched nearly all are an error that says how many targets are known, before any step."""
    holed = SAMPLE.target.copy()
    holed[first + 5 : last] = np.nan
    with pytest.raises(DataError, match=rf"knows the targets of \d+ of the \d+ {rows} rows .* needs 20; cleaning"):
        train_network(replace(SAMPLE, target=holed), 700, 60, "standard", TINY, 1)


def test_a_validation_loss_that_is_no_number() -> None:
    """Where not even a network that says zero has a finite loss, there is one line and no model."""
    broken = replace(SAMPLE, target=np.where(np.arange(len(SAMPLE)) == 680, np.inf, SAMPLE.target).astype(np.float32))
    with pytest.raises(ParameterError, match=r"model\.output = 'mean': has no finite loss on the validation rows"):
        train_network(broken, 700, 60, "standard", tiny(start="zero"), 1)


def test_no_chunk_is_drawn_that_has_no_target() -> None:
    """Batches of one chunk, with a stretch of touched bars that holds many whole chunks, train to the end."""
    holed = SAMPLE.target.copy()
    holed[60:400] = np.nan
    trained = train_network(replace(SAMPLE, target=holed), 700, 60, "standard", tiny(start="zero", batch=1), 1)
    assert np.isfinite(trained.loss)


def test_gaps_in_the_target_carry_no_loss() -> None:
    """Rows without a target are left out of the loss and do not turn it into NaN."""
    holed = SAMPLE.target.copy()
    holed[100:140] = np.nan
    holed[650:690] = np.nan
    sample: Sample = replace(SAMPLE, target=holed)
    assert np.isfinite(train_network(sample, 700, 60, "standard", tiny(start="zero"), 1).loss)


def test_validation_rows_only_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scaler, deviation and the regression at the start rest on fit rows: other validation rows change none of them."""
    rows = split_rows(SAMPLE, 700, 60, TINY)
    other = replace(SAMPLE, features=SAMPLE.features.copy(), target=SAMPLE.target.copy())
    other.features[rows.fit_last :] *= 3.0
    other.target[rows.fit_last :] *= -3.0
    regressions: list[list[np.ndarray]] = []
    honest = ForecastNetwork.start_from

    def seen(network: ForecastNetwork, constants: torch.Tensor, slopes: torch.Tensor) -> None:
        regressions.append([constants.numpy().copy(), slopes.numpy().copy()])
        honest(network, constants, slopes)

    monkeypatch.setattr(ForecastNetwork, "start_from", seen)
    one, two = (train_network(sample, 700, 60, "standard", TINY, 1) for sample in (SAMPLE, other))
    assert np.array_equal(one.scaler.centre, two.scaler.centre)
    assert np.array_equal(one.scaler.spread, two.scaler.spread)
    assert one.deviation == two.deviation
    assert all(np.array_equal(a, b) for a, b in zip(*regressions, strict=True))
    assert one.zero_loss != two.zero_loss


def test_training_stops_when_patience_is_over() -> None:
    """On noise the best weights come early, and no more than `patience` further steps are spent."""
    noise = replace(SAMPLE, target=np.random.default_rng(0).normal(size=len(SAMPLE)).astype(np.float32))
    steps: list[int] = []
    honest = Descent._step

    def counted(descent: Descent) -> None:
        steps.append(1)
        honest(descent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Descent, "_step", counted)
        trained = train_network(noise, 700, 60, "standard", tiny(steps=400, check=5, patience=20), 1)
    assert len(steps) == trained.steps + 20 < 400


def test_a_sigma_learned_from_ranges_is_of_the_size_of_returns() -> None:
    """Squared returns after the training are as large as sigma says, whose ranges are far larger here."""
    candles = planted_market(3000, seed=4).candles
    wide = replace(candles, high=candles.high * 1.008, low=candles.low / 1.008)
    params = TINY.replaced(output="volatility", volatility_bars=32, steps=40)
    sample = build_sample(wide, FEW, params)
    trained = train_network(sample, 2000, 5, "standard", params, 1)
    rows = slice(2000, 2999)
    sigma = trained.forecast(sample.features[rows], trained.fresh_state())[:, 1]
    size = np.square(sample.returns[rows] / sigma).mean()
    assert size == pytest.approx(1.0, abs=0.12)
    assert size * trained.slope**2 < 0.6
    assert replace(trained, slope=1.0).forecast(sample.features[rows], trained.fresh_state())[0, 1] == pytest.approx(
        sigma[0] / trained.slope
    )


def test_the_size_of_returns_is_learned_before_the_test() -> None:
    """All rows after the training changed, the size stands; with a validation row changed it does not."""
    params = TINY.replaced(output="volatility", volatility_bars=32)
    sample = build_sample(planted_market(1500, seed=4).candles, FEW, params)

    def size(row: int) -> float:
        changed = sample.returns.copy()
        changed[row:] *= 9.0
        return train_network(replace(sample, returns=changed), 1000, 5, "standard", params, 1).slope

    assert size(1000) == size(1500)
    assert size(990) != size(1500)


def test_the_level_of_least_qlike() -> None:
    """The factor on sigma is the one with the lowest QLIKE, unknown returns apart; 1 where there is none."""
    random = np.random.default_rng(3)
    sigma, returns = np.exp(random.standard_normal(500)), random.standard_normal(500)
    returns[7] = np.nan
    factors = np.linspace(0.2, 6.0, 4000)
    losses = [np.nanmean(2.0 * np.log(one) + np.square(returns / sigma / one)) for one in factors]
    assert fit_level(sigma, returns) == pytest.approx(factors[int(np.argmin(losses))], abs=0.003)
    assert fit_level(sigma, np.full(500, np.nan)) == fit_level(sigma, np.zeros(500)) == 1.0
