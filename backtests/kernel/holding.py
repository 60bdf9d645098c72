"""Holding: the bars of a position, the account's only one, on which no order is met, counted without being played."""

from __future__ import annotations

import math
from typing import NamedTuple

from backtests.exchange.exchange import NOTHING_LEFT
from backtests.exchange.exits import follow_best
from backtests.exchange.fills import distant
from backtests.exchange.levels import liquidation_level
from backtests.exchange.positions import direction
from backtests.exchange.quiet import follows, follows_late, nearest_exits, quiet_bands
from backtests.exchange.records import Desk, Row
from backtests.exchange.valuation import payment_of, profit_of
from backtests.kernel.course import note_cash
from backtests.kernel.trader import LONG, SHORT, Book, Play
from foundation.compilation import rule
from foundation.lanes import (
    WIDTH,
    bits_of,
    higher,
    highest,
    highest_before,
    lane_of,
    lanes_from,
    lanes_of,
    leading,
    where,
)


class Due(NamedTuple):
    """Cash, margin and liquidation price after the funding of a bar, and all that was paid so far.

    `outlived`: whether the position is neither liquidated nor left without margin on that bar, nor the account ruined.
    """

    cash: float
    margin: float
    funding: float
    level: float
    outlived: bool


@rule(inline=True)
def find_bands(desk: Desk, book: Book, s: int, trails: bool) -> bool:
    """The exits and the bands of a symbol put down in the book, and whether none of its orders waits for an open.

    `trails`: as in `quiet_bands`.
    """
    stop, target, quiet = nearest_exits(desk, s)
    book.stop[s], book.target[s] = stop, target
    book.low[s], book.high[s], book.least[s], book.most[s] = quiet_bands(desk, s, stop, target, trails)
    return quiet


@rule(inline=True)
def refresh_bands(desk: Desk, book: Book) -> None:
    """The bands of the only position as its exits stand in the book."""
    stop, target = book.stop[0], book.target[0]
    book.low[0], book.high[0], book.least[0], book.most[0] = quiet_bands(desk, 0, stop, target, False)


@rule(inline=True)
def pass_held_alone(play: Play, i: int) -> tuple[int, bool]:
    """The row of the first bar that has not been counted, and whether a decision is due at the close before it."""
    decision, count = next_decision(play, i), play.scene.bars.shape[1]
    i = hold(play, i, min(decision + 1, count))
    return i, i == decision + 1


@rule(inline=True)
def next_decision(play: Play, i: int) -> int:
    """The row of the next bar, `i` included, at whose close a decision could do anything about the only position."""
    side, memory, longest = direction(play.desk.positions[0].quantity), play.book.memory[0], 0
    if memory.barred != 0:
        return i
    found, longest = int(play.wish.upcoming[SHORT if side > 0 else LONG, 0, i]), play.setting.habits[0].maximum_bars
    return min(found, max(i, memory.entered + longest - 2)) if longest > 0 else found


@rule(inline=True)
def hold(play: Play, i: int, end: int) -> int:
    """Passes the bars before `end` on which no order is met; the row of the first other one, or `end`.

    What comes after the tile has to wait for the next one, as it may change the account.
    """
    account, position, begun = play.desk.account[0], play.desk.positions[0], i
    end = min(end, play.course.end)
    while i < end:
        first = i
        i = pay_inside(play, i, pass_inside(play, i, end))
        follow_passed(play, first, i)
        if i == end or not pass_bar(play, i):
            break
        i += 1
    if i > begun:
        mark = play.scene.mark[0, i - 1]
        account.unrealised = profit_of(play.desk.contracts[0], position.quantity, position.entry, mark)
        account.equity = account.cash + account.unrealised
    return i


@rule(inline=True)
def pass_inside(play: Play, i: int, end: int) -> int:
    """The row of the first bar before `end` on which prices leave the band of the only position, or `end`.

    Inside it the mark stays on this side of the liquidation price, so the account is never ruined.
    """
    stop = play.book.stop[0]
    if stop >= 0 and follows(play.desk.orders[stop]):
        return pass_trailing(play, i, end)
    lows, highs, low, high = play.scene.low[0], play.scene.high[0], play.book.low[0], play.book.high[0]
    while i < end and i + WIDTH <= len(lows):
        inside = leading((lanes_from(lows, i) > low) & (lanes_from(highs, i) < high))
        if inside < WIDTH:
            return min(i + inside, end)
        i += WIDTH
        if i < end:
            i = pass_blocks(play, i // WIDTH, end)
    while i < end and lows[i] > low and highs[i] < high:
        i += 1
    return min(i, end)


@rule(inline=True)
def pass_blocks(play: Play, block: int, end: int) -> int:
    """The row at which the first block of WIDTH bars begins, from `block` on, that leaves the band or reaches `end`."""
    lows, highs, low, high = play.scene.lows[0], play.scene.highs[0], play.book.low[0], play.book.high[0]
    while block * WIDTH < end and block + WIDTH <= len(lows):
        inside = leading((lanes_from(lows, block) > low) & (lanes_from(highs, block) < high))
        block += inside
        if inside < WIDTH:
            break
    return block * WIDTH


@rule(inline=True)
def pass_trailing(play: Play, i: int, end: int) -> int:
    """`pass_inside` with a stop that trails, which stands at every bar where the best price before it has moved it.

    That is taken to be two ticks nearer than it is: one for its rounding, one because prices compare in ticks. Of the
    last bars of a market, fewer than WIDTH, the first counts as one that leaves the band.
    """
    scene, side, low, high = play.scene, direction(play.desk.positions[0].quantity), play.book.low[0], play.book.high[0]
    order, tick = play.desk.orders[play.book.stop[0]], play.desk.contracts[0].tick
    sign, share, away, after = float(side), 1.0 - side * order.trailing_rate, order.trailing - 2.0 * tick, -math.inf
    if follows_late(order):
        after = side * distant(order.basis, side, order.trailing_after_rate, order.trailing_after) - tick
    lows, highs = scene.low[0], scene.high[0]
    worst, best = (lows, scene.highest[0]) if side > 0 else (highs, scene.lowest[0])
    top = lanes_of(-math.inf)
    while i < end and i + WIDTH <= len(lows):
        # Of a short all prices are taken below zero, so that the best is the highest.
        reached = lanes_from(best, i) * sign
        before = higher(highest_before(reached), top)
        stops = where(before > after, before * share - away, -math.inf)
        clear = lanes_from(worst, i) * sign > stops
        inside = leading((lanes_from(lows, i) > low) & (lanes_from(highs, i) < high) & clear)
        if inside < WIDTH:
            return min(i + inside, end)
        top = higher(highest(reached), top)
        i += WIDTH
    return min(i, end)


@rule(inline=True)
def follow_passed(play: Play, begin: int, end: int) -> None:
    """A stop that trails moves with the best price of bars that were passed, as it does with each in its turn."""
    scene, desk, book, top = play.scene, play.desk, play.book, lanes_of(-math.inf)
    stop, side = book.stop[0], direction(desk.positions[0].quantity)
    if begin == end or stop < 0 or not follows(desk.orders[stop]):
        return
    best = scene.highest[0] if side > 0 else scene.lowest[0]
    while begin < end:
        some = bits_of((1 << min(end - begin, WIDTH)) - 1)
        top = higher(where(some, lanes_from(best, begin) * float(side), -math.inf), top)
        begin += WIDTH
    follow_best(desk.orders[stop], side, side * lane_of(highest(top), 0), desk.contracts[0].tick)
    refresh_bands(desk, book)


@rule(inline=True)
def pay_inside(play: Play, i: int, end: int) -> int:
    """Pays the funding of the bars from `i` to before `end`, which lie inside the band; the row of the first that is
    left, because the position does not outlive it or the band is narrower with it, or `end`.

    Where a bar has funding at its open and inside it, the one may take what the other gives back.
    """
    scene, turn = play.scene, play.scene.turn[0, i]
    event = scene.events[0, turn]
    while event.row < end:
        row: int = event.row
        due = funding_due(play, event, scene.low[0, row], scene.high[0, row])
        if not due.outlived or narrows(play, due.level):
            return row
        pay(play, due, row)
        turn += 1
        event = scene.events[0, turn]
    return end


@rule(inline=True)
def narrows(play: Play, level: float) -> bool:
    """Whether the band of the position is narrower with another liquidation price."""
    tick, book = play.desk.contracts[0].tick, play.book
    if play.desk.positions[0].quantity > 0.0:
        return bool(level + tick > book.low[0])
    return bool(level > 0.0 and level - tick < book.high[0])


@rule(inline=True)
def pass_bar(play: Play, i: int) -> bool:
    """Counts a bar that leaves the band, if no order is met and the position outlives it; else nothing is changed."""
    scene, desk, book, low, high = play.scene, play.desk, play.book, play.scene.low[0, i], play.scene.high[0, i]
    if not (low > book.least[0] and high < book.most[0]):
        return False
    event = scene.events[0, scene.turn[0, i]]
    if event.row == i:
        due = funding_due(play, event, low, high)
        if not due.outlived:
            return False
        pay(play, due, i)
    stop, side = book.stop[0], direction(desk.positions[0].quantity)
    if stop >= 0:
        best = scene.highest[0, i] if side > 0 else scene.lowest[0, i]
        follow_best(desk.orders[stop], side, best, desk.contracts[0].tick)
    refresh_bands(desk, book)
    return True


@rule(inline=True)
def funding_due(play: Play, event: Row, low: float, high: float) -> Due:
    """What the funding at the open of a bar and inside it, between these prices, leaves."""
    desk, account, position = play.desk, play.desk.account[0], play.desk.positions[0]
    contract, level, funding = desk.contracts[0], position.liquidation_price, play.tally[0].funding
    cash, margin = account.cash, position.margin
    if event.funding_open != 0.0:
        paid, level = settlement(desk, margin, event.mark_open, event.funding_open)
        cash, margin, funding = cash - paid, margin - paid, funding + paid
    reached = low <= level + contract.tick if position.quantity > 0.0 else high >= level - contract.tick
    outlived = not (level > 0.0 and reached)
    if event.funding_inside != 0.0:
        paid, level = settlement(desk, margin, event.mark_close, event.funding_inside)
        cash, margin, funding = cash - paid, margin - paid, funding + paid
    unrealised = profit_of(contract, position.quantity, position.entry, event.mark_close)
    left = margin - position.reserve + unrealised > 0.0 and cash + unrealised > NOTHING_LEFT
    return Due(cash, margin, funding, level, outlived and left)


@rule(inline=True)
def pay(play: Play, due: Due, i: int) -> None:
    """What the funding of a bar leaves becomes what is."""
    account, position = play.desk.account[0], play.desk.positions[0]
    account.cash, account.margin, play.tally[0].funding = due.cash, due.margin, due.funding
    position.margin, position.liquidation_price = due.margin, due.level
    note_cash(play.course, play.desk, i)


@rule(inline=True)
def settlement(desk: Desk, margin: float, mark: float, rate: float) -> tuple[float, float]:
    """What the position pays at a settlement, and its liquidation price when that has left the margin."""
    position, contract = desk.positions[0], desk.contracts[0]
    paid = payment_of(contract, position.quantity, mark, rate)
    return paid, liquidation_level(contract, position.quantity, position.entry, margin - paid, position.reserve)
