"""Strategies and runs for which the fast loop is held to Backtrader's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np

from backtests.under_backtrader.broker import FuturesBroker
from backtests.under_backtrader.feed import CandleFeed
from backtests.under_backtrader.loop import Cerebro
from markets.market import Market

KINDS = ("market", "bracket", "trailing bracket", "limit", "stop", "stop limit", "trail", "close", "oco", "cancel")


class Watched(bt.Strategy):
    """Keeps all that it is told, and what the broker and the lines say at every bar."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.told: list[tuple[Any, ...]] = []

    def look(self) -> None:
        """Puts down the bar."""
        broker, sizes = self.broker, [self.getposition(data).size for data in self.datas]
        prices = [self.getposition(data).price for data in self.datas]
        stamp = (len(self), self.datetime[0], [len(data) for data in self.datas], self.data.close[0])
        self.seen.append((*stamp, broker.getvalue(), broker.getcash(), sizes, prices, broker.fundvalue))

    def prenext(self) -> None:
        self.seen.append(("before", len(self)))

    def notify_order(self, order: Any) -> None:
        done = [(bit.size, bit.price, bit.pnl, bit.comm, bit.value) for bit in order.executed.iterpending()]
        name, own = order.info.get("name", ""), order.executed
        level = (order.created.price, order.created.pricelimit, order.triggered, own.size, own.price, own.remsize)
        self.told.append((len(self), "order", name, order.getstatusname(), level, done))

    def notify_trade(self, trade: Any) -> None:
        self.told.append((len(self), "trade", trade.status, trade.size, trade.price, trade.pnl, trade.pnlcomm))

    def notify_cashvalue(self, cash: float, value: float) -> None:
        self.told.append((len(self), "value", cash, value))


class Random(Watched):
    """A seeded stream of orders of every kind, on every feed, each named by its number."""

    params = (("seed", 0), ("chance", 0.2), ("times", 3.0))

    def __init__(self) -> None:
        super().__init__()
        self.random, self.number, self.given = np.random.default_rng(self.p.seed), 0, []
        self.average = [bt.ind.SMA(data, period=4) for data in self.datas]

    def next(self) -> None:
        self.look()
        for data in self.datas:
            if self.random.random() < self.p.chance:
                self.give(data, KINDS[self.random.integers(len(KINDS))])

    def give(self, data: Any, kind: str) -> None:
        """One order, or a group of them."""
        pick = self.random.random(6)
        side, close = 1 if pick[0] < 0.5 else -1, data.close[0]
        away, size = close * (0.002 + 0.02 * pick[1]), float(np.round(1.0 + 20.0 * pick[2], 2))
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        valid = (None, None, dt.timedelta(hours=int(1 + 9 * pick[3])))[int(3 * pick[4])]
        if kind == "market":
            self.put(enter, data, size)
        elif kind == "bracket":
            entry = self.put(enter, data, size, transmit=False)
            self.put(leave, data, size, exectype=bt.Order.Stop, price=close - side * away, parent=entry, transmit=False)
            self.put(leave, data, size, exectype=bt.Order.Limit, price=close + side * away, parent=entry)
        elif kind == "trailing bracket":
            entry = self.put(enter, data, size, exectype=bt.Order.Limit, price=close - side * away / 3, transmit=False)
            moves = {"trailing_rate": 0.01} if pick[5] < 0.5 else {"break_even_rate": 0.005, "offset_rate": 0.02}
            stop = {"exectype": bt.Order.Stop, "parent": entry, "valid": valid}
            self.put(leave, data, size, price=close - side * away, **stop, **moves)
        elif kind == "close":
            self.put(enter, data, size, exectype=bt.Order.Close)
        elif kind == "oco":
            first = self.put(enter, data, size, exectype=bt.Order.Limit, price=close - side * away, valid=valid)
            self.put(enter, data, size, exectype=bt.Order.Stop, price=close + side * away, oco=first)
        elif kind == "cancel" and self.given:
            self.cancel(self.given[int(pick[1] * len(self.given))])
        elif kind == "trail":
            self.put(enter, data, size, exectype=bt.Order.StopTrail, trailamount=away, valid=valid)
        elif kind == "stop limit":
            level = close + side * away
            limits = {"price": level, "plimit": level + side * away * (pick[5] - 0.5)}
            self.put(enter, data, size, exectype=bt.Order.StopLimit, valid=valid, **limits)
        elif kind in ("limit", "stop"):
            price = close + side * away * (1 if kind == "stop" else -1)
            exectype = bt.Order.Stop if kind == "stop" else bt.Order.Limit
            self.put(enter, data, size, exectype=exectype, price=price, valid=valid)

    def put(self, order: Callable[..., Any], data: Any, size: float, **options: Any) -> Any:
        """One order with its number as its name."""
        self.number += 1
        self.given = [
            *self.given[-20:],
            order(data=data, size=size, leverage=self.p.times, name=self.number, **options),
        ]
        return self.given[-1]


def play(
    markets: tuple[Market, ...], strategy: type[bt.Strategy], loop: str, prepare: Any = None, **options: Any
) -> tuple[Any, Any]:
    """Strategy and Cerebro after a run; `prepare(cerebro)` may add to it; `options` go to broker or strategy."""
    cerebro = Cerebro(loop=loop)
    for one in markets:
        cerebro.adddata(CandleFeed(dataname=one))
    known = {name: options.pop(name) for name in list(options) if hasattr(FuturesBroker.params, name)}
    cerebro.broker = FuturesBroker(**known)
    cerebro.addstrategy(strategy, **options)
    if prepare is not None:
        prepare(cerebro)
    return cerebro.run()[0], cerebro


def difference(fast: tuple[Any, Any], stock: tuple[Any, Any]) -> str:
    """Where two runs of a Watched strategy part, in words; '' where they are the same."""
    for name in ("told", "seen"):
        ours, theirs = getattr(fast[0], name), getattr(stock[0], name)
        for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if one != other:
                return f"{name} {number}: {one} and {other}"
        if len(ours) != len(theirs):
            return f"{name}: {len(ours)} and {len(theirs)}"
    first, second = fast[1].broker, stock[1].broker
    for number, (one, other) in enumerate(zip(first.ledger.tables(), second.ledger.tables(), strict=True)):
        if not one.equals(other):
            return f"table {number}"
    for name in ("history", "position_history", "account"):
        ours, theirs = getattr(first, name), getattr(second, name)
        for field in ours.dtype.names:
            if field not in ("orders", "fills", "payments", "events") and not np.array_equal(
                ours[field], theirs[field]
            ):
                return f"{name}.{field} at {np.argwhere(ours[field] != theirs[field])[0]}"
    ours, theirs = (one.playing.closes(slice(None)) for one in (first, second))
    apart = [name for name in ours if not np.array_equal(ours[name], theirs[name])]
    return f"closes: {apart}" if apart else ""
