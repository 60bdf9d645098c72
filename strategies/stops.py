"""The levels of stops: a share of collateral, a limit on risk, a ratchet, and the nearer of stop and liquidation."""

from __future__ import annotations

from foundation.compilation import rule


@rule
def stop_of_collateral(price: float, side: int, loss_rate: float, leverage: float) -> float:
    """The stop at which a fraction of the collateral is lost: `price * (1 - side * loss_rate / leverage)`."""
    return price * (1.0 - side * abs(loss_rate) / leverage)


@rule
def limited_stop(entry: float, stop: float, side: int, maximum_risk: float) -> float:
    """A stop no further from the entry than a fraction of it.

    `entry - side * min(|entry - stop|, entry * maximum_risk)`.
    """
    return entry - side * min(abs(entry - stop), entry * maximum_risk)


@rule
def ratcheted_stop(stop: float, proposed: float, side: int) -> float:
    """A stop that only tightens: the higher of the two for a long, the lower for a short."""
    return max(stop, proposed) if side > 0 else min(stop, proposed)


@rule
def nearer_exit(stop: float, liquidation: float, side: int) -> float:
    """The level that price meets first on the adverse side: stop or liquidation; a level of 0 is none."""
    if stop <= 0.0 or liquidation <= 0.0:
        return max(stop, liquidation)
    return max(stop, liquidation) if side > 0 else min(stop, liquidation)
