"""Passing: an account is taken over the bars on which nothing can happen to it, without playing them."""

from __future__ import annotations

import math

from backtests.exchange.cross import cross_level, shelter, show_levels
from backtests.exchange.exchange import NOTHING_LEFT, play_and_record
from backtests.exchange.positions import direction
from backtests.exchange.quiet import first_move
from backtests.exchange.records import (
    ACCOUNT,
    BAR,
    CLOSE,
    CONTRACT,
    FILL,
    FINER,
    HISTORY,
    LIMIT,
    LIVE,
    MARKET,
    ORDER,
    PAYMENT,
    POSITION,
    POSITION_HISTORY,
    SETTINGS,
    SLEEPING,
    STOP,
    Desk,
    Records,
    Row,
)
from backtests.exchange.ties import withdraw
from backtests.exchange.valuation import profit_of
from foundation.addresses import records_at
from foundation.compilation import rule


@rule(makes_arrays=True)
def desk_at(at: Row) -> Desk:
    """The arrays of a run, by where a HANDED record says that they lie."""
    return Desk(
        records_at(at.account, (1,), ACCOUNT),
        records_at(at.positions, (at.symbols,), POSITION),
        records_at(at.orders, (at.room,), ORDER),
        records_at(at.settings, (1,), SETTINGS),
        records_at(at.contracts, (at.symbols,), CONTRACT),
        records_at(at.fills, (at.most_fills,), FILL),
        records_at(at.payments, (2 * at.symbols,), PAYMENT),
        records_at(at.finer, (at.finer_rows,), FINER),
    )


@rule(makes_arrays=True)
def play_handed(handed: Records, i: int, end: int) -> int:
    """The first row after `i` that has to be looked at again, `end` at most; the histories are written up to there.

    Bars on which nothing can happen as long as no order is given or withdrawn are valued at their close and passed
    over; where bar `i` is none of them it is played, and alone. Where `end` is `i` it is played whatever it is.
    """
    at, desk = handed[0], desk_at(handed[0])
    bars = records_at(at.bars, (at.symbols, at.rows), BAR)
    history = records_at(at.history, (at.rows,), HISTORY)
    held = records_at(at.position_history, (at.symbols, at.rows), POSITION_HISTORY)
    row = pass_over(desk, bars, i, end, history, held) if end > i else i
    if row > i:
        desk.account[0].fills, desk.account[0].payments, desk.account[0].events = 0, 0, 0
        return row
    play_and_record(desk, bars, i, history, held)
    return i + 1


@rule(makes_arrays=True)
def withdraw_handed(handed: Records, identity: int) -> None:
    """Cancels an order, and what is tied to it, as by `withdraw`."""
    withdraw(desk_at(handed[0]), identity)


@rule
def pass_over(desk: Desk, bars: Records, i: int, end: int, history: Records, position_history: Records) -> int:
    """The first row from `i` on that has to be played, `end` at most; those before it are valued and written down."""
    share, count = 0.0, len(desk.positions)
    if desk.account[0].ruined == 0:
        end = min(end, last_orders(desk, i, end))
        if end <= i:
            return i
        if held_together(desk):
            share = shelter(desk)
            if share == 0.0:
                return i
        elif not settled(desk):
            return i
    for s in range(count):
        low, high = band(desk, s, share)
        end = reach(desk, bars, s, i, end, low, high)
    for row in range(i, end):
        if not value_row(desk, bars, row, history, position_history):
            return row
    return end


@rule
def last_orders(desk: Desk, i: int, end: int) -> int:
    """The first row at which an order does something whatever prices do: `i` where it may be this one."""
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.status > LIVE:
            continue
        if order.expires > 0:
            end = min(end, order.expires)
        if order.status == SLEEPING:
            if not has_parent(desk, order):
                return i
            continue
        if order.kind == CLOSE:
            end = min(end, order.due)
        elif order.kind == MARKET or order.waits != 0 or order.trail_amount > 0.0 or order.trail_rate > 0.0:
            return i
    return end


@rule
def has_parent(desk: Desk, order: Row) -> bool:
    """Whether the entry that an exit waits for is still open."""
    for p in range(desk.account[0].orders):
        if desk.orders[p].id == order.parent:
            return bool(desk.orders[p].status <= LIVE)
    return False


@rule
def held_together(desk: Desk) -> bool:
    """Whether several positions stand on one cross account, whose levels move with the prices of all."""
    held = 0
    for s in range(len(desk.positions)):
        if desk.positions[s].quantity != 0.0:
            held += 1
    return bool(desk.settings[0].cross == 1 and held > 1)


@rule
def settled(desk: Desk) -> bool:
    """Whether the liquidation prices in the positions, of which one is held, hold for the next bar as well.

    On cross margin that of a position which none of its prices covers moves with the mark.
    """
    if desk.settings[0].cross == 0:
        return True
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        if position.quantity != 0.0:
            level = position.liquidation_price
            if level == position.mark or level != cross_level(desk, s, True):
                return False
    return True


@rule
def band(desk: Desk, s: int, share: float) -> tuple[float, float]:
    """The prices between which, exclusively, a bar changes nothing for a symbol. `share`: 0, or as `shelter` has it.

    It is narrower than it need be by a tick on either side, because prices compare in ticks. Stop-limits count at the
    level that triggers them. A stop that moves with the best price counts where that could first move it.
    """
    position, tick = desk.positions[s], desk.contracts[s].tick
    side = direction(position.quantity)
    low, high = -math.inf, math.inf
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol != s or order.status != LIVE or order.kind == CLOSE:
            continue
        if (order.kind == LIMIT) == (order.side > 0):
            low = max(low, order.price)
        else:
            high = min(high, order.price)
        if order.kind == STOP and order.side == -side:
            moved = first_move(order, side, tick)
            if side > 0:
                high = min(high, moved)
            else:
                low = max(low, moved)
    level = position.mark * (1.0 - side * share) if share > 0.0 else position.liquidation_price
    if side > 0 and level > 0.0:
        low = max(low, level)
    elif side < 0 and level > 0.0:
        high = min(high, level)
    return low + tick, high - tick


@rule
def reach(desk: Desk, bars: Records, s: int, i: int, end: int, low: float, high: float) -> int:
    """The first row from `i` on, `end` at most, that leaves a symbol's band or settles funding."""
    held = desk.positions[s].quantity != 0.0
    if (not held and low == -math.inf and high == math.inf) or desk.account[0].ruined == 1:
        return end
    for row in range(i, end):
        bar = bars[s, row]
        if bar.low <= low or bar.high >= high:
            return row
        if held and (bar.mark_low <= low or bar.mark_high >= high):
            return row
        if held and (bar.funding_open != 0.0 or bar.funding_inside != 0.0):
            return row
    return end


@rule
def value_row(desk: Desk, bars: Records, i: int, history: Records, position_history: Records) -> bool:
    """Writes the account at the close of a quiet bar; False, with nothing settled, where it would not outlive it."""
    state, unrealised = desk.account[0], 0.0
    if state.ruined == 0 and held_together(desk):
        for s in range(len(desk.positions)):
            desk.positions[s].mark = bars[s, i].mark_close
        show_levels(desk)
    for s in range(len(desk.positions)):
        position, held, mark = desk.positions[s], position_history[s, i], bars[s, i].mark_close
        profit = profit_of(desk.contracts[s], position.quantity, position.entry, mark)
        unrealised += profit
        held.position, held.margin = position.quantity, position.margin
        held.liquidation_price, held.unrealised = position.liquidation_price, profit
        alone = position.quantity != 0.0 and desk.settings[0].cross == 0 and state.ruined == 0
        if alone and position.margin - position.reserve + profit <= 0.0:
            return False
    row = history[i]
    if state.ruined == 1:
        row.equity, row.cash = state.equity, state.cash
        return True
    row.equity, row.cash = state.cash + unrealised, state.cash
    return bool(row.equity > NOTHING_LEFT)
