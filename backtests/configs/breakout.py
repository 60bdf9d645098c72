"""A strategy written by hand, in plain Backtrader, for breakout.toml."""

import backtrader as bt


class Breakout(bt.Strategy):
    """Buys a new high with a stop order, protects it with a stop that trails the close, and leaves at a target."""

    params = (("bars", 48), ("share", 0.5), ("trail", 0.02), ("target", 0.05))

    def __init__(self):
        self.highest = bt.indicators.Highest(self.data.high, period=self.p.bars)
        self.orders = []

    def next(self):
        if self.position or any(order.alive() for order in self.orders):
            return
        level = self.highest[0]
        size = self.p.share * self.broker.getvalue() / self.data.close[0]
        # Until the end of the day the market may reach the level; what the entry opens has both exits at once.
        entry = self.buy(
            size=size, exectype=bt.Order.Stop, price=level, valid=bt.Order.DAY, reason="entry", transmit=False
        )
        stop = self.sell(
            size=size, exectype=bt.Order.StopTrail, price=level, trailpercent=self.p.trail, parent=entry,
            reason="stop_loss", transmit=False,
        )  # fmt: skip
        target = self.sell(
            size=size, exectype=bt.Order.Limit, offset_rate=self.p.target, parent=entry, reason="take_profit"
        )
        self.orders = [entry, stop, target]
