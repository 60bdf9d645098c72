"""Faults planted in stops that move and in ladders: each parts the exchange from the witness on random lives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from exchange_desk import ExchangeDesk
from market_cases import Weather, grow
from test_against_witness import first_difference

from backtests.exchange import records


class MovingFault(ExchangeDesk):
    """An exchange whose stops or shares are tampered with before or after a bar."""

    def live_stops(self) -> Any:
        """The live stops of brackets, with the bar's side to look at."""
        rows = self.orders[: self.account["orders"][0]]
        return rows[(rows["status"] == records.LIVE) & (rows["kind"] == records.STOP) & (rows["parent"] > 0)]

    def each_stop(self, change: Callable[[Any, int], None]) -> None:
        """Changes every live stop in place; handed the row and the side that it protects."""
        rows = self.orders[: self.account["orders"][0]]
        for k in np.flatnonzero(
            (rows["status"] == records.LIVE) & (rows["kind"] == records.STOP) & (rows["parent"] > 0)
        ):
            change(rows[k], -int(rows[k]["side"]))


class RaisedAndHitInOneBar(MovingFault):
    """A trailing stop is raised by the high of the bar that then meets it."""

    def play(self, bars: Any) -> None:
        def raise_now(row: Any, side: int) -> None:
            bar = bars[int(row["symbol"])]
            if row["trailing_rate"] + row["trailing"] > 0:
                best = bar.high if side > 0 else bar.low
                level = best * (1 - side * row["trailing_rate"]) - side * row["trailing"]
                row["price"] = max(row["price"], level) if side > 0 else min(row["price"], level)

        self.each_stop(raise_now)
        super().play(bars)


class BreakEvenBeforeItsBar(MovingFault):
    """A stop breaks even on the bar whose best price asks for it."""

    def play(self, bars: Any) -> None:
        def move_now(row: Any, side: int) -> None:
            bar = bars[int(row["symbol"])]
            if row["break_even_rate"] + row["break_even"] > 0:
                best = bar.high if side > 0 else bar.low
                due = row["basis"] * (1 + side * row["break_even_rate"]) + side * row["break_even"]
                if side * (best - due) >= 0:
                    row["price"] = max(row["price"], row["basis"]) if side > 0 else min(row["price"], row["basis"])

        self.each_stop(move_now)
        super().play(bars)


class EvenCalledTrailing(MovingFault):
    """A stop that breaks even is called one that trails."""

    def play(self, bars: Any) -> None:
        super().play(bars)

        def rename(row: Any, _: int) -> None:
            if row["reason"] == records.BREAK_EVEN:
                row["reason"] = records.TRAILING_STOP

        self.each_stop(rename)


class FallsBack(MovingFault):
    """A trailing stop follows the last bar's best price down again."""

    def play(self, bars: Any) -> None:
        super().play(bars)

        def follow(row: Any, side: int) -> None:
            bar = bars[int(row["symbol"])]
            if row["trailing_rate"] + row["trailing"] > 0:
                best = bar.high if side > 0 else bar.low
                row["price"] = best * (1 - side * row["trailing_rate"]) - side * row["trailing"]

        self.each_stop(follow)


class TrailsAtOnce(MovingFault):
    """A trail does not wait for the distance at which it should begin."""

    def submit(self, order: Any) -> None:
        order.trailing_after = order.trailing_after_rate = 0.0
        super().submit(order)


class SharesRoundedUp(MovingFault):
    """A share of the ladder is rounded up to the lot."""

    def submit(self, order: Any) -> None:
        lot, asked = float(self.contracts["lot"][order.symbol]), order.share * order.quantity
        if order.share < 1:
            order.share = min(0.999, math.ceil(asked / lot) * lot / order.quantity)
        super().submit(order)


class RemainderWithoutStop(MovingFault):
    """After a share has closed, the stop of the rest is gone."""

    def play(self, bars: Any) -> None:
        before = {int(row["id"]): int(row["parent"]) for row in self.orders[: self.account["orders"][0]]}
        super().play(bars)
        closed = {before.get(int(row["order"]), 0) for row in self.fill_rows[: self.account["fills"][0]]} - {0}
        for row in self.live_stops().copy():
            if int(row["parent"]) in closed:
                self.cancel(int(row["id"]))


class StopKeepsItsSize(MovingFault):
    """What a share has closed is not taken off the stop: it closes more than is left of its entry."""

    def play(self, bars: Any) -> None:
        sizes = {int(row["id"]): float(row["quantity"]) for row in self.live_stops()}
        super().play(bars)

        def restore(row: Any, _: int) -> None:
            row["quantity"] = sizes.get(int(row["id"]), row["quantity"])

        self.each_stop(restore)


class ShareEndsTheOthers(MovingFault):
    """The first target of a ladder that fills ends the bracket, as that of a plain bracket does."""

    def submit(self, order: Any) -> None:
        order.share = 1.0
        super().submit(order)


@pytest.mark.parametrize(
    "fault",
    [
        RaisedAndHitInOneBar, BreakEvenBeforeItsBar, FallsBack, TrailsAtOnce, SharesRoundedUp, RemainderWithoutStop,
        StopKeepsItsSize, ShareEndsTheOthers, EvenCalledTrailing,
    ],
)  # fmt: skip
def test_a_planted_fault_in_moving_exits_is_seen(fault: type[ExchangeDesk]) -> None:
    """On some of a few dozen lives of brackets with moving stops and ladders each fault leads to other fills."""
    weather = Weather(volatility=0.01, gap=0.1, crash=0.05, flat=0.0, basis=0.0, funding=0.0, blocked=0.0)
    lives = (grow(seed, 1, 40, weather, ("moving_bracket", "close", "open"), 0.4, {}) for seed in range(60))
    assert any(first_difference(life, fault) for life in lives)


def test_without_a_fault_the_same_lives_agree() -> None:
    """The class that the faults derive from changes nothing by itself."""
    weather = Weather(volatility=0.01, gap=0.1, crash=0.05, flat=0.0, basis=0.0, funding=0.0, blocked=0.0)
    lives = (grow(seed, 1, 40, weather, ("moving_bracket", "close", "open"), 0.4, {}) for seed in range(10))
    assert not any(first_difference(life, MovingFault) for life in lives)
