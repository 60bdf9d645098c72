"""How positions begin on a bar: orders that may open, the venue's filters, and the exits they wake."""

from __future__ import annotations

from backtests.exchange.fills import distant, reaches, stop_fill
from backtests.exchange.positions import close_position, free_cash, open_position
from backtests.exchange.records import (
    ABOVE_TIER,
    BELOW_LOT,
    BELOW_NOTIONAL,
    BELOW_QUANTITY,
    BITMEX,
    CANCELLED,
    CLOSE,
    FILLED,
    LEVERAGE,
    LIMIT,
    LIVE,
    MARKET,
    NOTHING,
    REFUSED,
    SHRUNK,
    SHRUNK_MARKET,
    SHRUNK_TIER,
    SLEEPING,
    Desk,
    Row,
)
from backtests.exchange.slippage import fill_price
from backtests.exchange.ties import GROUP_DUE, end, finish, part_of
from backtests.exchange.triggers import allows, stops, trigger, turned_back
from backtests.exchange.valuation import (
    fee_of,
    initial_margin_of,
    largest_notional_at,
    notional_of,
    open_loss_of,
    reserve_of,
)
from foundation.compilation import rule
from markets.filters import STEP_TOLERANCE, round_down, round_up

# BitMEX rounds margin and reserve up to a satoshi each; in coin.
ROUNDED_UP = 2e-8


@rule(inline=True)
def price_child(child: Row, side: int, entry: float, tick: float) -> None:
    """The price of an exit measured from the entry's fill, when it was given as a distance.

    A stop with neither price nor distance starts where its trailing distance puts it. A stop is rounded to
    the tick nearer to the entry, a target to the tick farther from it. The limit of a stop-limit keeps its
    distance from the level.
    """
    rate, amount = child.offset_rate, child.offset
    if rate == 0.0 and amount == 0.0 and child.price == 0.0:
        rate, amount = child.trailing_rate, child.trailing
    if rate <= 0.0 and amount <= 0.0:
        return
    level = exit_level(-side if stops(child) else side, side, entry, rate, amount, tick)
    child.price, child.limit = level, child.limit + level - child.price


@rule(inline=True)
def exit_level(toward: int, side: int, entry: float, rate: float, amount: float, tick: float) -> float:
    """The price of an exit at a distance above (`toward` +1) or below (-1) the entry's fill; `side`: the entry's."""
    exact = distant(entry, toward, rate, amount)
    return max(tick, round_up(exact, tick) if side > 0 else round_down(exact, tick))


@rule(inline=True)
def wake_child(desk: Desk, child: Row, parent: Row) -> None:
    """An exit comes alive with the fill of its entry, for what that opened or a share of it, priced from it."""
    contract = desk.contracts[child.symbol]
    if child.side * desk.positions[child.symbol].quantity >= 0.0:
        finish(desk, child, CANCELLED, NOTHING)
        return
    child.status, child.quantity, child.basis = LIVE, parent.filled, parent.fill_price
    price_child(child, parent.side, parent.fill_price, contract.tick)
    if part_of(child):
        child.quantity = parent.filled * child.share
        if round_down(child.quantity, contract.lot) <= 0.0:
            finish(desk, child, REFUSED, BELOW_LOT)


@rule
def wake_children(desk: Desk) -> None:
    """The exits of brackets whose entries have filled come alive."""
    for k in range(desk.account[0].orders):
        if desk.orders[k].status != SLEEPING:
            continue
        for p in range(desk.account[0].orders):
            if desk.orders[p].id == desk.orders[k].parent and desk.orders[p].status == FILLED:
                wake_child(desk, desk.orders[k], desk.orders[p])
                break


@rule
def reduce_by_order(desk: Desk, k: int, reference: float, maker: bool) -> None:
    """An order that may also open first closes what stands against it; what is left of it may open."""
    order = desk.orders[k]
    contract, held = desk.contracts[order.symbol], abs(desk.positions[order.symbol].quantity)
    quantity = min(round_down(order.quantity, contract.lot), held)
    if quantity <= 0.0:
        finish(desk, order, REFUSED, BELOW_LOT)
        return
    price = fill_price(desk, order, reference, maker, quantity)
    fee_rate = contract.maker_fee if maker else contract.taker_fee
    order.quantity = round_down(order.quantity - quantity, contract.lot)
    if order.quantity <= 0.0:
        order.filled, order.fill_price = quantity, price
        end(desk, order, FILLED, 0)
    else:
        order.tied = GROUP_DUE
    close_position(desk, order.id, order.symbol, quantity, price, reference, fee_rate, order.reason)
    if order.status == FILLED:
        wake_children(desk)


@rule
def enter(desk: Desk, k: int, reference: float, maker: bool) -> None:
    """An opening order is filled with what `grant` leaves of it, or refused."""
    order = desk.orders[k]
    quantity, price, remark, refusal = grant(desk, order, reference, maker)
    if refusal:
        finish(desk, order, REFUSED, refusal)
        return
    contract = desk.contracts[order.symbol]
    open_position(desk, order, quantity, price, reference, contract.maker_fee if maker else contract.taker_fee)
    finish(desk, order, FILLED, remark)


@rule(inline=True)
def grant(desk: Desk, order: Row, reference: float, maker: bool) -> tuple[float, float, int, int]:
    """What an opening gets of the venue's filters, its brackets and the free margin: quantity, price, remark, refusal.

    The largest market order is all that is sent. One that is shrunk for another reason keeps the price of what was.
    """
    contract, position = desk.contracts[order.symbol], desk.positions[order.symbol]
    asked = round_down(order.quantity, contract.lot)
    quantity = within_market(contract, order, asked)
    remark = SHRUNK_MARKET if quantity < asked else 0
    price = fill_price(desk, order, reference, maker, quantity)
    refusal = LEVERAGE if order.leverage > contract.leverages[0] else 0
    allowed = within_brackets(contract, order.leverage, abs(position.quantity), quantity, price)
    if refusal == 0 and allowed < quantity:
        quantity, remark = allowed, SHRUNK_TIER
        refusal = ABOVE_TIER if allowed <= 0.0 else 0
    fee_rate = contract.maker_fee if maker else contract.taker_fee
    if refusal == 0:
        free, cost = max(0.0, free_cash(desk)), order_cost(contract, order, quantity, price, fee_rate)
        if desk.settings[0].cross:
            cost += open_loss_of(contract, order.side * quantity, price, position.mark)
        if cost > free:
            free = max(0.0, free - ROUNDED_UP if contract.method == BITMEX else free)
            quantity, remark = round_down(free / cost * quantity, contract.lot), SHRUNK
        refusal = refusal_at_price(contract, quantity, price)
    return quantity, price, remark, refusal


@rule
def within_market(contract: Row, order: Row, quantity: float) -> float:
    """The part of an opening that a venue takes at once: anything but a limit is bound by its largest market order."""
    if order.kind == LIMIT or quantity <= contract.maximum_market_quantity:
        return quantity
    return round_down(contract.maximum_market_quantity, contract.lot)


@rule
def within_brackets(contract: Row, leverage: float, held: float, quantity: float, price: float) -> float:
    """The part of an opening that brackets allow: with what is held it has to lie in one that has the leverage."""
    whole = largest_notional_at(contract, leverage) / notional_of(contract, 1.0, price)
    return round_down(max(0.0, min(quantity, whole - held)), contract.lot)


@rule
def order_cost(contract: Row, order: Row, quantity: float, price: float, fee_rate: float) -> float:
    """What an opening takes out of the free margin: initial margin, a reserve for closing, and its own fee.

    A rebate is credited after the fill: it cannot pay for the margin of the same fill.
    """
    posted = initial_margin_of(contract, quantity, price, order.leverage)
    posted += reserve_of(contract, order.side * quantity, price, order.leverage)
    return posted + max(0.0, fee_of(contract, quantity, price, fee_rate))


@rule
def refusal_at_price(contract: Row, quantity: float, price: float) -> int:
    """Why the venue refuses the quantity that is left of an opening, at its fill price: a remark; 0 for no reason."""
    if quantity < contract.lot * 0.5:
        return BELOW_LOT
    if quantity < contract.minimum_quantity * (1.0 - STEP_TOLERANCE):
        return BELOW_QUANTITY
    if notional_of(contract, quantity, price) < contract.minimum_notional * (1.0 - STEP_TOLERANCE):
        return BELOW_NOTIONAL
    return 0


@rule
def trade(desk: Desk, k: int, reference: float, maker: bool) -> bool:
    """An order that may open fills: against a position it closes that first; whether it opened one."""
    order = desk.orders[k]
    if order.side * desk.positions[order.symbol].quantity < 0.0:
        reduce_by_order(desk, k, reference, maker)
    if order.status != LIVE:
        return False
    enter(desk, k, reference, maker)
    return bool(order.status == FILLED)


@rule
def touched_inside(order: Row, bar: Row, through: int, tick: float) -> bool:
    """Whether a bar reaches a resting limit or stop order."""
    if order.kind == LIMIT:
        extreme = bar.low if order.side > 0 else bar.high
        return reaches(-order.side, extreme, order.price - order.side * through * tick, tick)
    return reaches(order.side, bar.high if order.side > 0 else bar.low, order.price, tick)


@rule
def entry_price(order: Row, bar: Row, through: int, tick: float) -> float:
    """The price before slippage at which a resting order that may open fills inside a bar; 0 where it does not.

    A stop-limit whose limit does not allow the price that triggers it is a limit order afterwards.
    """
    if not touched_inside(order, bar, through, tick):
        return 0.0
    reference: float = min(order.price, bar.open) if order.side > 0 else max(order.price, bar.open)
    if order.kind == LIMIT:
        return reference
    reference = stop_fill(order.side, order.price, bar.open)
    if allows(order, reference, tick):
        return reference
    trigger(order, not reaches(order.side, bar.open, order.price, tick))
    reference = order.price
    if order.waits:
        return reference if turned_back(order, bar, through, tick) else 0.0
    return reference if touched_inside(order, bar, through, tick) else 0.0


@rule
def enter_inside(desk: Desk, bar: Row, s: int) -> None:
    """Step 4, entries: resting limit and stop orders that open or add fill where the bar reaches them.

    One that stands against the position is an exit, and takes its turn with the others.
    """
    contract = desk.contracts[s]
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol != s or order.status != LIVE or order.reduce_only or order.kind in (MARKET, CLOSE):
            continue
        if bar.blocked or order.side * desk.positions[s].quantity < 0.0:
            continue
        reference = entry_price(order, bar, desk.settings[0].through, contract.tick)
        if reference <= 0.0:
            continue
        if trade(desk, k, reference, maker=order.kind == LIMIT):
            desk.positions[s].entered_at = reference
        wake_children(desk)
