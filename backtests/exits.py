"""How positions end on a bar: gaps, stops, targets and liquidations."""

from __future__ import annotations

from backtests.entries import wake_children
from backtests.fills import favourable_first, reaches, slipped, stop_fill
from backtests.positions import close_position, direction, finish, liquidate
from backtests.records import BELOW_LOT, CANCELLED, FILLED, LIMIT, LIQUIDATION, LIVE, REFUSED, SIBLING, STOP, Desk, Row
from foundation.compilation import rule
from markets.filters import round_down
from markets.margin import bankruptcy_price, profit


@rule
def nearest_exit(desk: Desk, s: int, kind: int, side: int) -> int:
    """The row of the live order of a kind against a position that the price meets first, or -1.

    `side` is the position's. A long's nearest stop is the highest, its nearest target the lowest.
    """
    found, toward = -1, side if kind == STOP else -side
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.status != LIVE or order.symbol != s or order.kind != kind:
            continue
        if order.side == -side and (found < 0 or toward * (order.price - desk.orders[found].price) > 0.0):
            found = k
    return found


@rule
def gap_at_open(desk: Desk, bar: Row, s: int) -> None:
    """Step 2: a position carried over the open meets liquidation, stop and target, in that order."""
    position, slippage = desk.positions[s], desk.settings[0].slippage
    side = direction(position.quantity)
    if side == 0:
        return
    tick = desk.contracts[s].tick
    if position.liquidation_price > 0.0 and reaches(-side, bar.mark_open, position.liquidation_price, tick):
        liquidate(desk, s, bar.open, slippage)
        return
    if bar.blocked:
        return
    k, stopped = nearest_exit(desk, s, STOP, side), False
    while k >= 0 and position.quantity != 0.0 and reaches(-side, bar.open, desk.orders[k].price, tick):
        fill_exit(desk, k, bar.open, slippage)
        k, stopped = nearest_exit(desk, s, STOP, side), True
    if not stopped:
        take_targets(desk, s, bar.open, desk.settings[0].through)


@rule
def fill_exit(desk: Desk, k: int, reference: float, slippage: float) -> None:
    """An order against a position fills: a limit as maker at the reference price, any other as taker with slippage.

    What is left of one that may also open stays; it can open from the next bar on.
    """
    order = desk.orders[k]
    contract, position = desk.contracts[order.symbol], desk.positions[order.symbol]
    quantity = min(round_down(order.quantity, contract.lot), abs(position.quantity))
    if quantity <= 0.0:
        finish(desk, order, REFUSED, BELOW_LOT)
        return
    maker = order.kind == LIMIT
    price = reference if maker else slipped(reference, order.side, slippage)
    fee_rate = contract.maker_fee if maker else contract.taker_fee
    rest = 0.0 if order.reduce_only else round_down(order.quantity - quantity, contract.lot)
    if rest > 0.0:
        order.quantity = rest
    else:
        order.filled, order.fill_price = quantity, price
        finish(desk, order, FILLED, 0)
        cancel_siblings(desk, k)
    close_position(desk, order.id, order.symbol, quantity, price, reference, fee_rate, order.reason)
    if order.status == FILLED:
        wake_children(desk)


@rule
def cancel_siblings(desk: Desk, k: int) -> None:
    """The other exits of the same bracket are cancelled when one has filled."""
    parent = desk.orders[k].parent
    if parent == 0:
        return
    for other in range(desk.account[0].orders):
        if other != k and desk.orders[other].parent == parent and desk.orders[other].status <= LIVE:
            finish(desk, desk.orders[other], CANCELLED, SIBLING)


@rule
def take_targets(desk: Desk, s: int, price: float, through: int) -> None:
    """Every target that a price reaches fills at its limit, the nearest first."""
    side, tick = direction(desk.positions[s].quantity), desk.contracts[s].tick
    while desk.positions[s].quantity != 0.0:
        k = nearest_exit(desk, s, LIMIT, side)
        if k < 0 or not reaches(side, price, desk.orders[k].price + side * through * tick, tick):
            return
        fill_exit(desk, k, desk.orders[k].price, 0.0)


@rule
def exit_inside(desk: Desk, bar: Row, s: int) -> None:
    """Step 4, exits: the adverse side and the targets, in the assumed order of the bar's path.

    On a bar in which a limit or stop order entered, the way to a target may lie before the entry:
    it does not count.
    """
    position = desk.positions[s]
    side, through = direction(position.quantity), desk.settings[0].through
    if side == 0:
        return
    best, tick = bar.high if side > 0 else bar.low, desk.contracts[s].tick
    targets_count = position.entered_at == 0.0 and bar.blocked == 0
    if targets_count and favourable_first(desk.settings[0].intrabar, side, bar.open, bar.high, bar.low, tick):
        take_targets(desk, s, best, through)
    meet_adverse(desk, bar, s)
    if targets_count:
        take_targets(desk, s, best, through)


@rule
def meet_adverse(desk: Desk, bar: Row, s: int) -> None:
    """The nearer of stop (on last prices) and liquidation (on mark prices) acts, until none is reached.

    Each fills at its level, or at the price from which the bar went on when that is worse already: the
    open, or where a limit or stop order entered inside the bar.
    """
    position, tick = desk.positions[s], desk.contracts[s].tick
    start = position.entered_at if position.entered_at > 0.0 else bar.open
    while position.quantity != 0.0:
        side = direction(position.quantity)
        worst, worst_mark = (bar.low, bar.mark_low) if side > 0 else (bar.high, bar.mark_high)
        k = -1 if bar.blocked else nearest_exit(desk, s, STOP, side)
        stopped = k >= 0 and reaches(-side, worst, desk.orders[k].price, tick)
        level = position.liquidation_price
        liquidated = level > 0.0 and reaches(-side, worst_mark, level, tick)
        if stopped and (not liquidated or reaches(side, desk.orders[k].price, level, tick)):
            stop = desk.orders[k].price
            reference = stop_fill(-side, stop, start)
            fill_exit(desk, k, reference, desk.settings[0].slippage)
        elif liquidated:
            liquidate(desk, s, start, desk.settings[0].slippage)
        else:
            return


@rule
def bankrupt_at_close(desk: Desk, bar: Row, s: int) -> None:
    """Step 5: a position that funding inside the bar has left without margin is taken over."""
    position = desk.positions[s]
    if position.quantity == 0.0 or position.margin + profit(position.quantity, position.entry, bar.mark_close) > 0.0:
        return
    price = bankruptcy_price(position.quantity, position.entry, position.margin)
    quantity, fee_rate = abs(position.quantity), desk.contracts[s].taker_fee
    close_position(desk, 0, s, quantity, price, price, fee_rate, LIQUIDATION)
