"""What is a venue's own, where no published number reaches: mirrored sides, reductions, limits and sizes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets import binance, bitmex, bybit, filters, inverse, margin, venues
from strategies import sizing, stops

sides = st.sampled_from((1.0, -1.0))
prices = st.floats(0.01, 1e5)
shares = st.floats(0.01, 0.99)


@given(sides, prices, shares, st.floats(0.0, 0.1))
def test_one_leg_of_a_shared_account_is_liquidated_as_in_one_way_mode(
    side: float, entry: float, posted: float, amount: float
) -> None:
    """With one leg the hedge formula is the one-way formula, for a long and for a short."""
    quantity, wallet = side * 100.0 / entry, posted * 100.0
    one_way = margin.tiered_liquidation_price(quantity, entry, wallet, 0.01, amount)
    slope = abs(quantity) * 0.01
    shared = binance.shared_liquidation_price(wallet, quantity * entry, quantity, slope, amount)
    assert shared == pytest.approx(one_way, rel=1e-9)


def test_equal_hedge_legs_are_liquidated_only_by_their_maintenance() -> None:
    """1 long and 1 short at 100 at 1 %: 3 of wallet last until two maintenance margins are 3, at 150."""
    assert binance.shared_liquidation_price(3.0, 0.0, 0.0, 0.02, 0.0) == pytest.approx(150.0)
    assert binance.shared_liquidation_price(3.0, 0.0, 0.0, 0.0, 0.0) == 0.0


def test_a_sell_is_margined_at_the_highest_of_three_prices() -> None:
    """A buy at its own price, a market buy at the raised last price, a sell at the highest."""
    assert binance.assuming_price(1.0, 99.0, 100.0, 101.0) == 99.0
    assert binance.assuming_price(1.0, 0.0, 100.0, 101.0) == pytest.approx(100.15)
    assert binance.assuming_price(-1.0, 99.0, 100.0, 99.5) == pytest.approx(100.15)
    assert binance.assuming_price(-1.0, 99.0, 100.0, 101.0) == 101.0
    assert binance.assuming_price(-1.0, 103.0, 100.0, 101.0) == 103.0


def test_who_pays_funding() -> None:
    """Open at the stamp, both ends included, or opened within the grace; not what closed before or opened later."""
    cases = ((0.0, 100.0), (50.0, 50.0), (50.0, 60.0), (64.0, 99.0), (65.0, 99.0), (0.0, 49.0))
    paid = [binance.pays_funding(opened, closed, 50.0, binance.FUNDING_GRACE_SECONDS) for opened, closed in cases]
    assert paid == [True, True, True, True, False, False]
    assert not binance.pays_funding(50.1, 99.0, 50.0, 0.0)


@given(sides, prices, shares, st.floats(0.0, 0.005))
def test_an_inverse_position_is_bankrupt_where_its_margin_is_lost(
    side: float, entry: float, posted: float, taker: float
) -> None:
    """At the bankruptcy price loss and closing fee are the margin, for a long and for a short."""
    quantity = side * entry * 7.0
    wallet = posted * 7.0
    price = inverse.bankruptcy_price(quantity, entry, wallet)
    assert wallet + inverse.profit(quantity, entry, price) == pytest.approx(0.0, abs=1e-9)
    after_fee = bybit.inverse_bankruptcy_price(quantity, entry, wallet, taker)
    left = wallet + inverse.profit(quantity, entry, after_fee) - inverse.trading_fee(quantity, after_fee, taker)
    assert left == pytest.approx(0.0, abs=1e-9)


def test_an_inverse_short_that_holds_its_coin_is_never_liquidated() -> None:
    """A wallet that is worth the position takes any rise: 0 stands for none; the long always has a price."""
    assert inverse.bankruptcy_price(-1000.0, 100.0, 10.0) == 0.0
    assert inverse.liquidation_price(-1000.0, 100.0, 10.0, 0.01, 0.0) == 0.0
    assert inverse.liquidation_price(0.0, 100.0, 10.0, 0.01, 0.0) == 0.0
    assert bybit.inverse_bankruptcy_price(-1000.0, 100.0, 10.0, 0.0) == 0.0
    assert inverse.liquidation_price(1000.0, 100.0, 10.0, 0.01, 0.0) == pytest.approx(50.5)


def test_the_pages_of_bybit_order_as_they_should() -> None:
    """60,000 USD at 50,000 and 10x: the page of 2026 asks for more at a lower mark, and the old one adds its fee."""
    old, middle, new = (bybit.inverse_liquidation_price(6e4, 5e4, 0.12, 0.005, 0.0006, y) for y in (2023, 2024, 2026))
    assert middle == pytest.approx(45_662.10, abs=0.01)
    assert new == pytest.approx(45_681.82, abs=0.01)
    assert old == pytest.approx(middle * 1.0006)
    short = [bybit.inverse_liquidation_price(-6e4, 5e4, 0.12, 0.005, 0.0006, year) for year in (2023, 2024, 2026)]
    assert short[0] == pytest.approx(short[1] * 0.9994)
    assert short[1] == pytest.approx(6e4 / (1.2 - 0.12 + 0.006))
    assert short[2] == pytest.approx(6e4 * 0.995 / (1.2 - 0.12))


def test_a_cross_account_is_liquidated_before_it_is_bankrupt() -> None:
    """The venue's example, 10,000 at 8,000 with 0.5 coin: bankrupt at 5718.57, liquidated above; short mirrored."""
    bankrupt = bybit.inverse_bankruptcy_price(1e4, 8000.0, 0.5, 0.00075)
    assert bankrupt == pytest.approx(5718.57, abs=0.01)
    assert 0.0 < bybit.inverse_cross_liquidation_price(1e4, 8000.0, 0.5, 0.005, 0.00075, bankrupt) - bankrupt < 25.0
    bankrupt = bybit.inverse_bankruptcy_price(-1e4, 8000.0, 0.5, 0.00075)
    assert 0.0 < bankrupt - bybit.inverse_cross_liquidation_price(-1e4, 8000.0, 0.5, 0.005, 0.00075, bankrupt) < 150.0


def test_satoshi_levels_are_rounded_against_the_trader() -> None:
    """A long's levels lie on the tick above the exact price, a short's on the tick below."""
    cost, margin_, maintenance = 7_435_000.0, 303_200.0, 42_975.0
    for contracts, sign in ((500.0, 1.0), (-500.0, -1.0)):
        for level, exact in (
            (bitmex.bankruptcy_price(contracts, cost, 297_400.0, 0.5), 5e10 / (cost + sign * 297_400.0)),
            (bitmex.liquidation_price(contracts, cost, margin_, maintenance, 0.5), 5e10 / (cost + sign * 260_225.0)),
        ):
            assert 0.0 <= sign * (level - exact) < 1.0
            assert level % 0.5 == 0.0
    assert bitmex.liquidation_price(-500.0, cost, 8_000_000.0, 0.0, 0.5) == 0.0


def test_inverse_fills_keep_their_entry_on_a_reduction_and_start_anew_on_a_reversal() -> None:
    """Adding averages harmonically; reducing keeps the entry; reversing takes the price; closing leaves none."""
    assert inverse.entry_after_fill(1000.0, 5000.0, 2000.0, 6000.0) == pytest.approx(5625.0)
    assert inverse.entry_after_fill(1000.0, 5000.0, -400.0, 6000.0) == 5000.0
    assert inverse.entry_after_fill(1000.0, 5000.0, -1400.0, 6000.0) == 6000.0
    assert inverse.entry_after_fill(-1000.0, 5000.0, 1000.0, 6000.0) == 0.0
    assert inverse.realised_profit(1000.0, 5000.0, 500.0, 6000.0) == 0.0
    assert inverse.realised_profit(1000.0, 5000.0, -2500.0, 6000.0) == inverse.profit(1000.0, 5000.0, 6000.0)
    assert margin.realised_profit(-2.0, 100.0, 1.0, 90.0) == 10.0
    assert margin.entry_after_fill(-2.0, 100.0, 3.0, 90.0) == 90.0


def test_the_venue_lets_through_what_is_large_enough_and_inside_its_band() -> None:
    """A value exactly at a minimum passes, also where a double lies a hair below it; the band includes its ends."""
    assert filters.passes_minimums(0.001, 10_000.0, 0.001, 10.0)
    assert filters.passes_minimums(-0.1 * 3, 100.0 / 3.0, 0.3, 10.0)
    assert not filters.passes_minimums(0.0009, 100_000.0, 0.001, 10.0)
    assert not filters.passes_minimums(0.001, 9_999.0, 0.001, 10.0)
    assert not filters.passes_minimums(0.0, 100.0, 0.0, 0.0)
    band = [filters.within_price_band(price, 100.0, 0.95, 1.05) for price in (94.9, 95.0, 105.0, 105.1)]
    assert band == [False, True, True, False]


@given(st.floats(1e-6, 1e6), st.sampled_from((0.5, 0.1, 0.001, 1.0, 25.0)))
def test_rounding_stays_within_a_step(value: float, step: float) -> None:
    """Down is never above, up is never below, nearest is within half a step; signs mirror."""
    slack = step * 2e-6 + value * 1e-12
    down, up, near = (f(value, step) for f in (filters.round_down, filters.round_up, filters.round_nearest))
    assert -slack <= value - down < step
    assert -slack <= up - value < step
    assert abs(near - value) <= step / 2 + slack
    assert (filters.round_down(-value, step), filters.round_nearest(-value, step)) == (-down, -near)


def test_kelly_bets_by_mean_over_variance_and_stops_at_the_maximum() -> None:
    """1 bp of mean at 1 % of sigma is full Kelly 1; half of it is half the equity; a large mean stops at 3 times."""
    assert sizing.kelly_leverage(1e-4, 0.01) == pytest.approx(1.0)
    assert sizing.size_by_kelly(1000.0, 10.0, 1e-4, 0.01, 0.5, 3.0) == pytest.approx(50.0)
    assert sizing.size_by_kelly(1000.0, 10.0, -1e-4, 0.01, 0.5, 3.0) == pytest.approx(50.0)
    assert sizing.size_by_kelly(1000.0, 10.0, 1e-2, 0.01, 0.5, 3.0) == pytest.approx(300.0)
    assert sizing.kelly_fraction(0.4, 1.0) < 0.0


def test_no_equity_no_size() -> None:
    """An account at or below zero takes no position by any rule; a fraction of equity is levered."""
    assert sizing.size_by_fraction(1000.0, 50.0, 0.5, 4.0) == pytest.approx(40.0)
    assert sizing.size_by_fraction(-1.0, 50.0, 0.5, 4.0) == 0.0
    assert sizing.size_by_atr(-1.0, 0.01, 1.0, 2.0, 1.0) == 0.0
    assert sizing.size_by_volatility(-1.0, 50.0, 1.0, 0.1, 0.3) == 0.0
    assert sizing.size_by_kelly(-1.0, 10.0, 1e-4, 0.01, 0.5, 3.0) == 0.0
    assert sizing.capped_quantity(9.0, -1.0, 10.0, 5.0, math.inf) == 0.0
    assert sizing.capped_quantity(9.0, 10.0, 10.0, 5.0, 4.0) == 4.0
    assert sizing.annual_volatility(0.01, 8760.0) == pytest.approx(0.936, abs=1e-3)


def test_a_level_of_zero_is_no_level() -> None:
    """Without a stop the liquidation acts, without a liquidation the stop, for both sides."""
    assert [stops.nearer_exit(90.0, 0.0, 1), stops.nearer_exit(0.0, 80.0, 1)] == [90.0, 80.0]
    assert [stops.nearer_exit(110.0, 0.0, -1), stops.nearer_exit(0.0, 120.0, -1)] == [110.0, 120.0]
    assert [stops.nearer_exit(90.0, 95.0, 1), stops.nearer_exit(110.0, 105.0, -1)] == [95.0, 105.0]


def test_rates_of_a_settlement() -> None:
    """A premium of 2.4 % over 24 hours is 0.1 % an hour, cut to the cap on both sides; interest is a difference."""
    assert venues.capped_funding_rate(0.024, 24.0, 0.0025) == pytest.approx(0.001)
    assert venues.capped_funding_rate(-0.24, 24.0, 0.0025) == -0.0025
    assert venues.interest_rate(0.0006, 0.0003, 3.0) == pytest.approx(0.0001)
