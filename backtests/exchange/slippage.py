"""Slippage: how much worse than its reference price a taker fills, and which part of it has which cause.

    price = (reference * (1 +- fixed) +- half_spread) * exp(+- coefficient * sigma * sqrt(quantity / volume))

Plus for a buy, minus for a sell. `sigma`: root mean square of the log returns from close to close, `volume`: mean
volume in base units, both of one bar, over the `impact_bars` bars that have closed BEFORE the bar of the fill:
known when the order is given. `quantity` in base units. The impact is the square-root law of market impact
(Almgren et al. 2005, Toth et al. 2011), with a coefficient near 1; it says the same over any bar length, because
sigma grows with the root of time and volume with time. It is a temporary cost of the fill alone: later
prices are those of the candles. A log move above MOST_IMPACT counts as MOST_IMPACT: the law ends there.
"""

from __future__ import annotations

import math

from backtests.exchange.records import STOP_LIMIT, Desk, Row
from foundation.compilation import rule

MOST_IMPACT = 1.0


@rule(inline=True)
def half_spread(desk: Desk, s: int, reference: float) -> float:
    """Half the spread between bid and ask, in price."""
    settings = desk.settings[0]
    return float(reference * settings.half_spread + settings.half_spread_ticks * desk.contracts[s].tick)


@rule(inline=True)
def taker_price(desk: Desk, s: int, side: int, reference: float, quantity: float) -> float:
    """The price at which a taker fills a quantity: worse than the reference by the slippage."""
    settings, contract = desk.settings[0], desk.contracts[s]
    price = reference * (1.0 + side * settings.slippage) + side * half_spread(desk, s, reference)
    if settings.impact > 0.0:
        base = quantity * contract.face
        if contract.inverse:
            base /= reference
        move = settings.impact * desk.positions[s].impact * math.sqrt(base)
        price *= math.exp(side * min(move, MOST_IMPACT))
    return float(price)


@rule(inline=True)
def fill_price(desk: Desk, order: Row, reference: float, maker: bool, quantity: float) -> float:
    """The price of a fill: a maker's is the reference, a taker's worse, but never beyond the limit of a stop-limit."""
    if maker:
        return reference
    price = taker_price(desk, order.symbol, order.side, reference, quantity)
    if order.kind != STOP_LIMIT:
        return price
    capped: float = min(price, order.limit) if order.side > 0 else max(price, order.limit)
    return capped


@rule(inline=True)
def write_slippage(desk: Desk, fill: Row, reference: float, cost: float) -> None:
    """The slippage of a fill by cause: the fixed part comes first, then the half-spread, then the impact.

    `cost`: all of it in money. Where a limit or the bankruptcy price cuts it short, the last parts shrink.
    """
    settings, gap = desk.settings[0], abs(fill.price - reference)
    fill.slippage, fill.spread_cost, fill.impact_cost = cost, 0.0, 0.0
    if gap == 0.0:
        return
    left = max(0.0, gap - reference * settings.slippage)
    spread = min(left, half_spread(desk, fill.symbol, reference))
    fill.spread_cost = cost * spread / gap
    if settings.impact > 0.0:
        fill.impact_cost = cost * (left - spread) / gap
