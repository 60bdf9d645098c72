"""What a fill, a funding payment or a liquidation does to a position and the account."""

from __future__ import annotations

import math

from backtests.exchange.cross import cross_level, known_equity
from backtests.exchange.fills import liquidation_fill, reaches
from backtests.exchange.levels import bankruptcy_level, liquidation_level
from backtests.exchange.records import CANCELLED, CLOSED, LIQUIDATED, LIQUIDATION, LIVE, MARKET, Desk, Row
from backtests.exchange.slippage import taker_price, write_slippage
from backtests.exchange.ties import cut_ties, finish
from backtests.exchange.valuation import (
    entry_of,
    fee_of,
    initial_margin_of,
    notional_of,
    payment_of,
    profit_of,
    reserve_of,
    valued_price,
)
from foundation.compilation import rule
from markets.filters import round_nearest


@rule
def direction(quantity: float) -> int:
    """+1 for a long position, -1 for a short, 0 for none."""
    if quantity > 0.0:
        return 1
    return -1 if quantity < 0.0 else 0


@rule(inline=True)
def free_cash(desk: Desk) -> float:
    """What is not posted as margin: of the cash, or of a cross account's equity at the marks that are known."""
    posted = 0.0
    for s in range(len(desk.positions)):
        posted += desk.positions[s].margin
    free: float = (known_equity(desk) if desk.settings[0].cross else desk.account[0].cash) - posted
    return free


@rule(inline=True)
def reprice(desk: Desk, symbol: int) -> None:
    """The liquidation price of an isolated position brought up to date; that of a cross one hangs on all others."""
    if desk.settings[0].cross:
        return
    position, contract = desk.positions[symbol], desk.contracts[symbol]
    position.liquidation_price = liquidation_level(
        contract, position.quantity, position.entry, position.margin, position.reserve
    )


@rule(inline=True)
def write_fill(desk: Desk, order: int, symbol: int, side: int) -> Row:
    """The next free row of `fills`, with what every fill shares; the position must be up to date."""
    fill = desk.fills[desk.account[0].fills]
    desk.account[0].fills += 1
    desk.account[0].events += 1
    fill.order, fill.symbol, fill.side, fill.opening, fill.bound = order, symbol, side, 0, 0
    fill.position, fill.cash = desk.positions[symbol].quantity, desk.account[0].cash
    fill.fee, fill.liquidation_fee, fill.realised_pnl = 0.0, 0.0, 0.0
    return fill


@rule(inline=True)
def open_position(desk: Desk, order: Row, quantity: float, price: float, reference: float, fee_rate: float) -> None:
    """An opening fill: margin is posted out of cash, the fee is paid, the entry is averaged."""
    s = order.symbol
    position, contract = desk.positions[s], desk.contracts[s]
    signed = order.side * quantity
    fee = fee_of(contract, quantity, price, fee_rate)
    reserve = reserve_of(contract, signed, price, order.leverage)
    position.entry = entry_of(contract, position.quantity, position.entry, signed, price)
    position.quantity = round_nearest(position.quantity + signed, contract.lot)
    position.margin += initial_margin_of(contract, quantity, price, order.leverage) + reserve
    position.reserve += reserve
    desk.account[0].cash -= fee
    reprice(desk, s)
    fill = write_fill(desk, order.id, s, order.side)
    fill.opening, fill.reason, fill.quantity, fill.price = 1, order.reason, quantity, price
    fill.notional = notional_of(contract, quantity, price)
    fill.fee = fee
    write_slippage(desk, fill, reference, abs(profit_of(contract, quantity, valued_price(contract, reference), price)))
    order.fill_price = (order.filled * order.fill_price + quantity * price) / (order.filled + quantity)
    order.filled += quantity


@rule
def close_position(
    desk: Desk, order: int, symbol: int, quantity: float, price: float, reference: float, fee_rate: float, reason: int
) -> None:
    """A closing fill as `book_close` has it, and the orders that end with it."""
    book_close(desk, order, symbol, quantity, price, reference, fee_rate, reason)
    cut_ties(desk)
    if desk.positions[symbol].quantity == 0.0:
        cancel_reductions(desk, symbol)


@rule(inline=True)
def book_close(
    desk: Desk, order: int, symbol: int, quantity: float, price: float, reference: float, fee_rate: float, reason: int
) -> None:
    """What a closing fill does to position and account.

    The fee, and then the charge of a liquidation, take no more than what is left.
    Isolated: no more than the margin can be lost, so a price beyond the bankruptcy price is that price, and
    the fill a liquidation. Cross: what the whole account cannot bear is borne by the venue's fund, as a
    charge below zero, and the fill is a liquidation.
    """
    position, contract = desk.positions[symbol], desk.contracts[symbol]
    side, cross = direction(position.quantity), desk.settings[0].cross
    share = quantity / abs(position.quantity)
    bankruptcy = bankruptcy_level(contract, position.quantity, position.entry, position.margin, position.reserve)
    if cross == 0 and side * (price - bankruptcy) < 0.0:
        price, reason = bankruptcy, LIQUIDATION
        reference = max(reference, bankruptcy) if side > 0 else min(reference, bankruptcy)
    realised = profit_of(contract, side * quantity, position.entry, price)
    released = position.margin * share
    left = max(0.0, released + realised)
    if cross:
        left = known_equity(desk) + realised - profit_of(contract, side * quantity, position.entry, position.mark)
    fee = min(fee_of(contract, quantity, price, fee_rate), max(0.0, left))
    charge = 0.0
    if left < 0.0:
        charge, reason = left, LIQUIDATION
    elif reason == LIQUIDATION:
        charge = min(fee_of(contract, quantity, price, contract.liquidation_fee), max(0.0, left - fee))
    desk.account[0].cash += realised - fee - charge
    position.margin -= released
    position.reserve -= position.reserve * share
    position.quantity = round_nearest(position.quantity - side * quantity, contract.lot)
    if position.quantity == 0.0:
        position.entry, position.margin, position.reserve = 0.0, 0.0, 0.0
    reprice(desk, symbol)
    fill = write_fill(desk, order, symbol, -side)
    fill.reason, fill.quantity, fill.price, fill.fee = reason, quantity, price, fee
    fill.liquidation_fee, fill.realised_pnl = charge, realised
    fill.notional = notional_of(contract, quantity, price)
    write_slippage(desk, fill, reference, abs(profit_of(contract, quantity, valued_price(contract, reference), price)))


@rule
def liquidate(desk: Desk, symbol: int, level: float, mark: float, start: float) -> None:
    """The venue closes a position whose mark has reached its level, there or where the way starts when that is worse.

    Isolated: never beyond the bankruptcy price. Cross: the orders of the whole account are cancelled first, and the
    fill is marked where the level was reached only because the others count at their adverse extremes.
    """
    position, contract = desk.positions[symbol], desk.contracts[symbol]
    side, bankruptcy, bound = direction(position.quantity), 0.0, False
    if desk.settings[0].cross:
        known = cross_level(desk, symbol, False)
        bound = known <= 0.0 or not reaches(-side, mark, known, contract.tick)
        for s in range(len(desk.positions)):
            cancel_resting(desk, s)
        bankruptcy = 0.0 if side > 0 else math.inf
    else:
        cancel_resting(desk, symbol)
        bankruptcy = bankruptcy_level(contract, position.quantity, position.entry, position.margin, position.reserve)
    reference = liquidation_fill(position.quantity, level, bankruptcy, start)
    price = taker_price(desk, symbol, -side, reference, abs(position.quantity))
    price = max(price, bankruptcy) if side > 0 else min(price, bankruptcy)
    close_position(desk, 0, symbol, abs(position.quantity), price, reference, contract.taker_fee, LIQUIDATION)
    desk.fills[desk.account[0].fills - 1].bound = bound


@rule
def take_over_account(desk: Desk) -> None:
    """A cross account whose equity at the known marks is gone: every position is closed at its mark."""
    if known_equity(desk) > 0.0:
        return
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        if position.quantity != 0.0:
            cancel_resting(desk, s)
            fee_rate, mark = desk.contracts[s].taker_fee, position.mark
            close_position(desk, 0, s, abs(position.quantity), mark, mark, fee_rate, LIQUIDATION)


@rule(inline=True)
def settle_funding(desk: Desk, symbol: int, mark: float, funding_rate: float) -> None:
    """A funding settlement on an open position: paid out of (or into) cash, and its isolated margin."""
    position = desk.positions[symbol]
    if position.quantity == 0.0 or funding_rate == 0.0:
        return
    payment = payment_of(desk.contracts[symbol], position.quantity, mark, funding_rate)
    desk.account[0].cash -= payment
    if desk.settings[0].cross == 0:
        position.margin -= payment
    reprice(desk, symbol)
    row = desk.payments[desk.account[0].payments]
    desk.account[0].payments += 1
    desk.account[0].events += 1
    row.symbol, row.position, row.mark = symbol, position.quantity, mark
    row.rate, row.payment, row.cash = funding_rate, payment, desk.account[0].cash


@rule
def cancel_reductions(desk: Desk, symbol: int) -> None:
    """Every order that could only have reduced a position that is now closed is cancelled."""
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol == symbol and order.reduce_only and order.status == LIVE:
            finish(desk, order, CANCELLED, CLOSED)


@rule
def cancel_resting(desk: Desk, symbol: int) -> None:
    """Before a liquidation the venue cancels the open orders of the symbol.

    A market order is none: it was sent at the last close, and fills at the first open that takes fills.
    """
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol == symbol and order.status == LIVE and order.kind != MARKET:
            finish(desk, order, CANCELLED, LIQUIDATED)
