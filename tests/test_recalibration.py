"""Recalibration: sigma at the level that outcomes show, by the definition, out of sample, and the same bar by bar."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from look_ahead import Observed, what_changes
from planted_faults import mutated
from planted_market import FEW, SHORT, TINY, candles_around, planted_market

import models.recalibration
from benchmarks.volatility_problems import expected_qlike
from foundation.errors import ParameterError
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.calibration import CalibrationParams
from models.ensemble import SymbolModel
from models.forecasts import Forecast, Forecasts, ForecastSeries, collect_forecasts, market_bars
from models.parameters import LSTMParams, WalkForwardParams
from models.recalibration import Recalibration, recalibrated
from models.samples import build_sample
from models.schedule import split_rows
from models.storage import load_model, save_model
from models.trained import TrainedModel, train_model
from models.training import train_network
from models.variance import bar_variance
from models.variance_level import LEAST_LEVEL, MOST_RATIO, next_level, sample_levels
from models.walkforward import walk_forward, walk_forward_models
from models.watching import watch_model

BARS = 40
MARKET = planted_market(900, seed=7)
CANDLES = MARKET.candles
MODELS = {
    "squared errors": TINY.replaced(output="gaussian", recalibration_bars=BARS),
    "ranges": TINY.replaced(output="volatility", recalibration_bars=BARS, start="zero"),
    "true ranges": TINY.replaced(output="volatility", recalibration_bars=BARS, range_measure="true_range"),
    "one deviation": TINY.replaced(recalibration_bars=BARS),
}
RANDOM = np.random.default_rng(8)
ROWS = np.arange(300, 900)
MEAN, SIGMA = 0.001 * RANDOM.standard_normal(600), 0.004 + 0.003 * RANDOM.random(600)


@cache
def trained(kind: str) -> TrainedModel:
    """A tiny model trained on the first 500 bars."""
    return train_model(MARKET.rows(0, 500), model=MODELS[kind], features=FEW, seeds=2, workers=1)


def successors(kind: str) -> list[tuple[int, SymbolModel]]:
    """Three ensembles of known levels and slopes, the second and third taking over at rows 450 and 451."""
    one = trained(kind).symbols["TEST"]
    made = []
    for row, level, slope in ((300, 1.0, 1.0), (450, 2.5, 0.8), (451, 0.4, 1.3)):
        members = tuple(
            replace(member, level=level * (0.9 + 0.2 * k), slope=slope) for k, member in enumerate(one.members)
        )
        made.append((int(CANDLES.timestamp[row]), replace(one, members=members)))
    return made


def series_of(rows: IntArray = ROWS) -> ForecastSeries:
    """Forecasts drawn by chance."""
    stamps = CANDLES.timestamp[rows]
    return ForecastSeries(stamps, MEAN[: len(rows)], SIGMA[: len(rows)], stamps - 1, np.zeros(len(rows), np.int64))


def by_definition(kind: str) -> FloatArray:
    """The sigmas by sums over whole histories: the start and each ratio, weighted by how long ago they were."""
    rate, params, made = 2.0 / (BARS + 1.0), MODELS[kind], []
    variances, moves = bar_variance(CANDLES, params.range_measure), np.diff(np.log(CANDLES.close))
    limits = [300, 450, 451, 900]
    for (_, model), first, last in zip(successors(kind), limits[:-1], limits[1:], strict=True):
        factor = np.mean([member.slope**2 for member in model.members])
        start = np.mean([member.level for member in model.members])
        ratios = []
        for t in range(first, last):
            ages = np.arange(len(ratios))[::-1]
            level = start * (1.0 - rate) ** len(ratios) + float(rate * (1.0 - rate) ** ages @ np.array(ratios))
            made.append(SIGMA[t - 300] * np.sqrt(level))
            if t + 1 < len(CANDLES):
                error = (moves[t] - MEAN[t - 300]) ** 2
                realised = factor * variances[t + 1] if params.output == "volatility" else error
                ratios.append(realised / SIGMA[t - 300] ** 2)
    return np.array(made)


@pytest.mark.parametrize("kind", MODELS)
def test_the_level_is_the_exponential_mean_of_ratios(kind: str) -> None:
    """Sums by the definition, each model from its own level on, come to the same sigmas; means stay."""
    made = recalibrated(series_of(), CANDLES, successors(kind), MODELS[kind])
    np.testing.assert_allclose(made.sigma, by_definition(kind), rtol=1e-9)
    assert np.array_equal(made.mean, MEAN)
    assert np.ptp(made.sigma / SIGMA) > 0.2


@pytest.mark.parametrize("kind", MODELS)
def test_steps_are_the_batch(kind: str) -> None:
    """Bar by bar, through two swaps, the sigmas are those of the whole series to the last bit."""
    whole = recalibrated(series_of(), CANDLES, successors(kind), MODELS[kind]).sigma
    waiting, stepped, one = successors(kind), [], None
    for row, bar in enumerate(market_bars(MARKET)):
        if waiting and bar.timestamp >= waiting[0][0]:
            one = Recalibration(waiting.pop(0)[1], MODELS[kind])
        if one is not None:
            one.observe(bar)
            stepped.append(one.recalibrated(Forecast(MEAN[row - 300], SIGMA[row - 300])).sigma)
    np.testing.assert_array_equal(stepped, whole)


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("variance_level", "level + 2.0 / (bars + 1.0)", "level + 1.0 / (bars + 1.0)"),
        ("variance_level", "ratio = min(realised / variance,", "ratio = min(variance / realised,"),
        ("variance_level", "        if not math.isnan(starts[t]):\n            level = starts[t]\n", ""),
        ("variance_level", "np.square(one.slope)", "one.slope"),
        ("recalibration", "[1:])\n    else", "[:-1])\n    else"),
        ("recalibration", "* np.sqrt(levels)", "* levels"),
        ("recalibration", "starts[row : row + 1], factors[row:]", "starts[row : row + 1], factors[row : row + 1]"),
    ],
)
def test_faults_of_the_level_are_seen(module: str, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: another rate, a ratio upside down, a start left out, an outcome of another bar, a root forgotten."""
    faulty = mutated(f"models.{module}", right, wrong)
    if module == "variance_level":
        for name in ("level_path", "next_level", "range_factor"):
            monkeypatch.setattr(models.recalibration, name, getattr(faulty, name))
        faulty = models.recalibration
    made = faulty.recalibrated(series_of(), CANDLES, successors("ranges"), MODELS["ranges"])
    assert not np.allclose(made.sigma, by_definition("ranges"), rtol=1e-6)


def test_no_sigma_sees_a_later_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is forecast up to a bar stands when all later bars change; a level that saw its own outcome is found."""

    def observe(market: Market) -> Observed:
        made = recalibrated(series_of(), market.candles, successors("ranges"), MODELS["ranges"])
        return {"known": made.sigma[:301], "later": made.sigma[301:]}

    assert what_changes(MARKET, 600, observe) == {"later"}
    right = "        levels[t] = level\n        level = next_level(level, realised[t], variance[t], bars)\n"
    wrong = "        level = next_level(level, realised[t], variance[t], bars)\n        levels[t] = level\n"
    monkeypatch.setattr(models.recalibration, "level_path", mutated("models.variance_level", right, wrong).level_path)
    assert what_changes(MARKET, 600, observe) == {"known", "later"}


@pytest.mark.parametrize("kind", ["squared errors", "ranges"])
def test_a_walk_forward_with_a_level_knows_no_future(kind: str) -> None:
    """The whole way, from training to intervals in sigmas: nothing said up to a bar changes with all later bars."""
    walk, market = WalkForwardParams(train="15d", test="5d", seeds=1, embargo="1h"), MARKET.rows(0, 520)

    def observe(shown: Market) -> Observed:
        calibration = CalibrationParams(scale="sigma", window=40, least=20)
        made = walk_forward(
            shown, MODELS[kind], FEW, walk=walk, workers=1, cache=False, calibration=calibration
        ).series["TEST"]
        known = made.timestamp <= market.candles.timestamp[480]
        columns = {one.name: getattr(made, one.name) for one in fields(ForecastSeries) if one.name != "levels"}
        return {name: np.asarray(values)[known] for name, values in columns.items() if values is not None}

    assert what_changes(market, 480, observe) == set()
    assert "sigma" in what_changes(market, 479, observe)


@cache
def walked(kind: str, retrain: str) -> Forecasts:
    """The walk-forward of a kind, on schedule or on drift."""
    return walk_forward(MARKET, MODELS[kind], FEW, walk=walk_of(retrain), workers=1)


def walk_of(retrain: str) -> WalkForwardParams:
    """A short schedule, or models that last until they drift."""
    if retrain == "scheduled":
        return SHORT
    drift = {"drift_window": "3d", "drift_wait": "1d", "drift_psi": 0.05, "embargo": "1h", "drift_retrains": 2}
    return SHORT.replaced(retrain="drift", scheme="rolling", **drift)


@pytest.mark.parametrize("retrain", ["scheduled", "drift"])
@pytest.mark.parametrize("kind", MODELS)
def test_a_live_process_says_the_same(kind: str, retrain: str, tmp_path: Path) -> None:
    """Through all refits the forecasts bar by bar are the walk-forward's; without the level they would be others."""
    whole = walked(kind, retrain).series["TEST"]
    live = walk_forward_models(MARKET, MODELS[kind], FEW, walk=walk_of(retrain), workers=1)
    stepped = collect_forecasts(live, MARKET).series["TEST"]
    assert len(set(whole.model.tolist())) > 1
    rows = np.searchsorted(whole.timestamp, stepped.timestamp)
    np.testing.assert_allclose(stepped.sigma, whole.sigma[rows], rtol=2e-6)
    plain = walk_forward(MARKET, MODELS[kind].replaced(recalibration_bars=0), FEW, walk=walk_of(retrain), workers=1)
    same = plain.series["TEST"].sigma[: len(whole)] / whole.sigma[: len(plain.series["TEST"])]
    assert np.ptp(same) > 0.05


@pytest.mark.parametrize("kind", ["squared errors", "true ranges"])
def test_a_saved_model_starts_where_it_did(kind: str, tmp_path: Path) -> None:
    """Read back, or begun again after all bars were shown, a model says the same to the bit, level and all."""
    one = trained(kind)
    again = load_model(save_model(one, tmp_path))
    members = [one.symbols["TEST"].members, again.symbols["TEST"].members]
    assert [member.level for member in members[0]] == [member.level for member in members[1]]
    assert all(member.level != 1.0 for member in members[0])
    assert again.forecasts(MARKET).fingerprint == one.forecasts(MARKET).fingerprint
    first = [again.forecast(bar) for bar in market_bars(MARKET)]
    again.reset()
    assert repr([again.forecast(bar) for bar in market_bars(MARKET)]) == repr(first)


@pytest.mark.parametrize("kind", MODELS)
def test_the_first_level_is_that_of_the_validation_rows(kind: str) -> None:
    """Followed from 1 over the validation rows, and no others; without the setting it is 1."""
    params = MODELS[kind]
    sample = build_sample(MARKET, FEW, params)
    network = train_network(sample, 700, 60, "standard", params, 3)
    rows = split_rows(sample, 700, 60, params)
    said = network.forecast(sample.features[rows.check_first - 128 : 700], network.fresh_state())[128:]
    target, level = sample.target[rows.check_first : 700].astype(np.float64), 1.0
    for (mean, sigma), outcome in zip(said[:, :2], target, strict=True):
        realised = outcome * network.slope**2 if params.output == "volatility" else (outcome - mean) ** 2
        level += 2.0 / (BARS + 1.0) * (realised / sigma**2 - level)
    assert network.level == pytest.approx(level, rel=1e-6)
    assert network.level != 1.0
    assert train_network(sample, 700, 60, "standard", params.replaced(recalibration_bars=0), 3).level == 1.0
    later = replace(sample, target=np.where(np.arange(900) >= 700, 9.0, sample.target).astype(np.float32))
    assert train_network(later, 700, 60, "standard", params, 3).level == network.level


@pytest.mark.parametrize("kind", MODELS)
def test_drift_watches_what_is_forecast(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The levels of the watch, from the sample, are those of the forecasts, from the candles."""
    seen = []

    def watched(*arguments: Any, **more: Any) -> Any:
        sample, _, fold, members, columns = arguments[:5]
        said, tested = np.mean(columns, axis=0), slice(fold.test_first, fold.test_last)
        start = float(np.mean([member.level for member in members]))
        levels = sample_levels(said, sample, tested, members, start)[:-1]
        seen.append(np.sqrt(levels) * said[:, 1] * sample.volatility[tested])
        watch = watch_model(*arguments, **more)
        freedom, outcome = seen[-1] / sample.volatility[tested], sample.returns[tested].astype(np.float64)
        expected = -0.5 * np.square((outcome - said[:, 0]) / freedom) - np.log(freedom * np.sqrt(2.0 * np.pi))
        np.testing.assert_allclose(watch.realised[1:], expected[:-1], rtol=1e-9)
        return watch

    monkeypatch.setattr("models.chains.watch_model", watched)
    made = walk_forward(MARKET, MODELS[kind], FEW, walk=walk_of("drift"), workers=1).series["TEST"]
    first = made.sigma[made.model == 0]
    np.testing.assert_allclose(seen[0][: len(first)], first, rtol=1e-5)


def doubling(bars: int = 12_000) -> Market:
    """Candles of constant deviation, 1.5 times as much from half way on; ranges of a path of 50 steps a bar."""
    random = np.random.default_rng(11)
    scale = np.where(np.arange(bars) < bars // 2, 0.004, 0.006)
    steps = random.standard_normal((bars, 50)) * scale[:, None] / np.sqrt(50.0)
    path = np.cumsum(steps, axis=1) + np.concatenate(([0.0], np.cumsum(steps.sum(axis=1))[:-1]))[:, None]
    opens = np.concatenate(([0.0], path[:-1, -1]))
    high, low = (np.exp(one) for one in (np.maximum(path.max(axis=1), opens), np.minimum(path.min(axis=1), opens)))
    base = candles_around(np.exp(path[:, -1]), random)
    return replace(MARKET, oracle=None, candles=replace(base, open=np.exp(opens), high=high, low=low))


SHIFTED = doubling()


@pytest.mark.parametrize("kind", ["squared errors", "ranges"])
def test_a_planted_shift_of_the_level_is_followed(kind: str) -> None:
    """Sigmas that are right in the first half and two thirds of the truth in the second are right again after a while.

    In the first half the level stays within the noise of an exponential mean: its deviation is the root of the variance
    of a ratio (2 for squared normal returns, 0.5 for these ranges) times rate / (2 - rate).
    """
    bars, params = 250, MODELS[kind].replaced(recalibration_bars=250)
    count = len(SHIFTED.candles)
    true = np.where(np.arange(1, count + 1) < count // 2, 0.004, 0.006)
    # A path of 50 steps shows less than the whole range.
    variances = bar_variance(SHIFTED.candles, params.range_measure)[:5000].mean()
    slope = 1.0 if kind == "squared errors" else 0.004 / np.sqrt(variances)
    model = trained(kind).symbols["TEST"]
    model = replace(model, members=tuple(replace(one, level=1.0, slope=slope) for one in model.members))
    stamps = SHIFTED.candles.timestamp
    said = ForecastSeries(stamps, np.zeros(count), np.full(count, 0.004), stamps - 1, np.zeros(count, np.int64))
    made = recalibrated(said, SHIFTED.candles, [(int(stamps[0]), model)], params)
    level = np.square(made.sigma / said.sigma)
    noise = np.sqrt((2.0 if kind == "squared errors" else 0.5) / bars)
    before, after = level[3 * bars : count // 2 - 1], level[count // 2 + 3 * bars :]
    assert before.mean() == pytest.approx(1.0, abs=0.03)
    assert before.std() == pytest.approx(noise, rel=0.3)
    assert after.mean() == pytest.approx(2.25, abs=0.07)
    late = slice(count // 2 + bars, count)
    lost = [expected_qlike(np.square(one.sigma[late]), np.square(true[late])) for one in (made, said)]
    assert lost[0] < 0.05 * lost[1]
    calm = slice(0, count // 2 - 1)
    assert expected_qlike(np.square(made.sigma[calm]), np.square(true[calm])) == pytest.approx(noise**2 / 2, rel=0.5)


def test_ranges_tell_the_level_better_than_returns() -> None:
    """The reason for following what is learned: a span knows the level of ranges with a quarter of the variance."""
    moves = np.square(np.diff(np.log(SHIFTED.candles.close))[:5999] / 0.004)
    ranges = bar_variance(SHIFTED.candles, "parkinson")[1:6000]
    assert np.var(ranges / ranges.mean()) < 0.3 * np.var(moves / moves.mean())


def test_one_wild_bar_and_a_price_that_stands_still() -> None:
    """No outcome counts more than ten sigmas, no level falls to zero, and what is not known changes nothing."""
    assert next_level(1.0, 1e9, 1.0, 199) == pytest.approx(1.0 + 0.01 * (MOST_RATIO - 1.0))
    assert next_level(1.0, np.nan, 1.0, 199) == 1.0
    assert next_level(1.0, 1.0, 0.0, 199) == 1.0
    assert next_level(LEAST_LEVEL, 0.0, 1.0, 199) == LEAST_LEVEL
    faulty = mutated(
        "models.variance_level", "ratio = min(realised / variance, MOST_RATIO)", "ratio = realised / variance"
    )
    assert faulty.next_level(1.0, 1e9, 1.0, 199) > 1e6


def test_settings_say_what_is_allowed() -> None:
    """Learned quantiles have no sigma of their own; a span is 0 or more bars."""
    with pytest.raises(ParameterError, match=r"model.recalibration_bars = 20: learned quantiles have no sigma"):
        LSTMParams(output="quantiles", recalibration_bars=20)
    with pytest.raises(ParameterError, match=r"model.recalibration_bars = -1"):
        LSTMParams(recalibration_bars=-1)
