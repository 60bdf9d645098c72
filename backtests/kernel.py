"""The kernel: plays settings over a scene, through the same exchange as the broker."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from backtests.alone import play_alone
from backtests.exchange import play_bar
from backtests.records import ACCOUNT, FILL, ORDER, PAYMENT, POSITION, Desk, Records
from backtests.scene import Scene
from backtests.stretches import close_bar, pass_quiet
from backtests.tally import begin, count_news, finish_tally
from backtests.ties import drop_finished
from backtests.trader import Book, Play, Setting, Wish, decide, new_book, take_news
from foundation.compilation import rule
from markets.candles import FloatArray
from strategies.plan import MOST_EXITS

# Rows of orders a symbol can need at once: a position's exits, those that have just ended, a new bracket with a close.
ROWS = 3 * (MOST_EXITS + 2)
# How many settings are played side by side, and how many bars of each before the next has its turn: what they look at
# stays in a processor's own cache.
GROUP, TILE = 64, 2048


@rule(makes_arrays=True)
def play_settings(
    scene: Scene,
    wish: Wish,
    settings: Setting,
    cash: float,
    tallies: Records,
    equity: FloatArray,
    log: Records,
    rows: npt.NDArray[np.int64],
    tile: int,
) -> int:
    """Plays settings from `scene.first` to the end; how many fills of the last were logged.

    `tallies`: a record each, all zero, for what they come to. `tile`: how many bars a setting is played before the
    next one has its turn, whatever comes of it; 0: all. `equity`: one value a bar, or empty to keep none; `log` and
    `rows`: room for the fills and the bars they were made on, or empty; with a tile of 0 they hold what the last
    setting wrote. The fills, and the equity at every bar, are those of LSTMCrossover on FuturesBroker.
    """
    symbols, count = scene.bars.shape
    step, logged = tile if tile > 0 else count, 0
    for first in range(0, len(tallies), GROUP):
        some = min(GROUP, len(tallies) - first)
        desks, books = (
            new_desks(some, symbols, cash, settings.settings, scene.contracts, scene.finer),
            new_book(some, symbols),
        )
        reached = np.full(some, scene.first)
        for k in range(some):
            begin(tallies[first + k], cash)
        for start in range(scene.first, count, step):
            for k in range(some):
                play = play_of(scene, wish, settings, desks, books, tallies, equity, first, k)
                reached[k], logged = play_until(play, reached[k], min(start + step, count), log, rows)
        for k in range(some):
            finish_tally(tallies[first + k], desks.account[k].ruined)
    return logged


@rule(makes_arrays=True)
def play_of(
    scene: Scene, wish: Wish, settings: Setting, desks: Desk, books: Book, tallies: Records, equity: FloatArray,
    first: int, k: int,
) -> Play:  # fmt: skip
    """What belongs to setting `first + k`, which is number `k` on the desks and in the books."""
    symbols, n = scene.bars.shape[0], first + k
    room = symbols * ROWS + 1
    one = Setting(settings.plan[n : n + 1], settings.habits[n : n + 1], settings.settings[n : n + 1])
    desk = Desk(
        desks.account[k : k + 1],
        desks.positions[k * symbols : (k + 1) * symbols],
        desks.orders[k * room : (k + 1) * room],
        one.settings,
        desks.contracts,
        desks.fills,
        desks.payments,
        desks.finer,
    )
    book = Book(
        books.memory[k * symbols : (k + 1) * symbols],
        books.now,
        books.exits,
        books.profits[k * symbols : (k + 1) * symbols],
        books.low,
        books.high,
        books.least,
        books.most,
        books.stop,
        books.target,
        books.number[k : k + 1],
    )
    return Play(scene, wish, one, desk, book, tallies[n : n + 1], equity)


@rule
def play_until(play: Play, i: int, end: int, log: Records, rows: npt.NDArray[np.int64]) -> tuple[int, int]:
    """The bars of a setting from `i` on, one after the other, until `end` is reached; the next one, and fills logged.

    A stretch of quiet bars that begins before `end` is counted whole: its sums do not depend on where tiles end.
    """
    scene, setting, desk, tally = play.scene, play.setting, play.desk, play.tally
    symbols, count = scene.bars.shape
    if symbols == 1 and setting.settings[0].cross == 0:
        return play_alone(play, i, end, log, rows)
    logged = 0
    while i < end:
        if desk.account[0].events > 0:
            desk.account[0].events = 0
            drop_finished(desk)
        i, decision = pass_quiet(play, i)
        if not decision:
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
            i += 1
        decide(scene, play.wish, setting, desk, play.book, i - 1)
    return i, logged


@rule(makes_arrays=True)
def new_desks(count: int, symbols: int, cash: float, settings: Records, contracts: Records, finer: Records) -> Desk:
    """The desks of some accounts that have done nothing yet, one after the other; all share what lasts for a bar."""
    account = np.zeros(count, dtype=ACCOUNT)
    for k in range(count):
        account[k].cash, account[k].equity = cash, cash
    return Desk(
        account,
        np.zeros(count * symbols, dtype=POSITION),
        np.zeros(count * (symbols * ROWS + 1), dtype=ORDER),
        settings,
        contracts,
        np.zeros(3 * symbols * ROWS + 2 * symbols, dtype=FILL),
        np.zeros(2 * symbols, dtype=PAYMENT),
        finer,
    )
