"""Ticks, lots, slippage and touch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.exchange import fills
from markets import filters


@pytest.mark.parametrize(
    ("side", "price", "level", "reached"),
    [
        (-1, 99.9, 100.0, True),
        (-1, 100.0, 100.0, True),
        (-1, 100.1, 100.0, False),
        (1, 100.1, 100.0, True),
        (1, 100.0, 100.0, True),
        (1, 99.9, 100.0, False),
    ],
)
def test_a_price_reaches_a_level_by_touching_it(side: int, price: float, level: float, reached: bool) -> None:
    """At the level counts as reached, a tick short of it does not."""
    assert fills.reaches(side, price, level, 0.1) is reached


def test_levels_compare_in_ticks_not_in_doubles() -> None:
    """0.1 + 0.2 reaches 0.3 from below and from above, although the doubles differ."""
    assert 0.1 + 0.2 != 0.3
    assert fills.reaches(1, 0.3, 0.1 + 0.2, 0.1)
    assert fills.reaches(-1, 0.1 + 0.2, 0.3, 0.1)


@given(lots=st.integers(0, 10**9), lot=st.sampled_from((0.001, 0.01, 0.1, 1.0, 10.0)), part=st.floats(0, 0.999))
def test_quantities_round_down_to_whole_lots(lots: int, lot: float, part: float) -> None:
    """n lots and a part are n lots, and n lots as a double are not n - 1."""
    assert filters.round_down((lots + part) * lot, lot) == pytest.approx(lots * lot)
    assert filters.round_nearest(filters.round_down(lots * lot, lot), lot) == filters.round_down(lots * lot, lot)


@given(ticks=st.integers(1, 10**7), tick=st.sampled_from((0.01, 0.1, 0.5)), part=st.floats(0.001, 0.999))
def test_prices_round_to_the_next_tick_up_or_down(ticks: int, tick: float, part: float) -> None:
    """A price on a tick stays; one between ticks goes to the one asked for."""
    assert filters.round_up(ticks * tick, tick) == filters.round_down(ticks * tick, tick) == pytest.approx(ticks * tick)
    assert filters.round_up((ticks + part) * tick, tick) == pytest.approx((ticks + 1) * tick)
    assert filters.round_down((ticks + part) * tick, tick) == pytest.approx(ticks * tick)


def test_a_liquidation_fills_no_better_than_the_open_and_no_worse_than_bankruptcy() -> None:
    """Liquidation at 91, bankrupt at 90: an open of 95 fills at 91, 90.5 there, 80 at 90; a short is the mirror."""
    for bar_open, price in ((95.0, 91.0), (90.5, 90.5), (80.0, 90.0)):
        assert fills.liquidation_fill(1.0, 91.0, 90.0, bar_open) == price
    for bar_open, price in ((105.0, 109.0), (109.5, 109.5), (120.0, 110.0)):
        assert fills.liquidation_fill(-1.0, 109.0, 110.0, bar_open) == price


@pytest.mark.parametrize(
    ("intrabar", "side", "high", "low", "first"),
    [
        (0, 1, 101, 98, False), (1, 1, 101, 90, True), (2, 1, 101, 98, True), (2, 1, 103, 98, False),
        (2, -1, 103, 98, True), (2, -1, 101, 98, False), (2, 1, 102, 98, False), (2, -1, 102, 98, False),
    ],
)  # fmt: skip
def test_which_side_of_a_bar_comes_first(intrabar: int, side: int, high: float, low: float, first: bool) -> None:
    """Adverse, favourable, or the extreme nearer to the open of 100; a tie goes to the adverse one."""
    assert fills.favourable_first(intrabar, side, 100.0, float(high), float(low), 0.1) is first
