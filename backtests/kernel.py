"""The kernel: plays one setting after another over a scene, through the same exchange as the broker."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from backtests.exchange import NOTHING_LEFT, play_bar
from backtests.positions import direction
from backtests.quiet import quiet_band
from backtests.records import ACCOUNT, FILL, ORDER, PAYMENT, POSITION, Desk, Records
from backtests.scene import Scene
from backtests.tally import begin, close_block, count_bar, count_idle, count_news, finish_tally
from backtests.trader import Book, Setting, Wish, decide, new_book, take_news
from backtests.valuation import profit_of
from foundation.compilation import rule
from markets.candles import FloatArray
from strategies.plan import MOST_EXITS

# Rows of orders a symbol can need at once: a position's exits, those that have just ended, a new bracket with a close.
ROWS = 3 * (MOST_EXITS + 2)


class Play(NamedTuple):
    """One setting being played: what is looked at, what is written on, and what it comes to.

    `tally`: one record. `equity`: one value a bar, or empty to keep none.
    """

    scene: Scene
    wish: Wish
    setting: Setting
    desk: Desk
    book: Book
    tally: Records
    equity: FloatArray


@rule(makes_arrays=True)
def play_setting(
    scene: Scene,
    wish: Wish,
    setting: Setting,
    cash: float,
    tally: Records,
    equity: FloatArray,
    log: Records,
    rows: npt.NDArray[np.int64],
) -> int:
    """Plays one setting from `scene.first` to the end; how many fills were logged.

    `tally`: one record, all zero, for what it comes to. `equity`: one value a bar, or empty to keep none; `log` and
    `rows`: room for the fills and the bars they were made on, or empty. The fills, and the equity at every
    bar, are those of LSTMCrossover on FuturesBroker.
    """
    symbols, count = scene.bars.shape
    desk = new_desk(symbols, cash, setting.settings, scene.contracts, scene.finer)
    play = Play(scene, wish, setting, desk, new_book(symbols), tally, equity)
    begin(tally[0], cash)
    logged, i = 0, scene.first
    while i < count:
        i = pass_quiet(play, i)
        if i >= count:
            break
        play_bar(
            desk.account, desk.positions, desk.orders, scene.bars, i, desk.settings,
            desk.contracts, desk.fills, desk.payments, desk.finer,
        )  # fmt: skip
        if desk.account[0].events > 0:
            count_news(tally[0], desk, play.book.profits)
            take_news(desk, play.book, i + 1)
            for k in range(min(desk.account[0].fills, len(log) - logged)):
                log[logged], rows[logged] = desk.fills[k], i
                logged += 1
        close_bar(play, i)
        decide(scene, wish, setting, desk, play.book, i)
        i += 1
    finish_tally(tally[0], desk.account[0].ruined)
    return logged


@rule(makes_arrays=True)
def new_desk(symbols: int, cash: float, settings: Records, contracts: Records, finer: Records) -> Desk:
    """A desk with an account that has done nothing yet."""
    account = np.zeros(1, dtype=ACCOUNT)
    account[0].cash, account[0].equity = cash, cash
    return Desk(
        account,
        np.zeros(symbols, dtype=POSITION),
        np.zeros(symbols * ROWS + 1, dtype=ORDER),
        settings,
        contracts,
        np.zeros(3 * symbols * ROWS + 2 * symbols, dtype=FILL),
        np.zeros(2 * symbols, dtype=PAYMENT),
        finer,
    )


@rule
def pass_quiet(play: Play, i: int) -> int:
    """The row of the first bar that has to be played whole; the quiet ones before it are counted and decided on."""
    desk, held = play.desk, False
    if desk.account[0].ruined == 1:
        return pass_idle(play, i, play.scene.bars.shape[1])
    for s in range(len(desk.positions)):
        play.book.low[s], play.book.high[s], quiet = quiet_band(desk, s)
        held = held or desk.positions[s].quantity != 0.0
        if not quiet:
            return i
    if not held:
        return pass_flat(play, i)
    return i if desk.settings[0].cross == 1 else pass_held(play, i)


@rule
def pass_idle(play: Play, i: int, end: int) -> int:
    """Counts the bars from `i` to before `end`, on which there is no position and nothing is decided."""
    count_idle(play.tally[0], end - i)
    if len(play.equity) > 0:
        play.equity[i:end] = play.desk.account[0].equity
    edges = play.scene.edges
    while play.tally[0].block < len(edges) and edges[play.tally[0].block] < end:
        close_block(play.tally[0])
    return end


@rule
def pass_flat(play: Play, i: int) -> int:
    """Without a position nothing happens until a side is wanted, or a barred one no longer is."""
    desk, count = play.desk, play.scene.bars.shape[1]
    while i < count:
        until = count - 1
        for s in range(len(desk.positions)):
            until = i if play.book.memory[s].barred != 0 else min(until, play.wish.upcoming[s, i])
        i = pass_idle(play, i, until + 1)
        orders = desk.account[0].orders
        decide(play.scene, play.wish, play.setting, desk, play.book, until)
        if desk.account[0].orders > orders:
            return i
    return i


@rule
def pass_held(play: Play, i: int) -> int:
    """With positions whose levels no bar reaches only their value moves, until a decision gives an order."""
    desk, count, account = play.desk, play.scene.bars.shape[1], play.desk.account[0]
    while i < count:
        quiet, unrealised = value_quiet(play, i)
        if not quiet or account.cash + unrealised <= NOTHING_LEFT:
            return i
        account.unrealised, account.equity = unrealised, account.cash + unrealised
        close_bar(play, i)
        if may_act(play, i):
            orders = account.orders
            decide(play.scene, play.wish, play.setting, desk, play.book, i)
            if account.orders > orders:
                return i + 1
        i += 1
    return i


@rule
def value_quiet(play: Play, i: int) -> tuple[bool, float]:
    """Whether a bar stays within the bands of all positions, and their unrealised profit at its close."""
    scene, desk, book, unrealised = play.scene, play.desk, play.book, 0.0
    for s in range(len(desk.positions)):
        position = desk.positions[s]
        if position.quantity == 0.0:
            continue
        if scene.low[s, i] <= book.low[s] or scene.high[s, i] >= book.high[s] or scene.special[s, i] == 1:
            return False, 0.0
        unrealised += profit_of(desk.contracts[s], position.quantity, position.entry, scene.mark[s, i])
    return True, unrealised


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


@rule
def close_bar(play: Play, i: int) -> None:
    """A bar has closed, with the equity that stands in the account."""
    held, desk, tally = False, play.desk, play.tally[0]
    for s in range(len(desk.positions)):
        held = held or desk.positions[s].quantity != 0.0
    count_bar(tally, desk.account[0].equity, held)
    if len(play.equity) > 0:
        play.equity[i] = desk.account[0].equity
    if i == play.scene.edges[tally.block]:
        close_block(tally)
