"""A pool that is retrained on drift: the first market that drifts counts for all, and nobody sees a future."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from planted_faults import mutated
from planted_market import FEW, TINY, other_after
from simple_market import HOUR
from test_retraining import BREAK, DRIFT, broken_market

import models.walkforward
from foundation.errors import DataError, ParameterError
from markets.market import Market
from models.forecasts import Forecasts, collect_forecasts
from models.retraining import retraining_worth
from models.walkforward import walk_forward, walk_forward_models

MODEL = TINY.replaced(volatility_bars=32)
POOL = DRIFT.replaced(pooled=True)
STEADY, BROKEN = (broken_market(after=after, seed=seed, symbol=name) for name, after, seed in
                  (("STEADY", 0.6, 5), ("BROKEN", -0.6, 2)))  # fmt: skip


def pool(*markets: Market, **changes: Any) -> Forecasts:
    """The forecasts of a pool that retrains on drift."""
    listed = list(markets or (STEADY, BROKEN))
    return walk_forward(listed, MODEL, FEW, walk=POOL.replaced(**changes), workers=1, cache=False)


@pytest.fixture(scope="module")
def made() -> Forecasts:
    """Those of a market without a break and one with."""
    return pool()


def alarm_row(made: Forecasts) -> int:
    """The row at which the only alarm was seen."""
    (alarm,) = made.retrainings
    return int(np.searchsorted(BROKEN.candles.timestamp, alarm.timestamp))


def test_one_market_drifts_for_all(made: Forecasts) -> None:
    """The break in one market is seen; the next model takes over in both, trained through the close of the alarm."""
    row, (alarm,) = alarm_row(made), made.retrainings
    assert (alarm.symbol, alarm.detector, alarm.model) == ("BROKEN", "likelihood", 1)
    assert BREAK < row < BREAK + 300
    for symbol in ("STEADY", "BROKEN"):
        one = made.series[symbol]
        new = one.model == 1
        assert np.array_equal(one.timestamp, STEADY.candles.timestamp[600:])
        assert one.timestamp[new][0] == STEADY.candles.timestamp[row + 2]
        assert set(one.trained_through[new]) == {STEADY.candles.timestamp[row] + HOUR}
    frozen = walk_forward(
        [STEADY, BROKEN], MODEL, FEW, walk=POOL.replaced(scheme="holdout", retrain="scheduled"), workers=1, cache=False
    )
    assert np.array_equal(frozen.series["STEADY"].mean[: row - 598], made.series["STEADY"].mean[: row - 598])
    assert "drift led to 1 refit (at most 12)" in made.notes


def test_a_pool_of_one_drifts_as_that_one_alone() -> None:
    """One market in a pool has the alarms and the forecasts that it has by itself, to the bit."""
    alone = walk_forward(BROKEN, MODEL, FEW, walk=DRIFT, workers=1, cache=False)
    together = pool(BROKEN)
    assert together.fingerprint == alone.fingerprint
    assert together.retrainings == alone.retrainings


def observed(made: Forecasts, row: int) -> list[object]:
    """All that is forecast and logged up to a row of the clock."""
    limit, seen = BROKEN.candles.timestamp[row], list[object]()
    seen += [alarm for alarm in made.retrainings if alarm.timestamp <= limit]
    for one in made.series.values():
        known = one.timestamp <= limit
        seen += [one.mean[known].tolist(), one.sigma[known].tolist(), one.model[known].tolist()]
    return seen


def test_no_alarm_sees_a_future(made: Forecasts) -> None:
    """All bars of both after the alarm's are other ones: alarm and forecasts up to it stand; its own bar does count."""
    row = alarm_row(made)
    after = pool(other_after(STEADY, row), other_after(BROKEN, row))
    assert observed(after, row)[1:] == observed(made, row)[1:]
    first, second = made.retrainings[0], after.retrainings[0]
    assert first == second
    earlier = pool(STEADY, other_after(BROKEN, row - 60))
    assert earlier.retrainings[0] != first


def test_a_young_market_joins(made: Forecasts) -> None:
    """A market that began later is forecast by the model it joined, and its alarms stand on the common clock."""
    late = Market(BROKEN.contract, BROKEN.candles.rows(300, 2000), synthetic=True)
    found = pool(STEADY, late)
    assert found.series["BROKEN"].timestamp[-1] == BROKEN.candles.timestamp[-1]
    row = int(np.searchsorted(BROKEN.candles.timestamp, found.retrainings[0].timestamp))
    assert BREAK < row < BREAK + 400
    assert (np.diff(found.series["BROKEN"].timestamp) == HOUR).all()


def planted(monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    """Puts a fault into the chain of pools that the walk-forward uses."""
    monkeypatch.setattr(models.walkforward, "PoolChain", mutated("models.pool_chain", right, wrong).PoolChain)


def test_faults_are_found(monkeypatch: pytest.MonkeyPatch, made: Forecasts) -> None:
    """A cap that is ignored, a market off the clock, a test that does not end, and late alarms first are each found."""
    assert {one.model for one in pool(drift_retrains=0).retrainings} == {-1}
    with monkeypatch.context() as patch:
        planted(patch, "pooled.fold.number < self.walk.drift_retrains and ", "")
        assert 1 in {one.model for one in pool(drift_retrains=0).retrainings}
    with monkeypatch.context() as patch:
        planted(patch, "Seen(first + alarm.row, symbol, alarm)", "Seen(alarm.row, symbol, alarm)")
        with pytest.raises(DataError):
            pool()
    with monkeypatch.context() as patch:
        planted(patch, "if self.fold is not None:", "if False:")
        with pytest.raises(DataError):
            pool()
    both = pool(broken_market(seed=3, symbol="STEADY", turn=BREAK + 200), BROKEN)
    with monkeypatch.context() as patch:
        planted(patch, "key=lambda one: one.row", "key=lambda one: -one.row")
        assert pool(broken_market(seed=3, symbol="STEADY", turn=BREAK + 200), BROKEN).retrainings != both.retrainings


def test_bar_by_bar_it_says_the_same(made: Forecasts) -> None:
    """The ensembles of the pool, asked bar by bar, say what its forecasts say."""
    live = walk_forward_models([STEADY, BROKEN], MODEL, FEW, walk=POOL, workers=1, cache=False)
    stepped = collect_forecasts(live, [BROKEN])
    one, two = stepped.series["BROKEN"], made.series["BROKEN"]
    rows = np.searchsorted(two.timestamp, one.timestamp[one.timestamp >= two.timestamp[0]])
    np.testing.assert_allclose(one.mean[-len(rows) :], two.mean[rows], atol=1e-9)


def test_what_retraining_a_pool_is_worth() -> None:
    """All three ways are compared on each market of a pool, and on drift gains where one of them broke."""
    walk = POOL.replaced(retrain="scheduled", test="20d")
    steady, broken = retraining_worth([STEADY, BROKEN], MODEL, FEW, walk=walk, workers=1, cache=False)
    assert [one.name for one in steady.contenders] == ["frozen", "scheduled", "on drift"]
    assert broken.symbol == "BROKEN"
    gains = {(one.first, one.second): one for one in broken.gains}
    assert gains["frozen", "on drift"].gain > 0.05
    assert gains["frozen", "on drift"].clear


def test_a_window_that_training_does_not_hold(trainings: list[object]) -> None:
    """The first model's rows have to hold two windows of the features, or one clear line says so before it trains."""
    with pytest.raises(ParameterError, match="rows of a training should hold at least two of them"):
        pool(drift_window="20d")
    with pytest.raises(ParameterError, match=r"walk_forward.drift_wait = '5m': is shorter than one bar"):
        pool(drift_wait="5m")
    assert trainings == []
