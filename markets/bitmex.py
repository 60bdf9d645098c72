"""What is BitMEX's own on XBTUSD: whole satoshis per contract, and margins rounded up to them.

One contract is 1 USD; `contracts` above zero for a long and below for a short; money in satoshis (1e-8
coin) as whole floats. The rounding of bankruptcy and liquidation prices is fitted to one recorded short
position of 2018-08-27 and mirrored for longs: against the trader both times.
"""

from __future__ import annotations

import math

from foundation.compilation import rule

SATOSHIS = 1e8
# Doubles: a figure this close above a whole number of satoshis is that number.
WHOLE = 1e-6


@rule
def contract_value(price: float) -> float:
    """The value of one contract, rounded to a whole satoshi."""
    return float(math.floor(SATOSHIS / price + 0.5))


@rule
def position_value(contracts: float, price: float) -> float:
    """The value of a position: contracts times the ROUNDED value of one."""
    return abs(contracts) * contract_value(price)


@rule
def profit(contracts: float, entry: float, price: float) -> float:
    """The profit of a position at a price: contracts times the change of the rounded value of one."""
    return contracts * (contract_value(entry) - contract_value(price))


@rule
def initial_margin(value: float, leverage: float) -> float:
    """The initial margin of a position of a value: `value / leverage`, rounded up."""
    return float(math.ceil(value / leverage - WHOLE))


@rule
def commission_reserve(value: float, initial: float, taker_fee: float) -> float:
    """The reserve for closing: `taker_fee * (value + initial)`, rounded up."""
    return float(math.ceil(taker_fee * (value + initial) - WHOLE))


@rule
def maintenance_margin(value: float, maintenance_rate: float, reserve: float) -> float:
    """The maintenance margin: `maintenance_rate * value`, rounded up, plus the commission reserve."""
    return math.ceil(maintenance_rate * value - WHOLE) + reserve


@rule
def price_at_value(contracts: float, value: float, tick: float) -> float:
    """The price at which a position has a value, on the tick that comes first for its side.

    A short: the value of one contract rounded up, the price down; a long the other way. 0 for none.
    """
    each = value / abs(contracts)
    if each <= WHOLE:
        return 0.0
    if contracts < 0.0:
        return math.floor(SATOSHIS / math.ceil(each - WHOLE) / tick + WHOLE) * tick
    whole = math.floor(each + WHOLE)
    return math.ceil(SATOSHIS / whole / tick - WHOLE) * tick if whole > 0 else 0.0


@rule
def bankruptcy_price(contracts: float, value: float, initial: float, tick: float) -> float:
    """The price at which the initial margin is lost: where the value is `value + side * initial`."""
    return price_at_value(contracts, value + (initial if contracts > 0.0 else -initial), tick)


@rule
def liquidation_price(contracts: float, value: float, margin: float, maintenance: float, tick: float) -> float:
    """The price at which margin falls to maintenance: where the value is `value + side * (margin - maintenance)`."""
    return price_at_value(contracts, value + (margin - maintenance if contracts > 0.0 else maintenance - margin), tick)
