"""The arithmetic of an inverse futures position, which is margined and settled in the coin itself.

Symbols: `quantity` in quote units (contracts times the face value of one, such as 100 USD), above zero
for a long and below for a short; prices in quote currency per coin; rates are fractions. All money is
in COIN. The functions carry the names of their linear counterparts in `markets.margin`.
Sources: the venues' own pages on Binance COIN-M, Bybit inverse and BitMEX XBTUSD contracts.
"""

from __future__ import annotations

from foundation.compilation import rule

# A value below this part of that at the entry is none: the residue of sums in doubles.
RESIDUE = 1e-12


@rule
def position_value(quantity: float, price: float) -> float:
    """The value of a position in coin: `|quantity| / price`; it falls as the price rises."""
    return abs(quantity) / price


@rule
def contracts_for_value(value: float, price: float, face: float) -> float:
    """The contracts that are worth a value in coin: `value * price / face`."""
    return value * price / face


@rule
def profit(quantity: float, entry: float, price: float) -> float:
    """The profit of a position at a price: `quantity * (1 / entry - 1 / price)`."""
    return quantity * (1.0 / entry - 1.0 / price)


@rule
def average_entry(quantity: float, entry: float, added: float, price: float) -> float:
    """The entry price after adding to a position: the HARMONIC mean weighted by quantity.

    `(quantity + added) / (quantity / entry + added / price)`: it keeps the value in coin.
    """
    return (quantity + added) / (quantity / entry + added / price)


@rule
def entry_after_fill(quantity: float, entry: float, filled: float, price: float) -> float:
    """The entry price after a fill of `filled`, of the sign of its side; see `margin.entry_after_fill`."""
    left = quantity + filled
    if left == 0.0:
        return 0.0
    if quantity == 0.0:
        return price
    if quantity * filled >= 0.0:
        return average_entry(quantity, entry, filled, price)
    return entry if quantity * left > 0.0 else price


@rule
def realised_profit(quantity: float, entry: float, filled: float, price: float) -> float:
    """What a fill of `filled`, of the sign of its side, realises: the profit of what it closes."""
    if quantity * filled >= 0.0:
        return 0.0
    closed = min(abs(quantity), abs(filled))
    return profit(closed if quantity > 0.0 else -closed, entry, price)


@rule
def trading_fee(quantity: float, price: float, fee_rate: float) -> float:
    """The fee of a fill: `|quantity| / price * fee_rate`; below zero for a rebate."""
    return abs(quantity) / price * fee_rate


@rule
def funding_payment(quantity: float, mark: float, funding_rate: float) -> float:
    """What a position PAYS at a settlement: `quantity / mark * funding_rate`; a long pays a positive rate."""
    return quantity / mark * funding_rate


@rule
def net_profit(
    quantity: float, entry: float, leaving: float, entry_fee_rate: float, exit_fee_rate: float, funding_received: float
) -> float:
    """What a closed trade earns: profit less the fees of both fills, plus the funding received."""
    fees = trading_fee(quantity, entry, entry_fee_rate) + trading_fee(quantity, leaving, exit_fee_rate)
    return profit(quantity, entry, leaving) - fees + funding_received


@rule
def initial_margin(quantity: float, price: float, leverage: float) -> float:
    """The margin that an opening posts: `|quantity| / price / leverage`, at the entry price, not the mark."""
    return abs(quantity) / price / leverage


@rule
def maintenance_margin(quantity: float, mark: float, maintenance_rate: float, maintenance_amount: float) -> float:
    """The maintenance margin in a bracket: `|quantity| / mark * maintenance_rate - maintenance_amount`."""
    return abs(quantity) / mark * maintenance_rate - maintenance_amount


@rule
def liquidation_price(
    quantity: float, entry: float, wallet: float, maintenance_rate: float, maintenance_amount: float
) -> float:
    """The mark price at which wallet plus unrealised profit equals the maintenance margin of a bracket.

    `(quantity + |quantity| * maintenance_rate) / (quantity / entry + wallet + maintenance_amount)`, Binance
    COIN-M. 0 where there is no such price: a short whose wallet holds the coin it is short of.
    """
    below = quantity / entry + wallet + maintenance_amount
    if quantity == 0.0 or below / quantity * entry <= RESIDUE:
        return 0.0
    return (quantity + abs(quantity) * maintenance_rate) / below


@rule
def bankruptcy_price(quantity: float, entry: float, margin: float) -> float:
    """The price at which the whole margin is lost: `quantity / (quantity / entry + margin)`; 0 where there is none."""
    below = quantity / entry + margin
    return quantity / below if below / quantity * entry > RESIDUE else 0.0
