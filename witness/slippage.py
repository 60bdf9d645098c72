"""The witness's slippage: how much worse than its reference a taker fills, and by which part of it.

A taker pays a fixed fraction of the price, half the spread, and what its own size does to the price:

    price = (reference * (1 +- fixed) +- half_spread) * exp(+- coefficient * sigma * sqrt(quantity / volume))

sigma and volume are those of the bars that had closed before the bar of the fill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from witness.terms import WitnessBar, WitnessContract

MOST_IMPACT = 1.0


@dataclass(frozen=True)
class Slippage:
    """What a taker pays; bps are 1/10,000 of the reference price, ticks those of the contract."""

    fixed_bps: float
    spread_bps: float
    spread_ticks: float
    impact: float
    impact_bars: int


def known_before(bars: Sequence[WitnessBar], count: int) -> tuple[float, float]:
    """Sigma and volume of a bar over the last `count` of those that had closed; touched ones are left out.

    Sigma: root mean square of the log returns from close to close, the first bar's from its open. (0, 1)
    where nothing is known yet.
    """
    returns, volumes = [], []
    for index in range(max(0, len(bars) - count), len(bars)):
        bar, before = bars[index], bars[index - 1] if index else None
        if not bar.blocked:
            volumes.append(bar.volume)
            if before is None or not before.blocked:
                returns.append(math.log(bar.close / (bar.open if before is None else before.close)))
    if not returns:
        return 0.0, 1.0
    sigma = math.sqrt(math.fsum(r * r for r in returns) / len(returns))
    return sigma, math.fsum(volumes) / len(volumes)


def taker_price(
    slippage: Slippage, contract: WitnessContract, bars: Sequence[WitnessBar], side: int, reference: float, size: float
) -> float:
    """The price of a taker fill of some quantity; `bars`: those that had closed."""
    price = reference * (1 + side * slippage.fixed_bps / 1e4)
    price += side * half_spread(slippage, contract, reference)
    if slippage.impact:
        sigma, volume = known_before(bars, slippage.impact_bars)
        base = size * contract.face / (reference if contract.kind == "inverse" else 1.0)
        price *= math.exp(side * min(MOST_IMPACT, slippage.impact * sigma * math.sqrt(base / volume)))
    return price


def half_spread(slippage: Slippage, contract: WitnessContract, reference: float) -> float:
    """Half the spread, in price."""
    return reference * slippage.spread_bps / 1e4 + slippage.spread_ticks * contract.tick


def parts(slippage: Slippage, contract: WitnessContract, reference: float, price: float, cost: float) -> list[float]:
    """What of a fill's slippage is half-spread and what is impact; the fixed part comes first, then the spread."""
    gap = abs(price - reference)
    if gap == 0:
        return [0.0, 0.0]
    left = max(0.0, gap - reference * slippage.fixed_bps / 1e4)
    spread = min(left, half_spread(slippage, contract, reference))
    impact = left - spread if slippage.impact else 0.0
    return [cost * spread / gap, cost * impact / gap]
