"""Skill: figures worked out by hand, tests that keep their size, and naive forecasts that know no future."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from look_ahead import what_changes
from planted_market import planted_market
from scipy.stats import t as student

from markets.candles import FloatArray
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries
from models.naive import ewma_mean, expanding_mean
from models.significance import correlation, newey_west, normed_clark_west_p, normed_pesaran_timmermann_p, ranks
from models.skill import forecast_skill, oracle_ratio, skill_score

MARKET = planted_market(3000, seed=8)
RETURNS = np.diff(np.log(MARKET.candles.close))


def series(mean: FloatArray, first: int = 0, market: Market = MARKET) -> Forecasts:
    """Forecasts for the candles from row `first` on."""
    stamps = market.candles.timestamp[first : first + len(mean)]
    rows = len(mean)
    one = ForecastSeries(stamps, mean, np.full(rows, 0.01), stamps - 1, np.zeros(rows, np.int64))
    return Forecasts({market.symbol: one})


def oracle() -> FloatArray:
    """The true expectation of each next return."""
    assert MARKET.oracle is not None
    return MARKET.oracle


def test_skill_against_the_expanding_mean() -> None:
    """Skill is 1 - MSE/MSE of the mean of ALL returns known by then, over bars with a known next return."""
    f = 0.5 * oracle()[200:]
    skill = forecast_skill(MARKET, series(f, 200))
    bases = np.array([RETURNS[:t].mean() for t in range(200, 2999)])
    y = RETURNS[200:]
    assert skill.count == 2799
    assert skill.skill == pytest.approx(1 - np.mean((y - f[:-1]) ** 2) / np.mean((y - bases) ** 2), abs=1e-12)
    assert skill.skill_against_zero == pytest.approx(1 - np.mean((y - f[:-1]) ** 2) / np.mean(y**2), abs=1e-12)
    assert skill.rmse == pytest.approx(np.sqrt(np.mean((y - f[:-1]) ** 2)))
    assert {one.name: one.skill for one in skill.against}["expanding mean"] == skill.skill
    assert {one.name: one.skill for one in skill.against}["zero"] == skill.skill_against_zero
    assert skill.information_coefficient == pytest.approx(np.corrcoef(f[:-1], y)[0, 1])
    assert skill.directional_accuracy == pytest.approx(np.mean((f[:-1] > 0) == (y > 0)))


def test_bars_that_cleaning_touched_do_not_count() -> None:
    """Neither the forecast made at a repaired bar nor the return into one is measured; the rest is as it was."""
    f = 0.5 * oracle()[200:]
    repaired = np.zeros(3000, dtype=np.bool_)
    repaired[[1000, 1001, 2000]] = True
    market = replace(MARKET, candles=replace(MARKET.candles, touched=repaired))
    skill = forecast_skill(market, series(f, 200, market))
    rows = np.setdiff1d(np.arange(200, 2999), [999, 1000, 1001, 1999, 2000])
    assert skill.count == 2799 - 5
    assert skill.information_coefficient == pytest.approx(np.corrcoef(f[rows - 200], RETURNS[rows])[0, 1])


def test_bars_without_a_forecast_do_not_count() -> None:
    """The last bar, whose next return is unknown, and bars without a forecast are left out."""
    assert forecast_skill(MARKET, series(oracle()[100:150], 100)).count == 50
    assert forecast_skill(MARKET, series(oracle()[2990:], 2990)).count == 9
    assert forecast_skill(MARKET, series(oracle())).count == 2998


def test_naive_forecasts_know_no_future() -> None:
    """The expanding and the exponential mean up to a bar stand when all later bars change."""

    def observe(market: Market) -> dict[str, FloatArray]:
        returns = np.diff(np.log(market.candles.close))
        return {"expanding": expanding_mean(returns)[:1500], "ewma": ewma_mean(returns)[:1500]}

    assert what_changes(MARKET, 1500, observe) == set()
    assert what_changes(MARKET, 1499, observe) == {"expanding", "ewma"}


def test_the_oracle_is_its_own_equal() -> None:
    """The oracle's forecast has the ratio 1 and evident skill; half of it loses a quarter of the gain."""
    skill = forecast_skill(MARKET, series(oracle()))
    assert skill.oracle_ratio == pytest.approx(1.0)
    assert skill.skill == skill.oracle_skill
    assert skill.evident
    assert skill.verdict.startswith("The forecasts show skill")
    assert oracle_ratio(0.5 * oracle(), oracle()) == pytest.approx(0.75)
    assert oracle_ratio(np.zeros(3000), oracle()) == 0.0


def test_no_oracle() -> None:
    """On a market without an oracle nothing is said about one."""
    real = Market(MARKET.contract, MARKET.candles)
    skill = forecast_skill(real, series(oracle()))
    assert skill.oracle_skill is None
    assert skill.oracle_ratio is None


def test_noise_and_the_opposite_show_no_skill() -> None:
    """Noise and the oracle upside down have no evident skill, and the verdict says so."""
    for f in (0.001 * np.random.default_rng(1).standard_normal(3000), -oracle()):
        skill = forecast_skill(MARKET, series(f))
        assert not skill.evident
        assert "no evident skill" in skill.verdict


def test_constant_forecasts() -> None:
    """A forecast of zero everywhere is no error: correlations and signs are undefined, the rest is a number."""
    skill = forecast_skill(MARKET, series(np.zeros(3000)))
    assert math.isnan(skill.information_coefficient)
    assert math.isnan(skill.rank_information_coefficient)
    assert math.isnan(skill.directional_accuracy)
    assert math.isnan(skill.normed_pesaran_timmermann_p)
    assert skill.skill_against_zero == 0.0
    assert not skill.evident


def test_nothing_to_measure() -> None:
    """A single forecast at the last bar has no known outcome: count 0, and a verdict that says so."""
    skill = forecast_skill(MARKET, series(np.array([0.1]), 2999))
    assert skill.count == 0
    assert math.isnan(skill.skill)
    assert not skill.evident
    assert skill.verdict.startswith("No verdict")


def test_clark_west_formula() -> None:
    """The mean of (y-b)^2 - [(y-f)^2 - (b-f)^2] over twice the usual size of f - b, over its error, as a Student t."""
    random = np.random.default_rng(2)
    y, f, b = random.standard_normal((3, 400))
    weights = (1 - 2 / 251) ** np.arange(400.0)
    size = [np.sqrt(weights[: t + 1] @ (f - b)[t::-1] ** 2 / weights[: t + 1].sum()) for t in range(400)]
    d = ((y - b) ** 2 - ((y - f) ** 2 - (b - f) ** 2)) / (2 * np.array(size))
    lags = math.floor(4 * 4 ** (2 / 9))
    c = d - d.mean()
    near = [(i, j) for i in range(400) for j in range(400) if abs(i - j) <= lags]
    variance = sum(c[i] * c[j] * (1 - abs(i - j) / (lags + 1)) for i, j in near)
    assert newey_west(d) == pytest.approx(variance / 400**2)
    assert normed_clark_west_p(y, f, b) == pytest.approx(
        student.sf(d.mean() / math.sqrt(variance / 400**2 / (1 - 6 / 400 + 12 / 400**2)), 100), rel=1e-9, abs=0
    )
    assert normed_clark_west_p(y, b + 1e-9 * (f - b), b) == pytest.approx(normed_clark_west_p(y, f, b))


def test_direction_that_never_changes_is_not_tested() -> None:
    """A forecast that is always up, or a market that always rises, says nothing of timing; right signs do."""
    outcome = np.random.default_rng(3).random(400) < 0.6
    always = np.ones(400, dtype=np.bool_)
    assert math.isnan(normed_pesaran_timmermann_p(always, outcome))
    assert math.isnan(normed_pesaran_timmermann_p(outcome, always))
    assert normed_pesaran_timmermann_p(outcome, outcome) < 1e-12
    assert normed_pesaran_timmermann_p(~outcome, outcome) > 1.0 - 1e-12


def test_the_tests_keep_their_size() -> None:
    """On returns with drift and forecasts of noise, either test rejects about 5 % of 300 nulls, not many more."""
    random = np.random.default_rng(11)
    rejected = np.zeros(2)
    for _ in range(300):
        y = 0.1 + random.standard_t(5, 600)
        b = np.append(0.0, expanding_mean(y)[:-1])
        f = b + 0.1 * random.standard_normal(600)
        rejected += (
            normed_clark_west_p(y[20:], f[20:], b[20:]) < 0.05,
            normed_pesaran_timmermann_p(f[20:] > 0, y[20:] > 0) < 0.05,
        )
    assert (rejected / 300 < 0.1).all()
    assert (rejected > 0).all()


def test_ranks_and_scores() -> None:
    """Ties share a rank, correlation is Pearson's, a base without error has no score."""
    assert ranks(np.array([3.0, 1.0, 3.0])).tolist() == [2.5, 1.0, 2.5]
    assert correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])) == pytest.approx(1.0)
    assert math.isnan(skill_score(np.zeros(3), np.ones(3), np.zeros(3)))
