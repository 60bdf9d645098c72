"""Several markets in one account: cut to their common bars, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simple_market import HOUR, flat, market

from foundation.errors import DataError, ParameterError
from markets.candles import Candles
from markets.market import Market, common_span


def test_markets_of_one_account_are_cut_to_their_common_bars() -> None:
    """Two markets that overlap keep the bars of both; the rest is cut."""
    one, two = market(flat(10), symbol="ONE"), market(flat(10), symbol="TWO").rows(4, 10)
    cut = common_span([one, two])
    assert [len(each.candles) for each in cut] == [6, 6]
    assert cut[0].candles.timestamp[0] == two.candles.timestamp[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one, "named twice"),
        (lambda one: moved(one, 20 * HOUR), "no bar in common"),
        (lambda one: moved(one, HOUR // 2), "open at other times"),
        (lambda _: market(flat(10), symbol="TWO", settlement="USDC"), "settles in USDC"),
        (lambda one: replace(moved(one, 0), candles=hourly_as(one, 2 * HOUR)), "another bar length"),
    ],
)
def test_markets_that_cannot_share_an_account_are_refused(change: Any, message: str) -> None:
    """One line says what differs; nothing has been trained or played by then."""
    one = market(flat(10), symbol="ONE")
    with pytest.raises(DataError, match=message):
        common_span([one, change(one)])
    with pytest.raises(ParameterError, match="at least one Market"):
        common_span([])


def moved(one: Market, by: int) -> Market:
    """Another symbol with the same bars, later by some nanoseconds."""
    other = market(flat(10), symbol="TWO")
    return replace(other, candles=replace(one.candles, timestamp=one.candles.timestamp + by))


def hourly_as(one: Market, bar: int) -> Candles:
    """The same prices as bars of another length."""
    stamps = one.candles.timestamp[0] + bar * np.arange(len(one.candles))
    return replace(one.candles, timestamp=stamps, bar=bar)
