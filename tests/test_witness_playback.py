"""Strategies written by hand, held to the witness: it is given the orders that the exchange was given."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from kernel_cases import SYMBOLS, market
from sample_strategies import (
    AtTheClose,
    Brackets,
    ManyFeeds,
    OneAtATime,
    OneCancelsOther,
    SmaCross,
    StopLimits,
    StopTrails,
    Targets,
)

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.agreement import TOLERANCE, first_difference
from backtests.run.own_run import run_strategy
from backtests.run.result import Result
from backtests.run.solo import account_of
from backtests.under_backtrader.broker import FuturesBroker
from crossgate import witnessing
from markets.market import Market

COSTS = CostParams(slippage_bps=2.0, half_spread="1tick")


class Moving(bt.Strategy):
    """Ladders with stops that move, one side after the other; every tenth bar what still waits is withdrawn."""

    def next(self) -> None:
        if len(self) % 10 == 0:
            for order in self.broker.get_orders_open():
                self.cancel(order)
        if self.position or len(self) % 3:
            return
        enter, leave = (self.buy, self.sell) if len(self) % 2 else (self.sell, self.buy)
        entry = enter(size=2, transmit=False, reason="entry", leverage=10.0)
        moves: dict[str, Any] = {"trailing_rate": 0.02, "break_even_rate": 0.005, "trailing_after_rate": 0.002}
        stop = {"exectype": bt.Order.Stop, "offset_rate": 0.01, "reason": "stop_loss"}
        leave(size=2, parent=entry, transmit=False, **stop, **moves)
        leave(size=1, exectype=bt.Order.Limit, parent=entry, transmit=False, offset_rate=0.006, reason="take_profit")
        leave(size=2, exectype=bt.Order.Limit, parent=entry, offset_rate=0.02, reason="take_profit")


class Stopped(SmaCross):
    """Ends the run long before its last bar, in a position."""

    def next(self) -> None:
        super().next()
        if len(self) > 150 and self.position:
            self.env.runstop()


CASES: dict[str, tuple[Any, int, AccountParams]] = {
    one.__name__: (one, 1, AccountParams())
    for one in (SmaCross, Brackets, OneCancelsOther, StopTrails, StopLimits, AtTheClose, Targets, OneAtATime, Moving)
} | {
    "several feeds on one account": (ManyFeeds, 2, AccountParams(cash=1_000.0, margin="cross")),
    "several feeds": (ManyFeeds, 2, AccountParams(cash=1_000.0, intrabar="nearer_extreme")),
    "a run that stops itself": (Stopped, 1, AccountParams()),
}


def played(kind: Any, feeds: int, account: AccountParams, seed: int = 5) -> Result:
    """A run of a strategy over some wild markets."""
    random = np.random.default_rng(seed)
    over = [market(random, name, 400, 1.0) for name in SYMBOLS[:feeds]]
    return run_strategy(kind, over, None, account, COSTS, leverage=8.0, check=False)


def parts(result: Result) -> str:
    """Where a run and the witness part; '' for nowhere."""
    assert result.own is not None
    found = first_difference(account_of(result), witnessing.witnessed(witnessing.playback_of(result.own)), TOLERANCE)
    return "" if found is None else found.text


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_order_comes_to_the_witness(case: str) -> None:
    """The same fills and equity, whatever the strategy gave, withdrew or left to expire."""
    result = played(*CASES[case])
    assert len(result.fills) > 5
    assert parts(result) == ""


def test_a_fault_of_the_exchange_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Funding that longs receive: the run is made with it, and parts from the witness."""
    honest = Market.funding_bars
    monkeypatch.setattr(Market, "funding_bars", lambda *given: tuple(-one for one in honest(*given)))
    assert "equity " in parts(played(SmaCross, 1, AccountParams()))


def test_an_order_that_nobody_was_told_of_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Withdrawals that are not passed on leave orders behind that fill."""
    result = played(Moving, 1, AccountParams())
    honest = FuturesBroker.cancel

    def silent(broker: FuturesBroker, order: Any) -> bool:
        told, broker.told = broker.told, None
        done = honest(broker, order)
        broker.told = told
        return done

    monkeypatch.setattr(FuturesBroker, "cancel", silent)
    assert parts(result) != ""
