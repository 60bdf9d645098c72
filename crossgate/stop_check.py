"""A stop that no price reaches, because the position is liquidated first: told before anything is played."""

from __future__ import annotations

from backtests.exchange.parameters import AccountParams
from markets import inverse, margin
from markets.contract import Contract
from strategies.parameters import RiskParams

# The sides that a strategy's `direction` trades.
SIDES = {"both": (1.0, -1.0), "long": (1.0,), "short": (-1.0,)}


def liquidation_distance(contract: Contract, leverage: float, direction: str = "both") -> float:
    """How far from the entry an isolated position is liquidated, as a fraction of the price.

    The nearer of the sides that are traded, by `direction` as in CrossoverParams. By the lowest maintenance rate of the
    contract and without fees: larger positions, and venues that hold back a closing fee, are liquidated nearer.
    """
    rate, sides = contract.maintenance_rate, SIDES[direction]
    if contract.kind == "inverse":
        levels = [inverse.liquidation_price(side, 1.0, 1.0 / leverage, rate, 0.0) for side in sides]
    else:
        levels = [margin.liquidation_price(side, 1.0, 1.0 / leverage, rate) for side in sides]
    return min((abs(level - 1.0) for level in levels if level > 0.0), default=1.0)


def unreachable_stop(contract: Contract, risk: RiskParams, account: AccountParams, direction: str = "both") -> str:
    """What to say of a stop in `%` or `%margin` that lies beyond liquidation on isolated margin; '' of any other.

    Of distances in `atr` and `sigma` only a run can tell.
    """
    stop = risk.stop_loss
    if stop is None or stop.unit not in ("%", "%margin") or account.margin != "isolated":
        return ""
    distance = stop.amount / 100.0 / (risk.leverage if stop.unit == "%margin" else 1.0)
    reach = liquidation_distance(contract, risk.leverage, direction)
    if distance < reach:
        return ""
    return (
        f"risk.stop_loss = {stop} lies beyond liquidation, which is at most {reach:.1%} from the entry "
        f"at leverage {risk.leverage:g}"
    )
