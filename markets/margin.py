"""The arithmetic of a linear futures position: profit, margin, liquidation, fees and funding.

Symbols: `quantity` in base units, above zero for a long and below for a short; prices in quote
currency; rates are fractions. All money is in the settlement (quote) currency.
Source of the formulas: the venues' own pages on Binance USD-M and Bybit linear contracts.
"""

from __future__ import annotations

from foundation.compilation import rule


@rule
def profit(quantity: float, entry: float, price: float) -> float:
    """The profit of a position at a price: `quantity * (price - entry)`; unrealised at the mark."""
    return quantity * (price - entry)


@rule
def average_entry(quantity: float, entry: float, added: float, price: float) -> float:
    """The entry price after adding to a position: the average weighted by quantity."""
    return (quantity * entry + added * price) / (quantity + added)


@rule
def initial_margin(quantity: float, price: float, leverage: float) -> float:
    """The margin that an opening posts: `|quantity| * price / leverage`."""
    return abs(quantity) * price / leverage


@rule
def maintenance_margin(quantity: float, mark: float, maintenance_rate: float) -> float:
    """The margin below which a position is liquidated: `|quantity| * mark * maintenance_rate`."""
    return abs(quantity) * mark * maintenance_rate


@rule
def liquidation_price(quantity: float, entry: float, margin: float, maintenance_rate: float) -> float:
    """The mark price at which margin plus unrealised profit equals the maintenance margin.

    `(margin - quantity * entry) / (|quantity| * maintenance_rate - quantity)`, with `margin` the
    wallet of the isolated position. 0 when there is no such price above zero: no liquidation.
    """
    if quantity == 0.0:
        return 0.0
    return max(0.0, (margin - quantity * entry) / (abs(quantity) * maintenance_rate - quantity))


@rule
def bankruptcy_price(quantity: float, entry: float, margin: float) -> float:
    """The price at which the whole margin of an isolated position is lost: `entry - margin / quantity`."""
    return entry - margin / quantity


@rule
def trading_fee(quantity: float, price: float, fee_rate: float) -> float:
    """The fee of a fill: `|quantity| * price * fee_rate`; below zero for a rebate."""
    return abs(quantity) * price * fee_rate


@rule
def funding_payment(quantity: float, mark: float, funding_rate: float) -> float:
    """What a position PAYS at a settlement: `quantity * mark * funding_rate`; a long pays a positive rate."""
    return quantity * mark * funding_rate
