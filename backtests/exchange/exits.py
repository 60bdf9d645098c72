"""How positions end on a bar: gaps, stops, targets and liquidations."""

from __future__ import annotations

import math

from backtests.exchange.cross import cross_level
from backtests.exchange.entries import wake_children
from backtests.exchange.fills import distant, favourable_first, reaches, stop_fill
from backtests.exchange.levels import bankruptcy_level
from backtests.exchange.positions import cancel_resting, close_position, direction, liquidate
from backtests.exchange.records import (
    BELOW_LOT,
    BREAK_EVEN,
    FILLED,
    LIMIT,
    LIQUIDATION,
    LIVE,
    REFUSED,
    STOP,
    STOP_LIMIT,
    STOP_LOSS,
    TRAILING_STOP,
    Desk,
    Row,
)
from backtests.exchange.slippage import fill_price
from backtests.exchange.ties import GROUP_DUE, end, finish, leave_rest
from backtests.exchange.triggers import allows, stops, trigger, turned_back
from backtests.exchange.valuation import profit_of
from foundation.compilation import rule
from markets.filters import round_down, round_up
from strategies.stops import ratcheted_stop


@rule(inline=True)
def nearest_exit(desk: Desk, s: int, kind: int, side: int) -> int:
    """The row of the live order of a kind against a position that the price meets first, or -1.

    `side` is the position's. A long's nearest stop is the highest, its nearest target the lowest. STOP stands
    for stop-limits too; a limit order that was triggered inside this bar is none before its close.
    """
    found, toward = -1, side if kind == STOP else -side
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.status != LIVE or order.symbol != s or order.waits:
            continue
        if (kind == STOP and not stops(order)) or (kind == LIMIT and order.kind != LIMIT):
            continue
        if order.side == -side and (found < 0 or toward * (order.price - desk.orders[found].price) > 0.0):
            found = k
    return found


@rule
def level_now(desk: Desk, s: int) -> float:
    """The liquidation price that steps 2 and 4 test: on cross margin with the others at their adverse extremes."""
    if desk.settings[0].cross:
        return cross_level(desk, s, True)
    level: float = desk.positions[s].liquidation_price
    return level


@rule
def gap_at_open(desk: Desk, bar: Row, s: int) -> None:
    """Step 2: a position carried over the open meets liquidation, stop and target, in that order."""
    position = desk.positions[s]
    side = direction(position.quantity)
    if side == 0:
        return
    tick = desk.contracts[s].tick
    level = level_now(desk, s)
    if level > 0.0 and reaches(-side, bar.mark_open, level, tick):
        liquidate(desk, s, level, bar.mark_open, bar.open)
        return
    if bar.blocked:
        return
    k, stopped = nearest_exit(desk, s, STOP, side), False
    while k >= 0 and position.quantity != 0.0 and reaches(-side, bar.open, desk.orders[k].price, tick):
        stopped = meet_stop(desk, k, bar.open) or stopped
        k = nearest_exit(desk, s, STOP, side)
    if not stopped:
        take_targets(desk, s, bar.open, desk.settings[0].through)


@rule
def meet_stop(desk: Desk, k: int, start: float) -> bool:
    """A reached stop against a position fills at its level, or at the start of the way when that is beyond it.

    A stop-limit whose limit does not allow that price becomes a limit order instead. Whether it has filled.
    """
    order = desk.orders[k]
    tick = desk.contracts[order.symbol].tick
    reference = stop_fill(order.side, order.price, start)
    if not allows(order, reference, tick):
        trigger(order, not reaches(order.side, start, order.price, tick))
        return False
    fill_exit(desk, k, reference)
    return True


@rule
def fill_exit(desk: Desk, k: int, reference: float) -> None:
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
    price = fill_price(desk, order, reference, maker, quantity)
    fee_rate = contract.maker_fee if maker else contract.taker_fee
    rest = 0.0 if order.reduce_only else round_down(order.quantity - quantity, contract.lot)
    if rest > 0.0:
        order.quantity, order.tied = rest, GROUP_DUE
        if order.kind == STOP_LIMIT:
            trigger(order, inside=False)
    else:
        order.filled, order.fill_price = quantity, price
        end(desk, order, FILLED, 0)
        leave_rest(desk, k, quantity)
    close_position(desk, order.id, order.symbol, quantity, price, reference, fee_rate, order.reason)
    if order.status == FILLED:
        wake_children(desk)


@rule
def take_targets(desk: Desk, s: int, price: float, through: int) -> None:
    """Every target that a price reaches fills at its limit, the nearest first."""
    side, tick = direction(desk.positions[s].quantity), desk.contracts[s].tick
    while desk.positions[s].quantity != 0.0:
        k = nearest_exit(desk, s, LIMIT, side)
        if k < 0 or not reaches(side, price, desk.orders[k].price + side * through * tick, tick):
            return
        fill_exit(desk, k, desk.orders[k].price)


@rule
def meet_adverse(desk: Desk, bar: Row, path: Row, s: int) -> None:
    """The nearer of stop (on last prices) and liquidation (on mark prices) acts, until none is reached.

    Each fills at its level, or at the price from which the bar went on when that is worse already: the
    open, or where a limit or stop order entered inside the bar.
    """
    position, tick = desk.positions[s], desk.contracts[s].tick
    start = position.entered_at if position.entered_at > 0.0 else bar.open
    while position.quantity != 0.0:
        side = direction(position.quantity)
        worst, worst_mark = (path.low, path.mark_low) if side > 0 else (path.high, path.mark_high)
        k = -1 if bar.blocked else nearest_exit(desk, s, STOP, side)
        stopped = k >= 0 and reaches(-side, worst, desk.orders[k].price, tick)
        level = level_now(desk, s)
        liquidated = level > 0.0 and reaches(-side, worst_mark, level, tick)
        if stopped and (not liquidated or reaches(side, desk.orders[k].price, level, tick)):
            meet_stop(desk, k, start)
        elif liquidated:
            liquidate(desk, s, level, worst_mark, start)
        else:
            return


@rule
def both_in_reach(desk: Desk, path: Row, s: int) -> bool:
    """Whether a bar, or one of its finer bars, reaches a target and also a stop or the liquidation price."""
    position, tick = desk.positions[s], desk.contracts[s].tick
    side = direction(position.quantity)
    if side == 0:
        return False
    best, worst, worst_mark = path.high, path.low, path.mark_low
    if side < 0:
        best, worst, worst_mark = path.low, path.high, path.mark_high
    k = nearest_exit(desk, s, LIMIT, side)
    if k < 0 or not reaches(side, best, desk.orders[k].price + side * desk.settings[0].through * tick, tick):
        return False
    level = level_now(desk, s)
    if level > 0.0 and reaches(-side, worst_mark, level, tick):
        return True
    k = nearest_exit(desk, s, STOP, side)
    return bool(k >= 0 and reaches(-side, worst, desk.orders[k].price, tick))


@rule
def finer_steps(desk: Desk, bar: Row, s: int) -> int:
    """How many finer bars tell the path of a bar: none where its liquidation hangs on a mark they do not know."""
    position, tick = desk.positions[s], desk.contracts[s].tick
    side, level = direction(position.quantity), level_now(desk, s)
    if level > 0.0 and reaches(-side, bar.mark_low if side > 0 else bar.mark_high, level, tick):
        for f in range(bar.finer_first, bar.finer_first + bar.finer_count):
            if math.isnan(desk.finer[f].mark_low):
                return 0
    return int(bar.finer_count)


@rule
def take_step(desk: Desk, bar: Row, path: Row, s: int) -> None:
    """The exits along a path, the bar itself or one of its finer bars, in the assumed order of its extremes."""
    side, through = direction(desk.positions[s].quantity), desk.settings[0].through
    if side == 0:
        return
    best, tick = path.high if side > 0 else path.low, desk.contracts[s].tick
    if favourable_first(desk.settings[0].intrabar, side, path.open, path.high, path.low, tick):
        take_targets(desk, s, best, through)
    meet_adverse(desk, bar, path, s)
    take_targets(desk, s, best, through)


@rule
def take_finer_steps(desk: Desk, bar: Row, s: int) -> bool:
    """A bar that reaches both sides, one finer bar after the other, else as a whole; whether they told the sides apart.

    They say what came first, never at which price: that is the level, or the open of the bar.
    """
    steps, told = finer_steps(desk, bar, s), True
    if steps == 0:
        take_step(desk, bar, bar, s)
        return False
    for f in range(bar.finer_first, bar.finer_first + steps):
        if both_in_reach(desk, desk.finer[f], s):
            told = False
        take_step(desk, bar, desk.finer[f], s)
    return told


@rule
def take_returned(desk: Desk, bar: Row, s: int) -> None:
    """Exits that were triggered as stop-limits inside this bar, and to whose limits its close has come back.

    They come after everything else of the bar. The nearest first: a long's lowest.
    """
    side, tick = direction(desk.positions[s].quantity), desk.contracts[s].tick
    while desk.positions[s].quantity != 0.0:
        found = -1
        for k in range(desk.account[0].orders):
            order = desk.orders[k]
            if order.status != LIVE or order.symbol != s or order.waits == 0 or order.side != -side:
                continue
            if not turned_back(order, bar, desk.settings[0].through, tick):
                continue
            if found < 0 or side * (desk.orders[found].price - order.price) > 0.0:
                found = k
        if found < 0:
            return
        desk.orders[found].waits = 0
        fill_exit(desk, found, desk.orders[found].price)


@rule
def exit_inside(desk: Desk, bar: Row, s: int) -> None:
    """Step 4, exits: the adverse side and the targets, as the finer bars tell or by the assumed path of the bar.

    On a bar in which a limit or stop order entered, the way to a target may lie before the entry:
    it does not count.
    """
    position, state = desk.positions[s], desk.account[0]
    if position.quantity == 0.0:
        return
    if position.entered_at > 0.0 or bar.blocked:
        meet_adverse(desk, bar, bar, s)
        return
    if not both_in_reach(desk, bar, s):
        take_step(desk, bar, bar, s)
    elif take_finer_steps(desk, bar, s):
        state.decided_by_finer += 1
    else:
        state.decided_by_assumption += 1
    take_returned(desk, bar, s)


@rule(inline=True)
def follow_price(desk: Desk, bar: Row, s: int) -> None:
    """Step 4, last: stops that trail or break even move with the bar's best price; the next bar meets them there.

    Not on a bar in which a limit or stop order entered, whose best price may lie before the entry, nor
    on one that cleaning has touched.
    """
    position = desk.positions[s]
    side = direction(position.quantity)
    if side == 0 or bar.blocked or position.entered_at > 0.0:
        return
    best, tick = bar.high if side > 0 else bar.low, desk.contracts[s].tick
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.status == LIVE and order.symbol == s and order.kind == STOP and order.side == -side:
            follow_best(order, side, best, tick)


@rule(inline=True)
def follow_best(order: Row, side: int, best: float, tick: float) -> None:
    """A stop trails the best price of a bar, or breaks even at it, if it is one that does."""
    trail_stop(order, side, best, tick)
    break_even(order, side, best, tick)


@rule(inline=True)
def trail_stop(order: Row, side: int, best: float, tick: float) -> None:
    """A stop follows the best price at its trailing distance, once that is far enough from the entry."""
    if order.trailing_rate <= 0.0 and order.trailing <= 0.0:
        return
    if order.trailing_after_rate > 0.0 or order.trailing_after > 0.0:
        after = distant(order.basis, side, order.trailing_after_rate, order.trailing_after)
        if not reaches(side, best, after, tick):
            return
    move_stop(order, side, distant(best, -side, order.trailing_rate, order.trailing), tick, TRAILING_STOP)


@rule(inline=True)
def break_even(order: Row, side: int, best: float, tick: float) -> None:
    """A stop moves to the entry's fill price once the best price is far enough from it."""
    if order.break_even_rate <= 0.0 and order.break_even <= 0.0:
        return
    if reaches(side, best, distant(order.basis, side, order.break_even_rate, order.break_even), tick):
        move_stop(order, side, order.basis, tick, BREAK_EVEN)


@rule(inline=True)
def move_stop(order: Row, side: int, level: float, tick: float, reason: int) -> None:
    """A stop moves to a level, rounded to the tick on the near side of it, if that is nearer to the price."""
    moved = ratcheted_stop(order.price, round_up(level, tick) if side > 0 else round_down(level, tick), side)
    if moved != order.price:
        order.price = moved
        if order.reason in (STOP_LOSS, TRAILING_STOP, BREAK_EVEN):
            order.reason = reason


@rule(inline=True)
def bankrupt_at_close(desk: Desk, bar: Row, s: int) -> None:
    """Steps 5 and 6: an isolated position that is left without margin at the mark close is taken over."""
    if desk.settings[0].cross:
        return
    position, contract = desk.positions[s], desk.contracts[s]
    unrealised = profit_of(contract, position.quantity, position.entry, bar.mark_close)
    if position.quantity == 0.0 or position.margin - position.reserve + unrealised > 0.0:
        return
    cancel_resting(desk, s)
    price = bankruptcy_level(contract, position.quantity, position.entry, position.margin, position.reserve)
    close_position(desk, 0, s, abs(position.quantity), price, price, contract.taker_fee, LIQUIDATION)
