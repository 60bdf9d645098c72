"""Evidence and paired comparison: what they say of forecasts whose worth is known."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from planted_faults import mutated
from planted_market import FEW, SHORT, TINY, planted_market
from skill_checks import a_track

from foundation.errors import DataError, ParameterError
from markets.candles import FloatArray
from models import paired
from models.evidence import bounds_of, forecast_evidence
from models.forecasts import Forecasts, ForecastSeries
from models.paired import Gain, block_bars, compare_forecasts, compare_tracks
from models.sigma_source import sigma_source
from models.significance import holm, normed_clark_west_p
from models.skill import _too_good, chance_accuracy, directional_accuracy, skill_error, skill_score
from models.track import track_of
from models.walkforward import walk_forward
from reports.sentences import skill_banner

MARKET = planted_market(3000, seed=12, trend=0.2)
ORACLE = MARKET.oracle
assert ORACLE is not None


def forecasts(mean: FloatArray, first: int = 300, sigma: float = 0.0065) -> Forecasts:
    """Forecasts of the market from a row on."""
    stamps = MARKET.candles.timestamp[first:]
    rows = len(stamps)
    one = ForecastSeries(stamps, mean[first:], np.full(rows, sigma), stamps - 1, np.zeros(rows))
    return Forecasts({"TEST": one})


def test_a_track_is_the_forecasts_beside_the_candles() -> None:
    """Forecasts stand at their bars, bars without one hold NaN, and repaired bars do not count."""
    made = forecasts(ORACLE, 2000)
    made = Forecasts({"TEST": replace(made.series["TEST"], members=np.column_stack([ORACLE[2000:]] * 2))})
    track = track_of(MARKET, made)
    assert track.rows.tolist() == list(range(2000, 2999))
    np.testing.assert_array_equal(track.mean[2000:], ORACLE[2000:])
    assert np.isnan(track.mean[:2000]).all()
    assert track.members is not None
    assert track.members.shape == (3000, 2)
    touched = np.zeros(3000, dtype=np.bool_)
    touched[2500] = True
    assert set(track.rows) - set(replace(track, touched=touched).rows) == {2499, 2500}


def test_one_model_has_no_folds_and_no_ages() -> None:
    """Where all forecasts are of one kind, nothing is taken apart by it."""
    found = forecast_evidence(track_of(MARKET, forecasts(ORACLE)))
    assert found.folds == found.seeds == found.ages == ()
    assert [part.label for part in found.regimes] == ["calm", "middling", "wild"]
    assert sum(part.bars for part in found.regimes) == found.skill.count


def test_an_echo_of_the_last_return_is_told() -> None:
    """A forecast that repeats the last return correlates with it by 1, and with the next far less."""
    returns = np.append(0.0, np.diff(np.log(MARKET.candles.close)))
    found = forecast_evidence(track_of(MARKET, forecasts(returns)))
    assert found.echoes[0].value == pytest.approx(1.0)
    assert abs(found.skill.information_coefficient) < 0.3
    assert found.price_ratio > 1.1
    still = forecast_evidence(track_of(MARKET, forecasts(np.zeros(3000))))
    assert still.price_ratio == 1.0
    assert math.isnan(still.echoes[0].value)


def test_the_bands_of_echoes_hold_what_they_say() -> None:
    """Of forecasts that know nothing of past returns about 95 % of the correlations lie within their bands."""
    track, within = track_of(MARKET, forecasts(ORACLE)), []
    for seed in range(40):
        noise = np.random.default_rng([seed, 3]).standard_normal(3000)
        echoes = forecast_evidence(replace(track, mean=np.where(np.arange(3000) < 300, np.nan, 0.001 * noise))).echoes
        within += [abs(one.value) < 1.96 * one.error for one in echoes]
    assert 0.9 <= np.mean(within) <= 0.99


def test_verdicts() -> None:
    """The oracle shows skill that no naive forecast has; noise shows none, and what did better is named."""
    good = forecast_evidence(track_of(MARKET, forecasts(ORACLE)))
    assert good.verdict.startswith("Skill: squared error")
    assert "no naive forecast did as well" in good.verdict
    noise = 0.002 * np.random.default_rng(1).standard_normal(3000)
    bad = forecast_evidence(track_of(MARKET, forecasts(noise))).verdict
    assert bad.startswith("No evident skill")
    assert "zero, expanding mean, EWMA, AR, HAR, ridge on lags did better" in bad
    assert "seeds beat that mean alone" in forecast_evidence(a_track()).verdict
    zero = forecast_evidence(track_of(MARKET, forecasts(np.zeros(3000)))).verdict
    assert "zero did as well" in zero
    assert "no naive forecast" not in zero
    nothing = replace(a_track(), mean=np.full(1600, np.nan))
    assert forecast_evidence(nothing).verdict.startswith("No verdict: 0 forecasts")


def test_skill_that_a_regression_has_too_is_no_plain_skill() -> None:
    """Half of what an autoregression knows is evident skill, and the verdict begins with who has more of it."""
    random, returns = np.random.default_rng(5), np.zeros(3000)
    for t in range(1, 3000):
        returns[t] = 0.3 * returns[t - 1] + 0.005 * random.standard_normal()
    track = track_of(MARKET, forecasts(ORACLE))
    track = replace(track, close=20_000.0 * np.exp(np.cumsum(returns)), oracle=None, quantiles=None, levels=())
    half = np.where(np.arange(3000) < 300, np.nan, 0.1 * returns)
    found = forecast_evidence(replace(track, mean=half))
    assert found.skill.evident
    assert found.skill.beaten_by == ("AR", "HAR", "ridge on lags")
    assert found.verdict.startswith("Skill, but no more than AR, HAR, ridge on lags: squared error")
    assert "ridge on lags did better (AR" in found.verdict
    assert "by more than luck)" in found.verdict
    whole = forecast_evidence(replace(track, mean=3.0 * half))
    assert whole.skill.beaten_by == ()
    assert whole.verdict.startswith("Skill: squared error")


def test_a_look_ahead_is_asked_after() -> None:
    """Forecasts that hold a little of the return to come are told to be checked; noise and a weak truth are not."""
    track = track_of(MARKET, forecasts(ORACLE))
    unpredictable = 0.005 * np.random.default_rng(8).standard_normal(3000)
    track = replace(track, close=20_000.0 * np.exp(np.cumsum(unpredictable)), oracle=None)
    noise, ahead = 0.005 * np.random.default_rng(9).standard_normal(3000), np.append(unpredictable[1:], 0.0)
    for share, suspect in ((0.25, True), (0.0, False)):
        said = np.where(np.isnan(track.mean), np.nan, 0.1 * (share * ahead + (1.0 - share) * noise))
        found = forecast_evidence(replace(track, mean=said))
        assert found.skill.suspect == suspect
        assert ("Check for leakage: " in found.verdict) == suspect
        assert ("Check for leakage: " in skill_banner([found.skill], synthetic=False).text) == suspect
    assert found.skill.chance_accuracy == pytest.approx(0.5, abs=0.01)
    weak = np.where(np.isnan(track.mean), np.nan, 0.001 * (0.07 * ahead + noise))
    assert not forecast_evidence(replace(track, mean=weak)).skill.suspect


def test_honest_skill_on_few_bars_is_not_suspected() -> None:
    """Perfect forecasts of a part of 0.5 % of the variance that look evident on 300 bars hardly ever look too good."""
    seen = accused = 0
    for seed in range(400):
        random = np.random.default_rng([11, seed])
        known, rest = random.standard_normal((2, 300))
        y, f = math.sqrt(0.005) * known + math.sqrt(0.995) * rest, math.sqrt(0.005) * known
        skill, error = skill_score(y, f, np.zeros(300)), skill_error(y, f, np.zeros(300))
        lead = directional_accuracy(f, y) - chance_accuracy(f, y)
        if skill > 0.0 and normed_clark_west_p(y, f, np.zeros(300)) < 0.05:
            seen, accused = seen + 1, accused + _too_good(lead, skill, error, 300)
    assert seen > 40
    assert accused < 0.1 * seen


def test_what_the_oracle_knows_is_no_look_ahead() -> None:
    """On a market with a known oracle a forecast is asked after only where it passes it."""
    track = track_of(MARKET, forecasts(ORACLE))
    assert track.oracle is not None
    returns = np.diff(np.log(track.close), prepend=np.log(track.close[0]))
    known = np.where(np.isnan(track.mean), np.nan, 0.5 * np.append(returns[1:], 0.0))
    # An oracle that knows all of the next return, and forecasts that know half of it.
    assert not forecast_evidence(replace(track, mean=known, oracle=2.0 * known)).skill.suspect
    assert forecast_evidence(replace(track, mean=known)).skill.suspect


def test_a_market_that_mostly_rises_is_no_look_ahead() -> None:
    """Right directions count from what the shares of rises and of forecasts of them give by themselves."""
    y = np.where(np.arange(1000) % 10 < 7, 1.0, -1.0)
    assert directional_accuracy(np.ones(1000), y) == chance_accuracy(np.ones(1000), y) == pytest.approx(0.7)
    assert math.isnan(chance_accuracy(np.zeros(1000), y))


def test_models_that_say_zero_are_counted() -> None:
    """Each seed of each model counts, by what it says on its own bars; the verdict tells where they are most."""
    track = a_track()
    assert track.members is not None
    members = track.members.copy()
    members[track.model == 0, :2] = 0.0
    found = forecast_evidence(replace(track, members=members))
    assert (found.skill.models, found.skill.zero_models) == (6, 2)
    assert "exactly zero" not in found.verdict
    members[track.model == 1, :2] = 0.0
    found = forecast_evidence(replace(track, members=members))
    assert (found.skill.models, found.skill.zero_models) == (6, 4)
    assert "4 of 6 fitted models forecast a return of exactly zero throughout" in found.verdict
    assert math.isnan(found.seeds[0].skill_p)
    alone = forecast_evidence(track_of(MARKET, forecasts(np.zeros(3000))))
    assert (alone.skill.models, alone.skill.zero_models) == (0, 0)
    assert "no test possible" in alone.verdict
    assert "fitted" not in alone.verdict


def test_the_verdict_says_what_sigma_is_worth() -> None:
    """A sigma of half the size is named as worse than HAR, a fair one as not to be told from it, with the p-value."""
    fair, narrow = (forecast_evidence(track_of(MARKET, forecasts(ORACLE, sigma=s))).verdict for s in (0.0065, 0.003))
    assert "sigma is worse than HAR with leverage (QLIKE +" in narrow
    assert "Diebold-Mariano p < 0.001)" in narrow
    assert "sigma cannot be told from HAR with leverage" in fair or "sigma is better than HAR" in fair


def test_errors_of_skill_hold_what_they_say() -> None:
    """Of 300 forecasts of known worth, skill lies within 1.96 of its errors of the truth in about 95 %."""
    within = 0
    for seed in range(300):
        random = np.random.default_rng([seed, 4])
        known = 0.2 * random.standard_normal(1500)
        y = known + random.standard_t(6, 1500) * np.sqrt(4.0 / 6.0)
        within += abs(skill_score(y, known, 0.0 * y) - 0.04 / 1.04) < 1.96 * skill_error(y, known, 0.0 * y)
    assert 0.91 <= within / 300 <= 0.985


def test_parts_are_tested_as_many() -> None:
    """The p-values of parts are adjusted within their kind: the least of three counts three times."""
    parts = forecast_evidence(track_of(MARKET, forecasts(ORACLE))).regimes
    assert [one.adjusted_p for one in parts] == holm([one.skill_p for one in parts])
    assert max(one.adjusted_p for one in parts) >= max(one.skill_p for one in parts)
    assert all(0.0 < one.skill_error < 0.1 and one.information_coefficient_error > 0.0 for one in parts)
    assert all(0.8 < one.coverage < 1.0 and one.qlike_gain_error > 0.0 for one in parts)
    seeds = forecast_evidence(a_track()).seeds
    assert all(math.isnan(one.coverage) and math.isnan(one.qlike_gain) for one in seeds)


def test_an_interval_without_an_end_holds_nothing() -> None:
    """Infinite intervals are counted apart: coverage, width and score are those of the others."""
    track = a_track()
    assert track.quantiles is not None
    endless = np.zeros(1600, dtype=np.bool_)
    endless[500:900] = True
    bounds = np.where(endless[:, None], [-np.inf, np.inf], track.quantiles)
    before, after = (forecast_evidence(replace(track, quantiles=one)).coverage[0] for one in (track.quantiles, bounds))
    rows = np.setdiff1d(track.rows, np.flatnonzero(endless))
    held = np.abs(track.outcome[rows] - track.mean[rows]) <= 0.01
    assert (before.infinite, after.infinite) == (0.0, pytest.approx(400 / 1199))
    assert after.coverage == held.mean()
    assert after.width == pytest.approx(0.02)
    assert math.isfinite(after.score)
    all_endless = forecast_evidence(replace(track, quantiles=np.full((1600, 2), [-np.inf, np.inf]))).coverage[0]
    assert all_endless.infinite == 1.0
    assert math.isnan(all_endless.coverage)


def test_learned_quantiles_are_scored_as_such() -> None:
    """A skewed forecast said by its quantiles scores better than the normal distribution that is as wide."""
    track, levels = track_of(MARKET, forecasts(ORACLE)), (0.05, 0.25, 0.5, 0.75, 0.95)
    random, shape = np.random.default_rng(6), gamma_quantiles(levels)
    returns = 0.005 * (random.gamma(1.0, 1.0, 3000) - 1.0)
    track = replace(track, close=20_000.0 * np.exp(np.cumsum(returns)), oracle=None, levels=levels)
    sigma = np.full(3000, 0.005 * (shape[-1] - shape[0]) / (2.0 * 1.6448536))
    said = replace(track, mean=0.0 * track.mean, sigma=sigma, quantiles=np.tile(0.005 * shape, (3000, 1)))
    normal = np.array([0.0 + NormalDist().inv_cdf(one) for one in levels]) * sigma[:, None]
    skewed, plain = (forecast_evidence(replace(said, quantiles=one)).volatility for one in (said.quantiles, normal))
    assert skewed is not None
    assert plain is not None
    assert skewed.crps_levels == 5
    assert skewed.crps < 0.97 * plain.crps
    assert skewed.naive_crps == plain.naive_crps


def gamma_quantiles(levels: tuple[float, ...]) -> FloatArray:
    """The quantiles of an exponential variable less its mean."""
    return -np.log1p(-np.array(levels)) - 1.0


def test_a_better_sigma_is_told_from_a_worse_one() -> None:
    """On a market of constant volatility a constant sigma is as good as HAR, and half of it is far worse."""
    fair, narrow = (forecast_evidence(track_of(MARKET, forecasts(ORACLE, sigma=s))).volatility for s in (0.0065, 0.003))
    assert fair is not None
    assert narrow is not None
    assert narrow.qlike > fair.qlike + 0.5
    assert narrow.diebold_mariano_p < 0.001 < fair.diebold_mariano_p
    assert fair.crps < fair.naive_crps


def test_coverage_of_what_the_forecast_claims() -> None:
    """Half the true sigma claims 90 % and holds far less; the conformal interval around the same mean holds 90 %."""
    conformal, claimed = forecast_evidence(track_of(MARKET, forecasts(ORACLE, sigma=0.003))).coverage
    assert conformal.coverage == pytest.approx(0.9, abs=0.02)
    assert claimed.coverage < 0.75
    assert conformal.level == claimed.level == 0.9
    assert bounds_of(a_track())[1][1000].tolist() == pytest.approx(a_track().mean[1000] + np.array([-0.01, 0.01]))


def test_what_retraining_is_worth() -> None:
    """A model that tracks the truth gains clearly over one that is frozen at half of it; equals gain nothing clear."""
    named = {"frozen": forecasts(0.3 * ORACLE), "scheduled": forecasts(ORACLE, 500), "again": forecasts(ORACLE)}
    found = compare_forecasts(MARKET, named)
    assert found.bars == 2499
    assert [(one.first, one.second) for one in found.gains] == [
        ("frozen", "scheduled"), ("frozen", "again"), ("scheduled", "again"),
    ]  # fmt: skip
    first, second, third = found.gains
    assert first.clear
    assert first.lower < first.gain < first.upper
    assert first[2:] == second[2:]
    assert third == Gain("scheduled", "again", 0.0, 0.0, 0.0, 1.0, clear=False)
    assert first.gain == pytest.approx(found.contenders[1].skill - found.contenders[0].skill)
    assert "more than luck" in str(first)
    assert str(third) == "again forecast the same as scheduled"
    assert "may be luck" in str(third._replace(lower=-0.1, upper=0.1))


def test_the_interval_of_a_gain_holds_no_gain_as_often_as_it_says() -> None:
    """Of two forecasts that are equally far off, a 90 % interval leaves out 0 in about a tenth of 150 draws."""
    track, clear = track_of(MARKET, forecasts(ORACLE)), 0
    for seed in range(150):
        one, two = 0.001 * np.random.default_rng(seed).standard_normal((2, 3000))
        pair = {"one": replace(track, mean=ORACLE + one), "two": replace(track, mean=ORACLE + two)}
        clear += compare_tracks(pair, level=0.9, seed=seed).gains[0].clear
    assert 5 <= clear <= 28


def pairs_are_allowed_for(module: Any) -> None:
    """Of four forecasts that are equally far off any is found apart in a fifth of 24 draws at most, as luck has it."""
    track, found = track_of(MARKET, forecasts(ORACLE)), 0
    for seed in range(24):
        noise = 0.001 * np.random.default_rng([seed, 7]).standard_normal((4, 3000))
        named = {str(number): replace(track, mean=ORACLE + one) for number, one in enumerate(noise)}
        found += any(one.clear for one in module.compare_tracks(named, level=0.8, seed=seed).gains)
    assert 1 <= found <= 10, found


def test_pairs_are_allowed_for() -> None:
    """Among six pairs luck is called so as often as in one; not where each is judged alone."""
    pairs_are_allowed_for(paired)
    with pytest.raises(AssertionError):
        pairs_are_allowed_for(
            mutated("models.paired", "holm([_beyond(draws) for draws in apart])", "map(_beyond, apart)")
        )


def test_a_pair_that_is_clear_alone_only_is_said_to_be_one_of_several() -> None:
    """Its range leaves 0 out, and its p-value, which allows for the other pairs, does not."""
    gain = Gain("one", "two", 0.01, 0.001, 0.02, 0.09, clear=False)
    assert str(gain).endswith("(+0.100% to +2.000%): it may be luck, as one of several pairs")


def test_what_cannot_be_compared() -> None:
    """One forecast alone, no bars in common, and other prices are one clear line each."""
    track = track_of(MARKET, forecasts(ORACLE))
    with pytest.raises(ParameterError, match="there are 1 to compare"):
        compare_tracks({"one": track})
    late = replace(track, mean=np.where(np.arange(3000) < 2980, np.nan, ORACLE))
    with pytest.raises(DataError, match="one and late: forecast only 19 bars of TEST in common"):
        compare_tracks({"one": track, "late": late})
    other = replace(track, close=track.close * 1.001)
    with pytest.raises(DataError, match="stand on different prices"):
        compare_tracks({"one": track, "other": other})
    assert block_bars(8000) == 40
    assert block_bars(3) == 3


PLANTED = planted_market(1200, seed=3)


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ({}, "trailing"),
        ({"output": "position"}, "trailing"),
        ({"output": "gaussian"}, "own"),
        ({"output": "volatility"}, "own"),
        ({"recalibration_bars": 50}, "own"),
        ({"output": "quantiles", "levels": (0.1, 0.5, 0.9)}, "quantiles"),
    ],
)
def test_what_sigma_is_is_told_from_the_forecasts(model: dict[str, Any], source: str) -> None:
    """A sigma that no network learned is named as the trailing volatility it is, through refits of other sizes."""
    made = walk_forward(PLANTED, TINY.replaced(start="zero", **model), FEW, walk=SHORT, workers=1)
    found = forecast_evidence(track_of(PLANTED, made))
    assert found.volatility is not None
    assert found.volatility.source == source
    words = {"trailing": "sigma, which is not learned but a trailing", "quantiles": "sigma, here the width of learned"}
    assert words.get(source, "; sigma ") in found.verdict


def test_a_sigma_that_is_nearly_a_trailing_volatility_is_its_own() -> None:
    """A tenth of a per mille of something else in it, on every bar, is seen; so is a number that changes by the bar."""
    track = track_of(PLANTED, walk_forward(PLANTED, TINY, FEW, walk=SHORT, workers=1))
    assert sigma_source(track) == "trailing"
    wave = 1.0 + 1e-4 * np.sin(np.arange(len(track.sigma)))
    assert sigma_source(replace(track, sigma=track.sigma * wave)) == "own"
    assert sigma_source(replace(track, sigma=np.where(np.isnan(track.sigma), np.nan, 0.01))) == "own"
    assert sigma_source(replace(track, model=np.where(track.model >= 0, 0, -1))) == "own", (
        "models have numbers of their own"
    )
