"""What a venue lets through: prices on ticks, quantities on lots, and the smallest and largest orders.

A step is a tick of price or a lot of quantity. Venues that state decimals or significant digits instead
have `step_of_decimals` and `step_of_digits`. Doubles hold few steps exactly, so a number that is this
close to a step (a fraction of it) is on the step.
"""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule

STEP_TOLERANCE = 1e-6
# A logarithm this close below a whole power of ten is that power.
POWER_TOLERANCE = 1e-12


@rule
def round_down(value: float, step: float) -> float:
    """The multiple of the step nearest to the value and not further from zero: quantities, conservatively."""
    whole: float = np.floor(abs(value) / step + STEP_TOLERANCE) * step
    return whole if value >= 0.0 else -whole


@rule
def round_up(value: float, step: float) -> float:
    """The lowest multiple of the step that is not below the value."""
    # Zero is added lest -0.0 comes out.
    whole: float = np.ceil(value / step - STEP_TOLERANCE) + 0.0
    return whole * step


@rule
def round_nearest(value: float, step: float) -> float:
    """The multiple of the step nearest to the value; a half goes away from zero."""
    whole: float = np.floor(abs(value) / step + 0.5 + STEP_TOLERANCE) * step
    return whole if value >= 0.0 else -whole


@rule
def stop_tick(price: float, side: int, tick: float) -> float:
    """The tick of a stop or liquidation level that comes first: up for a long (side +1), down for a short."""
    return round_up(price, tick) if side > 0 else round_down(price, tick)


@rule
def step_of_decimals(decimals: int) -> float:
    """The step of a number of decimals; below zero for tens, hundreds and so on."""
    return 1.0 / 10.0**decimals if decimals >= 0 else 10.0**-decimals


@rule
def step_of_digits(value: float, digits: int) -> float:
    """The step of a number of significant digits, at the size of the value; 1 for the value 0."""
    if value == 0.0:
        return 1.0
    return step_of_decimals(digits - 1 - math.floor(math.log10(abs(value)) + POWER_TOLERANCE))


@rule
def quantity_in_contracts(quantity: float, contract_size: float, step: float) -> float:
    """A quantity in base units as whole steps of contracts, rounded down: `contract_size` units in each."""
    return round_down(quantity / contract_size, step) * contract_size


@rule
def within_price_band(price: float, mark: float, lower: float, upper: float) -> bool:
    """Whether an order's price lies in the venue's band around the mark: `mark * lower` to `mark * upper`."""
    return mark * lower <= price <= mark * upper


@rule
def passes_minimums(quantity: float, price: float, minimum_quantity: float, minimum_notional: float) -> bool:
    """Whether an order is as large as the venue asks, in base units and in value."""
    size = abs(quantity)
    enough = size > 0.0 and size >= minimum_quantity * (1.0 - STEP_TOLERANCE)
    return enough and size * price >= minimum_notional * (1.0 - STEP_TOLERANCE)


@rule
def minimum_margin(minimum_notional: float, minimum_quantity: float, price: float, leverage: float) -> float:
    """The smallest margin that opens a position: the larger of both minimums over the leverage."""
    return max(minimum_notional, minimum_quantity * price) / leverage


@rule
def minimum_for_stop(minimum_notional: float, stop_loss: float, reserve: float) -> float:
    """The smallest notional whose stop order itself is still large enough when it is hit.

    `minimum_notional * min((1 + reserve) / (1 - |stop_loss|), 1.5)`; `stop_loss` a fraction of price,
    `reserve` a fraction kept above the minimum.
    """
    left = 1.0 - abs(stop_loss)
    return minimum_notional * (1.5 if left <= 0.0 else min((1.0 + reserve) / left, 1.5))


@rule
def maximum_margin(
    maximum_quantity: float, maximum_notional: float, contract_size: float, price: float, leverage: float
) -> float:
    """The largest margin of one order: the smaller of both limits over the leverage.

    Both limits are stated for contracts of `contract_size` base units; infinite where the venue has none.
    """
    return min(maximum_quantity * price, maximum_notional) * contract_size / leverage
