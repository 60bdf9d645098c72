"""Holding: the bars of a position, the account's only one, on which no order is met, counted without being played."""

from __future__ import annotations

from backtests.exchange import NOTHING_LEFT
from backtests.exits import follow_best
from backtests.positions import direction, settle_funding
from backtests.quiet import nearest_exits, quiet_bands
from backtests.records import Desk, Row
from backtests.tally import added, close_block, count_bar, count_payments, sums_of, write_sums
from backtests.trader import LONG, SHORT, Book, Play
from backtests.valuation import profit_of
from foundation.compilation import rule


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
    """Counts the bars before `end` on which no order is met; the row of the first other one, or `end`."""
    scene, tally = play.scene, play.tally[0]
    while i < end:
        edge = scene.edges[tally.block]
        part = min(end, scene.upcoming[0, i], edge + 1)
        i = value_alone(play, i, part)
        if i <= edge and i < end:
            if not pass_event(play, i):
                return i
            i += 1
        if i > edge:
            close_block(tally)
    return i


@rule(inline=True)
def value_alone(play: Play, i: int, end: int) -> int:
    """Counts the bars before `end` on which the only position stays inside its band; the row of the first other one.

    There the mark stays on this side of the liquidation price, so the account is never ruined.
    """
    scene, desk, account, tally = play.scene, play.desk, play.desk.account[0], play.tally[0]
    position, contract, low, high = desk.positions[0], desk.contracts[0], play.book.low[0], play.book.high[0]
    lows, highs, marks = scene.low[0, i:end], scene.high[0, i:end], scene.mark[0, i:end]
    quantity, entry, cash, unrealised = position.quantity, position.entry, account.cash, account.unrealised
    sums, bars = sums_of(tally), 0
    while bars < len(lows) and lows[bars] > low and highs[bars] < high:
        unrealised = profit_of(contract, quantity, entry, marks[bars])
        sums = added(sums, cash + unrealised)
        bars += 1
    if bars > 0:
        write_sums(tally, sums, bars, True)
        account.unrealised, account.equity = unrealised, cash + unrealised
    # Nothing is written inside the loop above: its constants stay in registers.
    if len(play.equity) > 0:
        for k in range(bars):
            play.equity[i + k] = cash + profit_of(contract, quantity, entry, marks[k])
    return i + bars


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
    account.margin, account.unrealised, account.equity = position.margin, unrealised, account.cash + unrealised
    count_bar(play.tally[0], account.equity, True)
    if bar.funded:
        count_payments(play.tally[0], desk)
    if len(play.equity) > 0:
        play.equity[i] = account.equity
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
