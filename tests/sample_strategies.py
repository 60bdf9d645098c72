"""Strategies in the manner of Backtrader's samples, written anew: orders of one kind each, and what is told of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt
import numpy as np

Fill = tuple[str, str, float, float]


class Recorded(bt.Strategy):
    """Keeps every fill as its broker tells it: bar, symbol, size, price."""

    def __init__(self) -> None:
        self.fills: list[tuple[str, str, int, float, float]] = []
        self.ends: list[tuple[int, int, str]] = []
        self.given: list[Any] = []

    def number(self, order: Any) -> int:
        """Which of its orders one is."""
        return next((i for i, one in enumerate(self.given) if one.ref == order.ref), -1)

    def notify_order(self, order: Any) -> None:
        for bit in order.executed.iterpending():
            stamp = bt.num2date(bit.dt).strftime("%m-%d %H:%M")
            self.fills.append((stamp, order.data._name, order.ref, bit.size, bit.price))
        if not order.alive() and order.status != order.Completed:
            self.ends.append((len(self), self.number(order), order.getstatusname()))

    def traded(self) -> list[Fill]:
        """Bar, symbol, size and price of what each order filled on a bar: a reversal is one trade."""
        sizes: dict[Any, float] = {}
        for stamp, symbol, order, size, price in self.fills:
            key = (stamp, symbol, order, round(float(price), 4))
            sizes[key] = sizes.get(key, 0.0) + size
        return sorted((stamp, symbol, round(size, 6), price) for (stamp, symbol, _, price), size in sizes.items())

    def keep(self, *orders: Any) -> Any:
        """Notes orders, so that they can be told apart; the last of them."""
        self.given += orders
        return orders[-1]


class SmaCross(Recorded):
    """In at the market when the fast average crosses above the slow one, out when it crosses below."""

    def __init__(self) -> None:
        super().__init__()
        fast, slow = bt.indicators.SMA(period=5), bt.indicators.SMA(period=15)
        self.cross = bt.indicators.CrossOver(fast, slow)

    def next(self) -> None:
        if self.cross > 0:
            if self.position.size < 0:
                self.close()
            self.buy(size=2)
        elif self.cross < 0:
            if self.position.size > 0:
                self.close()
            self.sell(size=2)


class Brackets(Recorded):
    """A limit entry a little away, valid for some hours, with a stop and a target; both sides in turn."""

    def next(self) -> None:
        if self.position or any(order.alive() for order in self.given):
            return
        close, up = self.data.close[0], len(self) % 2 == 0
        side = 1 if up else -1
        make = self.buy_bracket if up else self.sell_bracket
        self.given = make(
            size=1, price=close * (1 - side * 0.004), valid=dt.timedelta(hours=6),
            stopprice=close * (1 - side * 0.03), limitprice=close * (1 + side * 0.02),
            stopargs={"valid": dt.timedelta(hours=40)}, limitargs={"valid": dt.timedelta(hours=40)},
        )  # fmt: skip


class OneCancelsOther(Recorded):
    """Three limits below the price of which one cancels the others, held for some bars, closed at the market."""

    params = (("hold", 7),)

    def __init__(self) -> None:
        super().__init__()
        self.since = 0

    def next(self) -> None:
        if self.position:
            if len(self) - self.since >= self.p.hold:
                self.close()
                self.since = len(self) + 1_000
            return
        if any(order.alive() for order in self.given):
            return
        close = self.data.close[0]
        first = self.buy(size=1, exectype=bt.Order.Limit, price=close * 0.99, valid=dt.timedelta(hours=9))
        second = self.buy(size=1, exectype=bt.Order.Limit, price=close * 0.98, oco=first)
        third = self.buy(size=1, exectype=bt.Order.Stop, price=close * 1.01, oco=second)
        self.given = [first, second, third]
        self.since = len(self) + 2


class StopTrails(Recorded):
    """In at the market, out by a stop that trails the close: by an amount or a fraction, with and without a limit."""

    def next(self) -> None:
        if self.position or any(order.alive() for order in self.given):
            return
        number, close = len(self) // 5 % 4, self.data.close[0]
        enter, leave = (self.buy, self.sell) if len(self) % 2 else (self.sell, self.buy)
        distance = {"trailamount": close * 0.015} if number < 2 else {"trailpercent": 0.02}
        kind = bt.Order.StopTrailLimit if number % 2 else bt.Order.StopTrail
        side = 1 if len(self) % 2 else -1
        if number % 2:
            distance |= {"price": close, "plimit": close * (1 - side * 0.001)}
        self.given = [enter(size=1), leave(size=1, exectype=kind, **distance)]


class StopLimits(Recorded):
    """Entries by stop-limits on both sides, the limit on either side of the level; closed after some bars."""

    def next(self) -> None:
        if len(self) % 12 == 0:
            for order in self.given:
                self.cancel(order)
            if self.position:
                self.close()
        if len(self) % 12 == 2:
            close, gap = self.data.close[0], (-0.004, -0.001, 0.0, 0.002)[len(self) // 12 % 4]
            side = 1 if len(self) // 48 % 2 else -1
            order = self.buy if side > 0 else self.sell
            level = close * (1 + side * 0.006)
            limit = level * (1 + side * gap)
            self.given = [order(size=1, exectype=bt.Order.StopLimit, price=level, plimit=limit)]


class AtTheClose(Recorded):
    """Orders for the close of the day, given at all hours."""

    def next(self) -> None:
        if len(self) % 7 == 0:
            (self.buy if len(self) % 2 else self.sell)(size=1, exectype=bt.Order.Close)


class Targets(Recorded):
    """Target sizes, on either side."""

    def next(self) -> None:
        if len(self) % 4 == 0:
            self.order_target_size(target=(len(self) // 4 * 7) % 11 - 5)


class ManyFeeds(Recorded):
    """One bracket and one average crossing a feed, on two feeds at once."""

    def __init__(self) -> None:
        super().__init__()
        self.crosses = [bt.indicators.CrossOver(data.close, bt.indicators.SMA(data, period=10)) for data in self.datas]

    def next(self) -> None:
        for data, cross in zip(self.datas, self.crosses, strict=True):
            held = self.getposition(data).size
            if cross > 0 and not held:
                self.buy(data=data, size=3)
                self.sell(data=data, size=3, exectype=bt.Order.Stop, price=data.close[0] * 0.97)
            elif cross < 0 and held:
                self.close(data=data)


class OneAtATime(Recorded):
    """A seeded stream of resting orders of every kind, each with a validity, cancelled now and then."""

    params = (("seed", 0),)

    def __init__(self) -> None:
        super().__init__()
        self.chance = np.random.default_rng(self.p.seed)

    def next(self) -> None:
        pick, close, held = self.chance.random(8), self.data.close[0], self.position.size
        if any(order.alive() for order in self.given):
            if pick[0] < 0.1:
                self.cancel(self.given[-1])
            return
        if abs(held) > 2:
            self.keep(self.close())
            return
        side = 1 if pick[2] < 0.5 else -1
        away = side * (0.002 + 0.01 * pick[3])
        kind = (bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit, bt.Order.StopTrail)[int(pick[4] * 4)]
        more: dict[str, Any] = {"price": close * (1 - away if kind == bt.Order.Limit else 1 + away)}
        if kind == bt.Order.StopLimit:
            way = abs(pick[6] - 0.5) if held * side < 0 else pick[6] - 0.5
            more["plimit"] = more["price"] * (1 + side * 0.006 * way)
        if kind == bt.Order.StopTrail:
            more = {"trailpercent": 0.005 + 0.01 * pick[5]}
        hours = int(1 + 10 * pick[5])
        span, now = dt.timedelta(hours=hours), self.data.datetime.datetime()
        valid = (span, now + span, bt.Order.DAY, None)
        make = self.buy if side > 0 else self.sell
        self.keep(make(size=1, exectype=kind, valid=valid[int(pick[7] * 4)], **more))


class Script(Recorded):
    """Calls `orders[bar](self)` at the close of that bar."""

    params = (("orders", {}),)

    def next(self) -> None:
        if len(self) - 1 in self.p.orders:
            self.p.orders[len(self) - 1](self)
