"""Sides: what a strategy wants at every bar of a market, worked out at once by the rules that decide bar by bar."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foundation.compilation import rule
from foundation.errors import ParameterError
from markets.candles import FloatArray
from markets.market import Market
from models.forecasts import Forecasts
from strategies.averages import NO_CROSS, confirmation, crossing_step, moving_average
from strategies.parameters import CrossoverParams
from strategies.rules import DECIDERS, THRESHOLD_UNITS, signal, threshold_return

SideArray = npt.NDArray[np.int8]


class Signals(NamedTuple):
    """What the wanted sides of a market rest on, bar by bar.

    `score`: what is held against the threshold. `sigma`: of the forecast. `fast`, `slow`: the averages. `threshold`:
    amount, unit and cost rates of `threshold_return`. `decider`: an index of DECIDERS.
    """

    score: FloatArray
    sigma: FloatArray
    fast: FloatArray
    slow: FloatArray
    cross_bars: int
    threshold: tuple[float, int, FloatArray]
    decider: int
    sigma_band: tuple[float, float]

    def sides(self, first: int) -> SideArray:
        """The wanted side at the close of every bar: +1 long, -1 short, 0 to hold; before row `first` always 0."""
        return side_series(*self, first)


def signals_of(
    market: Market, forecasts: Forecasts, strategy: CrossoverParams, cost_rate: float | FloatArray
) -> Signals:
    """The signals of a strategy on a market; `cost_rate` as in `wanted_sides`."""
    exponential, close = strategy.average == "ema", market.candles.close
    unit, decider = THRESHOLD_UNITS.index(strategy.threshold.unit), DECIDERS.index(strategy.rule)
    mean = forecasts.column(market, "mean")
    score = mean if unit < 3 else forecasts.column(market, ("up_probability", "position")[unit - 3])
    if unit == 3:
        score = score - 0.5
    if decider < 2 and (np.isnan(score) & ~np.isnan(mean)).any():
        raise unsaid(strategy)
    return Signals(
        score,
        forecasts.column(market, "sigma"),
        moving_average(close, strategy.fast, exponential),
        moving_average(close, strategy.slow, exponential),
        strategy.cross_bars if strategy.confirmation == "cross" else 0,
        (strategy.threshold.amount, unit, np.array(np.broadcast_to(cost_rate, score.shape), dtype=np.float64)),
        decider,
        strategy.sigma_band,
    )


def wanted_sides(
    market: Market, forecasts: Forecasts, strategy: CrossoverParams, cost_rate: float | FloatArray, first: int
) -> SideArray:
    """The wanted side at the close of every bar: +1 long, -1 short, 0 to hold; before row `first` always 0.

    `cost_rate`: taker fee plus slippage of one fill, one for all bars or one a bar.
    The same numbers, bit for bit, as LSTMCrossover comes to with
    these candles. A side that `strategy.direction` does not trade is wanted all the same: it closes the other one.
    Raises ParameterError where the forecasts do not say what the threshold is about.
    """
    return signals_of(market, forecasts, strategy, cost_rate).sides(first)


def unsaid(strategy: CrossoverParams) -> ParameterError:
    """The error of a threshold on a chance or a position that the forecasts do not say."""
    unit = THRESHOLD_UNITS.index(strategy.threshold.unit)
    output, said = (("barrier", "up_probability"), ("position", "position"))[unit - 3]
    fix = f'model.output = "{output}", or a threshold in another unit'
    return ParameterError(
        "strategy.threshold", f"needs forecasts with a {said}", value=str(strategy.threshold), fix=fix
    )


@rule(makes_arrays=True)
def side_series(
    score: FloatArray,
    sigma: FloatArray,
    fast: FloatArray,
    slow: FloatArray,
    cross_bars: int,
    threshold: tuple[float, int, FloatArray],
    decider: int,
    sigma_band: tuple[float, float],
    first: int,
) -> SideArray:
    """The wanted side at every bar; `threshold`: amount, unit and cost rates of `threshold_return`."""
    out = np.zeros(len(score), dtype=np.int8)
    before, age = 0, NO_CROSS
    for k in range(len(score)):
        side, before, age = crossing_step(fast[k], slow[k], before, age)
        if k < first or (decider < 2 and not sigma_band[0] <= sigma[k] <= sigma_band[1]):
            continue
        least = threshold_return(threshold[0], threshold[1], threshold[2][k], sigma[k])
        out[k] = signal(score[k], least, confirmation(side, age, cross_bars), decider)
    return out
