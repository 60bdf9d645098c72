"""The orders of a FuturesBroker: Backtrader's, made and copied without the metaclasses it makes them by.

Attributes are set one by one, always the same ones in the same order: then Python keeps their values without a
dictionary of names, and an order is made in a quarter of the time.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import Any

import backtrader as bt
from backtrader.order import OrderData
from backtrader.utils import AutoOrderedDict

# Kinds whose levels and limits Backtrader's own constructor need not work out.
_PLAIN = (None, bt.Order.Market, bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit)
_new = object.__new__


class OrderParams(bt.Order.params):
    """What an order is given, by Backtrader's names."""


class _Order:
    """What both sides share: copies, and the end of the session on demand."""

    params: Any
    executed: Any

    def marked(self) -> Any:
        """The order, in which the fills since it was last marked or copied are pending."""
        executed = self.executed
        executed.p1, executed.p2 = executed.p2, len(executed.exbits)
        return self

    def clone(self) -> Any:
        """The order as it is now; its fills since the last copy are pending in this one."""
        data = _new(_Data)
        data.__dict__ = self.marked().executed.__dict__.copy()
        twin = _new(type(self))
        twin.__dict__ = self.__dict__.copy()
        twin.executed = data
        return twin

    def __getattr__(self, name: str) -> Any:
        if name == "dteos":
            self.dteos = _session_end(self)
            return self.dteos
        return getattr(self.params, name)


class BuyOrder(_Order, bt.BuyOrder):
    """An order to buy."""


class SellOrder(_Order, bt.SellOrder):
    """An order to sell."""


class _Data(OrderData):
    """What was asked of an order, or what came of it: without a limit it is the price, without a price the limit."""

    def __init__(
        self, stamp: float | None, size: float, price: float, limit: float | None, left: float, close: float
    ) -> None:
        exbits: deque[Any] = deque()
        self.pclose, self.exbits, self.p1, self.p2 = close, exbits, 0, 0
        self.dt, self.size, self.remsize = stamp, size, left
        self.price, self.pricelimit = limit if limit and not price else price, limit or price
        self.trailamount, self.trailpercent, self._plimit = 0.0, 0.0, limit
        self.value, self.comm, self.margin, self.pnl = 0.0, 0.0, None, 0.0
        self.psize, self.pprice = 0, 0


def order_params(
    owner: Any, data: Any, size: float, price: float | None, pricelimit: float | None, exectype: int | None, valid: Any,
    tradeid: int, oco: Any, trailamount: float | None, trailpercent: float | None, parent: Any, transmit: bool,
) -> Any:  # fmt: skip
    """All parameters of an order; `simulated` and `histnotify` are as Backtrader has them."""
    given = _new(OrderParams)
    given.owner, given.data, given.size, given.price, given.pricelimit = owner, data, size, price, pricelimit
    given.exectype, given.valid, given.tradeid, given.oco = exectype, valid, tradeid, oco
    given.trailamount, given.trailpercent, given.parent, given.transmit = trailamount, trailpercent, parent, transmit
    given.simulated, given.histnotify = False, False
    return given


def make_order(kind: Any, given: Any) -> Any:
    """An order of a class, BuyOrder or SellOrder, from what `order_params` makes.

    The same as `kind(**vars(given))`, which orders that trail, end or fill at a close are made by.
    """
    exectype = given.exectype
    if exectype not in _PLAIN or given.valid is not None:
        return kind(**vars(given))
    order, data, limit = _new(kind), given.data, given.pricelimit
    size = given.size if kind.ordtype == 0 else -given.size
    order.params = order.p = given
    order.ref, order.broker, order.info = next(bt.Order.refbasis), None, AutoOrderedDict()
    order.comminfo, order.triggered, order.status, order.position = None, False, bt.Order.Created, 0
    order.size, order._plimit, order._limitoffset = size, limit, 0.0
    order.exectype, order._active = exectype or bt.Order.Market, given.parent is None
    # What is asked of an order so often that it stands in the order as well as in its parameters.
    order.owner, order.data, order.parent, order.oco = given.owner, data, given.parent, given.oco
    order.tradeid, order.transmit, order.valid = given.tradeid, given.transmit, None
    close, price = data.close[0], given.price
    order.created = created = _Data(data.datetime[0], size, price if price or limit else close, limit, 0, close)
    created.trailamount, created.trailpercent = given.trailamount, given.trailpercent
    order.executed = _Data(None, 0, 0.0, 0.0, size, 0.0)
    return order


def _session_end(order: Any) -> float:
    """The end of the session in which an order was given, as Backtrader works it out."""
    data, given = order.data, bt.num2date(order.created.dt, tz=order.data._tz)
    end = dt.datetime.combine(given.date(), data.p.sessionend)
    if end < given:
        end += dt.timedelta(days=1)
    return float(data.date2num(end))
