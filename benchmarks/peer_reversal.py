"""The reversal as a Backtrader strategy, the same for our Cerebro and for Backtrader's."""

from __future__ import annotations

from typing import Any

import backtrader as bt
from peer_work import FAST, SIZE, SLOW, levels


class Reversal(bt.Strategy):
    """Turns the position at every crossing, with a stop and a target on either side."""

    def __init__(self) -> None:
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=FAST), bt.ind.SMA(period=SLOW))
        self.protection: Any = None

    def next(self) -> None:
        side = self.cross[0]
        if not side:
            return
        held, price = self.position.size, self.data.close[0]
        if held * side < 0:
            # Backtrader keeps a stop and a target on the market when something else closes what they were for.
            self.cancel(self.protection)
            self.close()
        elif held:
            return
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        stop, target = levels(price, side)
        entry = enter(size=SIZE, transmit=False)
        self.protection = leave(size=SIZE, exectype=bt.Order.Stop, price=stop, parent=entry, transmit=False)
        leave(size=SIZE, exectype=bt.Order.Limit, price=target, parent=entry)


class Recorded(Reversal):
    """The same, which keeps its fills: bar, side and price. Not for taking times."""

    def __init__(self) -> None:
        super().__init__()
        self.fills: list[Any] = []

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.fills.append((len(self) - 1, 1 if order.isbuy() else -1, round(order.executed.price, 4)))
