"""Walk-forward: out-of-sample forecasts, the same however they are made, and kept once made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted_faults import mutated
from planted_market import FEW, SHORT, TINY, other_after, planted_market

from crossgate.config import build_config
from foundation.errors import DataError, ParameterError
from markets.candles import FloatArray
from markets.demo import demo_market
from markets.market import Market
from models.calibration import CalibrationParams
from models.forecasts import Forecasts
from models.model_search import tune_model
from models.parameters import WalkForwardParams
from models.samples import build_sample
from models.skill import Skill, forecast_skill
from models.trained import train_model
from models.training import train_network
from models.walkforward import member_seeds, walk_forward, walk_forward_models
from strategies.parameters import RiskParams

pytestmark = pytest.mark.usefixtures("own_cache")
MARKET = planted_market()


def forecast(market: Market = MARKET, **settings: object) -> Forecasts:
    """A tiny walk-forward of two folds and two seeds, in this process."""
    return walk_forward(market, TINY, FEW, **{"walk": SHORT, "workers": 1, **settings})


def test_every_bar_after_the_first_training_has_a_forecast() -> None:
    """Forecasts cover all candles after the first training span, each from a model that ended before it."""
    made = forecast().series["TEST"]
    assert np.array_equal(made.timestamp, MARKET.candles.timestamp[360:])
    assert (np.isfinite(made.mean) & (made.sigma > 0)).all()
    assert (made.trained_through < made.timestamp).all()
    assert np.array_equal(made.model, np.repeat([0, 1], 240))


def test_a_row_is_the_mean_over_seeds() -> None:
    """A forecast is the members' mean times the trailing volatility, the state warmed before the test."""
    market, model = planted_market(trend=0.6), TINY.replaced(start="zero", steps=40, check=20)
    made = walk_forward(market, model, FEW, walk=SHORT.replaced(scheme="holdout"), workers=1).series["TEST"]
    sample = build_sample(market.candles, FEW, model)
    gap = 1 + sample.memory
    means, deviations = [], []
    for seed in member_seeds(0, 2):
        trained = train_network(sample, 360 - gap, gap, "standard", model, seed)
        mean = trained.forecast(sample.features[360 - 128 :], trained.fresh_state())[:, 0]
        cold = trained.forecast(sample.features[360:], trained.fresh_state())[:, 0]
        assert not np.array_equal(mean[128:], cold), "a state that does not matter would hide a missing warm-up"
        means.append(mean[128:])
        deviations.append(trained.deviation)
    assert not np.array_equal(*means), "equal members would hide a missing one"
    np.testing.assert_allclose(made.mean, sample.volatility[360:] * np.mean(means, axis=0), rtol=1e-12)
    np.testing.assert_allclose(made.sigma, sample.volatility[360:] * np.mean(deviations), rtol=1e-12)
    assert made.members is not None
    np.testing.assert_array_equal(made.members, sample.volatility[360:, None] * np.transpose(means))


def test_workers_change_nothing() -> None:
    """One process or two, cached or not: the same bits."""
    alone = forecast(cache=False)
    together = forecast(cache=False, workers=2)
    kept = forecast(cache=True)
    assert alone.fingerprint == together.fingerprint == kept.fingerprint == forecast().fingerprint


def members(walk_forward: Callable[..., Forecasts], workers: int) -> FloatArray:
    """What each of three networks says, of a model that does leave its start."""
    model = TINY.replaced(start="zero", averaging=0.0, steps=30)
    walk = SHORT.replaced(scheme="holdout", seeds=3)
    made = walk_forward(MARKET, model, FEW, walk=walk, workers=workers, cache=False).series["TEST"].members
    assert made is not None
    return made


def test_no_seed_is_used_twice() -> None:
    """Networks trained side by side differ from each other; a seed that two of them share is seen."""
    made = members(walk_forward, 2)
    assert len(np.unique(made, axis=1).T) == 3
    faulty = mutated("models.walkforward", "SeedSequence([seed, member])", "SeedSequence([seed, member // 2])")
    assert len(np.unique(members(faulty.walk_forward, 1), axis=1).T) == 2


def test_the_interval_is_the_one_that_was_asked_for() -> None:
    """`calibration` says how wide the intervals of a walk-forward are, and trains nothing anew."""
    narrow = forecast(calibration=CalibrationParams(level=0.5, least=20)).series["TEST"]
    wide = forecast(calibration=CalibrationParams(level=0.9, least=20)).series["TEST"]
    assert narrow.levels == (0.25, 0.75)
    assert narrow.quantiles is not None
    assert wide.quantiles is not None
    assert np.nanmedian(np.ptp(narrow.quantiles, axis=1)) < 0.7 * np.nanmedian(np.ptp(wide.quantiles, axis=1))
    assert build_config({"calibration": {"level": 0.8, "scale": "har"}}).calibration.level == 0.8


def test_seeds() -> None:
    """Another seed gives another forecast; more members leave the first ones as they are."""
    assert forecast(seed=1).fingerprint != forecast(seed=0).fingerprint
    assert member_seeds(7, 5)[:3] == member_seeds(7, 3)
    assert len(set(member_seeds(7, 5) + member_seeds(8, 5))) == 10


def test_shortcuts_override_the_table() -> None:
    """scheme, train, test and seeds as keywords count instead of the table's, and are checked like it."""
    made = forecast(scheme="holdout", train="20d", seeds=1).series["TEST"]
    assert len(made) == 360
    assert set(made.model) == {0}
    with pytest.raises(ParameterError, match=r"walk_forward\.scheme"):
        forecast(scheme="sometimes")


def test_a_second_call_trains_nothing(trainings: list[object]) -> None:
    """The same question again is answered from disk."""
    first = forecast()
    assert len(trainings) == 4
    assert forecast().fingerprint == first.fingerprint
    assert len(trainings) == 4


def test_only_what_changed_is_trained(trainings: list[object]) -> None:
    """One more seed trains one model a fold; other candles train the folds whose training they touch."""
    forecast()
    forecast(seeds=3)
    assert len(trainings) == 4 + 2
    forecast(other_after(MARKET, 700))
    assert len(trainings) == 4 + 2
    forecast(other_after(MARKET, 500))
    assert len(trainings) == 4 + 2 + 2


def test_what_the_cache_depends_on(trainings: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Other features, model settings, embargo, data or source train anew; other contracts do not."""
    forecast(scheme="holdout", seeds=1)
    settings = {"walk": SHORT.replaced(scheme="holdout", seeds=1), "workers": 1}
    walk_forward(MARKET, TINY, FEW.replaced(scaling="robust"), **settings)
    walk_forward(MARKET, TINY.replaced(hidden=5), FEW, **settings)
    walk_forward(MARKET, TINY, FEW, **{**settings, "walk": settings["walk"].replaced(embargo="1d")})
    walk_forward(other_after(MARKET, 100), TINY, FEW, **settings)
    assert len(trainings) == 5
    walk_forward(replace(MARKET, contract=MARKET.contract.replaced(taker_fee=0.01)), TINY, FEW, **settings)
    assert len(trainings) == 5
    monkeypatch.setattr("models.cache.training_source", lambda _: ["another"])
    walk_forward(MARKET, TINY, FEW, **settings)
    assert len(trainings) == 6


@pytest.mark.parametrize("damage", [b"", b"no archive", "truncated", "flipped"])
def test_a_damaged_entry_is_trained_anew(damage: bytes | str, own_cache: Path, trainings: list[object]) -> None:
    """An entry that is empty, not an archive, cut short or has a flipped bit is replaced, not believed."""
    first = forecast(seeds=1)
    for entry in own_cache.rglob("*.npz"):
        whole = entry.read_bytes()
        flipped = bytearray(whole)
        flipped[400] ^= 0xFF
        entry.write_bytes({"truncated": whole[:700], "flipped": bytes(flipped)}.get(str(damage), damage))
    assert forecast(seeds=1).fingerprint == first.fingerprint
    assert len(trainings) == 4
    assert forecast(seeds=1).fingerprint == first.fingerprint
    assert len(trainings) == 4


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cache cannot be written the error says how to go on; without it all works."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="set CROSSGATE_CACHE"):
        forecast()
    assert len(forecast(cache=False).series["TEST"]) == 480


def test_several_markets() -> None:
    """Each symbol has a model of its own, the same as if it were alone."""
    other = planted_market(700, seed=2, symbol="OTHER")
    both = forecast([MARKET, other])
    assert both.series["TEST"].mean.tolist() == forecast().series["TEST"].mean.tolist()
    assert both.series["OTHER"].mean.tolist() == forecast(other).series["OTHER"].mean.tolist()
    with pytest.raises(ParameterError, match="different symbols"):
        forecast([MARKET, MARKET])


def test_too_little_data() -> None:
    """Too few candles, or too short a train for the model, is an error that says how many are needed."""
    with pytest.raises(DataError, match=r"holds 360 bars; walk_forward\.train = 15d needs at least 361"):
        forecast(MARKET.rows(0, 360))
    with pytest.raises(
        ParameterError, match=r"walk_forward.train = '5d': holds 120 bars of 1h, and the model needs 282"
    ):
        forecast(train="5d")
    with pytest.raises(ParameterError, match="seed = -1"):
        forecast(seed=-1)


def test_cached_forecasts_leave_torch_out(own_cache: Path) -> None:
    """Neither `import models` nor forecasts from the cache import torch."""
    forecast()
    script = """
import sys
import models
import models.parameters, models.skill
assert "torch" not in sys.modules
from planted_market import FEW, SHORT, TINY, planted_market
market = planted_market()
made = models.walk_forward(market, TINY, FEW, walk=SHORT)
print(made.fingerprint, models.forecast_skill(market, made).count)
assert "torch" not in sys.modules
"""
    tree = Path(__file__).resolve().parents[1]
    paths = {"PYTHONPATH": f"{tree}:{tree / 'tests'}", "CROSSGATE_CACHE": str(own_cache)}
    ran = subprocess.run(
        [sys.executable, "-c", script], env=paths, cwd=tree, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == [forecast().fingerprint, "479"]


def demo_skill(predictability: float) -> Skill:
    """The skill on the shipped demo market of one model set that is trained on its first year."""
    market = demo_market(predictability=predictability)
    made = walk_forward(market, walk=WalkForwardParams(scheme="holdout", train="365d"))
    return forecast_skill(market, made)


def test_demo_market_with_predictability() -> None:
    """On the demo market the forecasts come near the oracle's skill, and that is evident."""
    skill = demo_skill(0.02)
    assert skill.evident
    assert skill.oracle_ratio is not None
    assert skill.oracle_ratio > 0.65


def test_demo_market_without_predictability() -> None:
    """On the same market with nothing to know no skill is evident."""
    skill = demo_skill(0.0)
    assert not skill.evident
    assert skill.skill < 0.001
    assert "no evident skill" in skill.verdict


@pytest.mark.parametrize("markets", [MARKET.candles, "TEST", None, [MARKET, MARKET.candles], 3])
def test_what_is_no_market_is_one_line(markets: Any) -> None:
    """Candles, a name, nothing or a number in the place of a market: what it should be, and what makes one."""
    for ask in (walk_forward, walk_forward_models, tune_model, train_model):
        with pytest.raises(ParameterError, match=r"^markets: should be a Market, and is a \w+; cg\.load_market or"):
            ask(markets)


@pytest.mark.parametrize("name", ["model", "features", "calibration", "walk", "search"])
def test_a_table_in_another_ones_place_is_one_line(name: str) -> None:
    """What should stand there, and how it is made, before anything trains."""
    asks: tuple[Callable[..., Any], ...] = (walk_forward, walk_forward_models, tune_model, train_model)
    asked = [ask for ask in asks if name in signature(ask).parameters]
    assert asked
    for ask in asked:
        with pytest.raises(ParameterError, match=rf"^{name} = 'RiskParams': should be (\w+); {name}=\1\(\.\.\.\)"):
            ask(MARKET, **{name: RiskParams()})


@pytest.mark.parametrize("seed", [1.5, -1, True, "1", None])
def test_what_is_no_seed_is_one_line(seed: Any) -> None:
    """A seed is a whole number, numpy's too."""
    with pytest.raises(ParameterError, match=r"^seed.*: should be a whole number, 0 or above"):
        forecast(seed=seed)
    assert member_seeds(np.int64(3), 2) == member_seeds(3, 2)


def test_barriers_out_of_reach_train_nothing() -> None:
    """Fewer than 20 rows that reach a barrier teach nothing about which comes first: it says how many there are."""
    far = TINY.replaced(output="barrier", barrier_sigma=100.0)
    with pytest.raises(ParameterError, match=r"^model\.barrier_sigma = 100\.0: lies so far off that 0 of \d+ fit rows"):
        walk_forward(MARKET, far, FEW, walk=SHORT, workers=1)
    assert len(walk_forward(MARKET, far.replaced(barrier_sigma=4.0, steps=1), FEW, walk=SHORT, workers=1).series) == 1
