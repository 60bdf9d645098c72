"""Holding: the bars of a position, the account's only one, on which no order is met, counted without being played."""

from __future__ import annotations

from backtests.course import note_worth
from backtests.exchange import NOTHING_LEFT
from backtests.exits import follow_best
from backtests.positions import direction, settle_funding
from backtests.quiet import nearest_exits, quiet_bands
from backtests.records import Desk, Row
from backtests.tally import count_payments
from backtests.trader import LONG, SHORT, Book, Play
from backtests.valuation import profit_of
from foundation.compilation import rule
from foundation.lanes import WIDTH, lanes_from, leading


@rule(inline=True)
def find_bands(desk: Desk, book: Book, s: int) -> bool:
    """The exits and the bands of a symbol put down in the book, and whether none of its orders waits for an open."""
    stop, target, quiet = nearest_exits(desk, s)
    book.stop[s], book.target[s] = stop, target
    book.low[s], book.high[s], book.least[s], book.most[s] = quiet_bands(desk, s, stop, target)
    return quiet


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

    What comes after the tile and changes the account has to wait for the next tile.
    """
    scene, account, position, begun = play.scene, play.desk.account[0], play.desk.positions[0], i
    while i < end:
        i = pass_inside(play, i, min(end, scene.upcoming[0, i]))
        if i == end or i >= play.course.end or not pass_event(play, i):
            break
        i += 1
    if i > begun:
        mark = scene.mark[0, i - 1]
        account.unrealised = profit_of(play.desk.contracts[0], position.quantity, position.entry, mark)
        account.equity = account.cash + account.unrealised
    return i


@rule(inline=True)
def pass_inside(play: Play, i: int, end: int) -> int:
    """The row of the first bar before `end` on which prices leave the band of the only position, or `end`.

    Inside it the mark stays on this side of the liquidation price, so the account is never ruined.
    """
    lows, highs, low, high = play.scene.low[0], play.scene.high[0], play.book.low[0], play.book.high[0]
    while i < end and i + WIDTH <= len(lows):
        inside = leading((lanes_from(lows, i) > low) & (lanes_from(highs, i) < high))
        if inside < WIDTH:
            return min(i + inside, end)
        i += WIDTH
    while i < end and lows[i] > low and highs[i] < high:
        i += 1
    return min(i, end)


@rule(inline=True)
def pass_event(play: Play, i: int) -> bool:
    """Counts a bar on which funding is paid or a stop moves, if no more happens; else nothing is changed."""
    scene, desk, book, account, position = (
        play.scene,
        play.desk,
        play.book,
        play.desk.account[0],
        play.desk.positions[0],
    )
    bar, cash, margin, level = scene.bars[0, i], account.cash, position.margin, position.liquidation_price
    if bar.blocked or not (scene.low[0, i] > book.least[0] and scene.high[0, i] < book.most[0]):
        return False
    unrealised = profit_of(desk.contracts[0], position.quantity, position.entry, bar.mark_close)
    if bar.funded and not pay_funding(desk, bar, scene.low[0, i], scene.high[0, i], unrealised):
        account.cash, position.margin, position.liquidation_price = cash, margin, level
        return False
    stop, side = book.stop[0], direction(position.quantity)
    if stop >= 0:
        follow_best(desk.orders[stop], side, bar.high if side > 0 else bar.low, desk.contracts[0].tick)
    book.low[0], book.high[0], book.least[0], book.most[0] = quiet_bands(desk, 0, stop, book.target[0])
    account.margin = position.margin
    if bar.funded:
        note_worth(play.course, desk, i)
        count_payments(play.tally[0], desk)
    return True


@rule(inline=True)
def pay_funding(desk: Desk, bar: Row, low: float, high: float, unrealised: float) -> bool:
    """Funding at the open and inside a bar is paid; whether the position outlives it, between these prices as well."""
    account, position = desk.account[0], desk.positions[0]
    account.payments = 0
    settle_funding(desk, 0, bar.mark_open, bar.funding_open)
    level, tick = position.liquidation_price, desk.contracts[0].tick
    if level > 0.0 and (low <= level + tick if position.quantity > 0.0 else high >= level - tick):
        return False
    settle_funding(desk, 0, bar.mark_close, bar.funding_inside)
    return bool(position.margin - position.reserve + unrealised > 0.0 and account.cash + unrealised > NOTHING_LEFT)
