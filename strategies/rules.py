"""The trading rules: when to trade, how much, and where to get out."""

from __future__ import annotations

import math
from typing import Literal, get_args

from foundation.compilation import rule

# What decides: the forecast with the averages' confirmation, one of them alone, or nothing. Compiled code knows each by
# its place here.
Decider = Literal["confirmed", "forecast", "crossover", "buy_and_hold"]
DECIDERS: tuple[str, ...] = get_args(Decider)
# What to do at a bar, by number; the sign of an opening is the signal's.
HOLD, OPEN, CLOSE, REVERSE = 0, 1, 2, 3
# The units of a threshold, by number: log returns three ways, and what some models say instead of one.
THRESHOLD_UNITS = ("bps", "cost", "sigma", "probability", "position")


@rule
def score(mean: float, up_probability: float, position: float, unit: int) -> float:
    """What is held against a threshold of this unit: the mean, the up-probability less one half, or the position."""
    if unit < 3:
        return mean
    return up_probability - 0.5 if unit == 3 else position


@rule
def forecast_side(score: float, threshold: float) -> int:
    """+1 when the score is above its threshold, -1 when below the negative one, else 0; NaN (no forecast) gives 0."""
    if score > threshold:
        return 1
    return -1 if score < -threshold else 0


@rule
def signal(score: float, threshold: float, confirmation: int, decider: int) -> int:
    """The wanted side, +1, -1 or 0, from the forecast's score and the averages' confirmation.

    `confirmation`: +1 when the averages confirm a long, -1 a short, 0 neither. `decider`: an index of
    DECIDERS.
    """
    side = forecast_side(score, threshold)
    if decider == 0:
        return side if side == confirmation else 0
    if decider == 1:
        return side
    return confirmation if decider == 2 else 1


@rule
def action(wanted: int, held: int, barred: int, reverse: bool) -> int:
    """What to do about a wanted side: HOLD, OPEN, CLOSE or REVERSE.

    `held`: the side of the open position, 0 for none. `barred`: the side on which no entry is made
    until the signal has once been something else, because a stop, a target or a liquidation ended a
    position there. No signal keeps the position.
    """
    if wanted == 0 or wanted == held:
        return HOLD
    if held == 0:
        return HOLD if wanted == barred else OPEN
    return REVERSE if reverse and wanted != barred else CLOSE


@rule
def threshold_return(amount: float, unit: int, cost_rate: float, sigma: float) -> float:
    """A threshold as a log return: `amount` basis points (unit 0), round-trip costs (1) or sigmas (2).

    A probability (3) counts from one half on, a position (4) as it is. `cost_rate`: taker fee plus fixed
    slippage and half-spread of one fill, as fractions; a round trip pays it twice.
    """
    if unit >= 3:
        return amount - 0.5 if unit == 3 else amount
    if unit == 0:
        return amount / 1e4
    return amount * 2.0 * cost_rate if unit == 1 else amount * sigma


@rule
def size_by_leverage(equity: float, price: float, leverage: float, fee_rate: float) -> float:
    """The quantity whose margin and entry fee take the whole equity: `equity / (price / L + price * fee)`."""
    return max(0.0, equity) / (price / leverage + price * max(fee_rate, 0.0))


@rule
def size_by_risk(
    equity: float, price: float, distance: float, risk_per_trade: float, cost_rate: float, side: int
) -> float:
    """The quantity whose loss at the stop, with the costs of both fills, is a fraction of equity.

    `equity * risk / (distance + cost_rate * (price + stop))`, with the stop `distance` below the
    price for a long (side +1) and above it for a short. Infinite where rebates pay for what the stop loses.
    """
    lost = distance + cost_rate * (price + price - side * distance)
    return max(0.0, equity) * risk_per_trade / lost if lost > 0.0 else math.inf
