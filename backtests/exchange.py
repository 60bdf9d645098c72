"""The exchange: plays orders over one bar of every symbol, in the order that docs/fills.md states."""

from __future__ import annotations

from backtests.entries import enter_inside, reduce_by_order, trade, wake_children
from backtests.exits import bankrupt_at_close, exit_inside, fill_exit, gap_at_open
from backtests.fills import slipped
from backtests.positions import finish, settle_funding
from backtests.records import CANCELLED, ENTRY, LIVE, MARKET, NOTHING, RUIN, SLEEPING, WITHDRAWN, Desk, Records
from foundation.compilation import rule
from markets.margin import profit

# Equity below this amount of money is zero: the residue of sums in doubles.
NOTHING_LEFT = 1e-9


@rule
def play_bar(
    account: Records,
    positions: Records,
    orders: Records,
    bars: Records,
    i: int,
    settings: Records,
    contracts: Records,
    fills: Records,
    payments: Records,
) -> None:
    """One bar of every symbol: funding, gaps, orders at the open, the inside of the bar, the close.

    `account` has one record, `positions` and `contracts` one a symbol, `bars` shape (symbols, bars);
    `orders` holds `account.orders` rows in the order they were given. All are changed in place; the
    fills and payments of this bar are written to the first `account.fills` and `account.payments` rows.
    Orders given at the close of bar i-1 are first seen here with `i`.
    """
    state, desk = account[0], Desk(account, positions, orders, settings, contracts, fills, payments)
    state.fills, state.payments, state.events = 0, 0, 0
    drop_finished(desk)
    if state.ruined:
        return
    for s in range(len(positions)):
        positions[s].entered_at = 0.0
        settle_funding(desk, s, bars[s, i].mark_open, bars[s, i].funding_open)
    for s in range(len(positions)):
        gap_at_open(desk, bars[s, i], s)
    reduce_at_open(desk, bars, i)
    open_at_open(desk, bars, i)
    wake_children(desk)
    for s in range(len(positions)):
        enter_inside(desk, bars[s, i], s)
    for s in range(len(positions)):
        exit_inside(desk, bars[s, i], s)
    for s in range(len(positions)):
        settle_funding(desk, s, bars[s, i].mark_close, bars[s, i].funding_inside)
        bankrupt_at_close(desk, bars[s, i], s)
    value_at_close(desk, bars, i)


@rule
def play_and_record(
    account: Records,
    positions: Records,
    orders: Records,
    bars: Records,
    i: int,
    settings: Records,
    contracts: Records,
    fills: Records,
    payments: Records,
    history: Records,
    position_history: Records,
) -> None:
    """`play_bar`, with the account and the positions at the close written to row `i` of the histories.

    `history` has one row a bar, `position_history` shape (symbols, bars).
    """
    play_bar(account, positions, orders, bars, i, settings, contracts, fills, payments)
    row, state = history[i], account[0]
    row.equity, row.cash, row.margin, row.unrealised = state.equity, state.cash, state.margin, state.unrealised
    for s in range(len(positions)):
        held, position = position_history[s, i], positions[s]
        held.position, held.margin = position.quantity, position.margin
        held.mark, held.liquidation_price = bars[s, i].mark_close, position.liquidation_price
        held.unrealised = profit(position.quantity, position.entry, bars[s, i].mark_close)


@rule
def reduce_at_open(desk: Desk, bars: Records, i: int) -> None:
    """Step 3, first half: market orders against a position close it at the open, plus slippage."""
    for s in range(len(desk.positions)):
        if bars[s, i].blocked:
            continue
        for k in range(desk.account[0].orders):
            order, held = desk.orders[k], desk.positions[s].quantity
            if order.symbol != s or order.status != LIVE or order.kind != MARKET:
                continue
            against = order.side * held < 0.0
            if order.reduce_only:
                if against:
                    fill_exit(desk, k, bars[s, i].open, desk.settings[0].slippage)
                else:
                    finish(desk, order, CANCELLED, NOTHING)
            elif against:
                price = slipped(bars[s, i].open, order.side, desk.settings[0].slippage)
                reduce_by_order(desk, k, price, bars[s, i].open, desk.contracts[s].taker_fee)


@rule
def open_at_open(desk: Desk, bars: Records, i: int) -> None:
    """Step 3, second half: market orders open positions at the open, in the declared order of symbols."""
    for s in range(len(desk.positions)):
        if bars[s, i].blocked:
            continue
        for k in range(desk.account[0].orders):
            order = desk.orders[k]
            if order.symbol == s and order.status == LIVE and order.kind == MARKET and order.reduce_only == 0:
                price = slipped(bars[s, i].open, order.side, desk.settings[0].slippage)
                trade(desk, k, price, bars[s, i].open, desk.contracts[s].taker_fee)


@rule
def value_at_close(desk: Desk, bars: Records, i: int) -> None:
    """Step 7: equity and margin at the mark close; an account at zero is ruined for good."""
    state = desk.account[0]
    state.margin, state.unrealised = 0.0, 0.0
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        state.margin += position.margin
        state.unrealised += profit(position.quantity, position.entry, bars[s, i].mark_close)
    state.equity = state.cash + state.unrealised
    if state.equity <= NOTHING_LEFT:
        state.ruined = 1
    if state.ruined:
        for k in range(state.orders):
            if desk.orders[k].status <= LIVE:
                finish(desk, desk.orders[k], CANCELLED, RUIN)


@rule
def drop_finished(desk: Desk) -> None:
    """The order rows closed up over those that have reached a final status, in the same order."""
    kept = 0
    for k in range(desk.account[0].orders):
        if desk.orders[k].status <= LIVE:
            if kept != k:
                desk.orders[kept] = desk.orders[k]
            kept += 1
    desk.account[0].orders = kept


@rule
def withdraw(desk: Desk, identity: int) -> None:
    """An order is cancelled between two bars; the exits that still wait for it go with it."""
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.status <= LIVE and order.id == identity:
            finish(desk, order, CANCELLED, WITHDRAWN)
        elif order.status == SLEEPING and order.parent == identity:
            finish(desk, order, CANCELLED, ENTRY)
