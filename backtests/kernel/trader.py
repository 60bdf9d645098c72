"""The trader: the strategy of LSTMCrossover in compiled code, from a wanted side to rows of orders."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from backtests.exchange.positions import direction
from backtests.exchange.records import (
    FILL_REASONS,
    FILLED,
    LIMIT,
    LIVE,
    MARKET,
    SLEEPING,
    STOP,
    STOP_LOSS,
    Desk,
    Records,
    Row,
)
from backtests.exchange.slippage import half_spread
from backtests.exchange.valuation import notional_of
from backtests.kernel.course import Course
from backtests.kernel.scene import Scene
from foundation.compilation import rule
from markets.candles import FloatArray
from strategies.plan import EXIT, MOST_EXITS, SITUATION, entry_size, known, plan_exits
from strategies.steps import (
    CLOSE_AND_ENTER,
    CLOSE_FOR_SIGNAL,
    ENTER,
    LEAVE,
    MEMORY,
    NEVER,
    next_step,
    remember_entry,
    remember_exit,
)

ENTRY_REASON, SIGNAL, TARGET, TIME = (
    FILL_REASONS.index(name) for name in ("entry", "signal", "take_profit", "time_exit")
)
# The rows of `Wish.upcoming`.
LONG, SHORT, OTHER = range(3)


class Wish(NamedTuple):
    """What the signals of a setting come to, shape (symbols, bars): the wanted side, and what sizes rest on.

    `mean`, `sigma`: the forecast made at each bar. `atr`: the average true range. `upcoming`, shape (3, symbols, bars):
    the row of the next bar, this one included, at which LONG or SHORT is wanted, or OTHER than here; the number of bars
    where there is none any more.
    """

    sides: npt.NDArray[np.int8]
    mean: FloatArray
    sigma: FloatArray
    atr: FloatArray
    upcoming: npt.NDArray[np.int64]


class Book(NamedTuple):
    """What a setting's strategy writes on.

    `memory`: one record a symbol. `now`: the situation it looks at. `exits`: those it plans. `profits`: of each
    symbol's running trade. `low`, `high`: the band of each symbol in which no order is met and no stop moves; `least`,
    `most`: that in which none is met. `stop`, `target`: the rows of its nearest exits, -1 for none.
    `number`: of the last order.
    """

    memory: Records
    now: Records
    exits: Records
    profits: FloatArray
    low: FloatArray
    high: FloatArray
    least: FloatArray
    most: FloatArray
    stop: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]


class Setting(NamedTuple):
    """One setting, one record each: RISK, HABITS and SETTINGS."""

    plan: Records
    habits: Records
    settings: Records


class Move(NamedTuple):
    """What is to be done at the next open.

    `leaving`: why the position is closed, a number of FILL_REASONS, 0 where it is not. `side`: that of an entry, 0 for
    none; of `size`, with the first `planned` of the book's exits.
    """

    leaving: int
    side: int
    size: float
    planned: int


class Play(NamedTuple):
    """One setting being played: what is looked at, what is written on, and what it comes to.

    `tally`: one record. `course`: of the accounts that are played side by side with this one.
    """

    scene: Scene
    wish: Wish
    setting: Setting
    desk: Desk
    book: Book
    tally: Records
    course: Course


@rule(makes_arrays=True)
def new_book(count: int, symbols: int) -> Book:
    """The books of some settings that have done nothing yet, one after the other; all share what lasts for a bar."""
    memory = np.zeros(count * symbols, dtype=MEMORY)
    for s in range(len(memory)):
        memory[s].left = NEVER
    return Book(
        memory,
        np.zeros(1, dtype=SITUATION),
        np.zeros(MOST_EXITS, dtype=EXIT),
        np.zeros(count * symbols),
        np.zeros(symbols),
        np.zeros(symbols),
        np.zeros(symbols),
        np.zeros(symbols),
        np.zeros(symbols, dtype=np.int64),
        np.zeros(symbols, dtype=np.int64),
        np.zeros(count, dtype=np.int64),
    )


@rule(inline=True)
def take_news(desk: Desk, book: Book, bars: int) -> None:
    """What the strategy learns of the fills of a bar, in their order, when the bar has closed."""
    for k in range(desk.account[0].fills):
        fill, filled = desk.fills[k], True
        for r in range(desk.account[0].orders):
            if desk.orders[r].id == fill.order:
                filled = desk.orders[r].status == FILLED
        if filled:
            learn(book.memory[fill.symbol], fill, desk.positions[fill.symbol].quantity, bars)


@rule(inline=True)
def learn(memory: Row, fill: Row, quantity: float, bars: int) -> None:
    """What the strategy learns of a fill; `quantity`: of the position when the bar has closed."""
    if fill.reason == ENTRY_REASON:
        remember_entry(memory, bars)
    elif fill.reason != TARGET or fill.side * quantity >= 0.0:
        remember_exit(memory, bars, -fill.side, fill.reason == SIGNAL)


@rule(inline=True)
def decide(scene: Scene, wish: Wish, setting: Setting, desk: Desk, book: Book, i: int) -> None:
    """What the strategy does at the close of a bar, symbol by symbol; orders wait for the next open."""
    if desk.account[0].ruined:
        return
    for s in range(len(desk.positions)):
        move = next_move(scene, wish, setting, desk, book, s, i, on_its_way(desk, s))
        give_orders(setting.plan[0], desk, book, s, move)


@rule(inline=True)
def next_move(
    scene: Scene, wish: Wish, setting: Setting, desk: Desk, book: Book, s: int, i: int, waiting: bool
) -> Move:
    """What the strategy wants done at the next open, now that a bar has closed; `waiting`: an order still waits."""
    held, wanted = direction(desk.positions[s].quantity), int(wish.sides[s, i])
    step = next_step(book.memory[s], setting.habits[0], wanted, held, waiting, i + 1)
    leaving, side, size, count = 0, 0, 0.0, 0
    if step in (LEAVE, CLOSE_FOR_SIGNAL, CLOSE_AND_ENTER):
        leaving = TIME if step == LEAVE else SIGNAL
    if step in (ENTER, CLOSE_AND_ENTER):
        look(scene, wish, desk, book, s, i, wanted)
        size, count = entry_size(setting.plan[0], book.now[0]), plan_exits(setting.plan[0], book.now[0], book.exits)
        side = wanted if size > 0.0 and known(book.exits, count) else 0
    return Move(leaving, side, size, count)


@rule(inline=True)
def give_orders(plan: Row, desk: Desk, book: Book, s: int, move: Move) -> None:
    """The orders of a move, which wait for the next open."""
    if move.leaving != 0:
        quantity = desk.positions[s].quantity
        order = new_order(desk, book, s, MARKET, -direction(quantity), move.leaving)
        order.reduce_only, order.quantity = 1, abs(quantity)
    if move.side != 0:
        give_bracket(plan, desk, book, s, move)


@rule(inline=True)
def on_its_way(desk: Desk, s: int) -> bool:
    """Whether an order of a symbol still waits for an open."""
    for k in range(desk.account[0].orders):
        order = desk.orders[k]
        if order.symbol == s and order.kind == MARKET and order.status <= LIVE:
            return True
    return False


@rule(inline=True)
def look(scene: Scene, wish: Wish, desk: Desk, book: Book, s: int, i: int, side: int) -> None:
    """The situation that sizes rest on; its equity is what is left when an opposite position is closed."""
    now, contract, price = book.now[0], desk.contracts[s], scene.close[s, i]
    slippage = desk.settings[0].slippage + half_spread(desk, s, price) / price
    closing = notional_of(contract, desk.positions[s].quantity, price) * (contract.taker_fee + slippage)
    now.equity = desk.account[0].equity / len(desk.positions) - closing
    now.price, now.side, now.atr = price, side, wish.atr[s, i]
    now.fee_rate, now.slippage = contract.taker_fee, slippage
    now.mean, now.sigma = wish.mean[s, i], wish.sigma[s, i]
    now.face, now.inverse, now.bars_per_year = contract.face, contract.inverse, scene.years[s]


@rule(inline=True)
def give_bracket(plan: Row, desk: Desk, book: Book, s: int, move: Move) -> None:
    """A market order to open, with its stop and targets."""
    entry = new_order(desk, book, s, MARKET, move.side, ENTRY_REASON)
    entry.quantity, entry.leverage = move.size, plan.leverage
    for k in range(move.planned):
        one = book.exits[k]
        kind, reason = (LIMIT, TARGET) if one.target else (STOP, STOP_LOSS)
        leave = new_order(desk, book, s, kind, -move.side, reason)
        leave.parent, leave.status, leave.reduce_only, leave.leverage = entry.id, SLEEPING, 1, plan.leverage
        leave.quantity, leave.share = move.size * one.share, share_of(move.size, one.share)
        leave.offset_rate, leave.offset = one.offset_rate, one.offset
        write_following(leave, one)


@rule(inline=True)
def share_of(size: float, share: float) -> float:
    """The share of an entry that its exit is for, as a broker works it out of both their sizes."""
    return min(1.0, abs(size * share / size))


@rule(inline=True)
def write_following(leave: Row, one: Row) -> None:
    """How an exit follows the price: the distances of a planned one put down in its order."""
    leave.trailing_rate, leave.trailing = one.trailing_rate, one.trailing
    leave.trailing_after_rate, leave.trailing_after = one.trailing_after_rate, one.trailing_after
    leave.break_even_rate, leave.break_even = one.break_even_rate, one.break_even


@rule(inline=True)
def new_order(desk: Desk, book: Book, s: int, kind: int, side: int, reason: int) -> Row:
    """The next row of orders, all else zero."""
    row = desk.account[0].orders
    desk.account[0].orders += 1
    book.number[0] += 1
    # The last row is never written to.
    desk.orders[row] = desk.orders[len(desk.orders) - 1]
    order = desk.orders[row]
    order.id, order.symbol, order.kind, order.side = book.number[0], s, kind, side
    order.status, order.reason = LIVE, reason
    return order
