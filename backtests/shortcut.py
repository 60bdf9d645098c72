"""Shortcut: a bar of one symbol on isolated margin by the rules of the exchange, without a search for what cannot be.

The trader's orders are those of one bracket: exits that are live, and for the next open a close, an entry, and
the entry's exits. Where a bar needs more than that (a gap beyond a level, a liquidation, a stop and a target in
reach) its steps are the exchange's own.
"""

from __future__ import annotations

from backtests.entries import grant, trade, wake_child, wake_children
from backtests.exchange import value_at_close
from backtests.exits import bankrupt_at_close, exit_inside, follow_best, gap_at_open, nearest_exit
from backtests.fills import reaches, stop_fill
from backtests.positions import book_close, direction, open_position, settle_funding
from backtests.quiet import nearest_exits
from backtests.records import CANCELLED, ENTRY, FILLED, LIMIT, LIVE, MARKET, REFUSED, SLEEPING, Desk, Records, Row
from backtests.slippage import fill_price
from backtests.ties import cut_ties, part_of
from backtests.trader import Book
from foundation.compilation import rule
from markets.filters import round_down


@rule(inline=True)
def play_short(desk: Desk, book: Book, bars: Records, i: int) -> None:
    """`play_bar` for the only symbol; orders that have ended are left in their rows.

    The book holds the band in which no order is met, which a gap has left, the rows of the exits, and whether an order
    waits for this open.
    """
    state, position, bar = desk.account[0], desk.positions[0], bars[0, i]
    state.fills, state.payments, state.events = 0, 0, 0
    position.entered_at = 0.0
    if desk.settings[0].impact > 0.0:
        position.impact = bar.impact
    if bar.funded:
        settle_funding(desk, 0, bar.mark_open, bar.funding_open)
    stop, target, changed = book.stop[0], book.target[0], book.waits[0] != 0
    if not book.least[0] < bar.open < book.most[0] or level_reached(desk, bar.mark_open):
        gap_at_open(desk, bar, 0)
        changed = True
    if changed:
        fill_at_open(desk, bar)
        stop, target, _ = nearest_exits(desk, 0)
    if position.quantity != 0.0:
        meet_levels(desk, bar, stop, target)
        follow_bar(desk, bar, stop)
    if bar.funded:
        settle_funding(desk, 0, bar.mark_close, bar.funding_inside)
        bankrupt_at_close(desk, bar, 0)
    value_at_close(desk, bars, i)


@rule(inline=True)
def follow_bar(desk: Desk, bar: Row, stop: int) -> None:
    """The stop moves with the bar's best price, if it is still there."""
    side = direction(desk.positions[0].quantity)
    if stop >= 0 and side != 0 and desk.orders[stop].status == LIVE:
        follow_best(desk.orders[stop], side, bar.high if side > 0 else bar.low, desk.contracts[0].tick)


@rule(inline=True)
def level_reached(desk: Desk, mark: float) -> bool:
    """Whether a mark price is at or beyond the liquidation price."""
    position, contract = desk.positions[0], desk.contracts[0]
    level, side = position.liquidation_price, direction(position.quantity)
    return bool(side != 0 and level > 0.0 and reaches(-side, mark, level, contract.tick))


@rule(inline=True)
def fill_at_open(desk: Desk, bar: Row) -> None:
    """Step 3: the close that was ordered, then the entry."""
    position = desk.positions[0]
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.kind != MARKET or order.status != LIVE:
            continue
        if order.reduce_only:
            if order.side * position.quantity < 0.0:
                leave(desk, k, bar.open)
            else:
                order.status = CANCELLED
        elif position.quantity == 0.0:
            begin_trade(desk, k, bar.open)
        else:
            trade(desk, k, bar.open, maker=False)
            wake_children(desk)


@rule(inline=True)
def begin_trade(desk: Desk, k: int, reference: float) -> None:
    """A market order opens a position, and its exits come alive; or it is refused, and they end with it."""
    order = desk.orders[k]
    desk.account[0].events += 1
    quantity, price, remark, refusal = grant(desk, order, reference, False)
    order.status, order.remark = REFUSED if refusal else FILLED, refusal if refusal else remark
    if not refusal:
        open_position(desk, order, quantity, price, reference, desk.contracts[0].taker_fee)
    for child in range(desk.account[0].orders):
        one = desk.orders[child]
        if one.status == SLEEPING and one.parent == order.id:
            if refusal:
                one.status, one.remark = CANCELLED, ENTRY
            else:
                wake_child(desk, one, order)


@rule(inline=True)
def leave(desk: Desk, k: int, reference: float) -> None:
    """An order that can only reduce fills, and what ends with it ends; no more is closed than there is."""
    order, position, contract = desk.orders[k], desk.positions[0], desk.contracts[0]
    quantity = min(round_down(order.quantity, contract.lot), abs(position.quantity))
    order.status = FILLED if quantity > 0.0 else REFUSED
    desk.account[0].events += 1
    if quantity <= 0.0:
        cut_ties(desk)
        return
    maker = order.kind == LIMIT
    price = fill_price(desk, order, reference, maker, quantity)
    fee_rate = contract.maker_fee if maker else contract.taker_fee
    book_close(desk, order.id, 0, quantity, price, reference, fee_rate, order.reason)
    if position.quantity != 0.0:
        if not part_of(order):
            cut_ties(desk)
        return
    for o in range(desk.account[0].orders):
        other = desk.orders[o]
        if other.status == LIVE and other.reduce_only:
            other.status = CANCELLED


@rule(inline=True)
def meet_levels(desk: Desk, bar: Row, stop: int, target: int) -> None:
    """Step 4: the stop, or the targets, that the bar reaches; all in the exchange's order where it reaches more.

    `stop`, `target`: the rows of the nearest ones, or -1.
    """
    position, tick = desk.positions[0], desk.contracts[0].tick
    side = direction(position.quantity)
    worst, worst_mark = (bar.low, bar.mark_low) if side > 0 else (bar.high, bar.mark_high)
    stopped = stop >= 0 and reaches(-side, worst, desk.orders[stop].price, tick)
    target = target_in_reach(desk, bar, side, target)
    if (stopped and target >= 0) or level_reached(desk, worst_mark):
        exit_inside(desk, bar, 0)
    elif stopped:
        leave(desk, stop, stop_fill(-side, desk.orders[stop].price, bar.open))
    else:
        while target >= 0:
            leave(desk, target, desk.orders[target].price)
            found = nearest_exit(desk, 0, LIMIT, side) if position.quantity != 0.0 else -1
            target = target_in_reach(desk, bar, side, found)


@rule(inline=True)
def target_in_reach(desk: Desk, bar: Row, side: int, found: int) -> int:
    """The row of a target if the bar reaches it, or -1."""
    tick = desk.contracts[0].tick
    best, beyond = bar.high if side > 0 else bar.low, desk.settings[0].through * tick
    if found >= 0 and not reaches(side, best, desk.orders[found].price + side * beyond, tick):
        found = -1
    return found
