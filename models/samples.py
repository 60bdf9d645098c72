"""Sample: what a model is trained on, features and targets of one market, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import talib

from markets.candles import Candles, FloatArray, IntArray
from markets.market import Market
from models.features import Column, Float32Array, compute_features, ema_memory, longest_memory, parse_columns
from models.parameters import FeatureParams, LSTMParams
from models.targets import barrier_target, next_return_target, next_variance_target
from models.variance import LEAST_VOLATILITY, bar_variance, base_columns, raw_columns, relative_columns

# Arrays with one row for each bar.
_ARRAYS = ("timestamp", "features", "target", "returns", "variance", "volatility")


@dataclass(frozen=True, eq=False)
class Sample:
    """Inputs, targets and trailing volatility of one market, shape (bars,) or (bars, columns).

    `features`: what the network is shown, known at the close of bar t, relative price changes in units
    of volatility where FeatureParams says so; NaN during the warm-up. Their last `har` columns are those of
    the variance base, relative to volatility_t. `returns`: log(close_{t+1} /
    close_t) / volatility_t; `variance`: the range variance of bar t + 1 / volatility_t^2; both known only
    at the close of bar t + 1, NaN where the next bar is unknown or cleaning touched it. `target`: what the
    output learns, one of these two or a barrier label, known at the close of bar t + `horizon`.
    `volatility`: deviation of one bar's log return as known at t; NaN during its warm-up. `memory`: bars
    after which the past no longer matters to a row. `source` names the candles in errors.
    """

    timestamp: IntArray
    bar: int
    features: Float32Array
    target: Float32Array
    returns: Float32Array
    variance: Float32Array
    volatility: FloatArray
    memory: int
    source: str
    har: int = 0
    horizon: int = 1

    def __len__(self) -> int:
        return len(self.timestamp)

    @property
    def first(self) -> int:
        """The first row on which a forecast can rest; the number of rows where there is none."""
        ready = np.isfinite(self.features).all(axis=1)
        return int(np.argmax(ready)) if ready.any() else len(self)

    @property
    def base(self) -> FloatArray:
        """The columns of the variance base, shape (bars, har)."""
        columns: FloatArray = self.features[:, self.features.shape[1] - self.har :].astype(np.float64)
        return columns

    def rows(self, first: int, last: int) -> Sample:
        """The rows from `first` up to, not including, `last`."""
        arrays: dict[str, Any] = {name: getattr(self, name)[first:last] for name in _ARRAYS}
        return replace(self, **arrays)


def build_sample(source: Market | Candles, features: FeatureParams, model: LSTMParams) -> Sample:
    """The sample of a market, or of candles alone, under these features and this model's settings."""
    candles = source.candles if isinstance(source, Market) else source
    matrix = compute_features(source, parse_columns(features.columns))
    volatility = trailing_volatility(candles.close, model.volatility_bars)
    relative = np.array([column.kind.relative for column in matrix.columns]) & (features.units == "volatility")
    units = np.where(relative[None, :], volatility[:, None], np.where(np.isnan(volatility), np.nan, 1.0)[:, None])
    variances = bar_variance(candles, model.range_measure)
    base = relative_columns(raw_columns(variances, candles.close, model), volatility, model)
    returns = next_return_target(candles, volatility)
    variance = next_variance_target(candles, variances, volatility)
    barrier = barrier_target(candles, volatility, model) if model.output == "barrier" else returns
    return Sample(
        timestamp=candles.timestamp,
        bar=candles.bar,
        features=np.column_stack((matrix.values / units, base)).astype(np.float32),
        target=variance if model.output == "volatility" else barrier,
        returns=returns,
        variance=variance,
        volatility=volatility,
        memory=input_memory(matrix.columns, model),
        source=candles.source,
        har=base.shape[1],
        horizon=model.horizon,
    )


def input_memory(columns: Sequence[Column], model: LSTMParams) -> int:
    """Bars, the current one included, after which the past no longer matters to a row of inputs."""
    base = model.har_bars[-1] + 1 if base_columns(model) else 1
    if model.variance_base == "leverage":
        base = ema_memory(model.har_bars[-1])
    return max(longest_memory(columns), volatility_memory(model.volatility_bars), base)


def trailing_volatility(close: FloatArray, bars: int) -> FloatArray:
    """The deviation of one bar's log return as known at each bar: sqrt(EMA_bars(log return squared)).

    The average starts from the mean of the first `bars` squares; NaN until then. Never below
    LEAST_VOLATILITY: a price that stands still is assumed to be able to move.
    """
    variance: FloatArray = np.full(len(close), np.nan)
    if len(close) > bars:
        variance[1:] = talib.EMA(np.square(np.diff(np.log(close))), bars)
    deviation: FloatArray = np.sqrt(np.maximum(variance, LEAST_VOLATILITY**2))
    return deviation


def volatility_memory(bars: int) -> int:
    """Bars, the current one included, after which the trailing volatility has forgotten the past."""
    return ema_memory(bars) + 1
