"""Orders made without Backtrader's metaclasses: the same attributes as those made with them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt
import pytest
from simple_market import market, walk

from backtests import CandleFeed, Cerebro, FuturesBroker
from backtests.under_backtrader.orders import BuyOrder, SellOrder, make_order, order_params

PLAIN: dict[str, Any] = dict.fromkeys(
    ("price", "pricelimit", "exectype", "valid", "oco", "trailamount", "trailpercent")
)
CASES: tuple[dict[str, Any], ...] = (
    {},
    {"exectype": bt.Order.Limit, "price": 990.0},
    {"exectype": bt.Order.Stop, "price": 1010.0, "tradeid": 3},
    {"exectype": bt.Order.StopLimit, "price": 1010.0, "pricelimit": 1009.0},
    {"exectype": bt.Order.Stop, "price": 1010.0, "transmit": False},
    {"exectype": bt.Order.Close},
    {"exectype": bt.Order.Limit, "price": 990.0, "valid": dt.timedelta(hours=3)},
    {"exectype": bt.Order.StopTrail, "trailamount": 5.0},
)


class Maker(bt.Strategy):
    """Makes orders at the fifth bar, in both ways, without sending them."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []

    def next(self) -> None:
        if len(self) != 5:
            return
        parent = BuyOrder(owner=self, data=self.data, size=1.0)
        for kind in (BuyOrder, SellOrder):
            for case in (*CASES, {"exectype": bt.Order.Limit, "price": 990.0, "parent": parent}):
                own = {"owner": self, "data": self.data, "size": 2.5, "tradeid": 0, "parent": None, "transmit": True}
                given = {**PLAIN, **own, **case}
                self.pairs.append((make_order(kind, order_params(**given)), kind(**given)))


def shown(order: Any) -> dict[str, Any]:
    """All that can be asked of an order, but its own number."""
    data = {name: {**vars(getattr(order, name))} for name in ("created", "executed", "params")}
    data["created"]["exbits"] = data["executed"]["exbits"] = None
    asked = {name: getattr(order, name) for name in (*vars(order.params), "dteos", "plimit")}
    own = {key: value for key, value in vars(order).items() if key not in ("ref", "p", *data)}
    return {**asked, **own, **data, "words": str(order).split("\n", 1)[1], "alive": order.alive()}


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Any, Any]]:
    """Orders made in both ways."""
    cerebro = Cerebro()
    cerebro.adddata(CandleFeed(dataname=market(walk(8, 1))))
    cerebro.broker = FuturesBroker()
    cerebro.addstrategy(Maker)
    made: list[tuple[Any, Any]] = cerebro.run()[0].pairs
    return made


def test_orders_are_those_of_backtrader(pairs: list[tuple[Any, Any]]) -> None:
    """Attributes, parameters, end of session, status and words of every kind and side."""
    assert len(pairs) == 2 * (len(CASES) + 1)
    for quick, stock in pairs:
        assert shown(quick) == shown(stock)
        assert isinstance(quick, bt.BuyOrder if quick.isbuy() else bt.SellOrder)


def test_a_copy_holds_what_is_new_since_the_last_one(pairs: list[tuple[Any, Any]]) -> None:
    """A copy keeps its status and counts; pending in it are the fills since the copy before, as in Backtrader's."""
    for quick, stock in pairs:
        found = []
        for order, clone in ((quick, quick.clone), (stock, lambda stock=stock: bt.Order.clone(stock))):
            fills = (700_000.0, order.size / 2, 10.0, 0, 0.0, 0.0, order.size / 2, 5.0, 0.1, 1.0, 0.0, 1.0, 10.0)
            clone()
            order.execute(*fills)
            first = clone()
            order.execute(*fills)
            second = clone()
            copies = [(one.status, len(one.executed.getpending()), one.executed.size) for one in (first, second)]
            found.append((copies, first.ref == order.ref, first is not order, first.info is order.info))
        assert found[0] == found[1]
        assert found[0][0][0][1] == 1
