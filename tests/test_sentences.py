"""The verdict in words: each case of skill is said as what it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted_market import planted_market

from models.forecasts import Forecasts, ForecastSeries
from models.skill import Skill, forecast_skill
from reports.sentences import skill_banner


@pytest.fixture(scope="module")
def honest() -> Skill:
    """The skill of forecasts that are the oracle's own."""
    market = planted_market(bars=3000)
    stamps, oracle = market.candles.timestamp[100:], market.oracle
    assert oracle is not None
    series = ForecastSeries(stamps, oracle[100:], 0 * oracle[100:] + 0.005, stamps - 1, 0 * stamps)
    return forecast_skill(market, Forecasts({market.symbol: series}))


def test_skill_is_said_with_the_oracle_s_share(honest: Skill) -> None:
    """Forecasts as good as can be reach all of the oracle's gain, and nothing warns."""
    banner = skill_banner([honest], synthetic=True)
    assert banner.headline == "The forecasts show skill."
    assert "100% of the gain of the oracle" in banner.text
    assert "look ahead" not in banner.text


def test_more_skill_than_can_be_known_is_called_what_it_is(honest: Skill) -> None:
    """Where the truth is known, forecasts far above it can only look ahead."""
    leaking = replace(honest, skill=0.9, oracle_skill=0.02, oracle_ratio=-49.0)
    assert "the forecasts look ahead" in skill_banner([leaking], synthetic=True).text


def test_why_there_is_no_skill_is_said(honest: Skill) -> None:
    """Better than the mean, but not than zero: the sentence names the zero."""
    idle = replace(honest, skill=0.0004, skill_against_zero=0.0, skill_p=0.001, evident=False, oracle_ratio=-0.5)
    banner = skill_banner([idle], synthetic=True)
    assert banner.headline == "The forecasts show no skill."
    assert "no better than a forecast of zero" in banner.text
    assert "lose against a forecast of zero" in banner.text
    assert "chance alone" not in banner.text


def test_skill_that_simple_rules_have_too_is_a_warning(honest: Skill) -> None:
    """Where a regression had a smaller error the banner is no plain praise, and names it."""
    against = tuple(one._replace(skill=-0.01) if one.name == "AR" else one for one in honest.against)
    banner = skill_banner([replace(honest, against=against)], synthetic=True)
    assert (banner.kind, banner.headline) == ("warned", "The forecasts show skill, but no more than simpler ones.")
    assert "AR did better: what skill there is needs no network." in banner.text
    assert skill_banner([honest], synthetic=True).kind == "evident"
