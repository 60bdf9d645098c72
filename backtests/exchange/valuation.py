"""What a position, a fill and a payment are worth: the contract chooses the formula.

Quantities count units of the contract's `face`; all money is in the settlement currency, which is the
coin of an inverse contract. The formulas are those of `markets.margin`, `markets.inverse` and the venues.
"""

from __future__ import annotations

from backtests.exchange.records import BITMEX, BYBIT, Row
from foundation.compilation import rule
from foundation.lanes import Lanes
from markets import bitmex, bybit, inverse, margin
from markets.tiers import tiered_margin

# The last of Bybit's pages on inverse contracts by which the fee to close is a part of the margin.
BYBIT_RESERVES_UNTIL = 2023


@rule
def valued_price(contract: Row, price: float) -> float:
    """The price at which a contract is valued: BitMEX rounds the value of one to a whole satoshi."""
    return bitmex.SATOSHIS / bitmex.contract_value(price) if contract.method == BITMEX else price


@rule
def notional_of(contract: Row, quantity: float, price: float) -> float:
    """The value of a quantity at a price."""
    size = quantity * contract.face
    if contract.inverse:
        return inverse.position_value(size, valued_price(contract, price))
    return margin.notional(size, price)


@rule
def profit_of(contract: Row, quantity: float, entry: float, price: float) -> float:
    """The profit of a position at a price; `entry` is a price as `entry_of` gives it."""
    if quantity == 0.0:
        return 0.0
    size = quantity * contract.face
    if contract.inverse:
        return inverse.profit(size, entry, valued_price(contract, price))
    return margin.profit(size, entry, price)


@rule(inline=True)
def profits_of(contract: Row, sizes: Lanes, entries: Lanes, price: float) -> Lanes:
    """`profit_of` for accounts side by side; `sizes` are quantities times `face`, `entries` above zero."""
    if contract.inverse:
        return inverse.profit(sizes, entries, valued_price(contract, price))
    return margin.profit(sizes, entries, price)


@rule
def entry_of(contract: Row, quantity: float, entry: float, added: float, price: float) -> float:
    """The entry price after adding to a position: harmonic for an inverse contract, so that no value is lost."""
    if contract.inverse:
        return inverse.entry_after_fill(quantity, entry, added, valued_price(contract, price))
    return margin.entry_after_fill(quantity, entry, added, price)


@rule
def fee_of(contract: Row, quantity: float, price: float, fee_rate: float) -> float:
    """The fee of a fill, on its own notional."""
    size = quantity * contract.face
    if contract.inverse:
        return inverse.trading_fee(size, valued_price(contract, price), fee_rate)
    return margin.trading_fee(size, price, fee_rate)


@rule
def payment_of(contract: Row, quantity: float, mark: float, funding_rate: float) -> float:
    """What a position pays at a settlement."""
    size = quantity * contract.face
    if contract.inverse:
        return inverse.funding_payment(size, valued_price(contract, mark), funding_rate)
    return margin.funding_payment(size, mark, funding_rate)


@rule
def initial_margin_of(contract: Row, quantity: float, price: float, leverage: float) -> float:
    """The initial margin of an opening, without a reserve for the closing fee."""
    size = quantity * contract.face
    if contract.method == BITMEX:
        return bitmex.initial_margin(bitmex.position_value(size, price), leverage) / bitmex.SATOSHIS
    if contract.inverse:
        return inverse.initial_margin(size, price, leverage)
    return margin.initial_margin(size, price, leverage)


@rule
def open_loss_of(contract: Row, quantity: float, price: float, mark: float) -> float:
    """The loss that an opening has as soon as it is filled: it has cost more than the mark says."""
    return max(0.0, -profit_of(contract, quantity, valued_price(contract, price), mark))


@rule
def reserve_of(contract: Row, quantity: float, price: float, leverage: float) -> float:
    """What an opening posts beside its initial margin, for the fee to close: Bybit and BitMEX."""
    size, taker_fee = quantity * contract.face, max(contract.taker_fee, 0.0)
    if contract.method == BITMEX:
        value = bitmex.position_value(size, price)
        return bitmex.commission_reserve(value, bitmex.initial_margin(value, leverage), taker_fee) / bitmex.SATOSHIS
    if contract.method != BYBIT:
        return 0.0
    if contract.inverse == 0:
        return bybit.fee_to_close(size, price, leverage, taker_fee)
    return bybit.inverse_fee_to_close(size, price, leverage, taker_fee) if reserves(contract) else 0.0


@rule
def reserves(contract: Row) -> bool:
    """Whether the margin of a position holds the fee to close it."""
    if contract.method == BYBIT:
        return bool(contract.inverse == 0 or contract.vintage <= BYBIT_RESERVES_UNTIL)
    return bool(contract.method == BITMEX)


@rule
def maintenance_of(contract: Row, quantity: float, price: float) -> float:
    """The maintenance margin of a position at a mark price, with the closing fee where a venue counts it."""
    value, count = notional_of(contract, quantity, price), contract.brackets
    kept: float = tiered_margin(value, contract.floors[:count], contract.rates[:count], contract.amounts[:count])
    kept += value * contract.closing_fee_rate
    return kept


@rule
def largest_notional_at(contract: Row, leverage: float) -> float:
    """The cap of the last bracket that allows a leverage: no position at it may be worth more; 0 where none does."""
    largest: float = 0.0
    for k in range(contract.brackets):
        if leverage > contract.leverages[k]:
            return largest
        largest = contract.floors[k + 1] if k + 1 < contract.brackets else contract.largest_notional
    return largest
