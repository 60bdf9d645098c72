"""Sample: what a model is trained on, features and target of one market, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import talib

from markets.candles import Candles, FloatArray, IntArray
from models.features import Float32Array, compute_features, ema_memory, parse_columns
from models.parameters import FeatureParams, LSTMParams

# The label of row t is known this many bars after t: it is the next bar's return.
HORIZON = 1


@dataclass(frozen=True, eq=False)
class Sample:
    """Features, target and trailing volatility of one market, shape (bars,) or (bars, columns).

    `features`: known at the close of bar t. `target`: log(close_{t+1} / close_t) / volatility_t, known
    only at the close of bar t + 1; NaN where the next bar is unknown or cleaning touched it.
    `volatility`: deviation of one bar's log return as known at t; NaN during its warm-up and while
    the price has never moved. `usable`: rows on which a forecast can rest. `memory`: the longest
    memory of the features, in bars. `source` names the candles in errors.
    """

    timestamp: IntArray
    bar: int
    features: Float32Array
    target: Float32Array
    volatility: FloatArray
    warm_up: int
    memory: int
    source: str

    def __len__(self) -> int:
        return len(self.timestamp)

    @property
    def first(self) -> int:
        """The first row on which a forecast can rest; the number of rows where there is none."""
        ready = np.isfinite(self.volatility)
        return max(self.warm_up, int(np.argmax(ready))) if ready.any() else len(self)

    def rows(self, first: int, last: int) -> Sample:
        """The rows from `first` up to, not including, `last`."""
        names = ("timestamp", "features", "target", "volatility")
        arrays: dict[str, Any] = {name: getattr(self, name)[first:last] for name in names}
        return Sample(**arrays, bar=self.bar, warm_up=max(0, self.warm_up - first), memory=self.memory, source=self.source)


def build_sample(candles: Candles, features: FeatureParams, model: LSTMParams) -> Sample:
    """The sample of some candles under these features and this model's volatility."""
    matrix = compute_features(candles, parse_columns(features.columns))
    volatility = trailing_volatility(candles.close, model.volatility_bars)
    return Sample(
        timestamp=candles.timestamp,
        bar=candles.bar,
        features=matrix.values,
        target=next_return_target(candles, volatility),
        volatility=volatility,
        warm_up=matrix.warm_up,
        memory=matrix.memory,
        source=candles.source,
    )


def trailing_volatility(close: FloatArray, bars: int) -> FloatArray:
    """The deviation of one bar's log return as known at each bar: sqrt(EMA_bars(log return squared)).

    The average starts from the mean of the first `bars` squares. NaN until then, and where it is zero.
    """
    squares = np.square(np.diff(np.log(close), prepend=np.nan))
    squares[0] = 0.0
    variance = np.full(len(close), np.nan)
    if len(close) > 1:
        variance[1:] = talib.EMA(squares[1:], bars)
    variance[~(variance > 0.0)] = np.nan
    return np.sqrt(variance)


def volatility_memory(bars: int) -> int:
    """Bars, the current one included, after which the trailing volatility has forgotten the past."""
    return ema_memory(bars) + 1


def next_return_target(candles: Candles, volatility: FloatArray) -> Float32Array:
    """The next bar's log return over the trailing volatility; NaN where it is unknown or artificial."""
    target = np.full(len(candles), np.nan)
    target[:-1] = np.diff(np.log(candles.close)) / volatility[:-1]
    target[:-1][candles.touched[1:]] = np.nan
    return target.astype(np.float32)
