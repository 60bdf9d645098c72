"""The exchange: plays orders over one bar of every symbol, in the order that docs/fills.md states."""

from __future__ import annotations

from backtests.fills import favourable_first, reaches, slipped, stop_fill, tick_down, tick_up, whole_lots
from backtests.positions import (
    close_position,
    direction,
    finish,
    free_cash,
    liquidate,
    open_position,
    settle_funding,
)
from backtests.records import (
    BELOW_LOT,
    BELOW_NOTIONAL,
    BELOW_QUANTITY,
    CANCELLED,
    ENTRY,
    FILLED,
    LEVERAGE,
    LIMIT,
    LIQUIDATION,
    LIVE,
    MARKET,
    NOTHING,
    REFUSED,
    RUIN,
    SHRUNK,
    SIBLING,
    SLEEPING,
    STOP,
    WITHDRAWN,
    Records,
)
from foundation.compilation import rule
from markets.margin import bankruptcy_price, profit

# Equity below this fraction of one unit of money is zero: the residue of sums in doubles.
NOTHING_LEFT = 1e-9


@rule
def withdraw(account: Records, orders: Records, identity: int) -> None:
    """An order is cancelled between two bars; the exits that wait for it go with it."""
    for k in range(account[0].orders):
        if orders[k].status <= LIVE and (orders[k].id == identity or orders[k].parent == identity):
            finish(account, orders[k], CANCELLED, WITHDRAWN if orders[k].id == identity else ENTRY)


@rule
def play_bar(
    account: Records, positions: Records, orders: Records, bars: Records, i: int, settings: Records, contracts: Records, fills: Records, payments: Records
) -> None:
    """One bar of every symbol: funding, gaps, orders at the open, the inside of the bar, the close.

    `account` has one record, `positions` and `contracts` one a symbol, `bars` shape (symbols, bars);
    `orders` holds `account.orders` rows in the order they were given. All are changed in place; the
    fills and payments of this bar are written to the first `account.fills` and `account.payments` rows.
    Orders given at the close of bar i-1 are first seen here with `i`.
    """
    state = account[0]
    state.fills, state.payments, state.events = 0, 0, 0
    drop_finished(account, orders)
    for s in range(len(positions)):
        settle_funding(account, positions, contracts, payments, s, bars[s, i].mark_open, bars[s, i].funding_open)
    for s in range(len(positions)):
        gap_at_open(account, positions, orders, bars[s, i], settings, contracts, fills, s)
    reduce_at_open(account, positions, orders, bars, i, settings, contracts, fills)
    open_at_open(account, positions, orders, bars, i, settings, contracts, fills)
    wake_children(account, orders, contracts)
    for s in range(len(positions)):
        entered = enter_inside(account, positions, orders, bars[s, i], settings, contracts, fills, s)
        exit_inside(account, positions, orders, bars[s, i], settings, contracts, fills, s, entered)
    for s in range(len(positions)):
        settle_funding(account, positions, contracts, payments, s, bars[s, i].mark_close, bars[s, i].funding_inside)
        bankrupt_at_close(account, positions, orders, bars[s, i], contracts, fills, s)
    value_at_close(account, positions, orders, bars, i)


@rule
def drop_finished(account: Records, orders: Records) -> None:
    """The order rows closed up over those that have reached a final status, in the same order."""
    kept = 0
    for k in range(account[0].orders):
        if orders[k].status <= LIVE:
            if kept != k:
                orders[kept] = orders[k]
            kept += 1
    account[0].orders = kept


@rule
def gap_at_open(
    account: Records, positions: Records, orders: Records, bar: Records, settings: Records, contracts: Records, fills: Records, s: int
) -> None:
    """Step 2: a position carried over the open meets liquidation, stop and target, in that order."""
    position, slippage = positions[s], settings[0].slippage
    side = direction(position.quantity)
    if side == 0:
        return
    tick = contracts[s].tick
    if position.liquidation_price > 0.0 and reaches(-side, bar.mark_open, position.liquidation_price, tick):
        liquidate(account, positions, orders, fills, contracts, s, bar.open, slippage)
        return
    if bar.blocked:
        return
    k = nearest_exit(account, orders, s, STOP, side)
    while k >= 0 and position.quantity != 0.0 and reaches(-side, bar.open, orders[k].price, tick):
        fill_exit(account, positions, orders, contracts, fills, k, bar.open, slippage)
        k = nearest_exit(account, orders, s, STOP, side)
    take_targets(account, positions, orders, contracts, fills, s, bar.open, settings[0].through)


@rule
def nearest_exit(account: Records, orders: Records, s: int, kind: int, side: int) -> int:
    """The row of the live reducing order of a kind that the price meets first, or -1.

    `side` is the position's. A long's nearest stop is the highest, its nearest target the lowest.
    """
    found, toward = -1, side if kind == STOP else -side
    for k in range(account[0].orders):
        order = orders[k]
        if order.status != LIVE or order.symbol != s or order.kind != kind or order.reduce_only == 0:
            continue
        if order.side == -side and (found < 0 or toward * (order.price - orders[found].price) > 0.0):
            found = k
    return found


@rule
def fill_exit(
    account: Records, positions: Records, orders: Records, contracts: Records, fills: Records, k: int, reference: float, slippage: float
) -> None:
    """A reducing order fills: a limit as maker at the reference price, any other as taker with slippage."""
    order = orders[k]
    contract, position = contracts[order.symbol], positions[order.symbol]
    quantity = min(whole_lots(order.quantity, contract.lot), abs(position.quantity))
    maker = order.kind == LIMIT
    price = reference if maker else slipped(reference, order.side, slippage)
    fee_rate = contract.maker_fee if maker else contract.taker_fee
    order.filled, order.fill_price = quantity, price
    finish(account, order, FILLED, 0)
    cancel_siblings(account, orders, k)
    close_position(account, positions, orders, fills, contracts, order.id, order.symbol, quantity, price, reference, fee_rate, order.reason)


@rule
def cancel_siblings(account: Records, orders: Records, k: int) -> None:
    """The other exits of the same bracket are cancelled when one has filled."""
    parent = orders[k].parent
    if parent == 0:
        return
    for other in range(account[0].orders):
        if other != k and orders[other].parent == parent and orders[other].status <= LIVE:
            finish(account, orders[other], CANCELLED, SIBLING)


@rule
def take_targets(
    account: Records, positions: Records, orders: Records, contracts: Records, fills: Records, s: int, price: float, through: int
) -> None:
    """Every target that a price reaches fills at its limit, the nearest first."""
    side, tick = direction(positions[s].quantity), contracts[s].tick
    while positions[s].quantity != 0.0:
        k = nearest_exit(account, orders, s, LIMIT, side)
        if k < 0 or not reaches(side, price, orders[k].price + side * through * tick, tick):
            return
        fill_exit(account, positions, orders, contracts, fills, k, orders[k].price, 0.0)


@rule
def reduce_at_open(
    account: Records, positions: Records, orders: Records, bars: Records, i: int, settings: Records, contracts: Records, fills: Records
) -> None:
    """Step 3, first half: market orders against a position close it at the open, plus slippage."""
    for s in range(len(positions)):
        if bars[s, i].blocked:
            continue
        for k in range(account[0].orders):
            order, held = orders[k], positions[s].quantity
            if order.symbol != s or order.status != LIVE or order.kind != MARKET:
                continue
            against = order.side * held < 0.0
            if order.reduce_only:
                if against:
                    fill_exit(account, positions, orders, contracts, fills, k, bars[s, i].open, settings[0].slippage)
                else:
                    finish(account, order, CANCELLED, NOTHING)
            elif against:
                price = slipped(bars[s, i].open, order.side, settings[0].slippage)
                reduce_by_order(account, positions, orders, contracts, fills, k, price, bars[s, i].open, contracts[s].taker_fee)


@rule
def reduce_by_order(
    account: Records, positions: Records, orders: Records, contracts: Records, fills: Records, k: int, price: float, reference: float, fee_rate: float
) -> None:
    """An order that may also open first closes what stands against it; what is left of it may open."""
    order = orders[k]
    contract, held = contracts[order.symbol], abs(positions[order.symbol].quantity)
    quantity = min(whole_lots(order.quantity, contract.lot), held)
    if quantity <= 0.0:
        finish(account, order, REFUSED, BELOW_LOT)
        return
    order.quantity = whole_lots(order.quantity - quantity, contract.lot)
    if order.quantity <= 0.0:
        order.filled, order.fill_price = quantity, price
        finish(account, order, FILLED, 0)
    close_position(account, positions, orders, fills, contracts, order.id, order.symbol, quantity, price, reference, fee_rate, order.reason)


@rule
def open_at_open(
    account: Records, positions: Records, orders: Records, bars: Records, i: int, settings: Records, contracts: Records, fills: Records
) -> None:
    """Step 3, second half: market orders open positions at the open, in the declared order of symbols."""
    for s in range(len(positions)):
        if bars[s, i].blocked:
            continue
        for k in range(account[0].orders):
            order = orders[k]
            if order.symbol == s and order.status == LIVE and order.kind == MARKET and order.reduce_only == 0:
                price = slipped(bars[s, i].open, order.side, settings[0].slippage)
                enter(account, positions, orders, contracts, fills, k, price, bars[s, i].open, contracts[s].taker_fee)


@rule
def enter(
    account: Records, positions: Records, orders: Records, contracts: Records, fills: Records, k: int, price: float, reference: float, fee_rate: float
) -> None:
    """An opening order meets the venue's filters and the free margin: filled, shrunk or refused."""
    order = orders[k]
    contract = contracts[order.symbol]
    if order.leverage > contract.maximum_leverage:
        finish(account, order, REFUSED, LEVERAGE)
        return
    quantity, remark = whole_lots(order.quantity, contract.lot), 0
    unit = price / order.leverage + price * max(fee_rate, 0.0)
    free = max(0.0, free_cash(account, positions))
    if quantity * unit > free:
        quantity, remark = whole_lots(free / unit, contract.lot), SHRUNK
        while quantity > 0.0 and quantity * unit > free:
            quantity = whole_lots(quantity - contract.lot, contract.lot)
    if quantity < contract.lot * 0.5:
        finish(account, order, REFUSED, BELOW_LOT)
    elif quantity < contract.minimum_quantity:
        finish(account, order, REFUSED, BELOW_QUANTITY)
    elif quantity * price < contract.minimum_notional:
        finish(account, order, REFUSED, BELOW_NOTIONAL)
    else:
        open_position(account, positions, fills, contracts, order, quantity, price, reference, fee_rate)
        finish(account, order, FILLED, remark)


@rule
def wake_children(account: Records, orders: Records, contracts: Records) -> None:
    """The exits of a bracket come alive with the fill of its entry, priced from it; or die with it."""
    for k in range(account[0].orders):
        child = orders[k]
        if child.status != SLEEPING:
            continue
        for p in range(account[0].orders):
            parent = orders[p]
            if parent.id != child.parent or parent.status <= LIVE:
                continue
            if parent.filled > 0.0:
                child.status, child.quantity = LIVE, parent.filled
                price_child(child, parent.side, parent.fill_price, contracts[child.symbol].tick)
            else:
                finish(account, child, CANCELLED, ENTRY)


@rule
def price_child(child: Records, side: int, entry: float, tick: float) -> None:
    """The price of an exit measured from the entry's fill, when it was given as a distance.

    A stop is rounded to the tick nearer to the entry, a target to the tick farther from it.
    """
    if child.offset_rate <= 0.0 and child.offset <= 0.0:
        return
    away = -side if child.kind == STOP else side
    level = entry * (1.0 + away * child.offset_rate) + away * child.offset
    child.price = max(tick, tick_up(level, tick) if side > 0 else tick_down(level, tick))


@rule
def enter_inside(
    account: Records, positions: Records, orders: Records, bar: Records, settings: Records, contracts: Records, fills: Records, s: int
) -> bool:
    """Step 4, entries: resting limit and stop orders that may open fill where the bar reaches them."""
    entered, contract = False, contracts[s]
    if bar.blocked:
        return False
    for k in range(account[0].orders):
        order = orders[k]
        if order.symbol != s or order.status != LIVE or order.reduce_only or order.kind == MARKET:
            continue
        if not touched_inside(order, bar, settings[0].through, contract.tick):
            continue
        reference = stop_fill(order.side, order.price, bar.open)
        price, fee_rate = slipped(reference, order.side, settings[0].slippage), contract.taker_fee
        if order.kind == LIMIT:
            reference = min(order.price, bar.open) if order.side > 0 else max(order.price, bar.open)
            price, fee_rate = reference, contract.maker_fee
        if order.side * positions[s].quantity < 0.0:
            reduce_by_order(account, positions, orders, contracts, fills, k, price, reference, fee_rate)
        if order.status == LIVE:
            enter(account, positions, orders, contracts, fills, k, price, reference, fee_rate)
            entered = True
    if entered:
        wake_children(account, orders, contracts)
    return entered


@rule
def touched_inside(order: Records, bar: Records, through: int, tick: float) -> bool:
    """Whether a bar reaches a resting limit or stop order."""
    if order.kind == LIMIT:
        extreme = bar.low if order.side > 0 else bar.high
        return reaches(-order.side, extreme, order.price - order.side * through * tick, tick)
    return reaches(order.side, bar.high if order.side > 0 else bar.low, order.price, tick)


@rule
def exit_inside(
    account: Records, positions: Records, orders: Records, bar: Records, settings: Records, contracts: Records, fills: Records, s: int, entered: bool
) -> None:
    """Step 4, exits: the adverse side and the targets, in the assumed order of the bar's path."""
    side = direction(positions[s].quantity)
    if side == 0:
        return
    best = bar.high if side > 0 else bar.low
    through = settings[0].through
    if not entered and not bar.blocked and favourable_first(settings[0].intrabar, side, bar.open, bar.high, bar.low):
        take_targets(account, positions, orders, contracts, fills, s, best, through)
    meet_adverse(account, positions, orders, bar, settings, contracts, fills, s)
    if not entered and not bar.blocked:
        take_targets(account, positions, orders, contracts, fills, s, best, through)


@rule
def meet_adverse(
    account: Records, positions: Records, orders: Records, bar: Records, settings: Records, contracts: Records, fills: Records, s: int
) -> None:
    """The nearer of stop (on last prices) and liquidation (on mark prices) acts, until none is reached."""
    position, tick = positions[s], contracts[s].tick
    while position.quantity != 0.0:
        side = direction(position.quantity)
        worst, worst_mark = (bar.low, bar.mark_low) if side > 0 else (bar.high, bar.mark_high)
        k = -1 if bar.blocked else nearest_exit(account, orders, s, STOP, side)
        stopped = k >= 0 and reaches(-side, worst, orders[k].price, tick)
        level = position.liquidation_price
        liquidated = level > 0.0 and reaches(-side, worst_mark, level, tick)
        if stopped and (not liquidated or reaches(side, orders[k].price, level, tick)):
            reference = stop_fill(-side, orders[k].price, bar.open)
            fill_exit(account, positions, orders, contracts, fills, k, reference, settings[0].slippage)
        elif liquidated:
            liquidate(account, positions, orders, fills, contracts, s, bar.open, settings[0].slippage)
        else:
            return


@rule
def bankrupt_at_close(
    account: Records, positions: Records, orders: Records, bar: Records, contracts: Records, fills: Records, s: int
) -> None:
    """Step 5: a position that funding inside the bar has left without margin is taken over."""
    position = positions[s]
    if position.quantity == 0.0 or position.margin + profit(position.quantity, position.entry, bar.mark_close) > 0.0:
        return
    price = bankruptcy_price(position.quantity, position.entry, position.margin)
    quantity, fee_rate = abs(position.quantity), contracts[s].taker_fee
    close_position(account, positions, orders, fills, contracts, 0, s, quantity, price, price, fee_rate, LIQUIDATION)


@rule
def value_at_close(account: Records, positions: Records, orders: Records, bars: Records, i: int) -> None:
    """Step 7: equity and margin at the mark close; an account at zero is ruined for good."""
    state = account[0]
    state.margin, state.unrealised = 0.0, 0.0
    for s in range(len(positions)):
        position = positions[s]
        state.margin += position.margin
        state.unrealised += profit(position.quantity, position.entry, bars[s, i].mark_close)
    state.equity = state.cash + state.unrealised
    if state.equity <= NOTHING_LEFT:
        state.ruined = 1
    if state.ruined:
        for k in range(state.orders):
            if orders[k].status <= LIVE:
                finish(account, orders[k], CANCELLED, RUIN)


@rule
def play_and_record(
    account: Records, positions: Records, orders: Records, bars: Records, i: int, settings: Records, contracts: Records, fills: Records, payments: Records, history: Records, position_history: Records
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
