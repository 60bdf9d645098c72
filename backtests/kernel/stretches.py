"""Stretches: bars on which no order can be met, counted without being played."""

from __future__ import annotations

from backtests.exchange.cross import shelter, show_levels
from backtests.exchange.exchange import NOTHING_LEFT
from backtests.exchange.positions import direction
from backtests.exchange.valuation import profit_of
from backtests.kernel.holding import find_bands
from backtests.kernel.scene import Scene
from backtests.kernel.trader import LONG, OTHER, SHORT, Play
from foundation.compilation import rule


@rule(inline=True)
def pass_quiet(play: Play, i: int) -> tuple[int, bool]:
    """The row of the first bar that has not been counted, and whether a decision is due at the close before it.

    Without one that bar has to be played whole; there may be none.
    """
    desk, held = play.desk, False
    if desk.account[0].ruined == 1:
        return play.scene.bars.shape[1], False
    for s in range(len(desk.positions)):
        held = held or desk.positions[s].quantity != 0.0
        if not find_bands(desk, play.book, s, True):
            return i, False
    if not held:
        return pass_flat(play, i), True
    return pass_held_together(play, i) if desk.settings[0].cross == 1 else pass_held(play, i)


@rule(inline=True)
def pass_flat(play: Play, i: int) -> int:
    """Without a position nothing happens until a side is wanted, or a barred one no longer is: there is a decision."""
    desk, wish = play.desk, play.wish
    until: int = play.scene.bars.shape[1] - 1
    for s in range(len(desk.positions)):
        barred = play.book.memory[s].barred
        if barred == 0:
            until = min(until, wish.upcoming[LONG, s, i], wish.upcoming[SHORT, s, i])
        else:
            until = min(until, wish.upcoming[OTHER, s, i]) if wish.sides[s, i] == barred else i
    return until + 1


@rule
def pass_held_together(play: Play, i: int) -> tuple[int, bool]:
    """`pass_held` on a cross account: prices stay so near to the last close that no position reaches its level.

    Levels move with the prices of all positions, so they are worked out for the worst of these prices.
    """
    desk, book, begun = play.desk, play.book, i
    share = shelter(desk)
    if share == 0.0:
        return i, False
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        if position.quantity > 0.0:
            book.low[s] = max(book.low[s], position.mark * (1.0 - share))
        elif position.quantity < 0.0:
            book.high[s] = min(book.high[s], position.mark * (1.0 + share))
    i, decision = pass_held(play, i)
    if i > begun:
        for s in range(len(desk.positions)):
            desk.positions[s].mark = play.scene.mark[s, i - 1]
        show_levels(desk)
    return i, decision


@rule
def pass_held(play: Play, i: int) -> tuple[int, bool]:
    """With positions whose levels no bar reaches only their value moves, until a decision could give an order."""
    count, account = play.scene.bars.shape[1], play.desk.account[0]
    while i < count:
        quiet, unrealised = value_quiet(play, i)
        if not quiet or account.cash + unrealised <= NOTHING_LEFT:
            return i, False
        account.unrealised, account.equity = unrealised, account.cash + unrealised
        i += 1
        if may_act(play, i - 1):
            return i, True
    return i, False


@rule
def value_quiet(play: Play, i: int) -> tuple[bool, float]:
    """Whether a bar stays within the bands of all positions, and their unrealised profit at its close."""
    scene, desk, book, unrealised = play.scene, play.desk, play.book, 0.0
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        if position.quantity == 0.0:
            continue
        if scene.low[s, i] <= book.low[s] or scene.high[s, i] >= book.high[s] or is_due(scene, s, i):
            return False, 0.0
        unrealised += profit_of(desk.contracts[s], position.quantity, position.entry, scene.mark[s, i])
    return True, unrealised


@rule(inline=True)
def is_due(scene: Scene, s: int, i: int) -> bool:
    """Whether funding is due on a bar, which is then played whole."""
    return bool(scene.events[s, scene.turn[s, i]].row == i)


@rule
def may_act(play: Play, i: int) -> bool:
    """Whether a decision at the close of a quiet bar could do anything."""
    longest = play.setting.habits[0].maximum_bars
    for s in range(len(play.desk.positions)):
        held, memory = direction(play.desk.positions[s].quantity), play.book.memory[s]
        wanted = play.wish.sides[s, i]
        if (wanted != 0 and wanted != held) or memory.barred != 0:
            return True
        if held != 0 and 0 < longest <= i + 2 - memory.entered:
            return True
    return False
