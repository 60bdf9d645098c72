"""Resampling: markets that might have been, made of blocks of a run's own bars with its signals on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backtests.doubts.playback import Playback
from backtests.exchange.impact import checked_impact_units
from backtests.exchange.records import Records
from backtests.kernel.scene import Scene, room_for, scene_of
from backtests.kernel.trader import Wish
from backtests.kernel.wishes import next_wanted
from foundation.compilation import rule
from markets.candles import Candles, FloatArray, IntArray
from markets.funding import Funding
from markets.market import Market
from models.forecasts import EXTRAS, Forecasts
from strategies.sides import SideArray


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
    base, wish, first = playback.scene, playback.wish, playback.scene.first
    kept = np.concatenate((np.arange(first), first + order))
    shape, path = (len(base.bars), len(kept)), np.empty((len(base.bars), len(order)))
    for s, close in enumerate(base.close):
        path[s] = _path(playback.moves[s], close, first + order, first)
    ticks = np.array([market.contract.tick for market in playback.stage.fed])
    bars, sides = room_for(shape), np.empty(shape, dtype=wish.sides.dtype)
    mean, sigma, atr = np.empty(shape), np.empty(shape), np.empty(shape)
    _redraw(base.bars, base.close, wish, kept, path, ticks, bars, sides, mean, sigma, atr)
    if playback.costs.impact_window:
        for market, own in zip(playback.stage.fed, bars, strict=True):
            own["impact"] = _impact(market, own, kept, playback.costs.impact_window, first)
    scene = scene_of(bars, base.finer[:0], base.contracts, base.years, first)
    return scene, Wish(sides, mean, sigma, atr, next_wanted(sides))


@rule
def _redraw(
    base: Records,
    close: FloatArray,
    wish: Wish,
    kept: IntArray,
    path: FloatArray,
    ticks: FloatArray,
    bars: Records,
    sides: SideArray,
    mean: FloatArray,
    sigma: FloatArray,
    atr: FloatArray,
) -> None:
    """Writes the rows `kept` of bars and wish, whose last have the closes `path` before them, see `resampled`."""
    symbols, length = bars.shape
    first = length - path.shape[1]
    for s in range(symbols):
        for k in range(length):
            row, scale = kept[k], 1.0
            if k >= first:
                scale = path[s, k - first] / close[s, max(row - 1, 0)]
            bars[s, k] = base[s, row]
            bar, tick = bars[s, k], ticks[s]
            bar.finer_first, bar.finer_count = 0, 0
            bar.open, bar.high = _to_tick(bar.open * scale, tick), _to_tick(bar.high * scale, tick)
            bar.low, bar.close = _to_tick(bar.low * scale, tick), _to_tick(bar.close * scale, tick)
            bar.mark_open = _to_tick(bar.mark_open * scale, tick)
            bar.mark_high = _to_tick(bar.mark_high * scale, tick)
            bar.mark_low = _to_tick(bar.mark_low * scale, tick)
            bar.mark_close = _to_tick(bar.mark_close * scale, tick)
            sides[s, k], mean[s, k], sigma[s, k] = wish.sides[s, row], wish.mean[s, row], wish.sigma[s, row]
            atr[s, k] = wish.atr[s, row] * scale


@rule(inline=True)
def _to_tick(price: float, tick: float) -> float:
    """The nearest price of a grid, one step of it at least."""
    steps: float = np.maximum(np.rint(price / tick), 1.0)
    return steps * tick


def _before(close: FloatArray) -> FloatArray:
    """The close before each bar; the first bar's own."""
    return np.concatenate((close[:1], close[:-1]))


def _path(moves: FloatArray, close: FloatArray, rows: IntArray, first: int) -> FloatArray:
    """The close before each bar of the new path; `moves`: of each close from the one before it, as logs."""
    begin = close[first - 1] if first else close[0]
    path: FloatArray = begin * np.exp(np.concatenate(([0.0], np.cumsum(moves[rows])[:-1])))
    return path


def _rounded(prices: FloatArray, tick: float) -> FloatArray:
    rounded: FloatArray = np.maximum(np.round(prices / tick), 1.0) * tick
    return rounded


def _impact(market: Market, bars: Records, kept: IntArray, window: int, first: int) -> FloatArray:
    """What the kept bars make of market impact, measured over their own past."""
    candles = market.candles
    stamps = candles.timestamp[0] + candles.bar * np.arange(len(kept))
    opened, high, low, close = (np.ascontiguousarray(bars[name]) for name in ("open", "high", "low", "close"))
    made = Candles(
        stamps, opened, high, low, close, candles.volume[kept], candles.bar, candles.touched[kept], "bars drawn again"
    )
    return checked_impact_units(made, window, first)


def resampled_market(market: Market, first: int, order: IntArray) -> Market:
    """A market that plays the bars `order`, counted from row `first`, one after the other, behind those before `first`.

    Prices, mark prices, funding and flags move with their bars as in `resampled`; stamps run on from bar to bar.
    Finer candles, series from outside and the oracle are left out.
    """
    candles, rows = market.candles, first + order
    kept = np.concatenate((np.arange(first), rows))
    stamps = candles.timestamp[0] + candles.bar * np.arange(len(kept))
    scale = np.ones(len(kept))
    before = _before(candles.close)
    scale[first:] = _path(np.log(candles.close / before), candles.close, rows, first) / before[rows]
    tick = market.contract.tick

    def made(prices: FloatArray, source: str) -> Candles:
        opened, high, low, close = (_rounded(prices[kept, k] * scale, tick) for k in range(4))
        volume, flags = candles.volume[kept], candles.touched[kept]
        return Candles(stamps, opened, high, low, close, volume, candles.bar, flags, source)

    last = np.column_stack([getattr(candles, name) for name in ("open", "high", "low", "close")])
    at_open, inside = (rates[kept] for rates in market.funding_bars())
    due = np.concatenate((stamps, stamps + candles.bar // 2)), np.concatenate((at_open, inside))
    chosen = np.flatnonzero(due[1] != 0.0)
    chosen = chosen[np.argsort(due[0][chosen])]
    funding = Funding(due[0][chosen], due[1][chosen]) if len(chosen) else None
    mark = None if market.mark is None else made(market.mark_bars()[0], "mark prices drawn again")
    bare = replace(market, oracle=None, finer=None, exogenous=())
    return replace(bare, candles=made(last, "bars drawn again"), mark=mark, funding=funding)


def resampled_forecasts(
    forecasts: Forecasts, before: Sequence[Market], after: Sequence[Market], first: int, order: IntArray
) -> Forecasts:
    """The forecasts of each bar that was drawn, at the stamps of the new markets."""
    kept, series = np.concatenate((np.arange(first), first + order)), {}
    for old, new in zip(before, after, strict=True):
        one = forecasts.series[old.symbol]
        stamps = old.candles.timestamp[kept]
        at = np.minimum(np.searchsorted(one.timestamp, stamps), len(one) - 1)
        known = np.flatnonzero(one.timestamp[at] == stamps)
        rows, made = at[known], new.candles.timestamp[known]
        said = {
            name: values[rows]
            for name in ("mean", "sigma", "model", *EXTRAS)
            if (values := getattr(one, name)) is not None
        }
        series[old.symbol] = replace(one, timestamp=made, trained_through=made - 1, **said)
    return replace(forecasts, series=series, ensembles=None)
