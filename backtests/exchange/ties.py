"""How orders end, and what ends with them: OCO groups, brackets, validity, withdrawal."""

from __future__ import annotations

from backtests.exchange.records import (
    BRACKET,
    CANCELLED,
    ENTRY,
    EXPIRED,
    FILLED,
    GROUP,
    LIVE,
    MARKET,
    OVERDUE,
    SIBLING,
    WITHDRAWN,
    Desk,
    Row,
)
from foundation.compilation import rule
from markets.filters import round_down

# What `tied` says of an order: nothing yet; what ends with it has ended; only its OCO group has to.
TIED, GROUP_DUE = 1, 2


@rule
def end(desk: Desk, order: Row, status: int, remark: int) -> None:
    """An order reaches its final status, with the remark that says why and the account of that moment."""
    order.status, order.remark = status, remark
    order.cash, order.position = desk.account[0].cash, desk.positions[order.symbol].quantity
    desk.account[0].events += 1


@rule
def finish(desk: Desk, order: Row, status: int, remark: int) -> None:
    """An order ends, and what is tied to it."""
    end(desk, order, status, remark)
    cut_ties(desk)


@rule
def part_of(order: Row) -> bool:
    """Whether an exit of a bracket is for a share of the entry: a rung of a ladder, which ends nothing with it."""
    return bool(0.0 < order.share < 1.0)


@rule
def tie_remark(order: Row, other: Row) -> int:
    """Why another open order ends with an order that has ended, or of which a part has filled; 0 when it does not."""
    if order.group != 0 and other.group == order.group and order.remark != GROUP:
        return GROUP
    if order.tied == GROUP_DUE or part_of(order):
        return 0
    if other.parent == order.id:
        return 0 if order.status == FILLED else ENTRY
    if order.parent != 0 and other.parent == order.parent:
        return SIBLING if order.status == FILLED else BRACKET
    return BRACKET if order.parent != 0 and other.id == order.parent else 0


@rule
def cut_ties(desk: Desk) -> None:
    """Whatever is tied to orders that have ended, or in part filled, is cancelled; and what is tied to that."""
    count, k = desk.account[0].orders, 0
    while k < count:
        order = desk.orders[k]
        k += 1
        if order.tied == TIED or (order.status <= LIVE and order.tied == 0):
            continue
        cut = False
        for o in range(count):
            other = desk.orders[o]
            if other.status > LIVE or other.id == order.id:
                continue
            remark = tie_remark(order, other)
            if remark != 0:
                end(desk, other, CANCELLED, remark)
                cut = True
        order.tied = 0 if order.status <= LIVE else TIED
        if cut:
            k = 0


@rule(inline=True)
def leave_rest(desk: Desk, k: int, quantity: float) -> None:
    """What an exit for a share has closed is taken off those for the whole; one with nothing left ends."""
    order = desk.orders[k]
    if order.parent == 0 or not part_of(order):
        return
    for o in range(desk.account[0].orders):
        other = desk.orders[o]
        if other.parent == order.parent and other.status <= LIVE and not part_of(other):
            other.quantity -= quantity
            if round_down(other.quantity, desk.contracts[order.symbol].lot) <= 0.0:
                end(desk, other, CANCELLED, SIBLING)


@rule
def expire_orders(desk: Desk, i: int) -> None:
    """Step 0: orders that are no longer valid on bar `i`; a market order always is."""
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.status <= LIVE and 0 < order.expires <= i and order.kind != MARKET:
            finish(desk, order, EXPIRED, OVERDUE)


@rule
def withdraw(desk: Desk, identity: int) -> None:
    """An order is cancelled between two bars, and what is tied to it."""
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.status <= LIVE and order.id == identity:
            finish(desk, order, CANCELLED, WITHDRAWN)


@rule(inline=True)
def drop_finished(desk: Desk) -> None:
    """The order rows closed up over those that have reached a final status, in the same order."""
    kept = 0
    for k in range(desk.account[0].orders):
        if desk.orders[k].status <= LIVE:
            if kept != k:
                desk.orders[kept] = desk.orders[k]
            kept += 1
    desk.account[0].orders = kept
