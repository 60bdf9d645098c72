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


@rule
def notional(quantity: float, price: float) -> float:
    """The value of a position at a price: `|quantity| * price`; at the mark for margin and funding."""
    return abs(quantity) * price


@rule
def fill_value(quantity: float, price: float, fee_rate: float) -> float:
    """The money that a fill takes, its fee included: `quantity * price + |quantity| * price * fee_rate`.

    Below zero for a sale, which brings money in. `quantity` is that of the fill, not of the position.
    """
    return quantity * price + abs(quantity) * price * fee_rate


@rule
def entry_after_fill(quantity: float, entry: float, filled: float, price: float) -> float:
    """The entry price after a fill of `filled`, of the sign of its side, on a position of `quantity`.

    An addition averages by quantity, a reduction leaves the entry as it is, a reversal starts at the
    price of the fill; 0 when nothing is left.
    """
    left = quantity + filled
    if left == 0.0:
        return 0.0
    if quantity * filled >= 0.0:
        return average_entry(quantity, entry, filled, price)
    return entry if quantity * left > 0.0 else price


@rule
def realised_profit(quantity: float, entry: float, filled: float, price: float) -> float:
    """What a fill of `filled`, of the sign of its side, realises on a position of `quantity`.

    Only the quantity that it closes earns: none on an addition, the held quantity on a reversal.
    """
    if quantity * filled >= 0.0:
        return 0.0
    closed = min(abs(quantity), abs(filled))
    return profit(closed if quantity > 0.0 else -closed, entry, price)


@rule
def net_profit(
    quantity: float, entry: float, leaving: float, entry_fee_rate: float, exit_fee_rate: float, funding_received: float
) -> float:
    """What a closed trade earns: profit less the fees of both fills, plus the funding received.

    `leaving`: the exit price. Each fee is on the notional of its own fill.
    """
    fees = trading_fee(quantity, entry, entry_fee_rate) + trading_fee(quantity, leaving, exit_fee_rate)
    return profit(quantity, entry, leaving) - fees + funding_received


@rule
def return_on_margin(earned: float, margin: float) -> float:
    """The return on equity (ROE, ROI) of a position: what it earned over the margin it posted."""
    return earned / margin


@rule
def open_loss(quantity: float, price: float, mark: float) -> float:
    """The loss that an order has as soon as it is filled: `|quantity| * |min(0, side * (mark - price))|`."""
    return max(0.0, quantity * (price - mark))


@rule
def order_cost(quantity: float, price: float, mark: float, leverage: float) -> float:
    """What an opening order takes out of the available balance: initial margin plus open loss, without fees."""
    return initial_margin(quantity, price, leverage) + open_loss(quantity, price, mark)


@rule
def available_margin(wallet: float, order_notional: float, leverage: float) -> float:
    """What resting openings leave of a wallet: `wallet - order_notional / leverage`.

    `order_notional`: of the orders that would open or add; those that only reduce take no margin.
    """
    return wallet - order_notional / leverage


@rule
def isolated_wallet(margin_balance: float, unrealised: float) -> float:
    """The wallet of an isolated position whose shown margin holds its unrealised profit as well."""
    return margin_balance - unrealised


@rule
def tiered_maintenance_margin(
    quantity: float, mark: float, maintenance_rate: float, maintenance_amount: float
) -> float:
    """The maintenance margin in a bracket: `|quantity| * mark * maintenance_rate - maintenance_amount`.

    `maintenance_amount` (Binance "cum", Bybit "deduction") makes the margin continuous where brackets meet.
    """
    return abs(quantity) * mark * maintenance_rate - maintenance_amount


@rule
def tiered_liquidation_price(
    quantity: float, entry: float, wallet: float, maintenance_rate: float, maintenance_amount: float
) -> float:
    """The mark price at which wallet plus unrealised profit equals the maintenance margin of a bracket.

    `(wallet + maintenance_amount - quantity * entry) / (|quantity| * maintenance_rate - quantity)`, Binance
    USD-M, one-way mode. `wallet`: that of the isolated position; on cross margin the account's, less the
    maintenance margin of the other positions, plus their unrealised profit. 0 where there is none above zero.
    """
    return liquidation_price(quantity, entry, wallet + maintenance_amount, maintenance_rate)
