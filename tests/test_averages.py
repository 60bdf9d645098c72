"""Averages against TA-Lib, and their steps against their arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
import talib

from markets.candles import FloatArray
from strategies import averages

RNG = np.random.default_rng(3)
CLOSE = 100.0 * np.exp(np.cumsum(RNG.normal(0, 0.01, 400)))
HIGH = CLOSE * (1 + np.abs(RNG.normal(0, 0.005, 400)))
LOW = CLOSE * (1 - np.abs(RNG.normal(0, 0.005, 400)))


@pytest.mark.parametrize("period", [1, 2, 20, 50])
def test_averages_equal_talib(period: int) -> None:
    """The simple and the exponential average are TA-Lib's, to rounding."""
    if period > 1:
        np.testing.assert_allclose(averages.moving_average(CLOSE, period, False), talib.SMA(CLOSE, period), rtol=1e-12)
        np.testing.assert_allclose(averages.moving_average(CLOSE, period, True), talib.EMA(CLOSE, period), rtol=1e-12)
    else:
        np.testing.assert_array_equal(averages.moving_average(CLOSE, 1, True), CLOSE)


def test_average_true_range_equals_talib() -> None:
    """The average true range is TA-Lib's, to rounding, and NaN for as many bars."""
    np.testing.assert_allclose(
        averages.average_true_range(HIGH, LOW, CLOSE, 14), talib.ATR(HIGH, LOW, CLOSE, 14), rtol=1e-12
    )


def confirmations(fast: FloatArray, slow: FloatArray, cross_bars: int) -> list[int]:
    """What two averages confirm at every bar: +1 a long, -1 a short, 0 neither."""
    confirmed, before, age = [], 0, averages.NO_CROSS
    for quick, steady in zip(fast, slow, strict=True):
        side, before, age = averages.crossing_step(quick, steady, before, age)
        confirmed.append(averages.confirmation(side, age, cross_bars))
    return confirmed


def test_a_cross_confirms_for_as_many_bars_as_asked_and_never_the_first_side() -> None:
    """With 2 bars, a cross counts on its bar and the next; the side at the start is no cross; ties keep the side."""
    slow = np.zeros(8)
    fast = np.array([1.0, 1.0, -1.0, -1.0, -1.0, 0.0, -1.0, 1.0])
    assert confirmations(fast, slow, 2) == [0, 0, -1, -1, 0, 0, 0, 1]
    assert confirmations(fast, slow, 0) == [1, 1, -1, -1, -1, 0, -1, 1]


def test_unknown_averages_confirm_nothing() -> None:
    """NaN on either side gives no confirmation, and the first known side is no cross."""
    fast = np.array([math.nan, math.nan, 2.0, 2.0, 0.0])
    slow = np.array([math.nan, 1.0, 1.0, 1.0, 1.0])
    assert confirmations(fast, slow, 0) == [0, 0, 1, 1, -1]
    assert confirmations(fast, slow, 3) == [0, 0, 0, 0, -1]
