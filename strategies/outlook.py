"""Outlook: all that a strategy decides on over the bars of one market, worked out at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from foundation.compilation import rule
from markets.candles import FloatArray
from markets.market import Market
from models.forecasts import Forecasts
from strategies.averages import average_true_range, moving_average
from strategies.parameters import CrossoverParams, RiskParams
from strategies.reasons import reason_series
from strategies.rules import DECIDERS, THRESHOLD_UNITS, threshold_return
from strategies.sides import SideArray, wanted_sides
from strategies.steps import habits_record


@dataclass(frozen=True, eq=False)
class Outlook:
    """One market's decisions, an array of a value a bar; bit for bit those that LSTMCrossover comes to bar by bar.

    `sides`: the wanted side. `reasons`: why, by number; the strategy writes there what came of it. `longs`, `shorts`:
    the row of the next bar, this one included, at which that side is wanted; the number of bars where none is.
    """

    sides: Sequence[int]
    longs: Sequence[int]
    shorts: Sequence[int]
    reasons: npt.NDArray[np.int8]
    mean: FloatArray
    sigma: FloatArray
    threshold: FloatArray
    fast: FloatArray
    slow: FloatArray
    atr: FloatArray


def make_outlook(
    market: Market,
    forecasts: Forecasts,
    strategy: CrossoverParams,
    risk: RiskParams,
    cost_rates: FloatArray,
    first: int,
) -> Outlook:
    """The outlook on a market; before row `first` no side is wanted.

    `cost_rates`: taker fee plus slippage of one fill at each close, which thresholds and reasons count in. Raises
    ParameterError where the forecasts do not say what the threshold is about.
    """
    candles, exponential = market.candles, strategy.average == "ema"
    sides = wanted_sides(market, forecasts, strategy, cost_rates, first)
    mean, sigma = forecasts.on(market)
    unit = THRESHOLD_UNITS.index(strategy.threshold.unit)
    slow = moving_average(candles.close, strategy.slow, exponential)
    score = forecasts.column(market, ("mean", "mean", "mean", "up_probability", "position")[unit])
    threshold = thresholds(strategy.threshold.amount, unit, cost_rates, sigma)
    reasons = reason_series(
        sides, score - 0.5 if unit == 3 else score, mean, sigma, threshold, slow, DECIDERS.index(strategy.rule),
        strategy.sigma_band, first, habits_record(strategy, risk),
    )  # fmt: skip
    return Outlook(
        sides=memoryview(cast(Any, sides)), longs=_upcoming(sides, 1), shorts=_upcoming(sides, -1), reasons=reasons,
        mean=mean, sigma=sigma, threshold=threshold, slow=slow,
        fast=moving_average(candles.close, strategy.fast, exponential),
        atr=average_true_range(candles.high, candles.low, candles.close, risk.atr_bars),
    )  # fmt: skip


@rule(makes_arrays=True)
def thresholds(amount: float, unit: int, cost_rates: FloatArray, sigma: FloatArray) -> FloatArray:
    """`threshold_return` at every bar."""
    out = np.empty(len(sigma))
    for k in range(len(sigma)):
        out[k] = threshold_return(amount, unit, cost_rates[k], sigma[k])
    return out


def _upcoming(sides: SideArray, side: int) -> Sequence[int]:
    """The row of the next bar with a side, for every bar and one more."""
    count = len(sides)
    rows = np.append(np.where(sides == side, np.arange(count), count), count)
    return memoryview(cast(Any, np.ascontiguousarray(np.minimum.accumulate(rows[::-1])[::-1])))
