"""Ensembles: what several networks say of the same bars, as one forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from markets.candles import BoolArray, FloatArray, IntArray
from models.fitted import TrainedNetwork
from models.forecasts import Forecast, ForecastSeries
from models.members import Members
from models.parameters import FeatureParams, LSTMParams

_SCALED = ("mean", "sigma", "quantile")


@dataclass(frozen=True, eq=False)
class SymbolModel:
    """The ensemble of one symbol: its members, the bar length they know, and the close of the last bar they saw."""

    bar: int
    trained_through: int
    members: tuple[TrainedNetwork, ...]

    @cached_property
    def together(self) -> Members:
        """The members side by side, for one bar after another."""
        return Members(self.members)


# Ensembles in the order of time, each with the open of its first bar, UTC nanoseconds.
Successors = Sequence[tuple[int, SymbolModel]]


@dataclass(frozen=True, eq=False)
class Ensembles:
    """The ensembles behind some forecasts, by symbol, and the settings they were trained with."""

    features: FeatureParams
    model: LSTMParams
    symbols: Mapping[str, Successors]


def combine(members: Sequence[FloatArray] | FloatArray, volatility: FloatArray, params: LSTMParams) -> FloatArray:
    """The columns `params.outputs` of an ensemble, shape (rows, columns): the mean over its members.

    `members`: the columns of each network; mean, sigma and quantiles in trailing volatilities there, log returns here.
    """
    columns: FloatArray = np.add.reduce(np.asarray(members), axis=0) / len(members)
    return np.where(_scaled(params.outputs), columns * volatility[:, None], columns)


@cache
def _scaled(outputs: tuple[str, ...]) -> BoolArray:
    """Which columns are in trailing volatilities."""
    return np.array([name.split()[0] in _SCALED for name in outputs])


def make_series(
    timestamp: IntArray,
    volatility: FloatArray,
    members: Sequence[FloatArray],
    params: LSTMParams,
    trained_through: int,
    number: int,
) -> ForecastSeries:
    """The forecasts of one ensemble, the model with this number, for the bars that open at `timestamp`."""
    rows = len(timestamp)
    columns = dict(zip(params.outputs, combine(members, volatility, params).T, strict=True))
    quantiles = [values for name, values in columns.items() if name.startswith("quantile")]
    more: dict[str, Any] = {
        name: columns[name] for name in ("degrees_of_freedom", "up_probability", "position") if name in columns
    }
    if quantiles:
        more |= {"levels": params.levels, "quantiles": np.column_stack(quantiles)}
    return ForecastSeries(
        timestamp=timestamp,
        mean=columns["mean"],
        sigma=columns["sigma"],
        trained_through=np.full(rows, trained_through, np.int64),
        model=np.full(rows, number, np.int64),
        members=volatility[:, None] * np.column_stack([member[:, 0] for member in members]),
        **more,
    )


def make_forecast(members: Sequence[FloatArray] | FloatArray, volatility: float, params: LSTMParams) -> Forecast:
    """The forecast of one ensemble for one bar, from one row of columns of each member."""
    row = combine(members, np.array([volatility]), params)[0].tolist()
    named = dict(zip(params.outputs, row, strict=True))
    quantiles = tuple(value for name, value in named.items() if name.startswith("quantile"))
    more: dict[str, Any] = {name: named[name] for name in ("up_probability", "position") if name in named}
    return Forecast(
        named["mean"], named["sigma"], quantiles=quantiles, levels=params.levels if quantiles else (), **more
    )
