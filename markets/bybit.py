"""What is Bybit's own: the fee to close is reserved in the margin, and pages that disagree on inverse contracts.

Linear functions take `quantity` in base units, those called `inverse_*` in quote units, above zero for a
long and below for a short. Source: the venue's help pages and recorded replies, 2020 to 2026; `vintage`
names the page where they disagree (docs/decisions/bybit-inverse-vintages.md).
"""

from __future__ import annotations

from foundation.compilation import rule
from markets.inverse import RESIDUE, position_value
from markets.inverse import liquidation_price as coin_liquidation_price
from markets.margin import initial_margin, trading_fee


@rule
def bankruptcy_price(quantity: float, entry: float, leverage: float) -> float:
    """The price at which the initial margin is lost: `entry * (1 - side / leverage)`; fees left out."""
    return entry * (1.0 - (1.0 if quantity > 0.0 else -1.0) / leverage)


@rule
def fee_to_close(quantity: float, entry: float, leverage: float, taker_fee: float) -> float:
    """The reserve for closing: the taker fee at the BANKRUPTCY price."""
    return trading_fee(quantity, bankruptcy_price(quantity, entry, leverage), taker_fee)


@rule
def order_cost(quantity: float, price: float, leverage: float, taker_fee: float) -> float:
    """What an opening order takes: initial margin, fee to open and fee to close."""
    fees = trading_fee(quantity, price, taker_fee) + fee_to_close(quantity, price, leverage, taker_fee)
    return initial_margin(quantity, price, leverage) + fees


@rule
def position_margin(quantity: float, entry: float, leverage: float, taker_fee: float, added_margin: float) -> float:
    """The margin of a position as the venue shows it: initial margin, fee to close, and what was added."""
    return initial_margin(quantity, entry, leverage) + fee_to_close(quantity, entry, leverage, taker_fee) + added_margin


@rule
def maintenance_margin(
    quantity: float, entry: float, leverage: float, maintenance_rate: float, taker_fee: float
) -> float:
    """The maintenance margin as the venue shows it: at the entry price, with the fee to close."""
    return abs(quantity) * entry * maintenance_rate + fee_to_close(quantity, entry, leverage, taker_fee)


@rule
def inverse_fee_to_close(quantity: float, entry: float, leverage: float, taker_fee: float) -> float:
    """The reserve for closing, in coin: `|quantity| / entry * (1 + side / leverage) * taker_fee`.

    A long goes bankrupt at a lower price, where its value in coin is higher.
    """
    side = 1.0 if quantity > 0.0 else -1.0
    return position_value(quantity, entry) * (1.0 + side / leverage) * taker_fee


@rule
def inverse_position_margin(
    quantity: float, entry: float, leverage: float, taker_fee: float, added_margin: float
) -> float:
    """The margin of a position as the venue shows it, in coin: initial margin, fee to close, and what was added."""
    posted = position_value(quantity, entry) / leverage + added_margin
    return posted + inverse_fee_to_close(quantity, entry, leverage, taker_fee)


@rule
def inverse_order_cost(quantity: float, price: float, leverage: float, taker_fee: float) -> float:
    """What an opening order takes, in coin: initial margin, fee to open and fee to close."""
    fee_to_open = position_value(quantity, price) * taker_fee
    return inverse_position_margin(quantity, price, leverage, taker_fee, fee_to_open)


@rule
def inverse_bankruptcy_price(quantity: float, entry: float, margin: float, taker_fee: float) -> float:
    """The price at which the margin just pays the loss and the closing fee; 0 for none.

    `(quantity + |quantity| * taker_fee) / (quantity / entry + margin)`. `margin`: that of the
    isolated position with its fee to close, or the free balance of a cross account. With the bare initial
    margin and no fee it is `entry * leverage / (leverage + side)`.
    """
    below = quantity / entry + margin
    return (quantity + abs(quantity) * taker_fee) / below if below / quantity * entry > RESIDUE else 0.0


@rule
def inverse_added_margin(quantity: float, added_margin: float, taker_fee: float) -> float:
    """What added margin counts for on the page of 2026: `added_margin / (1 + side * taker_fee)`."""
    return added_margin / (1.0 + (taker_fee if quantity > 0.0 else -taker_fee))


@rule
def inverse_liquidation_price(
    quantity: float, entry: float, margin: float, maintenance_rate: float, taker_fee: float, vintage: int
) -> float:
    """The liquidation price of an isolated inverse position by the page of a year; 0 for none.

    Up to 2023, classic account: `margin` holds the fee to close, which is spent at the end, and the
    maintenance margin is that at entry. 2024: the same without fees, `margin` is the initial margin.
    From 2026: the maintenance margin is revalued at the MARK, as on Binance COIN-M; a deduction of the
    bracket counts as margin.
    """
    if vintage >= 2026:
        return coin_liquidation_price(quantity, entry, margin, maintenance_rate, 0.0)
    fee = taker_fee if vintage <= 2023 else 0.0
    kept = position_value(quantity, entry) * maintenance_rate
    return inverse_bankruptcy_price(quantity, entry, margin - kept, fee)


@rule
def inverse_cross_liquidation_price(
    quantity: float, entry: float, free: float, maintenance_rate: float, taker_fee: float, bankruptcy: float
) -> float:
    """The liquidation price of an inverse position in a cross account; 0 for none.

    Where `profit = -(free - value * maintenance_rate - |quantity| * taker_fee / bankruptcy)`, `free` the
    balance less the margin of orders, `bankruptcy` the bankruptcy price of the account.
    """
    kept = position_value(quantity, entry) * maintenance_rate + position_value(quantity, bankruptcy) * taker_fee
    return inverse_bankruptcy_price(quantity, entry, free - kept, 0.0)
