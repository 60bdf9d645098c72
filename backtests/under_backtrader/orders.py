"""The orders of a FuturesBroker: Backtrader's, made and copied without the metaclasses it makes them by."""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import Any

import backtrader as bt
from backtrader.order import OrderData
from backtrader.utils import AutoOrderedDict

# Kinds whose levels and limits Backtrader's own constructor need not work out.
_PLAIN = (bt.Order.Market, bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit)
# What is asked of an order so often that it stands in the order as well as in its parameters.
_ASKED = ("owner", "data", "exectype", "parent", "oco", "tradeid", "transmit")


class _Order:
    """What both sides share: copies, and the end of the session on demand."""

    params: Any

    def clone(self) -> Any:
        """The order as it is now; its fills since the last copy are pending in this one."""
        executed = self.__dict__["executed"]
        executed.p1, executed.p2 = executed.p2, len(executed.exbits)
        data = OrderData.__new__(OrderData)
        data.__dict__ = executed.__dict__.copy()
        twin = type(self).__new__(type(self))
        twin.__dict__ = {**self.__dict__, "executed": data}
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


def make_order(kind: Any, given: dict[str, Any]) -> Any:
    """An order of a class, BuyOrder or SellOrder, from all of Backtrader's parameters but `simulated` and `histnotify`.

    The same as `kind(**given)`, which orders that trail, end or fill at a close are made by.
    """
    exectype = bt.Order.Market if given["exectype"] is None else given["exectype"]
    if exectype not in _PLAIN or given["valid"] is not None:
        return kind(**given)
    params = object.__new__(kind.params)
    params.__dict__ = {**given, "simulated": False, "histnotify": False}
    order, data = object.__new__(kind), given["data"]
    size = given["size"] if kind.ordtype == bt.Order.Buy else -given["size"]
    price, limit, close = given["price"], given["pricelimit"], data.close[0]
    created = _order_data(data.datetime[0], size, price if price or limit else close, limit, size, close)
    created["remsize"] = 0
    created["trailamount"], created["trailpercent"] = given["trailamount"], given["trailpercent"]
    order.__dict__ = {
        "params": params, "p": params, "ref": next(bt.Order.refbasis), "broker": None, "info": AutoOrderedDict(),
        "comminfo": None, "triggered": False, "_active": given["parent"] is None, "status": bt.Order.Created,
        "_plimit": limit, "size": size, "created": _made(created), "_limitoffset": 0.0,
        "executed": _made(_order_data(None, 0, 0.0, 0.0, size, 0.0)), "position": 0,
        **{name: given[name] for name in _ASKED}, "exectype": exectype,
    }  # fmt: skip
    return order


def _order_data(
    stamp: float | None, size: float, price: float, limit: float | None, left: float, close: float
) -> dict[str, Any]:
    """The attributes of an OrderData; without a limit it is the price, without a price the limit."""
    return {
        "pclose": close, "exbits": deque(), "p1": 0, "p2": 0, "dt": stamp, "size": size, "remsize": left,
        "price": limit if limit and not price else price, "pricelimit": limit or price, "trailamount": 0.0,
        "trailpercent": 0.0, "_plimit": limit, "value": 0.0, "comm": 0.0, "margin": None, "pnl": 0.0, "psize": 0,
        "pprice": 0,
    }  # fmt: skip


def _made(attributes: dict[str, Any]) -> OrderData:
    data = object.__new__(OrderData)
    data.__dict__ = attributes
    return data


def _session_end(order: Any) -> float:
    """The end of the session in which an order was given, as Backtrader works it out."""
    data, given = order.data, bt.num2date(order.created.dt, tz=order.data._tz)
    end = dt.datetime.combine(given.date(), data.p.sessionend)
    if end < given:
        end += dt.timedelta(days=1)
    return float(data.date2num(end))
