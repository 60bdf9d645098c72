"""What a strategy is told, and what it may ask in Backtrader's words: the order of notices, positions, observers."""

from __future__ import annotations

from functools import partial
from typing import Any

import backtrader as bt
import pytest
from planted_faults import mutated
from simple_market import flat, market, walk

import backtests.under_backtrader.broker as module
from backtests import CandleFeed, Cerebro, FuturesBroker, run_strategy
from foundation.errors import CrossgateError, DataError, ParameterError

# Bought at the open of the last bar, whose low is beyond the liquidation price.
TAKEN_OVER = [(100.0, 100.5, 99.5, 100.0)] * 3 + [(100.0, 100.5, 90.0, 91.0)] + flat(4, 91.0)
# An order told of by what Backtrader says is left of it, and not by what the exchange says.
OLD = ("        if whole:\n", "        if fill.order == 0 or (whole and not order.executed.remsize):\n")


class Told(bt.Strategy):
    """Buys what is not a whole lot at the close of the third bar, and keeps what it is told."""

    params = (("size", 1.2345),)

    def __init__(self) -> None:
        self.told: list[tuple[int, str, str, float, float]] = []

    def next(self) -> None:
        if len(self) == 3:
            self.buy(size=self.p.size, reason="entry")

    def notify_order(self, order: Any) -> None:
        if order.status > order.Accepted:
            done = order.executed
            self.told.append(
                (len(self), order.getstatusname(), order.info.get("reason"), done.size, round(done.remsize, 9))
            )


def run(strategy: Any, over: Any, cerebro: Any = None, prepare: Any = None, **options: Any) -> Any:
    """The strategy after a run on a high leverage."""
    cerebro = cerebro or Cerebro()
    cerebro.adddata(CandleFeed(dataname=over))
    cerebro.broker = FuturesBroker(cash=100.0, leverage=20.0)
    cerebro.addstrategy(strategy, **options)
    if prepare is not None:
        prepare(cerebro)
    return cerebro.run()[0]


@pytest.mark.parametrize("loop", ["fast", "stock"])
def test_an_order_is_done_before_the_liquidation_that_follows_it(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of once, as completed, though its size was no whole lot; the order that tells by the rest does not."""
    over = market(TAKEN_OVER, lot=0.01)
    expected = [(4, "Completed", "entry", 1.23, 0.0045), (4, "Completed", "liquidation", -1.23, 0.0)]
    assert run(Told, over, Cerebro(loop=loop)).told == expected
    monkeypatch.setattr(module, "Teller", mutated("backtests.under_backtrader.telling", *OLD).Teller)
    assert run(Told, over, Cerebro(loop=loop)).told != expected


class Reversing(bt.Strategy):
    """Turns a position round with one order, twice its size."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def next(self) -> None:
        if len(self) in (2, 4):
            (self.buy if len(self) == 2 else self.sell)(size=0.5 if len(self) == 2 else 1.0)

    def notify_order(self, order: Any) -> None:
        if order.status > order.Accepted:
            self.told.append(order.getstatusname())


def test_an_order_with_two_fills_on_a_bar_is_partial_first() -> None:
    """The closing half, then the opening one."""
    assert run(Reversing, market(flat(8))).told == ["Completed", "Partial", "Completed"]


def test_positions_are_found_by_feed_and_by_name() -> None:
    """`positions`, `positionsbyname` and their functions, under either loop."""

    class Asking(Told):
        def next(self) -> None:
            super().next()
            if len(self) == 6:
                one, other = self.positions[self.data], self.getpositionsbyname()["TEST"]
                self.found = [one.size, other.size, self.positionsbyname["TEST"].price, len(self.positions)]
                self.found += [data is self.data for data in self.getpositions()]

    for loop in ("fast", "stock"):
        assert run(Asking, market(flat(8)), Cerebro(loop=loop), size=0.5).found == [0.5, 0.5, 100.0, 1, True]


def test_the_return_of_a_year_has_the_observer_that_it_reads() -> None:
    """AnnualReturn reads the broker's observer, which is added for it; the same as in Backtrader's Cerebro."""
    over = market(walk(300, 3))

    def measured(cerebro: Any) -> Any:
        def add(one: Any) -> None:
            one.addanalyzer(bt.analyzers.AnnualReturn, _name="years")

        return dict(run(Told, over, cerebro, add, size=0.5).analyzers.years.get_analysis())

    expected = measured(bt.Cerebro())
    assert expected
    assert measured(Cerebro()) == expected
    assert measured(Cerebro(loop="stock")) == expected


def test_an_observer_that_is_not_there_is_named() -> None:
    """With what adds it."""

    class Watching(bt.Strategy):
        def next(self) -> None:
            self.seen = self.stats.broker.value[0]

    with pytest.raises(AttributeError, match=r"stats.broker is an observer that was not added; .*stdstats=True"):
        run(Watching, market(flat(5)))
    assert run(Watching, market(flat(5)), Cerebro(stdstats=True)).seen == 100.0


@pytest.mark.parametrize("loop", ["fast", "stock"])
def test_fewer_bars_than_an_average_needs_are_named(loop: str) -> None:
    """In one line; an IndexError of the strategy's own stays what it is."""

    class Slow(bt.Strategy):
        def __init__(self) -> None:
            self.average = bt.ind.SMA(period=50)

    class Wrong(bt.Strategy):
        def next(self) -> None:
            [].pop()

    with pytest.raises(DataError, match=r"bars: are 30, fewer than the 50 an indicator needs; load more"):
        run(Slow, market(flat(30)), Cerebro(loop=loop))
    with pytest.raises(CrossgateError, match="fewer than the 50 an indicator needs"):
        run_strategy(Slow, market(flat(30)), loop=loop)
    with pytest.raises(IndexError, match="pop from empty list"):
        run(Wrong, market(flat(30)), Cerebro(loop=loop))


@pytest.mark.parametrize(
    "name", ["set_shortcash", "set_checksubmit", "set_int2pnl", "set_eosbar", "seteosbar", "get_leverage"]
)
def test_what_is_not_played_says_what_is(name: str) -> None:
    """Settings of Backtrader's broker that this one does not have."""
    with pytest.raises(CrossgateError, match=r"margin|funding|session|leverage"):
        getattr(FuturesBroker(), name)(True)


def test_what_is_not_kept_says_what_is() -> None:
    """The queues of Backtrader's broker; its cash is there."""
    broker = run(Told, market(flat(5)), size=0.5).broker
    for name in ("orders", "pending"):
        with pytest.raises(AttributeError, match=r"get_orders_open\(\) has those that can fill"):
            getattr(broker, name)
    assert broker.cash == broker.getcash() == pytest.approx(97.5)


@pytest.mark.parametrize("copied", ["clone", "resampledata", "replaydata"])
def test_a_copy_of_a_feed_is_refused_with_what_to_use(copied: str) -> None:
    """Where it is asked for, by the name of the market."""
    cerebro = Cerebro()
    cerebro.adddata(CandleFeed(dataname=market(flat(8))))
    first, longer = cerebro.datas[0], {"timeframe": bt.TimeFrame.Minutes, "compression": 240}
    copy = first.clone if copied == "clone" else partial(getattr(cerebro, copied), first, **longer)
    with pytest.raises(ParameterError, match=r"feed = 'TEST': is not cloned, resampled or replayed; .*CoarserFeed"):
        copy()
