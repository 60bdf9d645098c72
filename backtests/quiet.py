"""Quiet bars: between which prices no order is met and no stop moves, so that a bar need not be played."""

from __future__ import annotations

import math

from backtests.positions import direction
from backtests.records import LIMIT, LIVE, MARKET, STOP, Desk, Row
from foundation.compilation import rule


@rule(inline=True)
def quiet_band(desk: Desk, s: int) -> tuple[float, float, float, bool]:
    """The prices between which no order of a symbol is met; the best price from which a stop moves; and quietness.

    Exclusively: a bar inside the band meets no stop, target or liquidation, and one whose best price does not come to
    the third number moves no stop. They are nearer than they need be by a tick, because prices compare in ticks.
    Quiet: no order waits for an open. Knows the orders that the strategy gives: market orders, and stops and limits
    that reduce.
    """
    position, tick = desk.positions[s], desk.contracts[s].tick
    side = direction(position.quantity)
    low, high, quiet = -math.inf, math.inf, True
    moved = high if side > 0 else low
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol != s or order.status > LIVE:
            continue
        if order.kind == MARKET or side == 0 or order.status != LIVE:
            quiet = False
        elif order.kind == STOP:
            first = first_move(order, side, tick)
            if side > 0:
                low, moved = max(low, order.price), min(moved, first)
            else:
                high, moved = min(high, order.price), max(moved, first)
        elif order.kind == LIMIT:
            if side > 0:
                high = min(high, order.price)
            else:
                low = max(low, order.price)
        else:
            low, high, quiet = math.inf, -math.inf, False
    if side > 0 and position.liquidation_price > 0.0:
        low = max(low, position.liquidation_price)
    elif side < 0 and position.liquidation_price > 0.0:
        high = min(high, position.liquidation_price)
    return low + tick, high - tick, moved - side * tick, quiet


@rule(inline=True)
def first_move(order: Row, side: int, tick: float) -> float:
    """The nearest best price of a bar that could move a stop, less a tick; infinitely far where none could."""
    far = side * math.inf
    moved = far
    if order.trailing_rate > 0.0 or order.trailing > 0.0:
        share = 1.0 - side * order.trailing_rate
        if share > 0.0:
            moved = (order.price + side * (order.trailing - tick)) / share
            if order.trailing_after_rate > 0.0 or order.trailing_after > 0.0:
                after = order.basis * (1.0 + side * order.trailing_after_rate) + side * (order.trailing_after - tick)
                moved = max(moved, after) if side > 0 else min(moved, after)
    if (order.break_even_rate > 0.0 or order.break_even > 0.0) and side * (order.basis - order.price) > 0.0:
        even = order.basis * (1.0 + side * order.break_even_rate) + side * (order.break_even - tick)
        moved = min(moved, even) if side > 0 else max(moved, even)
    return moved
