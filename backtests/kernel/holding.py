"""Holding: the bars of a position, the account's only one, on which no order is met, counted without being played."""

from __future__ import annotations

from backtests.exchange.exchange import NOTHING_LEFT
from backtests.exchange.exits import follow_best
from backtests.exchange.levels import liquidation_level
from backtests.exchange.positions import direction
from backtests.exchange.quiet import adverse_end, nearest_exits, quiet_bands
from backtests.exchange.records import Desk, Row
from backtests.exchange.valuation import payment_of, profit_of
from backtests.kernel.course import note_cash
from backtests.kernel.trader import LONG, SHORT, Book, Play
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
    turn = scene.turn[0, i]
    while i < end:
        event = scene.events[0, turn]
        i = pass_inside(play, i, min(end, event.row))
        if i == end or i >= play.course.end or not pass_event(play, i, event):
            break
        if event.row == i:
            turn += 1
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
def pass_event(play: Play, i: int, event: Row) -> bool:
    """Counts a bar on which funding is paid or a stop moves, if no more happens; else nothing is changed."""
    scene, desk, book, low, high = play.scene, play.desk, play.book, play.scene.low[0, i], play.scene.high[0, i]
    if not (low > book.least[0] and high < book.most[0]):
        return False
    due = event.row == i
    if due and (event.blocked or not pay_funding(play, event, low, high)):
        return False
    stop, side = book.stop[0], direction(desk.positions[0].quantity)
    if stop >= 0 and not (low > book.low[0] and high < book.high[0]):
        bar = scene.bars[0, i]
        follow_best(desk.orders[stop], side, bar.high if side > 0 else bar.low, desk.contracts[0].tick)
        book.low[0], book.high[0], book.least[0], book.most[0] = quiet_bands(desk, 0, stop, book.target[0])
    elif side > 0:
        book.low[0] = book.least[0] = adverse_end(desk, 0, side, stop)
    else:
        book.high[0] = book.most[0] = adverse_end(desk, 0, side, stop)
    if due:
        note_cash(play.course, desk, i)
    return True


@rule(inline=True)
def pay_funding(play: Play, event: Row, low: float, high: float) -> bool:
    """Pays the funding at the open of a bar and inside it, between these prices, if the position outlives it."""
    desk, account, position, tally = play.desk, play.desk.account[0], play.desk.positions[0], play.tally[0]
    contract, level, funding = desk.contracts[0], position.liquidation_price, tally.funding
    cash, margin = account.cash, position.margin
    if event.funding_open != 0.0:
        paid, level = settlement(desk, margin, event.mark_open, event.funding_open)
        cash, margin, funding = cash - paid, margin - paid, funding + paid
    if level > 0.0 and (low <= level + contract.tick if position.quantity > 0.0 else high >= level - contract.tick):
        return False
    if event.funding_inside != 0.0:
        paid, level = settlement(desk, margin, event.mark_close, event.funding_inside)
        cash, margin, funding = cash - paid, margin - paid, funding + paid
    unrealised = profit_of(contract, position.quantity, position.entry, event.mark_close)
    if not (margin - position.reserve + unrealised > 0.0 and cash + unrealised > NOTHING_LEFT):
        return False
    account.cash, account.margin, tally.funding = cash, margin, funding
    position.margin, position.liquidation_price = margin, level
    return True


@rule(inline=True)
def settlement(desk: Desk, margin: float, mark: float, rate: float) -> tuple[float, float]:
    """What the position pays at a settlement, and its liquidation price when that has left the margin."""
    position, contract = desk.positions[0], desk.contracts[0]
    paid = payment_of(contract, position.quantity, mark, rate)
    return paid, liquidation_level(contract, position.quantity, position.entry, margin - paid, position.reserve)
