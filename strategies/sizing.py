"""The sizes of positions: a fraction of equity, a volatility target, Kelly, and the caps on all of them.

All of it before costs and before rounding: `markets.filters` rounds down, and a size below one lot is no
trade. Risk per trade with its costs is `strategies.rules.size_by_risk`.
"""

from __future__ import annotations

import math

from foundation.compilation import rule


@rule
def size_by_fraction(equity: float, price: float, fraction: float, leverage: float) -> float:
    """The quantity that takes a fraction of equity as margin: `fraction * equity * leverage / price`."""
    return max(0.0, equity) * fraction * leverage / price


@rule
def size_by_atr(equity: float, risk_per_trade: float, atr: float, multiple: float, point_value: float) -> float:
    """The quantity that loses a fraction of equity when price moves by a multiple of its average true range.

    `equity * risk_per_trade / (multiple * atr * point_value)`; `point_value`: money for a price step of 1
    in one unit, 1 for a linear contract in base units.
    """
    return max(0.0, equity) * risk_per_trade / (multiple * atr * point_value)


@rule
def size_by_volatility(equity: float, price: float, allocation: float, target: float, volatility: float) -> float:
    """The quantity whose volatility is the target share of equity: `equity * allocation * target / volatility / price`.

    `target` and `volatility` over the same time, such as a year; `allocation`: the share of equity at work.
    """
    return max(0.0, equity) * allocation * target / volatility / price


@rule
def annual_volatility(volatility: float, bars_per_year: float) -> float:
    """The volatility of one bar as that of a year of 365 days: `volatility * sqrt(bars_per_year)`."""
    return volatility * math.sqrt(bars_per_year)


@rule
def kelly_fraction(win_rate: float, win_loss_ratio: float) -> float:
    """The share of equity to bet on an even payoff: `p - (1 - p) / b`; at or below zero: no trade.

    `win_rate` p: the chance to win; `win_loss_ratio` b: what a win pays over what a loss costs.
    """
    return win_rate - (1.0 - win_rate) / win_loss_ratio


@rule
def kelly_leverage(mean: float, sigma: float) -> float:
    """The exposure over equity that maximises growth: `mean / sigma ** 2`, of one bar's log return."""
    return mean / (sigma * sigma)


@rule
def size_by_kelly(equity: float, price: float, mean: float, sigma: float, share: float, maximum: float) -> float:
    """The quantity at a share (a quarter to a half) of the Kelly exposure, at most `maximum` times equity.

    Above zero whichever way the forecast points: the side is decided elsewhere.
    """
    return max(0.0, equity) * min(share * abs(kelly_leverage(mean, sigma)), maximum) / price


@rule
def quantity_of_money(money: float, price: float, reserve: float) -> float:
    """The quantity that a notional buys, with a fraction of it kept back: `money * (1 - reserve) / price`."""
    return money * (1.0 - reserve) / price


@rule
def capped_quantity(quantity: float, equity: float, price: float, leverage: float, maximum: float) -> float:
    """A quantity within what equity can margin at a leverage, and within the largest order of the venue."""
    return max(0.0, min(quantity, max(0.0, equity) * leverage / price, maximum))
