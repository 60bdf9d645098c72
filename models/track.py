"""Track: the forecasts of one market beside its candles, bar by bar, which is all that measuring skill needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from markets.candles import BoolArray, FloatArray, IntArray
from markets.market import Market
from models.forecasts import EXTRAS, Extras, Forecasts


@dataclass(frozen=True, eq=False)
class Track(Extras):
    """Candles and forecasts of one symbol, a row a bar; row t's forecast, made at its close, is of bar t + 1.

    `timestamp`: bar OPEN, UTC nanoseconds. `touched`: bars that cleaning touched. `oracle`: the true expectation of
    the next return, or None. `mean`, `sigma`: NaN where there is no forecast; `model` and `trained_through` are -1
    there.
    """

    symbol: str
    bar: int
    timestamp: IntArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    touched: BoolArray
    oracle: FloatArray | None
    mean: FloatArray
    sigma: FloatArray
    trained_through: IntArray
    model: IntArray

    @cached_property
    def outcome(self) -> FloatArray:
        """The log return of the NEXT bar at each bar; NaN at the last, and where cleaning touched either bar."""
        following = np.full(len(self.close), np.nan)
        following[:-1] = np.diff(np.log(self.close))
        following[:-1][self.touched[:-1] | self.touched[1:]] = np.nan
        return following

    @cached_property
    def rows(self) -> IntArray:
        """The bars that count: those with a forecast, a known outcome, and a return before them."""
        known = np.isfinite(self.mean) & np.isfinite(self.outcome)
        return np.flatnonzero(known & (np.arange(len(known)) > 0))


def track_of(market: Market, forecasts: Forecasts) -> Track:
    """The track of the forecasts on a market's candles."""
    candles = market.candles
    mean, sigma = forecasts.on(market)
    one, stamps = forecasts.series[market.symbol], candles.timestamp
    at = np.minimum(np.searchsorted(one.timestamp, stamps), len(one) - 1)
    known = one.timestamp[at] == stamps

    def placed(values: FloatArray | None) -> FloatArray | None:
        if values is None:
            return None
        taken: FloatArray = np.where(known.reshape(-1, *[1] * (values.ndim - 1)), values[at], np.nan)
        return taken

    return Track(
        symbol=market.symbol,
        bar=candles.bar,
        timestamp=stamps,
        high=candles.high,
        low=candles.low,
        close=candles.close,
        touched=candles.touched,
        oracle=market.oracle,
        mean=mean,
        sigma=sigma,
        trained_through=np.where(known, one.trained_through[at], -1),
        model=np.where(known, one.model[at], -1),
        levels=one.levels,
        **{name: placed(getattr(one, name)) for name in EXTRAS},
    )
