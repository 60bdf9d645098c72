"""Recalibration: sigmas brought to the level that past outcomes show, for whole series and bar by bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from markets.candles import Candles, FloatArray, IntArray
from markets.market import Market
from models.ensemble import Successors, SymbolModel
from models.forecasts import Bar, Forecast, Forecasts, ForecastSeries
from models.parameters import LSTMParams
from models.variance import bar_variance, range_variance
from models.variance_level import first_level, follows_ranges, level_path, next_level, range_factor
from models.volatility import log_move, log_moves


class Recalibration:
    """The level of one ensemble's sigma, stepped bar by bar; each ensemble starts at its own.

    At the close of each bar call `observe(bar)`, which settles the pending forecast, then `recalibrated(made)`, which
    makes the next one pending. Over the bars of a market it comes to the sigmas of `with_recalibration` to the last
    bit: both are the same compiled steps.
    """

    def __init__(self, model: SymbolModel, params: LSTMParams) -> None:
        self._params, self._factor = params, range_factor(model.members)
        self.level = first_level(model.members)
        self._pending: tuple[float, float] | None = None
        self._close = math.nan

    def observe(self, bar: Bar) -> None:
        """Follows the outcome of the pending forecast, if there is one."""
        if self._pending is not None:
            mean, variance = self._pending
            self.level = next_level(self.level, self._realised(bar, mean), variance, self._params.recalibration_bars)
        self._pending, self._close = None, bar.close

    def recalibrated(self, made: Forecast) -> Forecast:
        """A forecast made at the close of the bar observed last, with its sigma at the level known then."""
        if self._params.recalibration_bars == 0:
            return made
        self._pending = made.mean, made.sigma**2
        return made._replace(sigma=made.sigma * math.sqrt(self.level))

    def _realised(self, bar: Bar, mean: float) -> float:
        if not follows_ranges(self._params):
            return (log_move(self._close, bar.close) - mean) ** 2
        high, low = bar.high, bar.low
        if self._params.range_measure == "true_range":
            high, low = max(high, self._close), min(low, self._close)
        return range_variance(high, low) * self._factor


def with_recalibration(forecasts: Forecasts, markets: Market | Sequence[Market]) -> Forecasts:
    """The forecasts of ensembles with each sigma times the root of the level known when it was made.

    The level is the exponential mean, over `recalibration_bars`, of realised over forecast variance of the same
    ensemble, from where its networks came to on their validation rows. All candles count, as for intervals. Unchanged
    where `recalibration_bars` is 0.
    """
    made = forecasts.ensembles
    if made is None or made.model.recalibration_bars == 0:
        return forecasts
    listed = [markets] if isinstance(markets, Market) else markets
    series = {
        one.symbol: recalibrated(forecasts.series[one.symbol], one.candles, made.symbols[one.symbol], made.model)
        for one in listed
    }
    return replace(forecasts, series={**forecasts.series, **series})


def recalibrated(series: ForecastSeries, candles: Candles, models: Successors, params: LSTMParams) -> ForecastSeries:
    """One symbol's forecasts with their sigmas at the level known when each was made; `models`: their ensembles."""
    starts, factors = np.full(len(series), np.nan), np.empty(len(series))
    for begin, model in models:
        row = int(np.searchsorted(series.timestamp, begin))
        starts[row : row + 1], factors[row:] = first_level(model.members), range_factor(model.members)
    at = np.searchsorted(candles.timestamp, series.timestamp)
    if follows_ranges(params):
        realised = factors * _after(at, bar_variance(candles, params.range_measure)[1:])
    else:
        realised = np.square(_after(at, log_moves(candles.close)) - series.mean)
    levels = level_path(realised, np.square(series.sigma), starts, params.recalibration_bars)[:-1]
    return replace(series, sigma=series.sigma * np.sqrt(levels))


def _after(at: IntArray, later: FloatArray) -> FloatArray:
    """What the bar after each of some candles brought; NaN after the last."""
    brought: FloatArray = np.append(later, np.nan)[at]
    return brought
