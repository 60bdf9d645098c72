"""Wishes: what the signals of a setting come to on a stage, as the kernel takes it."""

from __future__ import annotations

import numpy as np

from backtests.exchange.parameters import CostParams
from backtests.exchange.stage import Stage, warm_up
from backtests.kernel.trader import LONG, OTHER, SHORT, Wish
from foundation.compilation import rule
from markets.candles import IntArray
from models.forecasts import Forecasts
from strategies.averages import average_true_range
from strategies.parameters import CrossoverParams
from strategies.sides import SideArray, Signals, signals_of


def make_wish(stage: Stage, forecasts: Forecasts, strategy: CrossoverParams, atr_bars: int, costs: CostParams) -> Wish:
    """The wish of a strategy; averages start where a backtest of this strategy alone would start them.

    `costs`: what counts in a threshold that is stated in them.
    """
    count = len(stage.fed[0].candles)
    shape = (len(stage.fed), count)
    sides, atr = np.zeros(shape, dtype=np.int8), np.full(shape, np.nan)
    mean, sigma = np.full(shape, np.nan), np.full(shape, np.nan)
    begin, signals = stage_signals(stage, forecasts, strategy, atr_bars, costs)
    for s, market in enumerate(stage.fed):
        own = market.rows(begin, count)
        sides[s, begin:] = signals[s].sides(stage.first - begin)
        candles = own.candles
        atr[s, begin:] = average_true_range(candles.high, candles.low, candles.close, atr_bars)
        mean[s, begin:], sigma[s, begin:] = forecasts.column(own, "mean"), signals[s].sigma
    return Wish(sides, mean, sigma, atr, next_wanted(sides))


def stage_signals(
    stage: Stage, forecasts: Forecasts, strategy: CrossoverParams, atr_bars: int, costs: CostParams
) -> tuple[int, list[Signals]]:
    """The row at which averages start, and from it on what the sides of each market rest on."""
    begin = max(0, stage.first - warm_up(strategy, atr_bars, costs.impact_window))
    signals = []
    for market in stage.fed:
        own = market.rows(begin, len(market.candles))
        cost_rate = own.contract.taker_fee + costs.slippage_rates(own.candles.close, own.contract.tick)
        signals.append(signals_of(own, forecasts, strategy, cost_rate))
    return begin, signals


@rule(makes_arrays=True)
def next_wanted(sides: SideArray) -> IntArray:
    """`Wish.upcoming`: for every column the next one, itself included, with LONG, SHORT, or OTHER than its own side."""
    symbols, count = sides.shape
    found = np.empty((3, symbols, count), dtype=np.int64)
    for s in range(symbols):
        long = short = other = count
        for k in range(count - 1, -1, -1):
            if k + 1 < count and sides[s, k + 1] != sides[s, k]:
                other = k + 1
            if sides[s, k] > 0:
                long = k
            elif sides[s, k] < 0:
                short = k
            found[LONG, s, k], found[SHORT, s, k], found[OTHER, s, k] = long, short, other
    return found
