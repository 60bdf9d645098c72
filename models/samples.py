"""Sample: what a model is trained on, features and target of one market, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import talib

from markets.candles import Candles, FloatArray, IntArray
from markets.market import Market
from models.features import Float32Array, compute_features, ema_memory, parse_columns
from models.parameters import FeatureParams, LSTMParams

# The label of row t is known this many bars after t: it is the next bar's return.
HORIZON = 1
# A tenth of a basis point a bar, as a log return.
LEAST_VOLATILITY = 1e-5


@dataclass(frozen=True, eq=False)
class Sample:
    """Inputs, target and trailing volatility of one market, shape (bars,) or (bars, columns).

    `features`: what the network is shown, known at the close of bar t, relative price changes in units
    of volatility where FeatureParams says so; NaN during the warm-up. `target`: log(close_{t+1} /
    close_t) / volatility_t, known only at the close of bar t + 1; NaN where the next bar is unknown or
    cleaning touched it. `volatility`: deviation of one bar's log return as known at t; NaN during its
    warm-up. `memory`: bars after which the past no longer matters to a row. `source` names the candles
    in errors.
    """

    timestamp: IntArray
    bar: int
    features: Float32Array
    target: Float32Array
    volatility: FloatArray
    memory: int
    source: str

    def __len__(self) -> int:
        return len(self.timestamp)

    @property
    def first(self) -> int:
        """The first row on which a forecast can rest; the number of rows where there is none."""
        ready = np.isfinite(self.features).all(axis=1)
        return int(np.argmax(ready)) if ready.any() else len(self)

    def rows(self, first: int, last: int) -> Sample:
        """The rows from `first` up to, not including, `last`."""
        names = ("timestamp", "features", "target", "volatility")
        arrays: dict[str, Any] = {name: getattr(self, name)[first:last] for name in names}
        return Sample(**arrays, bar=self.bar, memory=self.memory, source=self.source)


def build_sample(source: Market | Candles, features: FeatureParams, model: LSTMParams) -> Sample:
    """The sample of a market, or of candles alone, under these features and this model's volatility."""
    candles = source.candles if isinstance(source, Market) else source
    matrix = compute_features(source, parse_columns(features.columns))
    volatility = trailing_volatility(candles.close, model.volatility_bars)
    relative = np.array([column.kind.relative for column in matrix.columns]) & (features.units == "volatility")
    units = np.where(relative[None, :], volatility[:, None], np.where(np.isnan(volatility), np.nan, 1.0)[:, None])
    return Sample(
        timestamp=candles.timestamp,
        bar=candles.bar,
        features=(matrix.values / units).astype(np.float32),
        target=next_return_target(candles, volatility),
        volatility=volatility,
        memory=max(matrix.memory, volatility_memory(model.volatility_bars)),
        source=candles.source,
    )


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


def next_return_target(candles: Candles, volatility: FloatArray) -> Float32Array:
    """The next bar's log return over the trailing volatility; NaN where it is unknown or artificial."""
    target = np.full(len(candles), np.nan)
    target[:-1] = np.diff(np.log(candles.close)) / volatility[:-1]
    target[:-1][candles.touched[:-1] | candles.touched[1:]] = np.nan
    return target.astype(np.float32)
