"""Alone: the bars of the only symbol of an account on isolated margin, from one decision or event to the next."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from backtests.exchange.exchange import play_bar
from backtests.exchange.records import Records
from backtests.exchange.ties import drop_finished
from backtests.kernel.course import note_worth
from backtests.kernel.holding import find_bands, pass_held_alone, refresh_bands
from backtests.kernel.shortcut import play_short
from backtests.kernel.stretches import pass_flat
from backtests.kernel.tally import count_news
from backtests.kernel.trader import Move, Play, give_orders, next_move, take_news
from foundation.compilation import rule


@rule(inline=True)
def play_alone(play: Play, i: int, log: Records, rows: npt.NDArray[np.int64], logged: int) -> tuple[int, int]:
    """`play_until` for the only symbol: a move that was decided is made at the next open without becoming orders."""
    desk, book, account, position = play.desk, play.book, play.desk.account[0], play.desk.positions[0]
    end, move = play.course.end, Move(0, 0, 0.0, 0)
    simple = find_bands(desk, book, 0, False)
    while i < end:
        decision = False
        if simple and move.leaving == 0 and move.side == 0:
            if position.quantity == 0.0:
                i, decision = pass_flat(play, i), True
            else:
                i, decision = pass_held_alone(play, i)
        if not decision:
            if i >= end:
                break
            if simple and play_short(play, i, move):
                refresh_bands(desk, book)
            else:
                simple = play_whole(play, i, move)
            for k in range(min(account.fills, len(log) - logged)):
                log[logged], rows[logged] = desk.fills[k], i
                logged += 1
            note_worth(play.course, desk, i)
            i += 1
            if account.ruined:
                return play.scene.bars.shape[1], logged
        move = next_move(play.scene, play.wish, play.setting, desk, book, 0, i - 1, not simple)
    # What is decided at a tile's end waits for the next as orders.
    give_orders(play.setting.plan[0], desk, book, 0, move)
    return i, logged


@rule
def play_whole(play: Play, i: int, move: Move) -> bool:
    """A bar by all of the exchange's steps, with a move as orders; whether none of them waits for the next open."""
    desk = play.desk
    drop_finished(desk)
    give_orders(play.setting.plan[0], desk, play.book, 0, move)
    play_bar(
        desk.account, desk.positions, desk.orders, play.scene.bars, i, desk.settings,
        desk.contracts, desk.fills, desk.payments, desk.finer,
    )  # fmt: skip
    count_news(play.tally[0], desk, play.book.profits)
    take_news(desk, play.book, i + 1)
    drop_finished(desk)
    return find_bands(desk, play.book, 0, False)
