"""The exchange: plays orders over one bar of every symbol, in the order that docs/fills.md states."""

from __future__ import annotations

from backtests.exchange.cross import cross_level
from backtests.exchange.entries import enter_inside, reduce_by_order, trade, wake_children
from backtests.exchange.exits import bankrupt_at_close, exit_inside, fill_exit, follow_price, gap_at_open
from backtests.exchange.positions import settle_funding, take_over_account
from backtests.exchange.records import CANCELLED, CLOSE, LIVE, MARKET, NOTHING, RUIN, Desk, Records, Row
from backtests.exchange.ties import drop_finished, expire_orders, finish
from backtests.exchange.triggers import follow_close
from backtests.exchange.valuation import profit_of
from foundation.compilation import rule

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
    finer: Records,
) -> None:
    """One bar of every symbol: funding, gaps, orders at the open, the inside of the bar, the close.

    `account` has one record, `positions` and `contracts` one a symbol, `bars` shape (symbols, bars);
    `orders` holds `account.orders` rows in the order they were given. All are changed in place; the
    fills and payments of this bar are written to the first `account.fills` and `account.payments` rows.
    Orders given at the close of bar i-1 are first seen here with `i`.
    """
    state, desk = account[0], Desk(account, positions, orders, settings, contracts, fills, payments, finer)
    state.fills, state.payments, state.events = 0, 0, 0
    drop_finished(desk)
    if state.ruined:
        return
    expire_orders(desk, i)
    show_marks(desk, bars, i)
    for s in range(len(positions)):
        positions[s].entered_at, positions[s].impact = 0.0, bars[s, i].impact
        settle_funding(desk, s, bars[s, i].mark_open, bars[s, i].funding_open)
    for s in range(len(positions)):
        gap_at_open(desk, bars[s, i], s)
    fill_at_one_price(desk, bars, i, MARKET)
    for s in range(len(positions)):
        enter_inside(desk, bars[s, i], s)
    for s in range(len(positions)):
        exit_inside(desk, bars[s, i], s)
        follow_price(desk, bars[s, i], s)
    for s in range(len(positions)):
        positions[s].mark = bars[s, i].mark_close
        settle_funding(desk, s, bars[s, i].mark_close, bars[s, i].funding_inside)
    take_over(desk, bars, i)
    fill_at_one_price(desk, bars, i, CLOSE)
    take_over(desk, bars, i)
    follow_close(desk, bars, i)
    value_at_close(desk, bars, i)


@rule
def play_and_record(desk: Desk, bars: Records, i: int, history: Records, position_history: Records) -> None:
    """`play_bar`, with the account and the positions at the close written to row `i` of the histories.

    `history` has one row a bar, `position_history` shape (symbols, bars).
    """
    play_bar(
        desk.account, desk.positions, desk.orders, bars, i, desk.settings, desk.contracts, desk.fills, desk.payments,
        desk.finer,
    )  # fmt: skip
    history[i].equity, history[i].cash = desk.account[0].equity, desk.account[0].cash
    for s in range(len(desk.positions)):
        held, position = position_history[s, i], desk.positions[s]
        held.position, held.margin = position.quantity, position.margin
        held.liquidation_price = position.liquidation_price
        held.unrealised = profit_of(desk.contracts[s], position.quantity, position.entry, bars[s, i].mark_close)


@rule
def fill_at_one_price(desk: Desk, bars: Records, i: int, kind: int) -> None:
    """Steps 3 and 6: market orders at the open, those due at the close; plus slippage, reductions first.

    In the declared order of symbols, then in that of the orders.
    """
    for s in range(len(desk.positions)):
        if not bars[s, i].blocked:
            reduce_at_price(desk, bars[s, i], s, i, kind)
    for s in range(len(desk.positions)):
        if not bars[s, i].blocked:
            open_at_price(desk, bars[s, i], s, i, kind)
    wake_children(desk)


@rule
def is_due(order: Row, s: int, i: int, kind: int) -> bool:
    """Whether an order of a kind, on a symbol, is to be filled on bar `i`."""
    return bool(order.symbol == s and order.status == LIVE and order.kind == kind and order.due <= i)


@rule
def reduce_at_price(desk: Desk, bar: Row, s: int, i: int, kind: int) -> None:
    """First half: orders against a position close it."""
    reference = bar.open if kind == MARKET else bar.close
    for k in range(desk.account[0].orders):
        order, held = desk.orders[k], desk.positions[s].quantity
        if not is_due(order, s, i, kind):
            continue
        against = order.side * held < 0.0
        if order.reduce_only:
            if against:
                fill_exit(desk, k, reference)
            else:
                finish(desk, order, CANCELLED, NOTHING)
        elif against:
            reduce_by_order(desk, k, reference, maker=False)


@rule
def open_at_price(desk: Desk, bar: Row, s: int, i: int, kind: int) -> None:
    """Second half: orders open positions."""
    reference = bar.open if kind == MARKET else bar.close
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if is_due(order, s, i, kind) and order.reduce_only == 0:
            trade(desk, k, reference, maker=False)


@rule
def take_over(desk: Desk, bars: Records, i: int) -> None:
    """What funding inside the bar, or the price of a fill at the close, has left without margin at the mark close."""
    for s in range(len(desk.positions)):
        bankrupt_at_close(desk, bars[s, i], s)
    if desk.settings[0].cross:
        take_over_account(desk)


@rule
def show_marks(desk: Desk, bars: Records, i: int) -> None:
    """The mark prices of a bar put where a cross account finds them: what is known at the open, and the extremes."""
    for s in range(len(desk.positions)):
        position, bar = desk.positions[s], bars[s, i]
        position.mark, position.mark_low, position.mark_high = bar.mark_open, bar.mark_low, bar.mark_high


@rule(inline=True)
def value_at_close(desk: Desk, bars: Records, i: int) -> None:
    """Step 7: equity and margin at the mark close; an account at zero is ruined for good."""
    state = desk.account[0]
    state.margin, state.unrealised = 0.0, 0.0
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        state.margin += position.margin
        state.unrealised += profit_of(desk.contracts[s], position.quantity, position.entry, bars[s, i].mark_close)
        if desk.settings[0].cross:
            position.liquidation_price = cross_level(desk, s, False)
    state.equity = state.cash + state.unrealised
    if state.equity <= NOTHING_LEFT:
        state.ruined = 1
    if state.ruined:
        for k in range(state.orders):
            if desk.orders[k].status <= LIVE:
                finish(desk, desk.orders[k], CANCELLED, RUIN)
