"""Few bars: no word of skill, no share of one bar, no naive forecast that is another, ages in a unit that fits."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from planted_faults import mutated
from planted_market import planted_market
from test_verdict import GOOD, STANDING

from models import breakdown, evidence, naive
from models import skill as skills
from models.forecasts import Forecasts, ForecastSeries
from models.level import LEAST_FORECASTS, LEAST_ROWS
from models.skill import Skill
from models.track import Track, track_of
from reports import catalogue, sentences, verdict
from reports.facts import Skilled, read_facts, skilled
from reports.skill_tables import echo_table, naive_table, skill_table, volatility_table

MARKET = planted_market(1200, seed=13, trend=0.2)
assert MARKET.oracle is not None
ORACLE = MARKET.oracle


def track(count: int, first: int = 200) -> Track:
    """The oracle's forecasts of so many bars beside the candles; the outcome of each is known."""
    rows, none = slice(first, first + count), np.zeros(count)
    stamps = MARKET.candles.timestamp[rows]
    one = ForecastSeries(stamps, ORACLE[rows], none + 0.0065, stamps - 1, none)
    return track_of(MARKET, Forecasts({"TEST": one}))


def skill_of(count: int) -> Skill:
    """The skill of the oracle over so many bars."""
    return skills.track_skill(track(count))


def rung_of(count: int | None, forecasts: int = 1000) -> Any:
    """The second rung of a run whose forecasts are skilled, were there enough of them."""
    sampled = replace(GOOD.sampled, forecasts=forecasts)
    facts = replace(GOOD, sampled=sampled, skills=(Skilled("TEST", 0.07, 0.07, 0.002, (), count),))
    return verdict.judge(facts, STANDING).rungs[1]


def few_are_not_called_skilled(module: Any) -> None:
    """299 forecasts that a test finds skilled are not called so; one more, and they are."""
    few, enough = (module.track_skill(track(count)) for count in (LEAST_FORECASTS - 1, LEAST_FORECASTS))
    assert max(few.skill_p, enough.skill_p) < 0.001
    assert (few.evident, enough.evident) == (False, True)
    assert few.verdict == "Too short to tell: 299 bars, at least 300."


def test_few_are_not_called_skilled() -> None:
    """The word takes 300 forecasts, whatever the test says; the guard is seen where it is missing."""
    few_are_not_called_skilled(skills)
    with pytest.raises(AssertionError):
        few_are_not_called_skilled(mutated("models.skill", " and len(y) >= LEAST_FORECASTS", ""))


def test_the_verdict_on_forecasts_says_too_short() -> None:
    """The line, the banner and the caption say it, and none of them names a p-value."""
    found = evidence.forecast_evidence(track(101))
    assert found.verdict == "Too short to tell: 101 bars, at least 300."
    banner = sentences.skill_banner([found.skill], synthetic=True)
    assert (banner.kind, banner.headline) == ("warned", "The forecasts are too few to tell skill from luck.")
    assert "p-value" not in banner.text
    table = skill_table([found.skill])
    assert table is not None
    assert "fewer than 300 bars do not tell skill from luck" in table.caption


def test_the_rung_of_skill_is_not_judged_on_few() -> None:
    """The rung is unknown below 300, from the count, or from all forecasts in a folder that does not hold it."""
    for count, made, state in ((299, 1000, "unknown"), (300, 1000, "passed"), (None, 299, "unknown")):
        assert rung_of(count, made).state == state
    assert rung_of(101).text == "Too short to tell: 101 forecasts; it takes 300 with a known outcome."
    facts = replace(GOOD, skills=(skilled(skill_of(101)),))
    assert verdict.judge(facts, STANDING).headline == "It cannot be judged whether the forecasts have skill."
    again = read_facts(json.loads(json.dumps(facts.record())))
    assert again.skills[0].count == 101
    old = facts.record()
    del old["skills"][0]["count"]
    assert read_facts(old).skills[0].count is None
    faulty = mutated("reports.rungs", "_counted(one, facts) >= LEAST_FORECASTS", "True")
    assert [one.met for one in faulty.skill(facts)] == [True]


def test_the_best_of_several_markets_is_one_of_many_bars() -> None:
    """A market of few bars is passed over, but counts among those that were tested."""
    few, many = Skilled("A", 0.07, 0.07, 0.0001, (), 101), Skilled("B", 0.01, 0.01, 0.03, (), 2000)
    found = verdict.judge(replace(GOOD, skills=(few, many)), STANDING).rungs[1]
    assert found.state == "failed"
    assert "0.030 on B" in found.text


def test_the_figure_is_too_short_where_bars_are_few() -> None:
    """Skill of a run of few bars is left out of tables as a Sharpe ratio is; one without forecasts has none."""
    for bars, value, said in ((102, 0.069, "too short"), (300, 0.069, "+6.900%"), (102, None, "–")):  # noqa: RUF001
        assert catalogue.figure({"skill": value, "bars": bars, "days": 0.1}, "skill") == said
    faulty = mutated("reports.catalogue", "bars < LEAST_FORECASTS", "False")
    assert faulty.figure({"skill": 0.069, "bars": 102}, "skill") == "+6.900%"


def test_intervals_of_few_bars_are_counted_not_shown() -> None:
    """A share of 99 intervals is left out, with their number; of 100 it stands beside it."""
    whole = track(400)
    endless = np.tile([-np.inf, np.inf], (1200, 1))
    for counted in (1, LEAST_ROWS - 1, LEAST_ROWS):
        bounds = endless.copy()
        bounds[200 : 200 + counted] = [-1.0, 1.0]
        found = evidence.forecast_evidence(replace(whole, levels=(0.05, 0.95), quantiles=bounds))
        assert found.coverage[0].counted == counted
        assert math.isnan(found.coverage[0].coverage) == (counted < LEAST_ROWS)
        table = volatility_table([found])
        assert table is not None
        said = next(row[1].text for row in table.rows if row[0].text == "Interval: held, of 90% wanted")
        bars = "1 bar" if counted == 1 else f"{counted} bars"
        assert said == (f"100.0% of {bars}" if counted >= LEAST_ROWS else f"too few: {bars}, at least 100")


def test_the_average_counts_once_it_is_one() -> None:
    """Where 500 returns are not there yet the EWMA is left out; later it is held to the bars where it is one."""
    early, some, late = (skills.track_skill(track(*at)) for at in ((300, 150), (300, 350), (300, 600)))
    against = [next(one for one in found.against if one.name == "EWMA") for found in (early, some, late)]
    assert [math.isfinite(one.skill) for one in against] == [False, True, True]
    rows = np.arange(500, 650)
    y, f = np.log(MARKET.candles.close[rows + 1] / MARKET.candles.close[rows]), ORACLE[rows]
    mean = naive.naive_forecasts(MARKET.candles.close)["EWMA"][rows]
    assert against[1].skill == pytest.approx(1.0 - np.square(y - f).sum() / np.square(y - mean).sum())
    row = naive_table([early]).rows[3]
    assert [cell.text for cell in row] == ["EWMA, once there are 500 returns", *["–"] * 3]  # noqa: RUF001
    assert "EWMA" not in evidence.forecast_evidence(track(300, 150)).verdict
    assert skilled(early).outdone == ()


@pytest.mark.parametrize(
    ("bar", "said"),
    [
        (1e9, "1.0 to 25.8 seconds"),
        (60e9, "1.0 to 25.8 minutes"),
        (3600e9, "1.0 to 25.8 hours"),
        (86400e9, "1.0 to 25.8 days"),
    ],
)
def test_ages_are_told_in_a_unit_that_fits(bar: float, said: str) -> None:
    """Bins of a hundred bars are told in the unit of their bar, whatever that is."""
    edges = np.linspace(bar, 100 * bar, breakdown.AGES + 1)
    assert breakdown._spans(edges)[0] == said
    assert len(set(breakdown._spans(edges))) == breakdown.AGES
    faulty = mutated("models.breakdown", "if width >= 2 * unit", "if width")
    assert (faulty._spans(edges)[0] == said) == said.endswith("days")


def test_parts_of_few_bars_have_no_errors() -> None:
    """A part of 99 bars has neither error, p-value nor coverage; one of 100 has all of them."""
    for count in (LEAST_ROWS - 1, LEAST_ROWS):
        two = track(300)
        model = np.where(np.arange(1200) < 200 + count, 0, 1)
        found = evidence.forecast_evidence(replace(two, model=np.where(np.isnan(two.mean), -1, model))).folds[0]
        assert found.bars == count
        figures = (found.skill_error, found.information_coefficient_error, found.skill_p)
        assert [math.isfinite(one) for one in figures] == [count >= LEAST_ROWS] * 3


def test_bands_of_echoes_promise_no_more_than_they_hold() -> None:
    """The caption says that they are rough."""
    assert echo_table([evidence.forecast_evidence(track(300))]).caption.endswith("about 95%, too narrow on few bars")
