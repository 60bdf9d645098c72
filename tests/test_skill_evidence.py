"""Evidence and paired comparison: what they say of forecasts whose worth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from planted_market import planted_market
from skill_checks import a_track

from foundation.errors import DataError, ParameterError
from markets.candles import FloatArray
from models.evidence import bounds_of, forecast_evidence
from models.forecasts import Forecasts, ForecastSeries
from models.paired import Gain, block_bars, compare_forecasts, compare_tracks
from models.track import track_of

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
    assert found.echoes[0] == pytest.approx(1.0)
    assert abs(found.skill.information_coefficient) < 0.3
    assert found.price_ratio > 1.1
    still = forecast_evidence(track_of(MARKET, forecasts(np.zeros(3000))))
    assert still.price_ratio == 1.0
    assert math.isnan(still.echoes[0])


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
    assert third == Gain("scheduled", "again", 0.0, 0.0, 0.0, clear=False)
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
