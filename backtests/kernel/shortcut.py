"""Shortcut: a bar of one symbol on isolated margin by the rules of the exchange, without a search for what cannot be.

The trader's orders are those of one bracket. At an open it may close what is held and enter, and only its exits live
longer: so a close and an entry are filled without ever being orders, and the exits stand in the first rows from the
entry's fill on. What else can happen (a gap beyond a level, a liquidation, a stop and a target in reach) is left to
the exchange's own steps, which find those rows as they need them.
"""

from __future__ import annotations

from backtests.exchange.entries import exit_level, grant
from backtests.exchange.exchange import value_at_close
from backtests.exchange.exits import bankrupt_at_close, exit_inside, follow_best
from backtests.exchange.fills import reaches, stop_fill
from backtests.exchange.positions import book_close, direction, open_position, settle_funding
from backtests.exchange.quiet import nearest_exits
from backtests.exchange.records import (
    FILLED,
    LIMIT,
    LIVE,
    MARKET,
    STOP,
    STOP_LOSS,
    Desk,
    Row,
)
from backtests.exchange.slippage import taker_price
from backtests.exchange.ties import drop_finished, part_of
from backtests.kernel.tally import count_fill, count_payments
from backtests.kernel.trader import ENTRY_REASON, TARGET, Book, Move, Play, learn, share_of, write_following
from foundation.compilation import rule
from markets.filters import round_down
from strategies.plan import MOST_EXITS


@rule(inline=True)
def play_short(play: Play, i: int, move: Move) -> bool:
    """`play_bar` for the only symbol with the move that was decided at the last close, and what the strategy and the
    tally make of it; False, and nothing is changed, where the bar needs more than that.

    The book holds the band in which no order is met, which a gap has left, and the rows of the exits.
    """
    desk, book, tally, bar = play.desk, play.book, play.tally[0], play.scene.bars[0, i]
    state, position = desk.account[0], desk.positions[0]
    if bar.blocked:
        return False
    state.fills, state.payments = 0, 0
    if position.quantity != 0.0 and not opens_within(desk, book, bar, move.leaving):
        return False
    if desk.settings[0].impact > 0.0:
        position.impact = bar.impact
    if move.leaving != 0:
        book.number[0] += 1
        side = direction(position.quantity)
        leave(desk, book.number[0], side, abs(position.quantity), bar.open, False, move.leaving)
    if move.side != 0:
        enter_at_open(play, bar, move)
    if position.quantity != 0.0:
        if meet_levels(desk, book, bar):
            exit_inside(desk, bar, 0)
            drop_finished(desk)
            book.stop[0], book.target[0], _ = nearest_exits(desk, 0)
        follow_bar(desk, bar, book.stop[0])
    if bar.funded:
        settle_funding(desk, 0, bar.mark_close, bar.funding_inside)
        bankrupt_at_close(desk, bar, 0)
    value_at_close(desk, play.scene.bars, i)
    for k in range(state.fills):
        count_fill(tally, desk.fills[k], book.profits)
        learn(book.memory[0], desk.fills[k], position.quantity, i + 1)
    count_payments(tally, desk)
    if position.quantity == 0.0:
        state.orders = 0
    return True


@rule(inline=True)
def opens_within(desk: Desk, book: Book, bar: Row, leaving: int) -> bool:
    """Pays the funding at the open, and whether no level is met there; else nothing is changed.

    Nor may the lot round off a part of what is to be closed.
    """
    state, position = desk.account[0], desk.positions[0]
    cash, margin, level, held = state.cash, position.margin, position.liquidation_price, abs(position.quantity)
    if bar.funded:
        settle_funding(desk, 0, bar.mark_open, bar.funding_open)
    within = book.least[0] < bar.open < book.most[0] and not level_reached(desk, bar.mark_open)
    if within and (leaving == 0 or round_down(held, desk.contracts[0].lot) >= held):
        return True
    state.cash, position.margin, position.liquidation_price = cash, margin, level
    return False


@rule(inline=True)
def level_reached(desk: Desk, mark: float) -> bool:
    """Whether a mark price is at or beyond the liquidation price."""
    position, contract = desk.positions[0], desk.contracts[0]
    level, side = position.liquidation_price, direction(position.quantity)
    return bool(side != 0 and level > 0.0 and reaches(-side, mark, level, contract.tick))


@rule(inline=True)
def leave(desk: Desk, order: int, side: int, quantity: float, reference: float, maker: bool, reason: int) -> None:
    """A position of a side is closed, or a part of it."""
    contract = desk.contracts[0]
    price = reference if maker else taker_price(desk, 0, -side, reference, quantity)
    fee_rate = contract.maker_fee if maker else contract.taker_fee
    book_close(desk, order, 0, quantity, price, reference, fee_rate, reason)


@rule(inline=True)
def enter_at_open(play: Play, bar: Row, move: Move) -> None:
    """A market order opens a position, and its exits come alive; or it is refused, and they end with it."""
    desk, book, tally = play.desk, play.book, play.tally[0]
    # A row that no exit stands in.
    entry = desk.orders[MOST_EXITS]
    entry.id, entry.symbol, entry.kind, entry.side = book.number[0] + 1, 0, MARKET, move.side
    entry.reason, entry.quantity, entry.leverage = ENTRY_REASON, move.size, play.setting.plan[0].leverage
    entry.filled, entry.fill_price = 0.0, 0.0
    book.number[0] += 1 + move.planned
    desk.account[0].orders, book.stop[0], book.target[0] = 0, -1, -1
    quantity, price, remark, refusal = grant(desk, entry, bar.open, False)
    if refusal:
        tally.refusals += 1
        return
    if remark:
        tally.shrunk += 1
    open_position(desk, entry, quantity, price, bar.open, desk.contracts[0].taker_fee)
    for k in range(move.planned):
        place_exit(play, entry, move, k)


@rule(inline=True)
def place_exit(play: Play, entry: Row, move: Move, k: int) -> None:
    """Exit `k` of those that were planned comes alive with the fill of its entry, as `wake_child` has it."""
    desk, book, one, contract = play.desk, play.book, play.book.exits[k], play.desk.contracts[0]
    row = desk.account[0].orders
    order = desk.orders[row]
    order.id, order.parent, order.symbol = entry.id + 1 + k, entry.id, 0
    order.kind, order.reason = (LIMIT, TARGET) if one.target else (STOP, STOP_LOSS)
    order.side, order.reduce_only, order.status, order.remark, order.waits, order.tied = -move.side, 1, LIVE, 0, 0, 0
    order.quantity, order.share, order.leverage = entry.filled, share_of(move.size, one.share), entry.leverage
    toward = move.side if one.target else -move.side
    order.basis = entry.fill_price
    order.price = exit_level(toward, move.side, entry.fill_price, one.offset_rate, one.offset, contract.tick)
    write_following(order, one)
    if part_of(order):
        order.quantity = entry.filled * order.share
        if round_down(order.quantity, contract.lot) <= 0.0:
            play.tally[0].refusals += 1
            return
    if not one.target:
        book.stop[0] = row
    elif book.target[0] < 0 or move.side * (order.price - desk.orders[book.target[0]].price) < 0.0:
        book.target[0] = row
    desk.account[0].orders = row + 1


@rule(inline=True)
def meet_levels(desk: Desk, book: Book, bar: Row) -> bool:
    """Step 4: the stop, or the targets, that the bar reaches; True where what it reaches is left to the exchange."""
    position, contract = desk.positions[0], desk.contracts[0]
    side = direction(position.quantity)
    worst, worst_mark = (bar.low, bar.mark_low) if side > 0 else (bar.high, bar.mark_high)
    stop, target = book.stop[0], target_in_reach(desk, bar, side, book.target[0])
    stopped = stop >= 0 and reaches(-side, worst, desk.orders[stop].price, contract.tick)
    if (stopped and target >= 0) or level_reached(desk, worst_mark):
        return True
    row = stop if stopped else target
    while row >= 0:
        order, held = desk.orders[row], abs(position.quantity)
        quantity, reference = min(round_down(order.quantity, contract.lot), held), order.price
        if quantity < held and not part_of(order):
            return True
        if stopped:
            reference = stop_fill(-side, reference, bar.open)
        order.status = FILLED
        leave(desk, order.id, side, quantity, reference, not stopped, order.reason)
        row = -1
        if position.quantity != 0.0:
            book.stop[0], book.target[0], _ = nearest_exits(desk, 0)
            row = target_in_reach(desk, bar, side, book.target[0])
    return False


@rule(inline=True)
def target_in_reach(desk: Desk, bar: Row, side: int, found: int) -> int:
    """The row of a target if the bar reaches it, or -1."""
    tick = desk.contracts[0].tick
    best, beyond = bar.high if side > 0 else bar.low, desk.settings[0].through * tick
    if found >= 0 and not reaches(side, best, desk.orders[found].price + side * beyond, tick):
        found = -1
    return found


@rule(inline=True)
def follow_bar(desk: Desk, bar: Row, stop: int) -> None:
    """The stop moves with the bar's best price, if there is one and something is left to be stopped."""
    side = direction(desk.positions[0].quantity)
    if stop >= 0 and side != 0:
        follow_best(desk.orders[stop], side, bar.high if side > 0 else bar.low, desk.contracts[0].tick)
