"""Quiet bars: between which prices no order is met and no stop moves, so that a bar need not be played."""

from __future__ import annotations

import math

from backtests.exchange.positions import direction
from backtests.exchange.records import LIMIT, LIVE, STOP, Desk, Row
from foundation.compilation import rule


@rule(inline=True)
def nearest_exits(desk: Desk, s: int) -> tuple[int, int, bool]:
    """The rows of the stop and the target that a position meets first, or -1; and whether no order waits for an open.

    Knows the orders that the strategy gives: market orders, and one stop and limits that reduce.
    """
    side, stop, target, quiet = direction(desk.positions[s].quantity), -1, -1, True
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol != s or order.status > LIVE:
            continue
        if order.status != LIVE or side == 0 or (order.kind != STOP and order.kind != LIMIT):
            quiet = False
        elif order.kind == STOP:
            stop = k
        elif target < 0 or side * (order.price - desk.orders[target].price) < 0.0:
            target = k
    return stop, target, quiet


@rule(inline=True)
def quiet_bands(desk: Desk, s: int, stop: int, target: int, trails: bool) -> tuple[float, float, float, float]:
    """The lowest and highest price of the band in which nothing happens, and of the one in which no order is met.

    Exclusively: a bar inside the second meets no stop, target or liquidation, one inside the first moves no stop
    either, but for one that trails where `trails` is False: who passes bars inside it has to see to that. They are
    narrower than they need be by a tick on either side, because prices compare in ticks.
    """
    side, tick = direction(desk.positions[s].quantity), desk.contracts[s].tick
    if side == 0:
        return -math.inf, math.inf, -math.inf, math.inf
    target_price, moved, adverse = side * math.inf, side * math.inf, adverse_end(desk, s, side, stop)
    if stop >= 0:
        order = desk.orders[stop]
        moved = first_move(order, side, tick) if trails else first_even(order, side, tick)
    if target >= 0:
        target_price = desk.orders[target].price
    if side > 0:
        most = target_price - tick
        return adverse, min(most, moved - tick), adverse, most
    least = target_price + tick
    return max(least, moved + tick), adverse, least, adverse


@rule(inline=True)
def adverse_end(desk: Desk, s: int, side: int, stop: int) -> float:
    """Where the bands of a position end against it: a tick before its stop or its liquidation, whichever is first."""
    level, tick, price = desk.positions[s].liquidation_price, desk.contracts[s].tick, -side * math.inf
    if stop >= 0:
        price = desk.orders[stop].price
    long: float = max(price, level) + tick
    short: float = (min(price, level) if level > 0.0 else price) - tick
    return long if side > 0 else short


@rule(inline=True)
def first_move(order: Row, side: int, tick: float) -> float:
    """The nearest best price of a bar that could move a stop, less a tick; infinitely far where none could."""
    even: float = first_even(order, side, tick)
    share = 1.0 - side * order.trailing_rate
    if not follows(order) or share <= 0.0:
        return even
    moved = (order.price + side * (order.trailing - tick)) / share
    if follows_late(order):
        after = order.basis * (1.0 + side * order.trailing_after_rate) + side * (order.trailing_after - tick)
        moved = max(moved, after) if side > 0 else min(moved, after)
    nearest: float = min(moved, even) if side > 0 else max(moved, even)
    return nearest


@rule(inline=True)
def first_even(order: Row, side: int, tick: float) -> float:
    """`first_move` of a stop that breaks even, whatever it may trail besides."""
    if (order.break_even_rate > 0.0 or order.break_even > 0.0) and side * (order.basis - order.price) > 0.0:
        even: float = order.basis * (1.0 + side * order.break_even_rate) + side * (order.break_even - tick)
        return even
    return side * math.inf


@rule(inline=True)
def follows(order: Row) -> bool:
    """Whether a stop trails the best price."""
    return bool(order.trailing_rate > 0.0 or order.trailing > 0.0)


@rule(inline=True)
def follows_late(order: Row) -> bool:
    """Whether it does so only once the best price is far enough from the entry."""
    return bool(order.trailing_after_rate > 0.0 or order.trailing_after > 0.0)
