"""Turned positions: the luck of a run whose orders nobody can make up, by the positions that it held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtests.doubts.controls import BANDS, Fan, Luck, Near, chances_since
from backtests.doubts.own_playback import outcome_of_tables, points_of, sharpe_of, trips_of
from backtests.doubts.playback import Outcome
from backtests.run.own_run import OwnRun
from backtests.run.result import Result
from foundation.threads import map_threads
from markets.candles import FloatArray, IntArray
from markets.market import Market

# How many times the memory of a strategy its positions are turned at least: what it looks at, and what a trade lasts.
MEMORIES = 2
# Fewer bars than this, over all draws, are played in one thread.
SMALL = 20_000_000


@dataclass(frozen=True, eq=False)
class Exposure:
    """The positions of a run through its bars, as multiples of the equity at the close before each bar.

    `carried`, `held`, shape (symbols, bars): the value of the position at that close, and of what is held when the
    orders of the bar's open have filled. `costs`, shape (bars,): fees, slippage and charges of the bar, of the same
    equity. `gaps`, `moves`: what a value of one earns from that close to the open and from the open to the close, less
    the funding due on it.
    """

    carried: FloatArray
    held: FloatArray
    costs: FloatArray
    gaps: FloatArray
    moves: FloatArray

    def growth(self, turn: int = 0) -> FloatArray:
        """What equity grows by on each bar, with the positions of `turn` bars before; never below a loss of all."""
        carried, held, costs = (np.roll(one, turn, axis=-1) for one in (self.carried, self.held, self.costs))
        earned = np.einsum("sb,sb->b", carried, self.gaps) + np.einsum("sb,sb->b", held, self.moves)
        grown: FloatArray = np.maximum(1.0 + earned - costs, 0.0)
        return grown


def exposure_of(result: Result, run: OwnRun) -> Exposure:
    """The positions of a run as its tables tell them."""
    equity = result.equity["equity"].to_numpy(dtype=np.float64)
    before = np.maximum(np.concatenate(([run.account.cash], equity[:-1])), 0.0)
    alive = before > 0.0
    scale = np.divide(1.0, before, out=np.zeros_like(before), where=alive)
    stamps = run.markets[0].candles.timestamp[run.first :]
    parts = [_of_market(result, market, run.first, stamps) for market in run.markets]
    fills = result.fills
    paid = (fills["fee"] + fills["slippage"] + fills["liquidation_fee"]).to_numpy(dtype=np.float64)
    costs = np.zeros(len(stamps))
    np.add.at(costs, np.searchsorted(stamps, _moments(fills)), paid)
    carried, held, gaps, moves = (np.stack(one) for one in zip(*parts, strict=True))
    return Exposure(carried * scale, held * scale, costs * scale, gaps, moves)


def _of_market(
    result: Result, market: Market, first: int, stamps: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Values of positions before and after each open, in money; what a value of one earns in both parts of a bar."""
    contract, candles = market.contract, market.candles
    inverse = contract.kind == "inverse"
    opens, marks = candles.open[first:], market.mark_bars()[0][first:, 3]
    closes = np.concatenate((candles.close[max(first - 1, 0) : max(first - 1, 0) + 1], marks[:-1]))
    own = result.positions[result.positions["symbol"] == market.symbol]
    position = own["position"].to_numpy(dtype=np.float64)
    carried = np.concatenate(([0.0], position[:-1]))
    held = _after_open(result.fills[result.fills["symbol"] == market.symbol], carried, stamps, opens, contract.tick)

    def value(quantity: FloatArray, price: FloatArray) -> FloatArray:
        size = quantity * contract.face
        return size / price if inverse else size * price

    def move(begin: FloatArray, end: FloatArray) -> FloatArray:
        return 1.0 - begin / end if inverse else end / begin - 1.0

    at_open, inside = (rates[first:] for rates in market.funding_bars())
    return value(carried, closes), value(held, opens), move(closes, opens) - at_open, move(opens, marks) - inside


def _after_open(
    fills: pd.DataFrame, carried: FloatArray, stamps: IntArray, opens: FloatArray, tick: float
) -> FloatArray:
    """The position when the orders of each bar's open have filled: of fills at the open, less their slippage."""
    held, rows = carried.copy(), np.searchsorted(stamps, _moments(fills))
    price, notional = (fills[name].to_numpy(dtype=np.float64) for name in ("price", "notional"))
    worse = fills["slippage"].to_numpy(dtype=np.float64) / np.where(notional > 0.0, notional, 1.0)
    near = np.abs(price - opens[rows]) <= opens[rows] * worse * 1.01 + tick
    inside = np.zeros(len(stamps), dtype=bool)
    for row, opened, position in zip(rows.tolist(), near.tolist(), fills["position"].tolist(), strict=True):
        inside[row] |= not opened
        if not inside[row]:
            held[row] = position
    return held


def measure_turned(result: Result, run: OwnRun, *, runs: int, seed: int) -> Luck:
    """The luck of a run: what its positions come to when they are held at other times. Equal arguments, equal bits.

    The positions, as multiples of equity, are turned round in time by a random number of bars (a circular shift), all
    markets together, with the costs that they made. This keeps how often each side is held, for how long, how large and
    at what cost, and breaks nothing but their place in time; drift is earned by luck too. What is ranked is the
    Sharpe ratio of the same positions unturned, counted in the same way: what is held after the orders of an open earns
    from that open to the close; an order that fills inside a bar counts from the bar's end on. So nothing that the bar
    itself decided is in either, and under the null, that positions know nothing of the returns that follow, the
    rank is uniform. Turns of fewer bars than MEMORIES times what the strategy looks at and what a trade lasts are left
    out, up to a quarter of the bars: positions that follow prices would look ahead there.
    """
    path, random = exposure_of(result, run), np.random.default_rng(seed)
    count, year, cash = len(path.costs), run.markets[0].bars_per_year, run.account.cash
    trips, points = trips_of(result.fills), points_of(len(path.costs))
    mean = float((path.held != 0.0).any(axis=0).sum()) / max(len(trips), 1)
    least = max(1, min(MEMORIES * (run.first + round(mean)), count // 4))
    turns = random.integers(least, max(count - least, least) + 1, size=runs).tolist()

    def drawn(turn: int) -> tuple[float, FloatArray]:
        curve = np.asarray(cash * np.cumprod(path.growth(turn)), dtype=np.float64)
        return sharpe_of(curve, cash, year), curve[points]

    found = list(map_threads(drawn, turns, runs, "Turning positions in time", alone=runs * count < SMALL))
    counted = counted_of(result, path, cash, year)
    sharpe, curves = np.array([one for one, _ in found]), np.stack([curve for _, curve in found])
    total = curves[:, -1] / cash - 1.0
    p = (1 + int((sharpe >= counted.sharpe).sum())) / (1 + runs)
    stamps = run.markets[0].candles.timestamp[run.first :][points]
    return Luck(
        sharpe=sharpe, total_return=total, trades=float(len(trips)), held=mean,
        near=Near(runs, float(len(trips)), p), p=p, since=chances_since(counted.equity, curves),
        place=float((total < counted.total_return).mean()),
        fan=Fan(stamps, np.quantile(curves, BANDS, axis=0), counted.equity),
        counted=counted,
    )  # fmt: skip


def counted_of(result: Result, path: Exposure, cash: float, bars_per_year: float) -> Outcome:
    """What the positions of a run come to, counted as the turned ones are."""
    curve = np.asarray(cash * np.cumprod(path.growth()), dtype=np.float64)
    return outcome_of_tables(curve, result.fills, cash, bars_per_year)


def _moments(fills: pd.DataFrame) -> IntArray:
    return np.asarray(pd.DatetimeIndex(fills["timestamp"]).as_unit("ns").asi8)
