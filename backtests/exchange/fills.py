"""What fills, and at which price: touch, slippage, gaps and the order of extremes in a bar."""

from __future__ import annotations

from foundation.compilation import rule

# Two prices closer than this fraction of a tick are one price; doubles cannot hold ticks exactly.
TICK_TOLERANCE = 1e-6


@rule
def reaches(side: int, price: float, level: float, tick: float) -> bool:
    """Whether a price is at or beyond a level: at or above it for side +1, at or below for side -1."""
    return side * (price - level) >= -TICK_TOLERANCE * tick


@rule
def distant(price: float, side: int, rate: float, amount: float) -> float:
    """The price at a distance above (side +1) or below (-1) another: a fraction of it plus an amount of price."""
    return price * (1.0 + side * rate) + side * amount


@rule
def falls(bar_open: float, close: float, tick: float) -> bool:
    """Whether a bar closes below its open; one that closes where it opened does not."""
    return (bar_open - close) / tick > TICK_TOLERANCE


@rule
def stop_fill(side: int, level: float, bar_open: float) -> float:
    """The price before slippage of a triggered stop: the level, or the open when that is beyond it.

    `side` +1 for a buy stop, -1 for a sell stop. Assumes no fill between the open and the level.
    """
    return max(level, bar_open) if side > 0 else min(level, bar_open)


@rule
def liquidation_fill(quantity: float, liquidation: float, bankruptcy: float, bar_open: float) -> float:
    """The price before slippage at which the venue closes a liquidated position.

    The liquidation price, or the last open when that is worse, but no worse than the bankruptcy
    price: beyond it the venue's insurance fund stands.
    """
    if quantity > 0.0:
        return max(bankruptcy, min(liquidation, bar_open))
    return min(bankruptcy, max(liquidation, bar_open))


@rule
def favourable_first(intrabar: int, side: int, bar_open: float, high: float, low: float, tick: float) -> bool:
    """Whether the favourable level of a position is assumed to come before the adverse one in a bar.

    `intrabar`: 0 adverse first, 1 favourable first, 2 the extreme nearer to the open first (the
    adverse one when both are equally near). `side` +1 for a long position, -1 for a short.
    """
    if intrabar != 2:
        return intrabar == 1
    favourable, adverse = (high - bar_open, bar_open - low) if side > 0 else (bar_open - low, high - bar_open)
    return (adverse - favourable) / tick > TICK_TOLERANCE
