"""Retraining one after another: on drift, and from the weights of the model before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from look_ahead import Observed, what_changes
from planted_faults import mutated
from planted_market import FEW, SHORT, TINY, candles_around, planted_market
from simple_market import HOUR, contract

import models.chains
import models.training
import models.walkforward
from foundation.errors import ParameterError
from markets.market import Market
from models.cache import FoldJob
from models.forecasts import Forecasts, collect_forecasts
from models.parameters import WalkForwardParams
from models.samples import build_sample
from models.schedule import make_folds
from models.skill import forecast_skill
from models.training import train_network
from models.walkforward import member_seeds, walk_forward, walk_forward_models

MODEL = TINY.replaced(volatility_bars=32)
DRIFT = WalkForwardParams(
    train="25d", seeds=1, embargo="1h", scheme="rolling", retrain="drift", drift_wait="2d", drift_window="10d",
    drift_psi=100.0,
)  # fmt: skip
WARM = SHORT.replaced(test="5d", warm_start=True)
MOVING = TINY.replaced(start="zero", steps=30, averaging=0.0)
BREAK = 1200


def broken_market(
    after: float = -0.6, seed: int = 2, bars: int = 2000, symbol: str = "TEST", turn: int = BREAK
) -> Market:
    """A market whose returns repeat 0.6 of the one before, and from bar `turn` on another share."""
    random = np.random.default_rng(seed)
    shares, returns = np.where(np.arange(bars) < turn, 0.6, after), np.zeros(bars)
    noise = 0.005 * random.standard_normal(bars)
    for t in range(1, bars):
        returns[t] = shares[t] * returns[t - 1] + noise[t]
    return Market(contract(symbol), candles_around(20_000.0 * np.exp(np.cumsum(returns)), random), synthetic=True)


pytestmark = pytest.mark.usefixtures("own_cache")
MARKET = broken_market()


def drifting(market: Market = MARKET, **changes: Any) -> Forecasts:
    """A tiny walk-forward that retrains on drift."""
    return walk_forward(market, MODEL, FEW, walk=DRIFT.replaced(**changes), workers=1)


def rows_of(made: Forecasts, market: Market = MARKET) -> list[int]:
    """The rows of a market at which drift was seen."""
    return [int(np.searchsorted(market.candles.timestamp, one.timestamp)) for one in made.retrainings]


def test_a_break_is_seen_and_retraining_is_worth_it() -> None:
    """A share of momentum that turns its sign is seen within 200 bars, and the models made on it beat a frozen one."""
    made = drifting()
    (row,) = rows_of(made)
    assert BREAK < row < BREAK + 200
    assert made.retrainings[0].detector == "likelihood"
    assert made.retrainings[0].figure < 0.4 < made.retrainings[0].limit
    frozen = walk_forward(
        MARKET, MODEL, FEW, walk=WalkForwardParams(train="25d", seeds=1, embargo="1h"), scheme="holdout"
    )
    before = made.series["TEST"].timestamp <= made.retrainings[0].timestamp
    assert np.array_equal(made.series["TEST"].mean[before], frozen.series["TEST"].mean[: before.sum()])
    assert forecast_skill(MARKET, made).skill > forecast_skill(MARKET, frozen).skill + 0.1


def test_without_a_break_nothing_is_retrained() -> None:
    """On the same markets without a break there is no alarm, and the frozen model goes on."""
    for seed in range(4):
        made = drifting(broken_market(after=0.6, seed=seed))
        assert made.retrainings == ()
        assert set(made.series["TEST"].model) == {0}
    assert made.notes[-1] == "drift led to 0 refits (at most 12 a market)"


def test_what_a_retraining_has_seen() -> None:
    """The model counts as trained through the close of the alarm's bar, and forecasts from the second bar after it."""
    made = drifting()
    (row,), one = rows_of(made), made.series["TEST"]
    new = one.model == 1
    assert one.timestamp[new][0] == MARKET.candles.timestamp[row + 2]
    assert set(one.trained_through[new]) == {MARKET.candles.timestamp[row] + HOUR}
    assert np.array_equal(one.timestamp, MARKET.candles.timestamp[600:])


def observed(row: int) -> Any:
    """All that is forecast and logged up to a row."""

    def observe(market: Market) -> Observed:
        made = walk_forward(market, MODEL, FEW, walk=DRIFT, workers=1, cache=False)
        one, limit = made.series["TEST"], market.candles.timestamp[row]
        alarms = [(a.timestamp, a.figure, a.limit) for a in made.retrainings if a.timestamp <= limit]
        known = one.timestamp <= limit
        columns = {name: getattr(one, name)[known] for name in ("mean", "sigma", "model", "trained_through")}
        return {**columns, "alarms": np.array(alarms)}

    return observe


def test_the_future_changes_no_alarm() -> None:
    """All bars after the alarm's own changed, the alarm and all forecasts up to it stand; its own bar does count."""
    (row,) = rows_of(drifting())
    assert what_changes(MARKET, row, observed(row)) == set()
    assert "alarms" in what_changes(MARKET, row - 40, observed(row))


def planted(monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    """Puts a fault into the chains of models that the walk-forward uses."""
    faulty = mutated("models.chains", right, wrong)
    for name in ("Chain", "run_chains"):
        monkeypatch.setattr(models.walkforward, name, getattr(faulty, name))


def test_a_label_that_leaks_through_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that is shown each forecast's outcome a bar early is found: the alarm changes with the next bar."""
    scores = "_scores(sample, columns, tested, members, first_level(members))"
    faulty = mutated("models.watching", f"np.append(np.nan, {scores}[:-1])", scores)
    monkeypatch.setattr(models.chains, "watch_model", faulty.watch_model)
    leaking = [row for row in rows_of(drifting()) if what_changes(MARKET, row, observed(row))]
    assert leaking, "the alarm should hang on the outcome of its own bar's forecast"


def test_the_most_retrainings() -> None:
    """Alarms beyond the most are logged and lead to nothing; without a cap they would."""
    capped = drifting(drift_retrains=0)
    assert {one.model for one in capped.retrainings} == {-1}
    assert set(capped.series["TEST"].model) == {0}
    assert "1 more alarm" in capped.notes[-1] or "more alarms led to none" in capped.notes[-1]


def test_a_cap_that_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that retrains whatever was allowed is found by the number of its models."""
    planted(monkeypatch, "fold.number < self.walk.drift_retrains and ", "")
    assert set(drifting(drift_retrains=0).series["TEST"].model) != {0}


def test_the_shortest_life_of_a_model() -> None:
    """No model is replaced before the wait is over, however often features are out of their range."""
    made = drifting(drift_psi=0.01, drift_wait="3d", drift_retrains=5)
    rows = [600, *rows_of(made)]
    assert len(rows) == 6 or rows[-1] < 2000
    assert min(np.diff(rows)) >= 72


def by_hand(market: Market, start_from: str) -> list[np.ndarray]:
    """The weights of a warm chain's head, fold by fold, trained one after another."""
    sample = build_sample(market, FEW, MOVING)
    folds = make_folds(sample.timestamp, sample.bar, WARM, sample.memory)
    networks: list[Any] = []
    for fold in folds:
        gap, before = fold.test_first - fold.train_last, networks[-1] if networks else None
        if start_from == "first" and networks:
            before = networks[0]
        rows = sample.rows(fold.train_first, fold.train_last)
        seed = member_seeds(0, 2)[1]
        networks.append(train_network(rows, len(rows), gap, "standard", MOVING, seed, before=before))
    return [network.weights["head.weight"] for network in networks]


def warm_heads(market: Market) -> list[np.ndarray]:
    """The same of the second seed of a walk-forward with a warm start."""
    made = walk_forward(market, MOVING, FEW, walk=WARM, workers=1, cache=False)
    assert made.ensembles is not None
    return [model.members[1].weights["head.weight"] for _, model in made.ensembles.symbols["TEST"]]


def test_a_warm_start_begins_at_the_model_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each training begins at the weights of the same seed one fold before; from another fold it is found."""
    market = planted_market(trend=0.6)
    expected, wrong = by_hand(market, "before"), by_hand(market, "first")
    assert len(expected) == 4
    assert all(np.array_equal(*pair) for pair in zip(warm_heads(market), expected, strict=True))
    assert np.array_equal(wrong[1], expected[1])
    assert not np.array_equal(wrong[2], expected[2])
    planted(monkeypatch, "self.models[-1][1].members if warm", "self.models[0][1].members if warm")
    assert not np.array_equal(warm_heads(market)[2], expected[2])


def test_a_warm_start_is_never_worse_than_what_it_starts_from() -> None:
    """On the validation rows, where weights are chosen, the network before is one of those compared."""
    sample = build_sample(planted_market(trend=0.6), FEW, MOVING)
    first = train_network(sample.rows(0, 500), 500, 20, "standard", MOVING, 1)
    still = train_network(sample.rows(0, 600), 600, 20, "standard", MOVING.replaced(steps=1), 1, before=first)
    cold = train_network(sample.rows(0, 600), 600, 20, "standard", MOVING.replaced(steps=1), 1)
    assert still.loss < cold.loss
    assert still.steps <= 1


def test_workers_change_nothing() -> None:
    """One process or two, cached or not: the same bits, on drift and with a warm start at once."""
    walk = DRIFT.replaced(warm_start=True, seeds=2)
    made = [
        walk_forward(MARKET, MODEL, FEW, walk=walk, workers=workers, cache=cache)
        for workers, cache in ((1, False), (2, True), (1, True))
    ]
    assert len({one.fingerprint for one in made}) == 1
    assert made[0].retrainings == made[1].retrainings == made[2].retrainings != ()


def test_only_what_changed_is_trained(trainings: list[object]) -> None:
    """A second call trains nothing; another drift setting only the models after the first alarm that differs."""
    first = drifting()
    assert len(trainings) == 2
    assert drifting().fingerprint == first.fingerprint
    assert drifting(drift_psi=99.0).fingerprint == first.fingerprint
    drifting(drift_retrains=0)
    assert len(trainings) == 2
    touchier = drifting(drift_delta=0.2)
    assert len(trainings) == 2 + len(touchier.retrainings), "the first model is the same one"
    assert rows_of(touchier)[0] < rows_of(first)[0]


def test_a_killed_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was trained before the run died is not trained again, and the end is the same to the bit."""
    market, honest, done = planted_market(600), models.training.train_networks, list[int]()
    whole = walk_forward(market, MOVING, FEW, walk=WARM, workers=1, cache=False)

    def dying(*arguments: Any) -> object:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return honest(*arguments)

    monkeypatch.setattr(models.training, "train_networks", dying)
    with pytest.raises(KeyboardInterrupt):
        walk_forward(market, MOVING, FEW, walk=WARM, workers=1)
    done.clear()
    monkeypatch.setattr(models.training, "train_networks", lambda *a: done.append(1) or honest(*a))
    assert walk_forward(market, MOVING, FEW, walk=WARM, workers=1).fingerprint == whole.fingerprint
    assert len(done) == 2 * 2 - 3


def test_a_job_that_begins_elsewhere_is_another_one() -> None:
    """The weights at which a training begins are part of what it is kept by."""
    sample = build_sample(planted_market(), FEW, MOVING).rows(0, 500)
    first = train_network(sample, 500, 20, "standard", MOVING, 1)
    other = train_network(sample, 500, 20, "standard", MOVING, 2)
    keys = {FoldJob(sample, 500, 20, 500, "standard", MOVING, 1, before).network_key for before in (None, first, other)}
    assert len(keys) == 3


def test_a_pool_with_a_warm_start() -> None:
    """A pooled model begins at the one before, too; its first fold is that of a cold start."""
    pair = [planted_market(trend=0.6), planted_market(700, seed=2, symbol="OTHER")]
    cold, warm = (
        walk_forward(pair, MOVING, FEW, walk=WARM.replaced(pooled=True, warm_start=one), workers=1)
        for one in (False, True)
    )
    one, other = cold.series["TEST"], warm.series["TEST"]
    assert np.array_equal(one.mean[one.model == 0], other.mean[other.model == 0])
    assert not np.array_equal(one.mean[one.model == 1], other.mean[other.model == 1])


def test_the_models_of_drift_bar_by_bar() -> None:
    """The ensembles that drift led to say bar by bar what the walk-forward says."""
    whole = drifting().series["TEST"]
    stepped = collect_forecasts(walk_forward_models(MARKET, MODEL, FEW, walk=DRIFT, workers=1), MARKET).series["TEST"]
    rows = np.searchsorted(whole.timestamp, stepped.timestamp)
    np.testing.assert_allclose(stepped.mean, whole.mean[rows], atol=2e-6 * whole.sigma.mean())


def test_it_says_that_models_follow_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says that the work is sequential, why, and how many rounds there may be."""
    drifting()
    told = capsys.readouterr().err
    assert "one after another (each lasts until it drifts)" in told
    assert ", rounds at most (13)" in told
    walk_forward(planted_market(), TINY, FEW, walk=WARM, workers=1)
    told = capsys.readouterr().err
    assert "one after another (each begins at the weights of the one before)" in told
    assert ", rounds (4)" in told


def test_what_cannot_be() -> None:
    """Drift of a frozen model, and a window that training cannot hold twice, are refused in words."""
    with pytest.raises(ParameterError, match=r"walk_forward\.retrain = 'drift'"):
        DRIFT.replaced(scheme="holdout")
    with pytest.raises(ParameterError, match=r"walk_forward\.drift_window = '20d': is 480 bars"):
        drifting(drift_window="20d")
