"""Sums: the returns and falls of eight accounts at once, bar by bar, from what each is worth over a tile.

Every account's sums take its bars in their order, whatever stands beside it and wherever tiles end: no bit of them
depends on either.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backtests.exchange.records import Records, Row
from backtests.exchange.valuation import profits_of
from backtests.kernel.course import Course, fields
from backtests.kernel.scene import Scene
from foundation.compilation import rule
from foundation.lanes import WIDTH, Lanes, Mask, bits_of, lane_of, lanes_at, leading, put_lanes, where
from markets.candles import FloatArray

# Rows of `Running.sums` beyond those of Sums: bars held up to an account's last change, the row of that change, and the
# returns and their squares up to the last block that was closed.
HELD, SINCE, CLOSED, SQUARED = 9, 10, 11, 12
# The bits of a change of more than the cash.
ALL = (1 << WIDTH) - 1
# Equity at zero or below counts as this much, which no sum notices and which can be divided by.
LEAST = 1e-300


class Sums(NamedTuple):
    """What is added up bar by bar.

    `returns`, `squares`, `falls`: of the bar returns r, r^2 and min(r, 0)^2. `average`: of equity, but for the bars
    that an account without a position has had since its last change. `before`: equity at the last bar. `peak`: the
    highest so far. `top`, `bottom`: the peak and the lower equity after it between which lies the deepest fall.
    `under`: bars below the peak.
    """

    returns: Lanes
    squares: Lanes
    falls: Lanes
    average: Lanes
    before: Lanes
    peak: Lanes
    top: Lanes
    bottom: Lanes
    under: Lanes


class Running(NamedTuple):
    """Of eight accounts, one a column: `sums`, then HELD and what follows; `now`: what is in them, as in Course."""

    sums: FloatArray
    now: FloatArray


@rule(makes_arrays=True)
def new_running(groups: int, symbols: int, first: int, cash: float) -> tuple[FloatArray, FloatArray]:
    """The arrays of Running for some groups of accounts before their first bar, row `first`."""
    sums, now = np.zeros((groups, SQUARED + 1, WIDTH)), np.zeros((groups, fields(symbols), WIDTH))
    sums[:, 4:8], sums[:, SINCE] = cash, first
    now[:, 0], now[:, 3::2] = cash, 1.0
    return sums, now


@rule
def add_tile(scene: Scene, course: Course, running: Running, tallies: Records, curve: FloatArray) -> None:
    """Adds up the bars of a tile.

    `tallies`: of the accounts, for their blocks. `curve`: room for the equity of the last at every bar, or empty.
    """
    i, block = course.begin, 0
    while block < len(scene.edges) and scene.edges[block] < i:
        block += 1
    while i < course.end:
        last = scene.edges[block]
        end = min(course.end, last + 1)
        add_bars(scene, course, running, i, end, curve, len(tallies) - 1)
        if end == last + 1:
            close_block(running, tallies, block)
            block += 1
        i = end


@rule(inline=True)
def add_bars(scene: Scene, course: Course, running: Running, i: int, end: int, curve: FloatArray, shown: int) -> None:
    """Adds up the bars from `i` to before `end`, from one change to the next."""
    sums, now = sums_of(running), running.now
    while i < end:
        if course.changed[i - course.begin] != 0:
            sums = take_change(course, i, running, sums)
        held, begun = lanes_at(now, 1) > 0.5, i
        sums = added(sums, worth_of(scene, now, i), held)
        i += 1
        # Without any position nothing moves after the first bar.
        if leading(lanes_at(now, 1) < 0.5) == WIDTH:
            until = next_change(course, i, end)
            sums, i = rested(sums, float(until - i)), until
        while i < end and course.changed[i - course.begin] == 0:
            sums = added(sums, worth_of(scene, now, i), held)
            i += 1
        if len(curve) > 0:
            for t in range(begun, i):
                curve[t] = lane_of(worth_of(scene, now, t), shown)
    write_sums(running, sums)


@rule(inline=True)
def take_change(course: Course, i: int, running: Running, sums: Sums) -> Sums:
    """What has changed at a bar becomes what is, and its mark is taken away; the sums, with the bars before it.

    Those of an account without a position are added to `average` all at once, those with one have been.
    """
    row, now, rows = i - course.begin, running.now, running.sums
    changed = int(course.changed[row])
    paid, cash = bits_of(changed >> WIDTH), lanes_at(course.worth, row * len(now))
    put_lanes(now, 0, where(paid, cash, lanes_at(now, 0)))
    course.changed[row] = 0
    if changed & ALL == 0:
        return sums
    mask, held, since = bits_of(changed & ALL), lanes_at(now, 1), lanes_at(rows, SINCE)
    bars = float(i) - since
    average = where(mask, sums.average + sums.before * (bars * (1.0 - held)), sums.average)
    put_lanes(rows, HELD, where(mask, lanes_at(rows, HELD) + bars * held, lanes_at(rows, HELD)))
    put_lanes(rows, SINCE, where(mask, float(i), since))
    for k in range(len(now)):
        put_lanes(now, k, where(mask, lanes_at(course.worth, row * len(now) + k), lanes_at(now, k)))
    return Sums(
        sums.returns, sums.squares, sums.falls, average, sums.before, sums.peak, sums.top, sums.bottom, sums.under
    )  # fmt: skip


@rule(inline=True)
def next_change(course: Course, i: int, end: int) -> int:
    """The next bar, `i` included, at which an account changes; `end` if there is none before."""
    while i < end and course.changed[i - course.begin] == 0:
        i += 1
    return i


@rule(inline=True)
def worth_of(scene: Scene, now: FloatArray, i: int) -> Lanes:
    """The equity at the close of a bar."""
    equity = lanes_at(now, 0)
    for s in range(len(scene.contracts)):
        sizes, entries = lanes_at(now, 2 + 2 * s), lanes_at(now, 3 + 2 * s)
        equity = equity + profits_of(scene.contracts[s], sizes, entries, scene.mark[s, i])
    return equity


@rule(inline=True)
def added(sums: Sums, equity: Lanes, held: Mask) -> Sums:
    """The sums after one more bar: its return, and the equity's way from its peak; `held`: who has a position.

    Of two falls, to `bottom / top` and to `equity / peak`, that is deeper whose product with the other's base is less.
    """
    equity = where(equity > LEAST, equity, LEAST)
    value = equity / sums.before - 1.0
    square = value * value
    peak = where(equity > sums.peak, equity, sums.peak)
    deeper = equity * sums.top < sums.bottom * peak
    return Sums(
        sums.returns + value, sums.squares + square, where(value < 0.0, sums.falls + square, sums.falls),
        where(held, sums.average + equity, sums.average), equity, peak, where(deeper, peak, sums.top),
        where(deeper, equity, sums.bottom), where(equity < peak, sums.under + 1.0, sums.under),
    )  # fmt: skip


@rule(inline=True)
def rested(sums: Sums, bars: float) -> Sums:
    """The sums after some bars on which no account had a position."""
    return Sums(
        sums.returns, sums.squares, sums.falls, sums.average, sums.before, sums.peak, sums.top, sums.bottom,
        where(sums.before < sums.peak, sums.under + bars, sums.under),
    )  # fmt: skip


@rule(inline=True)
def sums_of(running: Running) -> Sums:
    """What has been added up by now."""
    rows = running.sums
    return Sums(
        lanes_at(rows, 0), lanes_at(rows, 1), lanes_at(rows, 2), lanes_at(rows, 3), lanes_at(rows, 4),
        lanes_at(rows, 5), lanes_at(rows, 6), lanes_at(rows, 7), lanes_at(rows, 8),
    )  # fmt: skip


@rule(inline=True)
def write_sums(running: Running, sums: Sums) -> None:
    """Puts them down for the next tile."""
    for k, lanes in enumerate(sums):
        put_lanes(running.sums, k, lanes)


@rule(inline=True)
def close_block(running: Running, tallies: Records, block: int) -> None:
    """A block of time is over: its returns, and their squares, are what their sums have grown by."""
    sums = running.sums
    for k in range(len(tallies)):
        tally = tallies[k]
        tally.blocks[0, block], tally.blocks[1, block] = sums[0, k] - sums[CLOSED, k], sums[1, k] - sums[SQUARED, k]
        sums[CLOSED, k], sums[SQUARED, k] = sums[0, k], sums[1, k]


@rule(inline=True)
def finish_tally(tally: Row, running: Running, lane: int, scene: Scene, ruined: int) -> None:
    """The last bar has closed: what an account has come to."""
    sums, count = running.sums[:, lane], scene.bars.shape[1]
    bars, held, rest = count - scene.first, running.now[1, lane], count - sums[SINCE]
    equity = sums[4] if sums[4] > LEAST else 0.0
    tally.returns, tally.squares, tally.falls = sums[0], sums[1], sums[2]
    tally.average, tally.equity = (sums[3] + equity * (rest * (1.0 - held))) / max(bars, 1), equity
    tally.deepest = 1.0 - sums[7] / sums[6]
    tally.under, tally.held, tally.bars, tally.ruined = int(sums[8]), int(sums[HELD] + rest * held), bars, ruined
