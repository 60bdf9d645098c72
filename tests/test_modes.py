"""Runs in every mode of Backtrader's, and one after the other with the same Cerebro."""

from __future__ import annotations

import backtrader as bt
import pytest
from simple_market import flat, market, walk
from test_broker import Scripted

from backtests import CandleFeed, FuturesBroker


def test_a_second_run_begins_with_the_starting_balance() -> None:
    """As every run of an optimisation does: nothing is left of the run before."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=market(walk(30, 1))))
    cerebro.broker = FuturesBroker(cash=1000.0)
    cerebro.addstrategy(Scripted, orders={2: lambda s: s.buy(size=2), 20: lambda s: s.close()})
    first, second = (cerebro.run()[0].equity for _ in range(2))
    assert first == second
    assert first[0] == 1000.0 != first[-1]


@pytest.mark.parametrize(("runonce", "preload"), [(False, True), (True, True), (False, False)])
def test_every_bar_is_delivered_once_in_every_mode(runonce: bool, preload: bool) -> None:
    """Bars that are there from the start are not read a second time when the last one is over; nor in a second run."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=market(flat(7))))
    cerebro.broker = FuturesBroker()
    cerebro.addstrategy(Scripted)
    for _ in range(2):
        assert len(cerebro.run(runonce=runonce, preload=preload)[0].equity) == 7
