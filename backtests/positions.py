"""What a fill, a funding payment or a liquidation does to a position and the account."""

from __future__ import annotations

from backtests.fills import liquidation_fill, slipped
from backtests.levels import bankruptcy_level, liquidation_level
from backtests.records import CANCELLED, CLOSE, CLOSED, LIQUIDATED, LIQUIDATION, LIVE, MARKET, Desk, Row
from backtests.ties import cut_ties, finish
from backtests.valuation import entry_of, fee_of, initial_margin_of, payment_of, profit_of, reserve_of, valued_price
from foundation.compilation import rule
from markets.filters import round_nearest


@rule
def direction(quantity: float) -> int:
    """+1 for a long position, -1 for a short, 0 for none."""
    if quantity > 0.0:
        return 1
    return -1 if quantity < 0.0 else 0


@rule
def free_cash(desk: Desk) -> float:
    """The cash that is not posted as margin."""
    posted = 0.0
    for s in range(len(desk.positions)):
        posted += desk.positions[s].margin
    free: float = desk.account[0].cash - posted
    return free


@rule
def reprice(position: Row, contract: Row) -> None:
    """The liquidation price brought up to date after a change of quantity, entry or margin."""
    position.liquidation_price = liquidation_level(
        contract, position.quantity, position.entry, position.margin, position.reserve
    )


@rule
def write_fill(desk: Desk, order: int, symbol: int, side: int) -> Row:
    """The next free row of `fills`, with what every fill shares; the position must be up to date."""
    fill = desk.fills[desk.account[0].fills]
    desk.account[0].fills += 1
    desk.account[0].events += 1
    fill.order, fill.symbol, fill.side, fill.opening, fill.bound = order, symbol, side, 0, 0
    fill.position, fill.cash = desk.positions[symbol].quantity, desk.account[0].cash
    fill.fee, fill.liquidation_fee, fill.realised_pnl, fill.slippage = 0.0, 0.0, 0.0, 0.0
    return fill


@rule
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
    reprice(position, contract)
    fill = write_fill(desk, order.id, s, order.side)
    fill.opening, fill.reason, fill.quantity, fill.price = 1, order.reason, quantity, price
    fill.fee, fill.slippage = fee, abs(profit_of(contract, quantity, valued_price(contract, reference), price))
    order.fill_price = (order.filled * order.fill_price + quantity * price) / (order.filled + quantity)
    order.filled += quantity


@rule
def close_position(
    desk: Desk, order: int, symbol: int, quantity: float, price: float, reference: float, fee_rate: float, reason: int
) -> None:
    """A closing fill of an isolated position, which can never lose more than its margin.

    A price beyond the bankruptcy price is the bankruptcy price, and the fill a liquidation; the
    fee, and then the clearance charge of a liquidation, take no more than what the margin leaves.
    """
    position, contract = desk.positions[symbol], desk.contracts[symbol]
    side = direction(position.quantity)
    share = quantity / abs(position.quantity)
    bankruptcy = bankruptcy_level(contract, position.quantity, position.entry, position.margin, position.reserve)
    if side * (price - bankruptcy) < 0.0:
        price, reason = bankruptcy, LIQUIDATION
        reference = max(reference, bankruptcy) if side > 0 else min(reference, bankruptcy)
    realised = profit_of(contract, side * quantity, position.entry, price)
    released = position.margin * share
    left = max(0.0, released + realised)
    fee = min(fee_of(contract, quantity, price, fee_rate), left)
    charge = 0.0
    if reason == LIQUIDATION:
        charge = min(fee_of(contract, quantity, price, contract.liquidation_fee), max(0.0, left - fee))
    desk.account[0].cash += realised - fee - charge
    position.margin -= released
    position.reserve -= position.reserve * share
    position.quantity = round_nearest(position.quantity - side * quantity, contract.lot)
    if position.quantity == 0.0:
        position.entry, position.margin, position.reserve = 0.0, 0.0, 0.0
    reprice(position, contract)
    fill = write_fill(desk, order, symbol, -side)
    fill.reason, fill.quantity, fill.price, fill.fee = reason, quantity, price, fee
    fill.liquidation_fee, fill.realised_pnl = charge, realised
    fill.slippage = abs(profit_of(contract, quantity, valued_price(contract, reference), price))
    cut_ties(desk)
    if position.quantity == 0.0:
        cancel_reductions(desk, symbol)


@rule
def liquidate(desk: Desk, symbol: int, bar_open: float, slippage: float) -> None:
    """The venue closes an isolated position whose margin no longer covers its maintenance."""
    position, contract = desk.positions[symbol], desk.contracts[symbol]
    cancel_resting(desk, symbol)
    bankruptcy = bankruptcy_level(contract, position.quantity, position.entry, position.margin, position.reserve)
    reference = liquidation_fill(position.quantity, position.liquidation_price, bankruptcy, bar_open)
    side = direction(position.quantity)
    price = slipped(reference, -side, slippage)
    price = max(price, bankruptcy) if side > 0 else min(price, bankruptcy)
    close_position(desk, 0, symbol, abs(position.quantity), price, reference, contract.taker_fee, LIQUIDATION)


@rule
def settle_funding(desk: Desk, symbol: int, mark: float, funding_rate: float) -> None:
    """A funding settlement on an open position: paid out of (or into) its margin, and so cash."""
    position = desk.positions[symbol]
    if position.quantity == 0.0 or funding_rate == 0.0:
        return
    payment = payment_of(desk.contracts[symbol], position.quantity, mark, funding_rate)
    desk.account[0].cash -= payment
    position.margin -= payment
    reprice(position, desk.contracts[symbol])
    row = desk.payments[desk.account[0].payments]
    desk.account[0].payments += 1
    desk.account[0].events += 1
    row.symbol, row.position, row.mark = symbol, position.quantity, mark
    row.rate, row.payment = funding_rate, payment


@rule
def cancel_reductions(desk: Desk, symbol: int) -> None:
    """Every order that could only have reduced a position that is now closed is cancelled."""
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol == symbol and order.reduce_only and order.status == LIVE:
            finish(desk, order, CANCELLED, CLOSED)


@rule
def cancel_resting(desk: Desk, symbol: int) -> None:
    """Before a liquidation the venue cancels the orders that rest on the symbol.

    Those that fill at one price, the open or the close, are on their way and stay.
    """
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol == symbol and order.status == LIVE and order.kind not in (MARKET, CLOSE):
            finish(desk, order, CANCELLED, LIQUIDATED)
