"""Attribution: steps that add up to the growth, and each part's figure where the truth can be worked out by hand."""

from __future__ import annotations

import math

import pytest
from null_markets import known_playback
from planted_faults import mutated
from tiny_runs import ALONE, level, tiny

from backtests.doubts.attribution import LEAST, Attribution, Part, attribute, growth_of
from backtests.doubts.playback import Playback
from backtests.exchange.parameters import CostParams
from strategies.parameters import RiskParams

LN = math.log
RISE = [*level(100.0, 3), *level(110.0, 5)]
LONG = ALONE.replaced(direction="long")


def parts_of(playback: Playback) -> dict[str, Part]:
    """The parts by name."""
    return {one.name: one for one in attribute(playback).parts}


@pytest.mark.parametrize("rule", ["confirmed", "forecast", "crossover", "buy_and_hold"])
def test_the_steps_add_up_to_the_growth(rule: str) -> None:
    """For every rule the parts sum to the growth of the run, which the last step is."""
    playback = known_playback(1, 0.5, strategy=ALONE.replaced(fast=5, slow=15, threshold="5bps", rule=rule))
    found: Attribution = attribute(playback)
    assert sum(one.added for one in found.parts) == pytest.approx(found.growth, abs=1e-12)
    assert found.growth == pytest.approx(math.log1p(playback.play().total_return), abs=1e-12)
    assert math.log(found.parts[-1].multiple) == pytest.approx(found.growth, abs=1e-12)
    names = [one.name for one in found.parts]
    first = {"confirmed": ["forecast", "confirmation"], "forecast": ["forecast"], "crossover": ["crossover"]}
    assert names == [
        *first.get(rule, ["holding"]),
        *["sizing", "leverage", "stops", "targets", "fees", "slippage", "funding"],
    ]
    assert (found.parts[0].alone is None) == (rule != "confirmed")


def test_the_forecast_earns_a_rise_and_leverage_doubles_it() -> None:
    """A rise of 10 %, held long at twice the equity: ln 1.1 for the forecast, ln 1.2 - ln 1.1 for the leverage."""
    found = parts_of(
        tiny(RISE, {1: 1}, RiskParams(sizing="leverage", leverage=2.0, stop_loss="off", take_profit="off"))
    )
    assert found["forecast"].added == pytest.approx(LN(1.1), abs=1e-4)
    assert found["forecast"].multiple == pytest.approx(1.1, abs=1e-4)
    assert found["leverage"].added == found["leverage"].alone == pytest.approx(LN(1.2) - LN(1.1), abs=1e-4)
    for name in ("sizing", "stops", "targets", "fees", "slippage", "funding"):
        assert found[name].added == found[name].alone == pytest.approx(0.0, abs=2e-4), name


def test_sizing_is_what_a_quarter_of_the_equity_leaves_out() -> None:
    """A fraction of 0.25 at leverage 1 earns a quarter of the rise: three quarters are lost to sizing in the ladder.

    Alone it does nothing: without it every entry takes that same quarter.
    """
    risk = RiskParams(sizing="fraction", fraction=0.25, leverage=1.0, stop_loss="off", take_profit="off")
    found = parts_of(tiny(RISE, {1: 1}, risk))
    assert found["sizing"].added == pytest.approx(LN(1.025) - LN(1.1), abs=1e-4)
    assert found["sizing"].alone == pytest.approx(0.0, abs=1e-4)


def test_fees_cost_what_was_paid_and_so_does_slippage() -> None:
    """On a market that stands still fees of 1 % on both sides and slippage of 20 bps take what they say."""
    playback = tiny(level(100.0, 8), {1: 1, 4: -1}, costs=CostParams(slippage_bps=20.0), strategy=LONG, taker_fee=0.01)
    found = parts_of(playback)
    assert found["fees"].added == pytest.approx(LN(0.99 / 1.01), rel=0.01)
    assert found["slippage"].added == pytest.approx(LN(0.998 / 1.002), rel=0.02)
    assert found["forecast"].added == found["funding"].added == found["funding"].alone == 0.0
    assert found["fees"].alone == pytest.approx(found["fees"].added, rel=0.02)


@pytest.mark.parametrize("side", [1, -1])
def test_funding_is_what_was_paid(side: int) -> None:
    """A rate of 1 % is paid by the long and received by the short, on the notional at the mark."""
    playback = tiny(level(100.0, 8), {1: side}, funding={4: 0.01})
    found = parts_of(playback)
    assert found["funding"].added == found["funding"].alone == pytest.approx(LN(1.0 - side * 0.01), rel=1e-6)


@pytest.mark.parametrize("sizing", ["leverage", "risk"])
def test_a_stop_saves_the_rest_of_a_fall(sizing: str) -> None:
    """A long stopped at -2 % of a fall by 10 % is saved 8 % of its size, with sizes as the stop made them."""
    rows = [*level(100.0, 3), (100.0, 100.0, 90.0, 90.0), *level(90.0, 3)]
    risk = RiskParams(sizing=sizing, risk_per_trade=0.01, leverage=1.0, stop_loss="2%", take_profit="off")
    found, size = parts_of(tiny(rows, {1: 1}, risk)), 1.0 if sizing == "leverage" else 0.5
    saved = LN(1.0 - 0.02 * size) - LN(1.0 - 0.1 * size)
    assert found["stops"].added == found["stops"].alone == pytest.approx(saved, rel=1e-3)
    assert found["targets"].alone == 0.0


def test_a_target_takes_what_would_have_been_given_back() -> None:
    """A long that reaches +2 % before the price comes back keeps that: its target's doing."""
    rows = [*level(100.0, 3), (100.0, 103.0, 100.0, 100.0), *level(100.0, 3)]
    risk = RiskParams(sizing="leverage", leverage=1.0, stop_loss="off", take_profit="2%")
    found = parts_of(tiny(rows, {1: 1}, risk))
    assert found["targets"].added == found["targets"].alone == pytest.approx(LN(1.02), rel=1e-3)


def test_confirmation_keeps_out_of_what_the_averages_deny() -> None:
    """The forecast is long into a fall, the averages never confirm: 10 % saved, and nothing earned by the rest."""
    rows = [*level(110.0, 2), *level(100.0, 3), *level(90.0, 4)]
    found = parts_of(tiny(rows, {3: 1}, strategy=ALONE.replaced(rule="confirmed")))
    assert found["forecast"].added == pytest.approx(LN(0.9), rel=1e-3)
    assert found["confirmation"].added == found["confirmation"].alone == pytest.approx(-LN(0.9), rel=1e-3)


def test_distances_in_margin_stay_where_they_were_in_price() -> None:
    """Leverage is left out with the stop at the same price: 10 % of the margin at leverage 5 is 2 %."""
    rows = [*level(100.0, 3), (100.0, 100.0, 90.0, 90.0), *level(90.0, 3)]
    risk = RiskParams(sizing="leverage", leverage=5.0, stop_loss="10%margin", take_profit="off")
    found = parts_of(tiny(rows, {1: 1}, risk))
    assert found["leverage"].alone == pytest.approx(LN(0.9) - LN(0.98), rel=1e-2)


@pytest.mark.parametrize("rises", [(1.5,) * 6, (1.5, 1.5, 1.5, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.5, 1.5, 1.5)])
def test_parts_of_an_account_that_compounds_are_those_of_its_trades(rises: tuple[float, ...]) -> None:
    """Six trades with the whole equity and fees of 1 %: a part is the sum over trades, whenever the equity was large.

    The forecast adds the logarithm of each rise, fees ln(0.99 / 1.01) a trade. In money the fees of the first and of
    the last would differ by the factor that the equity grew by.
    """
    price, rows, signals = 100.0, level(100.0, 2), {}
    for rise in rises:
        signals |= {len(rows) - 1: 1, len(rows) + 1: -1}
        rows += [*level(price), *level(price * rise, 2)]
        price *= rise
    playback = tiny([*rows, *level(price, 2)], signals, strategy=LONG, taker_fee=0.01)
    found, trips = parts_of(playback), len(rises)
    assert playback.play().trades == trips
    assert found["forecast"].added == pytest.approx(sum(map(LN, rises)), abs=2e-3)
    assert found["fees"].added == found["fees"].alone == pytest.approx(trips * LN(0.99 / 1.01), abs=2e-3)
    assert sum(one.added for one in found.values()) == pytest.approx(LN(1.0 + playback.play().total_return), abs=1e-9)


def test_an_account_that_is_lost_counts_as_a_thousandth() -> None:
    """The logarithm of nothing is no number: LEAST stands for it, and no less."""
    assert growth_of(0.0) == growth_of(LEAST / 2) == LN(LEAST)
    assert growth_of(2.0) == LN(2.0)


FAULTS = {
    "stops that are placed all the same": ('setting.plan["unplaced"] = 1', "pass"),
    "funding that is paid all the same": ("replace(market, funding=None)", "replace(market)"),
    "steps from nothing": ("        before = growth_of(multiple)\n", "        before = 0.0\n"),
}


def test_planted_faults_show() -> None:
    """Each of them changes a figure that the tests above pin."""
    stops, funding, steps = (mutated("backtests.doubts.attribution", *fault).attribute for fault in FAULTS.values())
    rows = [*level(100.0, 3), (100.0, 100.0, 90.0, 90.0), *level(90.0, 3)]
    risk = RiskParams(sizing="leverage", leverage=1.0, stop_loss="2%", take_profit="off")
    assert {one.name: one for one in stops(tiny(rows, {1: 1}, risk)).parts}["stops"].alone == 0.0
    paid = funding(tiny(level(100.0, 8), {1: 1}, funding={4: 0.01})).parts[-1]
    assert paid.added == 0.0
    found = steps(tiny(RISE, {1: 1}))
    assert sum(one.added for one in found.parts) != pytest.approx(found.growth)
