"""Calibration: one symbol's trailing volatility and past errors, from which each forecast gets its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from foundation.compilation import rule
from foundation.parameters import Parameters
from markets.candles import FloatArray
from markets.market import Market
from models.conformal import ConformalState, conformal_state, issue, settle
from models.forecasts import Bar, Forecasts
from models.volatility import (
    ewma_state,
    ewma_step,
    ewma_volatility,
    har_state,
    har_step,
    har_volatility,
    log_move,
    log_moves,
)


class CalibrationParams(Parameters):
    """How intervals are made: `level` of the outcomes should lie inside.

    `scale`: errors are measured in units of the trailing volatility, by an exponential average over
    `ewma_bars` or by HAR with leverage, or of the forecast's own `sigma`. The width follows the last `window`
    errors, from the first `least` on; each miss or hit moves the share of misses aimed at by `gamma`.
    """

    table: ClassVar[str] = "calibration"

    level: float = Field(0.9, gt=0, lt=1, description="a share between 0 and 1, such as 0.9")
    scale: Literal["ewma", "har", "sigma"] = Field("ewma", description='"ewma", "har" or "sigma"')
    ewma_bars: int = Field(32, ge=2, le=5000, description="bars, a whole number from 2 to 5000")
    window: int = Field(500, ge=20, le=100_000, description="errors, a whole number from 20 to 100000")
    least: int = Field(100, ge=20, le=100_000, description="errors, a whole number from 20 to 100000")
    gamma: float = Field(0.005, ge=0, le=0.5, description="a step from 0 (never adapts) to 0.5, such as 0.005")


class Interval(NamedTuple):
    """The bounds between which the next log return is expected to lie; NaN where there is none."""

    lower: float
    upper: float


@rule(makes_arrays=True)
def _scan(
    state: ConformalState, moves: FloatArray, mean: FloatArray, scale: FloatArray, rates: tuple[float, float, int]
) -> FloatArray:
    """Lower and upper bound at every bar; `rates` are level, gamma and least."""
    level, gamma, least = rates
    bounds = np.empty((len(mean), 2))
    for t in range(len(mean)):
        if t > 0:
            settle(state, moves[t - 1], level, gamma)
        width = issue(state, mean[t], scale[t], least) * scale[t]
        bounds[t, 0], bounds[t, 1] = mean[t] - width, mean[t] + width
    return bounds


class Calibration:
    """The calibration of one symbol, stepped bar by bar: the third state of a forecaster, besides features and network.

    At the close of each bar call `observe(bar)`, which settles the pending forecast and returns the trailing
    volatility, then `interval(mean, sigma)`, which makes the next one pending. A gap in the bars
    calls for `reset`. Over the bars of a market it comes to the bounds of `with_intervals` to the last bit: both are
    the same compiled steps.
    """

    def __init__(self, params: CalibrationParams | None = None) -> None:
        self.params = CalibrationParams.of(params, "calibration")
        self.reset()

    def reset(self) -> None:
        """Forgets everything."""
        self._ewma, self._har = ewma_state(), har_state()
        self._conformal = conformal_state(self.params.level, self.params.window)
        self._close, self._scale = math.nan, math.nan

    def observe(self, bar: Bar) -> float:
        """The deviation of the next log return as the trailing volatility knows it at the close of `bar`."""
        params = self.params
        if not math.isnan(self._close):
            move = log_move(self._close, bar.close)
            settle(self._conformal, move, params.level, params.gamma)
            if params.scale == "ewma":
                self._scale = ewma_step(self._ewma, move, params.ewma_bars)
            elif params.scale == "har":
                self._scale = har_step(self._har, move, bar.high, bar.low)
        self._close = bar.close
        return self._scale

    def interval(self, mean: float, sigma: float = math.nan) -> Interval:
        """The interval around the forecast made at the close of the bar that was observed last."""
        scale = sigma if self.params.scale == "sigma" else self._scale
        width = issue(self._conformal, mean, scale, self.params.least) * scale
        return Interval(mean - width, mean + width)


def with_intervals(
    forecasts: Forecasts, markets: Market | Sequence[Market], params: CalibrationParams | None = None
) -> Forecasts:
    """The forecasts with quantiles at both ends of an interval that holds `level` of the outcomes.

    The interval of each row rests on what was known at its bar's close: the outcomes of earlier rows. Quantiles
    the forecasts held before are replaced.
    """
    params = CalibrationParams.of(params, "calibration")
    series = dict(forecasts.series)
    for market in [markets] if isinstance(markets, Market) else markets:
        candles = market.candles
        bounds = interval_bounds(candles.close, candles.high, candles.low, *forecasts.on(market), params)
        one = series[market.symbol]
        at = np.searchsorted(candles.timestamp, one.timestamp)
        known = at < len(candles)
        known[known] = candles.timestamp[at[known]] == one.timestamp[known]
        quantiles = np.full((len(one), 2), np.nan)
        quantiles[known] = bounds[at[known]]
        series[market.symbol] = replace(one, levels=interval_levels(params), quantiles=quantiles)
    return replace(forecasts, series=series)


def interval_levels(params: CalibrationParams) -> tuple[float, float]:
    """The probabilities whose quantiles are the ends of an interval."""
    tail = round((1.0 - params.level) / 2.0, 12)
    return tail, 1.0 - tail


def interval_bounds(
    close: FloatArray,
    high: FloatArray,
    low: FloatArray,
    mean: FloatArray,
    sigma: FloatArray,
    params: CalibrationParams | None = None,
) -> FloatArray:
    """Lower and upper bound at every bar, shape (bars, 2), for forecasts aligned with candles; NaN where none."""
    params = CalibrationParams.of(params, "calibration")
    scale = np.array(sigma, dtype=np.float64)
    if params.scale == "ewma":
        scale = ewma_volatility(close, params.ewma_bars)
    elif params.scale == "har":
        scale = har_volatility(close, high, low)
    state, rates = conformal_state(params.level, params.window), (params.level, params.gamma, params.least)
    bounds: FloatArray = _scan(state, log_moves(close), np.array(mean, dtype=np.float64), scale, rates)
    return bounds
