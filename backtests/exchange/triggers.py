"""Levels that act on orders: the limits of stop-limits, and stops that follow the close."""

from __future__ import annotations

from backtests.exchange.fills import falls, reaches
from backtests.exchange.records import LIMIT, LIVE, STOP, STOP_LIMIT, Desk, Records, Row
from foundation.compilation import rule
from markets.filters import round_down, round_up


@rule
def stops(order: Row) -> bool:
    """Whether an order waits for its level, as a stop does."""
    return bool(order.kind == STOP or order.kind == STOP_LIMIT)


@rule
def allows(order: Row, price: float, tick: float) -> bool:
    """Whether a triggered order may fill at a price: any, unless it is a stop-limit with a limit on the wrong side."""
    return bool(order.kind != STOP_LIMIT or reaches(-order.side, price, order.limit, tick))


@rule
def trigger(order: Row, inside: bool) -> None:
    """A stop-limit is a limit order from here on; triggered inside the bar, it waits for the bar's close."""
    order.kind, order.waits = LIMIT, 1 if inside else 0
    order.price, order.limit = order.limit, order.price


@rule
def turned_back(order: Row, bar: Row, through: int, tick: float) -> bool:
    """Whether the close has come back to the limit of an order that was triggered inside the bar.

    Backtrader's rule: a buy needs a bar that falls, a sell one that does not; one that closes where it opened does not.
    """
    right_way = falls(bar.open, bar.close, tick) == (order.side > 0)
    return bool(right_way and reaches(-order.side, bar.close, order.price - order.side * through * tick, tick))


@rule
def follow_close(desk: Desk, bars: Records, i: int) -> None:
    """Step 7: the levels of trailing stops follow the close, never back; limits at the same distance.

    A stop-limit follows for the last time on the bar that triggered it. Levels count from the next bar on.
    """
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        order.waits = 0
        if order.status != LIVE or bars[order.symbol, i].blocked:
            continue
        if order.trail_amount <= 0.0 and order.trail_rate <= 0.0:
            continue
        trail(order, bars[order.symbol, i].close, desk.contracts[order.symbol].tick)
        if order.kind == LIMIT:
            order.trail_amount, order.trail_rate = 0.0, 0.0


@rule
def trail(order: Row, close: float, tick: float) -> None:
    """The level of one trailing order after a close: the close less (for a buy, plus) its distance, if that is nearer.

    The level is `price` while the order waits for it, and kept in `limit` once it has been triggered.
    """
    distance = order.trail_amount if order.trail_amount > 0.0 else order.trail_rate * close
    exact = close + order.side * distance
    up = order.side < 0 if order.reduce_only else order.side > 0
    level = round_up(exact, tick) if up else round_down(exact, tick)
    before = order.limit if order.kind == LIMIT else order.price
    if order.side * (before - level) <= 0.0:
        return
    if order.kind == LIMIT:
        order.limit, order.price = level, order.price + level - before
    else:
        order.price, order.limit = level, order.limit + level - before
