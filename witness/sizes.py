"""The witness's sizes: how much to open, and how far away the exits stand. Written from docs/strategies.md."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from witness.signals import slip_rate
from witness.terms import WitnessContract

Away = tuple[float, float]
# A stop cannot lie lower than this part of the price.
LOWEST = 1e-9
MOVES = ("trailing", "trailing_after", "break_even")


def above_zero(value: float) -> float:
    """A deviation by which something can be measured; NaN where there is none, or its square is nothing."""
    return value if value * value > 0 else math.nan


class Known(NamedTuple):
    """What is known at the close that decides: the close, mean and sigma of the forecast, the average true range."""

    price: float
    mean: float
    sigma: float
    true_range: float
    bars_per_year: float


@dataclass(frozen=True)
class Exit:
    """A stop or a target, for a share of the entry, and its distances by the names of an order's fields."""

    tag: str
    share: float
    distances: dict[str, float]

    @property
    def figures(self) -> list[float]:
        """Its distances, NaN where one of them is not known."""
        return list(self.distances.values())


class Distances:
    """The distances of a run's exits, each an amount of %, %margin, atr or sigma."""

    def __init__(self, risk: Any) -> None:
        self.risk, self.leverage = risk, risk.leverage
        self.stop = risk.trailing_stop if risk.stop_loss is None else risk.stop_loss
        self.targets = [(one.share, one.distance) for one in risk.targets]
        if risk.take_profit is not None:
            self.targets.append((1.0, risk.take_profit))

    def away(self, distance: Any, known: Known) -> Away:
        """A distance as a rate of price and an amount of it; nothing where it is off."""
        if distance is None:
            return 0.0, 0.0
        amount, unit = distance
        if unit == "%":
            return amount / 100.0, 0.0
        if unit == "%margin":
            return amount / 100.0 / self.leverage, 0.0
        if unit == "atr":
            return 0.0, amount * above_zero(known.true_range)
        return amount * above_zero(known.sigma), 0.0

    def exits(self, known: Known) -> list[Exit]:
        """The stop, then the partial targets, then the target for what they leave."""
        found = []
        if self.stop is not None:
            rate, amount = self.away(self.stop, known)
            figures = {"offset_rate": rate, "offset": amount}
            moves = (self.risk.trailing_stop, self.risk.trailing_after, self.risk.break_even)
            for name, distance in zip(MOVES, moves, strict=True):
                figures[f"{name}_rate"], figures[name] = self.away(distance, known)
            found.append(Exit("stop_loss", 1.0, figures))
        for share, distance in self.targets:
            rate, amount = self.away(distance, known)
            found.append(Exit("take_profit", share, {"offset_rate": rate, "offset": amount}))
        return found


def unit_worth(contract: WitnessContract, price: float) -> float:
    """What a quantity of 1 is worth at a price, in the settlement currency."""
    return contract.face / price if contract.kind == "inverse" else contract.face * price


def size(
    risk: Any, costs: Any, contract: WitnessContract, distances: Distances, equity: float, held: float, side: int,
    known: Known,
) -> float:  # fmt: skip
    """The quantity to open on a side; NaN where what it rests on is not known.

    `equity`: the market's share. What an opposite position of quantity `held` costs to close is taken off it first.
    """
    price, fee = known.price, contract.taker_fee
    slip, unit = slip_rate(costs, contract.tick, price), unit_worth(contract, known.price)
    equity = max(0.0, equity - abs(held) * unit * (fee + slip))
    if slip >= 1:
        return math.nan
    filled = unit_worth(contract, price * (1 + side * slip))
    most: float = equity / (filled / risk.leverage + filled * max(0.0, fee))
    if risk.sizing == "leverage":
        return most
    quantity: float
    if risk.sizing == "risk":
        rate, amount = distances.away(distances.stop, known)
        stop = unit_worth(contract, max(price - side * (price * rate + amount), LOWEST * price))
        lost = abs(stop - unit) + (fee + slip) * (unit + stop)
        quantity = equity * risk.risk_per_trade / lost if lost > 0 else math.inf
    elif risk.sizing == "fraction":
        quantity = equity * risk.fraction * risk.leverage / unit
    elif risk.sizing == "kelly":
        sigma = above_zero(known.sigma)
        share = risk.kelly_share * abs(known.mean / (sigma * sigma))
        quantity = equity * min(share, risk.leverage) / unit
    else:
        one = known.sigma if risk.sizing == "forecast_volatility" else known.true_range / price
        quantity = equity * risk.target_volatility / (above_zero(one) * math.sqrt(known.bars_per_year)) / unit
    return most if quantity > most else quantity
