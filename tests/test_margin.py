"""The position arithmetic against numbers that venues print and against its own definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from markets.margin import (
    average_entry,
    bankruptcy_price,
    funding_payment,
    initial_margin,
    liquidation_price,
    maintenance_margin,
    profit,
    trading_fee,
)

prices = st.floats(0.01, 1e5)
quantities = st.floats(1e-3, 1e4)
sides = st.sampled_from((-1, 1))


@given(side=sides, quantity=quantities, entry=prices, leverage=st.floats(1, 100), rate=st.floats(0.001, 0.009))
def test_at_the_liquidation_price_margin_plus_profit_is_the_maintenance_margin(
    side: int, quantity: float, entry: float, leverage: float, rate: float
) -> None:
    """The liquidation price solves its own definition, for longs and shorts."""
    held = side * quantity
    margin = initial_margin(held, entry, leverage)
    price = liquidation_price(held, entry, margin, rate)
    if price > 0.0:
        left = margin + profit(held, entry, price)
        assert left == pytest.approx(maintenance_margin(held, price, rate), rel=1e-9, abs=1e-9 * quantity * entry)
    else:
        assert side > 0
        assert margin >= quantity * entry * (1 - 1e-12)


@given(side=sides, quantity=quantities, entry=prices, leverage=st.floats(1, 125))
def test_at_the_bankruptcy_price_the_whole_margin_is_lost(
    side: int, quantity: float, entry: float, leverage: float
) -> None:
    """Margin plus profit is zero at the bankruptcy price."""
    held = side * quantity
    margin = initial_margin(held, entry, leverage)
    left = margin + profit(held, entry, bankruptcy_price(held, entry, margin))
    assert left == pytest.approx(0.0, abs=1e-9 * quantity * entry)


def test_liquidation_of_a_long_at_ten_times_leverage() -> None:
    """10x long at 100 with 0.4 % maintenance: (10 - 100) / (0.004 - 1) = 90.361..., bankrupt at 90."""
    assert liquidation_price(1.0, 100.0, 10.0, 0.004) == pytest.approx(90.0 / 0.996)
    assert bankruptcy_price(1.0, 100.0, 10.0) == 90.0


def test_liquidation_of_a_short_at_ten_times_leverage() -> None:
    """10x short at 100 with 0.4 % maintenance: (10 + 100) / (0.004 + 1) = 109.561..., bankrupt at 110."""
    assert liquidation_price(-1.0, 100.0, 10.0, 0.004) == pytest.approx(110.0 / 1.004)
    assert bankruptcy_price(-1.0, 100.0, 10.0) == 110.0


def test_a_long_that_is_fully_paid_for_is_never_liquidated() -> None:
    """At leverage 1 no price above zero takes the margin of a long: 0 stands for none."""
    assert liquidation_price(2.0, 50.0, 100.0, 0.004) == 0.0
    assert liquidation_price(0.0, 0.0, 0.0, 0.004) == 0.0


def test_longs_pay_a_positive_funding_rate_and_shorts_receive_it() -> None:
    """10,000 of notional at 0.01 % is 1.0, paid by the long and received by the short."""
    assert funding_payment(0.2, 50_000.0, 0.0001) == pytest.approx(1.0)
    assert funding_payment(-0.2, 50_000.0, 0.0001) == pytest.approx(-1.0)
    assert funding_payment(0.2, 50_000.0, -0.0001) == pytest.approx(-1.0)


def test_entries_average_by_quantity_and_fees_follow_notional() -> None:
    """Adding 3 at 110 to 1 at 100 averages 107.5; a fee is the same for both sides."""
    assert average_entry(1.0, 100.0, 3.0, 110.0) == 107.5
    assert average_entry(-1.0, 100.0, -3.0, 110.0) == 107.5
    assert trading_fee(-2.0, 100.0, 0.0005) == trading_fee(2.0, 100.0, 0.0005) == pytest.approx(0.1)
