"""Resampling: markets that might have been, made of blocks of a run's own bars with its signals on them."""

from __future__ import annotations

import numpy as np

from backtests.playback import Playback
from backtests.scene import Scene, make_scene
from backtests.trader import Wish
from backtests.wishes import next_wanted
from foundation.units import nanoseconds
from markets.candles import BoolArray, Candles, FloatArray, IntArray
from markets.funding import Funding
from markets.market import Market

MINUTE = nanoseconds("1m")


def block_order(count: int, length: int, block: float, random: np.random.Generator) -> IntArray:
    """The rows, of `count`, that a stationary bootstrap draws for `length` bars (Politis and Romano 1994).

    Blocks begin anywhere, have geometric length with the mean `block`, and go on at the start when they reach the end.
    """
    begins = random.random(length) < 1.0 / max(block, 1.0)
    begins[0] = True
    number = np.cumsum(begins) - 1
    at = np.flatnonzero(begins)
    starts = random.integers(count, size=len(at))
    order: IntArray = (starts[number] + np.arange(length) - at[number]) % count
    return order


def resampled(playback: Playback, order: IntArray) -> tuple[Scene, Wish]:
    """Scene and wish of a market that plays the bars `order`, counted from the first one played, one after the other.

    Each bar keeps its moves from the close before it, of last and mark price, its funding and its flags, and brings
    along what was wanted and forecast at it and its average true range, in proportion to the price. All markets
    draw the same bars. What lies before the first bar played stays as it was. Prices are rounded to ticks; finer
    candles are left out, so that the order inside a bar is the account's.
    """
    first, rows = playback.scene.first, playback.scene.first + order
    head = np.arange(first)
    markets, scale = [], np.ones((len(playback.stage.fed), first + len(order)))
    for s, market in enumerate(playback.stage.fed):
        path = _path(market.candles.close, rows, first)
        scale[s, first:] = path / _before(market.candles.close)[rows]
        markets.append(_market(market, np.concatenate((head, rows)), scale[s]))
    kept = np.concatenate((head, rows))
    wish = playback.wish
    sides = np.ascontiguousarray(wish.sides[:, kept])
    scene = make_scene(markets, first, playback.costs.impact_window)
    return scene, Wish(
        sides,
        np.ascontiguousarray(wish.mean[:, kept]),
        np.ascontiguousarray(wish.sigma[:, kept]),
        np.ascontiguousarray(wish.atr[:, kept]) * scale,
        next_wanted(sides),
    )


def _before(close: FloatArray) -> FloatArray:
    """The close before each bar; the first bar's own."""
    return np.concatenate((close[:1], close[:-1]))


def _path(close: FloatArray, rows: IntArray, first: int) -> FloatArray:
    """The close before each bar of the new path."""
    moves = np.log(close[rows] / _before(close)[rows])
    begin = close[first - 1] if first else close[0]
    path: FloatArray = begin * np.exp(np.concatenate(([0.0], np.cumsum(moves)[:-1])))
    return path


def _market(market: Market, kept: IntArray, scale: FloatArray) -> Market:
    """The market of the kept bars, its prices scaled bar by bar."""
    candles, tick = market.candles, market.contract.tick
    stamps = candles.timestamp[0] + candles.bar * np.arange(len(kept))
    last = np.column_stack((candles.open, candles.high, candles.low, candles.close))
    prices, mark = (_rounded(table[kept] * scale[:, None], tick) for table in (last, market.mark_bars()[0]))
    made = _candles(stamps, prices, candles.volume[kept], candles.touched[kept], candles.bar)
    marks = _candles(stamps, mark, np.zeros(len(kept)), np.zeros(len(kept), dtype=np.bool_), candles.bar)
    return Market(market.contract, made, marks, _funding(market, kept, stamps), synthetic=True)


def _candles(stamps: IntArray, prices: FloatArray, volume: FloatArray, touched: BoolArray, bar: int) -> Candles:
    opened, high, low, close = prices.T
    return Candles(stamps, opened, high, low, close, volume, bar, touched, "bars drawn again")


def _rounded(prices: FloatArray, tick: float) -> FloatArray:
    rounded: FloatArray = np.maximum(np.round(prices / tick), 1.0) * tick
    return rounded


def _funding(market: Market, kept: IntArray, stamps: IntArray) -> Funding | None:
    """The settlements that the kept bars bring along; those inside a bar stand in its middle."""
    at_open, inside = (rates[kept] for rates in market.funding_bars())
    if market.candles.bar < 2 * MINUTE:
        at_open, inside = at_open + inside, np.zeros(len(kept))
    due = np.concatenate((stamps[at_open != 0.0], stamps[inside != 0.0] + market.candles.bar // 2))
    if len(due) == 0:
        return None
    rates = np.concatenate((at_open[at_open != 0.0], inside[inside != 0.0]))
    order = np.argsort(due)
    return Funding(due[order], rates[order], "funding drawn again")
