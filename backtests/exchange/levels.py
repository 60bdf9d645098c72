"""The prices at which a position is liquidated and bankrupt, by the way of the contract's venue."""

from __future__ import annotations

import math

from backtests.exchange.records import BITMEX, BYBIT, Row
from foundation.compilation import rule
from markets import bitmex, bybit, inverse, margin, venues
from markets.tiers import bracket_of, inverse_liquidation_in_tiers, liquidation_in_tiers, tiered_margin


@rule
def liquidation_level(contract: Row, quantity: float, entry: float, wallet: float, reserve: float) -> float:
    """The mark price at which a wallet no longer covers the maintenance of a position; 0 for none.

    `wallet`: the margin of the isolated position, `reserve` that part of it which waits for the closing
    fee. The bracket is the one that holds the notional at that price, except where the venue fixes
    maintenance at the entry: Bybit linear, Bybit inverse by its pages before 2026, BitMEX.
    """
    if quantity == 0.0:
        return 0.0
    if contract.method == BITMEX:
        return _bitmex_level(contract, quantity, entry, wallet, reserve)
    if contract.method == BYBIT and (contract.inverse == 0 or contract.vintage < 2026):
        return _bybit_level(contract, quantity, entry, wallet, reserve)
    size, count, fee_rate = quantity * contract.face, contract.brackets, contract.closing_fee_rate
    floors, rates, amounts = contract.floors[:count], contract.rates[:count], contract.amounts[:count]
    if contract.inverse:
        return inverse_liquidation_in_tiers(size, entry, wallet, floors, rates, amounts, fee_rate)
    return liquidation_in_tiers(size, entry, wallet, floors, rates, amounts, fee_rate)


@rule
def _bybit_level(contract: Row, quantity: float, entry: float, wallet: float, reserve: float) -> float:
    """The level with maintenance fixed at the entry."""
    size, count = quantity * contract.face, contract.brackets
    floors, rates, amounts = contract.floors[:count], contract.rates[:count], contract.amounts[:count]
    if contract.inverse == 0:
        kept = tiered_margin(margin.notional(size, entry), floors, rates, amounts)
        return max(0.0, venues.liquidation_price_at_entry(size, entry, wallet - reserve, kept))
    k = bracket_of(inverse.position_value(size, entry), floors)
    counted, taker_fee = wallet + amounts[k], max(contract.taker_fee, 0.0)
    return bybit.inverse_liquidation_price(size, entry, counted, rates[k], taker_fee, contract.vintage)


@rule
def _bitmex_level(contract: Row, quantity: float, entry: float, wallet: float, reserve: float) -> float:
    """The level in whole satoshis and ticks, with maintenance at the entry and the reserve on top of it."""
    value = inverse.position_value(quantity, entry)
    rate = contract.rates[bracket_of(value, contract.floors[: contract.brackets])]
    satoshis = value * bitmex.SATOSHIS
    kept = bitmex.maintenance_margin(satoshis, rate, reserve * bitmex.SATOSHIS)
    return bitmex.liquidation_price(quantity, satoshis, wallet * bitmex.SATOSHIS, kept, contract.tick)


@rule
def bankruptcy_level(contract: Row, quantity: float, entry: float, margin_left: float, reserve: float) -> float:
    """The price at which an isolated position has lost its margin, but for the reserve of the closing fee.

    Infinite for a short that no price can ruin: its margin holds the coin it is short of.
    """
    own = margin_left - reserve
    if contract.inverse == 0:
        return margin.bankruptcy_price(quantity * contract.face, entry, own)
    if contract.method == BITMEX:
        satoshis = inverse.position_value(quantity, entry) * bitmex.SATOSHIS
        price = bitmex.bankruptcy_price(quantity, satoshis, own * bitmex.SATOSHIS, contract.tick)
    else:
        price = inverse.bankruptcy_price(quantity * contract.face, entry, own)
    return math.inf if price <= 0.0 else price
