"""The witness's signals: the averages of a market, and the side that a strategy wants at every close.

Written from docs/strategies.md. Averages are added up from the oldest value to the newest.
"""

from __future__ import annotations

import math
from collections import deque
from functools import reduce
from operator import add
from typing import Any

NAN = math.nan


class Average:
    """The simple or exponential average of values, one after the other; NaN until `period` of them are known.

    The exponential one starts from the simple mean of the first `period` and moves by 2 / (period + 1) of the way.
    """

    def __init__(self, period: int, kind: str) -> None:
        self.period, self.kind = period, kind
        self.values: deque[float] = deque(maxlen=period)
        self.now, self.moving = NAN, False

    def after(self, value: float) -> float:
        """The average with one value more."""
        if self.moving:
            self.now += 2.0 / (self.period + 1.0) * (value - self.now)
            return self.now
        self.values.append(value)
        if len(self.values) == self.period:
            self.now, self.moving = reduce(add, self.values, 0.0) / self.period, self.kind == "ema"
        return self.now


class TrueRangeAverage:
    """Wilder's average of the true range, from its mean over bars 1 to `period` on; bar 0 has no true range."""

    def __init__(self, period: int) -> None:
        self.period, self.before, self.now = period, NAN, NAN
        self.ranges: list[float] = []

    def after(self, high: float, low: float, close: float) -> float:
        """The average with one bar more."""
        before, self.before = self.before, close
        if math.isnan(before):
            return NAN
        true_range = max(high, before) - min(low, before)
        if not math.isnan(self.now):
            self.now = (self.now * (self.period - 1.0) + true_range) / self.period
            return self.now
        self.ranges.append(true_range)
        if len(self.ranges) == self.period:
            self.now = reduce(add, self.ranges, 0.0) / self.period
        return self.now


def slip_rate(costs: Any, tick: float, price: float) -> float:
    """What a taker pays at a price beside its fee and its impact, as a fraction of it."""
    spread, fixed = costs.half_spread, costs.slippage_bps / 1e4
    if spread is None:
        return float(fixed)
    return float(fixed + (spread.amount * (tick / price) if spread.unit == "tick" else spread.amount * 1e-4))


class Signals:
    """The wanted side of a market at every close: +1 long, -1 short, 0 none."""

    def __init__(self, strategy: Any, costs: Any, fee: float, tick: float) -> None:
        self.strategy, self.costs, self.fee, self.tick = strategy, costs, fee, tick
        self.fast, self.slow = Average(strategy.fast, strategy.average), Average(strategy.slow, strategy.average)
        self.side, self.bars = 0, 0
        self.crossed: int | None = None
        least, most = strategy.minimum_sigma, strategy.maximum_sigma
        self.least_sigma = 0.0 if least is None else least.amount / 1e4
        self.most_sigma = math.inf if most is None else most.amount / 1e4

    def after(self, close: float, said: tuple[float, ...]) -> int:
        """The wanted side with one close more, and what was said at it: mean, sigma, chance of a rise, position."""
        rule, sigma = self.strategy.rule, said[1]
        confirmed = self.confirmed(close)
        if rule == "buy_and_hold":
            return 1
        if rule == "crossover":
            return confirmed
        if not self.least_sigma <= sigma <= self.most_sigma:
            return 0
        forecast = self.forecast(close, said)
        return forecast if rule == "forecast" or forecast == confirmed else 0

    def confirmed(self, close: float) -> int:
        """The side of the fast average to the slow one; by "cross" only for some bars after it changed sides."""
        fast, slow = self.fast.after(close), self.slow.after(close)
        side = 1 if fast > slow else -1 if fast < slow else 0
        if side and side != self.side:
            # The first side that is seen is no cross.
            self.crossed, self.side = (self.bars if self.side else None), side
        fresh = self.crossed is not None and self.bars - self.crossed < self.strategy.cross_bars
        self.bars += 1
        return side if self.strategy.confirmation == "state" or fresh else 0

    def forecast(self, close: float, said: tuple[float, ...]) -> int:
        """The side that is said beyond the threshold."""
        mean, sigma, rise, position = said
        amount, unit = self.strategy.threshold
        costs = 2.0 * (self.fee + slip_rate(self.costs, self.tick, close))
        score, threshold = {
            "bps": (mean, amount / 1e4),
            "cost": (mean, amount * costs),
            "sigma": (mean, amount * sigma),
            "probability": (rise - 0.5, amount - 0.5),
            "position": (position, amount),
        }[unit]
        return 1 if score > threshold else -1 if score < -threshold else 0
