"""A stop that no price reaches, because the position is liquidated first: told before anything is played."""

from __future__ import annotations

from backtests.exchange.parameters import AccountParams
from markets import inverse, margin
from markets.contract import Contract
from strategies.parameters import RiskParams


def liquidation_distance(contract: Contract, leverage: float) -> float:
    """How far from the entry an isolated position is liquidated, as a fraction of the price: the nearer of both sides.

    By the lowest maintenance rate of the contract and without fees: larger positions, and venues that hold back a
    closing fee, are liquidated nearer.
    """
    rate = contract.maintenance_rate
    if contract.kind == "inverse":
        levels = [inverse.liquidation_price(side, 1.0, 1.0 / leverage, rate, 0.0) for side in (1.0, -1.0)]
    else:
        levels = [margin.liquidation_price(side, 1.0, 1.0 / leverage, rate) for side in (1.0, -1.0)]
    return min((abs(level - 1.0) for level in levels if level > 0.0), default=1.0)


def unreachable_stop(contract: Contract, risk: RiskParams, account: AccountParams) -> str:
    """What to say of a stop in `%` or `%margin` that lies beyond liquidation on isolated margin; '' of any other.

    Of distances in `atr` and `sigma` only a run can tell.
    """
    stop = risk.stop_loss
    if stop is None or stop.unit not in ("%", "%margin") or account.margin != "isolated":
        return ""
    distance = stop.amount / 100.0 / (risk.leverage if stop.unit == "%margin" else 1.0)
    reach = liquidation_distance(contract, risk.leverage)
    if distance < reach:
        return ""
    return (
        f"risk.stop_loss = {stop} lies beyond liquidation, which is at most {reach:.1%} from the entry "
        f"at leverage {risk.leverage:g}"
    )
