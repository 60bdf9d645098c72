"""The kernel: plays one setting after another over a scene, through the same exchange as the broker."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from backtests.exchange import play_bar
from backtests.records import ACCOUNT, FILL, ORDER, PAYMENT, POSITION, Desk, Records
from backtests.scene import Scene
from backtests.shortcut import play_short
from backtests.stretches import Play, close_bar, pass_quiet
from backtests.tally import begin, count_news, finish_tally
from backtests.ties import drop_finished
from backtests.trader import Setting, Wish, decide, new_book, take_news
from foundation.compilation import rule
from markets.candles import FloatArray
from strategies.plan import MOST_EXITS

# Rows of orders a symbol can need at once: a position's exits, those that have just ended, a new bracket with a close.
ROWS = 3 * (MOST_EXITS + 2)


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
) -> int:
    """Plays settings one after the other, each from `scene.first` to the end; how many fills of the last were logged.

    `tallies`: a record each, all zero, for what they come to. `equity`: one value a bar, or empty to keep none;
    `log` and `rows`: room for the fills and the bars they were made on, or empty; they hold what the last setting
    wrote. The fills, and the equity at every bar, are those of LSTMCrossover on FuturesBroker.
    """
    symbols, logged = len(scene.bars), 0
    for k in range(len(tallies)):
        one = Setting(settings.plan[k : k + 1], settings.habits[k : k + 1], settings.settings[k : k + 1])
        desk = new_desk(symbols, cash, one.settings, scene.contracts, scene.finer)
        begin(tallies[k], cash)
        logged = play_through(Play(scene, wish, one, desk, new_book(symbols), tallies[k : k + 1], equity), log, rows)
    return logged


@rule
def play_through(play: Play, log: Records, rows: npt.NDArray[np.int64]) -> int:
    """The bars of a setting, one after the other; how many fills were logged."""
    scene, wish, setting, desk, tally = play.scene, play.wish, play.setting, play.desk, play.tally
    symbols, count = scene.bars.shape
    short = symbols == 1 and setting.settings[0].cross == 0
    logged, i = 0, scene.first
    while i < count:
        i = pass_quiet(play, i)
        if i >= count:
            break
        if short and scene.bars[0, i].blocked == 0:
            drop_finished(desk)
            play_short(desk, scene.bars, i, play.book.low[0], play.book.high[0])
        else:
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
