"""The kernel: plays settings over a scene, through the same exchange as the broker."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from backtests.exchange.exchange import play_bar
from backtests.exchange.records import ACCOUNT, FILL, ORDER, PAYMENT, POSITION, Desk, Records
from backtests.exchange.ties import drop_finished
from backtests.kernel.alone import play_alone
from backtests.kernel.course import Course, new_course, note_worth
from backtests.kernel.scene import Scene
from backtests.kernel.stretches import pass_quiet
from backtests.kernel.sums import Running, add_tile, finish_tally, new_running
from backtests.kernel.tally import count_news
from backtests.kernel.trader import Book, Play, Setting, Wish, decide, new_book, take_news
from foundation.compilation import rule
from foundation.lanes import WIDTH
from markets.candles import FloatArray
from strategies.plan import MOST_EXITS

# Rows of orders a symbol can need at once: a position's exits, those that have just ended, a new bracket with a close.
ROWS = 3 * (MOST_EXITS + 2)
# How many settings are played side by side, and how many bars of each before the next has its turn: what they look at
# stays in a processor's own cache.
GROUP, TILE = 256, 2048


class Group(NamedTuple):
    """Settings that are played side by side: number `first` on, of `total`.

    `tallies`: a record each. `reached`: the next bar of each. `sums`, `now`: the arrays of Running.
    """

    desks: Desk
    books: Book
    course: Course
    tallies: Records
    reached: npt.NDArray[np.int64]
    sums: FloatArray
    now: FloatArray
    first: int
    total: int


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
    next one has its turn, which changes nothing. Of the last setting are kept: in `equity` one value a bar, in `log`
    and `rows` the fills and the bars they were made on; each of these may be empty. The fills, and the equity at every
    bar, are those of LSTMCrossover on FuturesBroker.
    """
    symbols, count = scene.bars.shape
    step, logged = min(tile, count), 0
    course = new_course(step, symbols)
    for first in range(0, len(tallies), GROUP):
        some = tallies[first : first + GROUP]
        desks = new_desks(len(some), symbols, cash, settings.settings, scene.contracts, scene.finer)
        books, reached = new_book(len(some), symbols), np.full(len(some), scene.first)
        sums, now = new_running((len(some) + WIDTH - 1) // WIDTH, symbols, scene.first, cash)
        group = Group(desks, books, course, some, reached, sums, now, first, len(tallies))
        logged = play_group(scene, wish, settings, group, equity, log, rows, step)
    return logged


@rule
def play_group(
    scene: Scene, wish: Wish, settings: Setting, group: Group, equity: FloatArray, log: Records,
    rows: npt.NDArray[np.int64], step: int,
) -> int:  # fmt: skip
    """Plays the settings of a group by tiles of `step` bars; how many fills were logged if it holds the last of all.

    It makes no arrays, and so counts no references to them.
    """
    count, course, some, first, logged = scene.bars.shape[1], group.course, group.tallies, group.first, 0
    for start in range(scene.first, count, step):
        for front in range(0, len(some), WIDTH):
            beside = some[front : front + WIDTH]
            own = Course(course.changed, course.worth, start, min(start + step, count), 0)
            for k in range(front, front + len(beside)):
                if group.reached[k] < own.end:
                    kept = log if first + k == group.total - 1 else log[:0]
                    play = play_of(scene, wish, settings, group, own, k)
                    group.reached[k], logged = play_until(play, group.reached[k], kept, rows, logged)
            shown = equity if first + front + len(beside) == group.total else equity[:0]
            add_tile(scene, own, Running(group.sums[front // WIDTH], group.now[front // WIDTH]), beside, shown)
    for k in range(len(some)):
        running = Running(group.sums[k // WIDTH], group.now[k // WIDTH])
        finish_tally(some[k], running, k % WIDTH, scene, group.desks.account[k].ruined)
    return logged


@rule(inline=True)
def play_of(scene: Scene, wish: Wish, settings: Setting, group: Group, course: Course, k: int) -> Play:
    """What belongs to number `k` of a group, on a tile."""
    symbols, n, desks, books = scene.bars.shape[0], group.first + k, group.desks, group.books
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
    own = Course(course.changed, course.worth, course.begin, course.end, k % WIDTH)
    return Play(scene, wish, one, desk, book, group.tallies[k : k + 1], own)


@rule(inline=True)
def play_until(play: Play, i: int, log: Records, rows: npt.NDArray[np.int64], logged: int) -> tuple[int, int]:
    """The bars of a setting from `i` on, one after the other, to the end of a tile; the next one, and fills logged.

    A stretch of quiet bars that begins before the end is passed whole, as long as nothing in the account changes.
    """
    scene, setting, desk, course = play.scene, play.setting, play.desk, play.course
    if len(desk.positions) == 1 and setting.settings[0].cross == 0:
        return play_alone(play, i, log, rows, logged)
    while i < course.end:
        if desk.account[0].events > 0:
            desk.account[0].events = 0
            drop_finished(desk)
        i, decision = pass_quiet(play, i)
        if not decision:
            if i >= course.end:
                break
            play_bar(
                desk.account, desk.positions, desk.orders, scene.bars, i, desk.settings,
                desk.contracts, desk.fills, desk.payments, desk.finer,
            )  # fmt: skip
            if desk.account[0].events > 0 or desk.account[0].ruined:
                count_news(play.tally[0], desk, play.book.profits)
                take_news(desk, play.book, i + 1)
                for k in range(min(desk.account[0].fills, len(log) - logged)):
                    log[logged], rows[logged] = desk.fills[k], i
                    logged += 1
                note_worth(course, desk, i)
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
