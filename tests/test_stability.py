"""Stability and promise: halves, falls and sealed stretches against figures worked out by hand and known truth."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace as Rows
from typing import Any

import numpy as np
import pytest
from planted_faults import mutated
from planted_market import planted_market

from backtests.doubts.controls import LEAST_CHANGES, chances_since
from models.evidence import forecast_evidence
from models.forecasts import Forecast, Forecasts, collect_forecasts
from models.track import track_of
from reports.bootstrap import resample_figures
from reports.curves import EquityCurve
from reports.promise import drawn_sharpe, promise_of
from reports.skill_tables import skill_table
from reports.stability import PIECES, sampled, stability_of, stretch

HOUR = 3_600_000_000_000
YEARLY = math.sqrt(8760)


def curve(returns: np.ndarray) -> EquityCurve:
    """A curve of hourly bars from 0 on."""
    return EquityCurve(HOUR * np.arange(len(returns)), 1000.0 * np.cumprod(1.0 + returns), 1000.0, HOUR)


def edge(seed: int, bars: int, mean: float) -> np.ndarray:
    """Returns with a Sharpe ratio of `mean` a bar."""
    return np.random.default_rng(seed).normal(mean * 0.01, 0.01, bars)


def test_halves_and_the_best_part_are_those_of_the_returns() -> None:
    """Returns and ratios of both halves, and what is left without the best eighth, worked out from the returns."""
    returns = edge(1, 803, 0.05)
    found = stability_of(curve(returns))
    early, late = returns[:401], returns[401:]
    assert (found.earlier.bars, found.later.bars, found.later.first) == (401, 402, 401 * HOUR)
    assert found.earlier.total_return == pytest.approx(np.prod(1.0 + early) - 1.0)
    assert found.later.sharpe == pytest.approx(late.mean() / late.std(ddof=1) * YEARLY)
    parts = [np.prod(1.0 + part) for part in np.array_split(returns, PIECES)]
    assert found.without_best == pytest.approx(np.prod(parts) / max(parts) - 1.0)
    assert found.fall is not None
    assert found.fall.value == pytest.approx((found.later.sharpe or 0.0) - (found.earlier.sharpe or 0.0))
    assert found.fall.low < found.fall.value < found.fall.high
    assert stability_of(curve(returns)) == found


def test_a_run_that_never_moved_or_was_ruined_has_no_fall() -> None:
    """Nothing is divided by zero: flat equity has no ratios, ruin leaves nothing, the best part cannot save it."""
    flat = stability_of(curve(np.zeros(200)))
    assert (flat.fall, flat.earlier.sharpe, flat.without_best) == (None, None, 0.0)
    ruined = stability_of(curve(np.concatenate((edge(2, 150, 0.3), [-1.0], np.zeros(49)))))
    assert ruined.without_best == -1.0
    assert stretch(curve(np.zeros(50)), 20, 20).bars == 0


@pytest.mark.parametrize(("late", "least", "most"), [(0.05, 0.0, 0.06), (-0.1, 0.9, 1.0)])
def test_a_fall_is_seldom_seen_where_none_is(late: float, least: float, most: float) -> None:
    """Of 100 runs with the same edge throughout about 2.5 lie below zero; of those that lose it nearly all do."""
    seen = 0
    for seed in range(100):
        returns = np.concatenate((edge(seed, 1000, 0.05), edge(1000 + seed, 1000, late)))
        fall = stability_of(curve(returns)).fall
        seen += fall is not None and fall.high < 0.0
    assert least <= seen / 100 <= most


def test_forecasts_inside_their_training_are_counted() -> None:
    """Rows without a model and rows outside the run do not count; a row at or before the end of its training does."""
    stamps = np.arange(10) * HOUR
    through = np.full(10, 4 * HOUR)
    one = Rows(timestamp=stamps, trained_through=through, model=np.array([-1, 0, 0, 0, 0, 0, 1, 1, 1, 1]))
    found = sampled([one], 3 * HOUR, 8 * HOUR)
    assert (found.forecasts, found.inside, found.models) == (6, 2, 2)
    clean = Rows(timestamp=stamps, trained_through=stamps - 1, model=np.zeros(10, dtype=np.int64))
    assert sampled([one, clean], 5 * HOUR, 9 * HOUR).inside == 0


def test_a_forecaster_is_no_fitted_model() -> None:
    """One that is asked bar by bar may learn as it goes; of rows made by one training, that is a model, with one."""

    over = planted_market(400)

    class Still:
        def forecast(self, bar: Any) -> Forecast:
            return Forecast(0.0 * bar.close, 0.01)

    asked = collect_forecasts(Still(), over)
    trained = {"TEST": replace(asked.series["TEST"], trained_through=np.zeros(len(asked.series["TEST"])))}
    for made, models in ((asked, 0), (Forecasts(trained), 1)):
        skill = forecast_evidence(track_of(over, made)).skill
        assert (skill.models, skill.zero_models) == (models, models)
        table = skill_table([skill])
        assert table is not None
        assert any("Fitted models" in row[0].text for row in table.rows) == bool(models)
        assert sampled([track_of(over, made)], 0, int(over.candles.timestamp[-1])).models == models


def test_the_power_is_how_often_an_edge_shows() -> None:
    """Of 2,000 stretches with a known edge as many pass a one-sided test as the promise says; of none one in twenty."""
    for mean in (0.0, 0.05, 0.1):
        drawn = np.random.default_rng(7).normal(mean, 1.0, (2000, 400))
        ratio = drawn.mean(axis=1) / drawn.std(axis=1, ddof=1)
        seen = float((ratio * 20.0 > 1.6448536).mean())
        exact = np.random.default_rng(8).normal(0.0, 0.01, 5000)
        exact = (exact - exact.mean()) / exact.std(ddof=1) * 0.01 + mean * 0.01
        promise = promise_of(exact, 8760.0, 400)
        assert promise is not None
        assert promise.power == pytest.approx(seen, abs=0.03)
        if mean:
            assert promise.needed == pytest.approx((2.4864748 / mean) ** 2, rel=1e-4)
        else:
            assert promise.needed > 1e6


def test_what_is_promised_is_kept_by_nineteen_of_twenty() -> None:
    """Stretches of the same law fall below the promise of a long record about once in twenty; those without an edge
    often."""
    promise = promise_of(edge(3, 20_000, 0.1), 8760.0, 500)
    assert promise is not None
    assert promise.low is not None
    for mean, least, most in ((0.1, 0.02, 0.09), (0.0, 0.6, 1.0)):
        kept = [stretch(curve(edge(100 + k, 500, mean)), 0, 500).sharpe or 0.0 for k in range(300)]
        assert least <= float(np.mean(np.array(kept) < promise.low)) <= most


def test_stretches_are_drawn_as_runs_are() -> None:
    """As long as the record itself they have the spread that the compiled bootstrap gives, and no block is lost."""
    random = np.random.default_rng(5)
    returns = np.repeat(random.normal(0.002, 0.01, 300), 4)
    ours = drawn_sharpe(returns, len(returns), np.random.default_rng(1), 1000)
    theirs = resample_figures(returns, 20.0, np.random.default_rng(2), 1000)[:, 0]
    assert ours.std() == pytest.approx(theirs.std(), rel=0.15)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.01)
    assert promise_of(np.zeros(100), 8760.0, 50) is None


def brute(ours: np.ndarray, curves: np.ndarray, at: int) -> float:
    """The chance at one point, by the words of its definition."""

    def ratio(path: np.ndarray) -> float:
        moves = path[at + 1 :] / path[at:-1] - 1.0
        return float(moves.mean() / moves.std(ddof=1)) if moves.std() > 0.0 else 0.0

    return (1 + sum(ratio(one) >= ratio(ours) for one in curves)) / (1 + len(curves))


def test_chances_are_those_of_what_follows() -> None:
    """At every point the rank of the Sharpe ratio of the rest; unknown where hardly anything follows; ruin is flat."""
    paths = np.cumprod(1.0 + np.random.default_rng(6).normal(0.0, 0.02, (40, 60)), axis=1)
    paths[3, 30:] = 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        found = chances_since(paths[0], paths[1:])
    for at in (0, 7, 20):
        assert found[at] == pytest.approx(brute(paths[0], np.delete(paths[1:], 2, axis=0), at), abs=0.03)
    assert np.isfinite(found[: 60 - LEAST_CHANGES]).all()
    assert np.isnan(found[60 - LEAST_CHANGES :]).all()


def test_chances_of_luck_are_uniform() -> None:
    """Where ours is one of the lucky, p is at most 0.1 a tenth of the time at every point; a planted fault is not."""
    paths = np.cumprod(1.0 + np.random.default_rng(9).normal(0.0, 0.02, (400, 50)), axis=1)
    faulty = mutated("backtests.doubts.controls", "np.cumsum(one[:, ::-1], axis=1)[:, ::-1]", "np.cumsum(one, axis=1)")
    for at in (0, 25, 40):
        chances = [chances_since(paths[k], np.delete(paths, k, axis=0))[at] for k in range(0, 400, 4)]
        assert 0.03 <= np.mean(np.array(chances) <= 0.1) <= 0.2
    assert not np.allclose(chances_since(paths[0], paths[1:])[:20], faulty.chances_since(paths[0], paths[1:])[:20])
