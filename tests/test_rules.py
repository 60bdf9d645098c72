"""The trading rules: what is wanted, what is done about it, and how much."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import rules

CONFIRMED, FORECAST, CROSSOVER, BUY_AND_HOLD = range(4)


@pytest.mark.parametrize(
    ("mean", "confirmation", "wanted"),
    [
        (0.002, 1, 1), (0.002, -1, 0), (0.002, 0, 0), (0.001, 1, 0), (0.0, 1, 0),
        (-0.002, -1, -1), (-0.002, 1, 0), (-0.002, 0, 0), (-0.001, -1, 0), (math.nan, 1, 0), (math.nan, -1, 0),
    ],
)  # fmt: skip
def test_a_trade_needs_a_forecast_above_its_threshold_and_averages_that_confirm_it(
    mean: float, confirmation: int, wanted: int
) -> None:
    """Long above the threshold with fast above slow, short the mirror, else nothing; equal is not above."""
    assert rules.signal(mean, 0.001, confirmation, CONFIRMED) == wanted


def test_the_baselines_leave_one_condition_out() -> None:
    """Forecast alone ignores the averages, crossover alone the forecast, buy and hold both."""
    assert rules.signal(0.002, 0.001, -1, FORECAST) == 1
    assert rules.signal(math.nan, 0.001, -1, CROSSOVER) == -1
    assert rules.signal(math.nan, math.nan, 0, BUY_AND_HOLD) == 1


@pytest.mark.parametrize(
    ("wanted", "held", "barred", "reverse", "step"),
    [
        (0, 0, 0, True, rules.HOLD), (0, 1, 0, True, rules.HOLD), (1, 1, 0, True, rules.HOLD),
        (1, 0, 0, True, rules.OPEN), (-1, 0, 0, True, rules.OPEN), (1, 0, 1, True, rules.HOLD),
        (-1, 0, 1, True, rules.OPEN), (-1, 1, 0, True, rules.REVERSE), (1, -1, 0, True, rules.REVERSE),
        (-1, 1, 0, False, rules.CLOSE), (1, -1, 0, False, rules.CLOSE), (-1, 1, -1, True, rules.CLOSE),
    ],
)  # fmt: skip
def test_only_the_opposite_signal_touches_an_open_position(
    wanted: int, held: int, barred: int, reverse: bool, step: int
) -> None:
    """No signal holds; the opposite one reverses or closes; a barred side is not entered again."""
    assert rules.action(wanted, held, barred, reverse) == step


def test_thresholds_in_basis_points_costs_and_sigmas() -> None:
    """5bps is 0.0005; 1.5cost is 1.5 round trips of 6 bps a fill; 0.5sigma is half the forecast's sigma."""
    assert rules.threshold_return(5.0, 0, 0.0006, 0.01) == pytest.approx(0.0005)
    assert rules.threshold_return(1.5, 1, 0.0006, 0.01) == pytest.approx(0.0018)
    assert rules.threshold_return(0.5, 2, 0.0006, 0.01) == pytest.approx(0.005)


def test_thresholds_of_chances_and_positions() -> None:
    """A chance of 0.6 is 0.1 beyond even, and its mirror is a chance of 0.4; a position counts as it is."""
    for unit, amount, high, low in ((3, 0.6, 0.61, 0.39), (4, 0.2, 0.21, -0.21)):
        threshold = rules.threshold_return(amount, unit, 0.0006, 0.01)
        sides = [
            rules.forecast_side(rules.score(-9.0, value, value, unit), threshold)
            for value in (high, low, amount - 0.01, np.nan)
        ]
        assert sides == [1, -1, 0, 0]
    assert rules.score(0.3, 0.9, 0.8, 2) == 0.3


@given(
    equity=st.floats(1, 1e7), price=st.floats(0.01, 1e5), distance=st.floats(0.001, 0.3), risk=st.floats(0.001, 0.1),
    cost=st.floats(0, 0.01), side=st.sampled_from((-1, 1)),
)  # fmt: skip
def test_the_loss_at_the_stop_with_both_fees_is_the_risk_asked_for(
    equity: float, price: float, distance: float, risk: float, cost: float, side: int
) -> None:
    """Entry at the price, exit at the stop, costs on both: the loss is risk x equity."""
    away = distance * price
    quantity = rules.size_by_risk(equity, price, away, risk, cost, side)
    stop = price - side * away
    loss = quantity * (away + cost * price + cost * stop)
    assert loss == pytest.approx(risk * equity, rel=1e-9)


@given(equity=st.floats(1, 1e7), price=st.floats(0.01, 1e5), leverage=st.floats(1, 100), fee=st.floats(0, 0.01))
def test_full_leverage_leaves_no_cash_after_margin_and_fee(
    equity: float, price: float, leverage: float, fee: float
) -> None:
    """Margin plus entry fee take the whole equity, so the order is not shrunk at an unchanged price."""
    quantity = rules.size_by_leverage(equity, price, leverage, fee)
    assert quantity * price / leverage + quantity * price * fee == pytest.approx(equity, rel=1e-12)


def test_an_account_without_equity_trades_nothing() -> None:
    """Sizes are never negative."""
    assert rules.size_by_leverage(-5.0, 100.0, 3.0, 0.001) == 0.0
    assert rules.size_by_risk(-5.0, 100.0, 2.0, 0.01, 0.001, 1) == 0.0
