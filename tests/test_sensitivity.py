"""Sensitivity: each other assumption changes what it should, by as much as can be worked out by hand."""

from __future__ import annotations

import math

import pytest
from planted_faults import mutated
from tiny_runs import CASH, level, tiny

from backtests.doubts import sensitivity
from backtests.doubts.sensitivity import Sensitivity, measure_sensitivity
from backtests.exchange.parameters import AccountParams, CostParams
from strategies.parameters import RiskParams

BRACKET = RiskParams(sizing="leverage", leverage=1.0, stop_loss="2%", take_profit="2%")
# Both levels in one bar, then a trade that reaches its target on a bar of its own.
ROWS = [
    *level(100.0, 3),
    (100.0, 103.0, 97.0, 100.0),
    *level(100.0, 3),
    (100.0, 102.5, 99.9, 102.0),
    *level(102.0, 2),
]
SIGNALS = {1: 1, 5: 1}


def bracket(intrabar: str = "adverse") -> Sensitivity:
    """The sensitivity of those two trades."""
    return measure_sensitivity(tiny(ROWS, SIGNALS, BRACKET, account=AccountParams(cash=CASH, intrabar=intrabar)))


@pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearer_extreme"])
def test_the_path_inside_a_bar_decides_one_trade_of_two(intrabar: str) -> None:
    """The first trade loses 2 % or gains them, the second gains 2 % anyway; only the first depends on the path."""
    found = bracket(intrabar)
    assert found.intrabar["adverse"].total_return == pytest.approx(0.98 * 1.02 - 1.0, abs=1e-4)
    assert found.intrabar["favourable"].total_return == pytest.approx(1.02 * 1.02 - 1.0, abs=1e-4)
    assert (found.trades, found.depending, found.bound) == (2, 1, 0)
    low, high = (found.intrabar[word].equity for word in ("adverse", "favourable"))
    assert (low <= high).all()
    assert len(low) == len(found.timestamp) == len(ROWS)


def test_no_trade_depends_where_the_levels_are_apart() -> None:
    """Without the bar that holds both, the orders come to the same."""
    found = measure_sensitivity(tiny([*ROWS[:3], *ROWS[4:]], {4: 1}, BRACKET))
    assert (found.trades, found.depending) == (1, 0)
    assert found.intrabar["adverse"].profit == found.intrabar["favourable"].profit > 0.0


def test_costs_grow_with_their_multiple_and_break_even_is_the_root() -> None:
    """From 100 to 110 at a fee of 1 %: nothing is left where k 1 % (100 + 110) = 10, at any size."""
    rows = [*level(100.0, 3), *level(110.0, 4)]
    playback = tiny(rows, {1: 1, 3: -1}, strategy=ONE_WAY, taker_fee=0.01)
    found = measure_sensitivity(playback)
    assert found.break_even == pytest.approx(10.0 / (0.01 * 210.0), abs=sensitivity.PRECISION)
    for multiple, outcome in found.costs.items():
        size = CASH / (100.0 * (1.0 + 0.01 * multiple))
        assert outcome.profit == pytest.approx(size * (10.0 - 2.1 * multiple), rel=1e-3), multiple
    assert found.costs[1.0].profit == playback.play().profit


def test_slippage_counts_among_the_costs() -> None:
    """A flat market at 10 bps of slippage: each multiple loses both sides of it; no cost, no loss."""
    playback = tiny(level(100.0, 8), {1: 1, 4: -1}, costs=CostParams(slippage_bps=10.0), strategy=ONE_WAY)
    found = measure_sensitivity(playback)
    assert found.costs[0.0].profit == 0.0
    assert found.break_even == 0.0
    assert found.costs[3.0].total_return == pytest.approx(-2 * 0.003, rel=0.1)


def test_a_run_without_costs_never_breaks_even() -> None:
    """What costs nothing keeps its profit at any multiple."""
    found = measure_sensitivity(tiny([*level(100.0, 3), *level(110.0, 3)], {1: 1}))
    assert found.break_even == math.inf


def test_a_rebate_is_not_multiplied() -> None:
    """A maker fee below zero is paid out once at most."""
    playback = tiny(ROWS, SIGNALS, BRACKET, taker_fee=0.001, maker_fee=-0.001)
    scene, _ = sensitivity.at_costs(playback, 3.0)
    assert scene.contracts["maker_fee"][0] == -0.001
    assert scene.contracts["taker_fee"][0] == pytest.approx(0.003)
    assert sensitivity.at_costs(playback, 0.0)[0].contracts["maker_fee"][0] == 0.0
    assert playback.scene.contracts["taker_fee"][0] == 0.001


def test_a_bar_of_delay_enters_a_bar_later() -> None:
    """A rise of 10 % between two opens is gone for whom the signal reaches a bar late."""
    rows = [*level(100.0, 3), *level(110.0, 4)]
    found = measure_sensitivity(tiny(rows, {1: 1}))
    assert found.costs[1.0].total_return == pytest.approx(0.10, abs=1e-3)
    assert found.delayed.total_return == 0.0
    assert found.delayed.trades == 1


@pytest.mark.parametrize("side", [1, -1])
def test_a_limit_that_is_only_touched(side: int) -> None:
    """A target that the price reaches to the tick fills by touch and stays open by through."""
    reached = 100.0 + side * 2.0
    bar = (100.0, max(100.0, reached), min(100.0, reached), 100.0)
    found = measure_sensitivity(tiny([*level(100.0, 3), bar, *level(100.0, 2)], {1: side}, BRACKET))
    assert found.limit_fill["touch"].total_return == pytest.approx(0.02, abs=1e-4)
    assert found.limit_fill["through"].total_return == 0.0


ONE_WAY = tiny(level(100.0, 4), {}).strategy.replaced(direction="long")
FAULTS = {
    "signals that come on time": ("np.roll(wish.sides, bars, axis=1)", "np.roll(wish.sides, 0, axis=1)"),
    "fees that are not multiplied": ("for name in _FEES:", "for name in ():"),
    "a favourable path nobody looks at": ('("adverse", "favourable")]', '("adverse", "adverse")]'),
}


def test_planted_faults_show() -> None:
    """Each of them changes a figure that the tests above pin."""
    rows = [*level(100.0, 3), *level(110.0, 4)]
    late, fees, path = (
        mutated("backtests.doubts.sensitivity", *fault).measure_sensitivity for fault in FAULTS.values()
    )
    assert late(tiny(rows, {1: 1})).delayed.total_return > 0.0
    charged = fees(tiny(rows, {1: 1, 3: -1}, strategy=ONE_WAY, taker_fee=0.01))
    assert charged.costs[3.0].profit == charged.costs[1.0].profit
    assert path(tiny(ROWS, SIGNALS, BRACKET)).depending == 0
