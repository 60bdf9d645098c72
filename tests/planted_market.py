"""Small random markets with a planted trend, and models tiny enough for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from simple_market import HOUR, START, contract

from markets.candles import Candles, FloatArray
from markets.market import Market
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams

TINY = LSTMParams(hidden=4, steps=10, batch=8, chunk=32, burn_in=4, volatility_bars=4)
FEW = FeatureParams(columns=("return:1", "sma_distance:5"))
SHORT = WalkForwardParams(train="15d", test="10d", seeds=2)


def candles_around(closes: FloatArray, random: np.random.Generator) -> Candles:
    """Hourly candles with these closes, each opening at the close before it."""
    opens = np.concatenate((closes[:1], closes[:-1]))
    high = np.maximum(opens, closes) * np.exp(np.abs(random.normal(0, 0.001, len(closes))))
    low = np.minimum(opens, closes) * np.exp(-np.abs(random.normal(0, 0.001, len(closes))))
    stamps = START + HOUR * np.arange(len(closes))
    return Candles(stamps, opens, high, low, closes, random.lognormal(3.0, 0.5, len(closes)), HOUR)


def planted_market(bars: int = 840, *, seed: int = 1, trend: float = 0.3, symbol: str = "TEST") -> Market:
    """A market in which each return repeats the share `trend` of the one before; the oracle knows it."""
    random = np.random.default_rng(seed)
    noise = 0.005 * random.standard_t(5, bars)
    returns = np.zeros(bars)
    for t in range(1, bars):
        returns[t] = trend * returns[t - 1] + noise[t]
    candles = candles_around(20_000.0 * np.exp(np.cumsum(returns)), random)
    return Market(contract(symbol), candles, synthetic=True, oracle=trend * returns)


def other_after(market: Market, row: int, seed: int = 99) -> Market:
    """The same market up to and including a row, and entirely other bars after it."""
    random = np.random.default_rng(seed)
    candles, bars = market.candles, len(market.candles)
    later = np.arange(bars) > row
    path = candles.close[row] * np.exp(np.cumsum(0.03 * random.standard_normal(bars - row - 1) + 0.01))
    drawn = candles_around(np.concatenate((candles.close[: row + 1], path)), random)
    columns = {
        name: np.where(later, getattr(drawn, name), getattr(candles, name))
        for name in ("open", "high", "low", "close", "volume")
    }
    return replace(market, candles=replace(candles, **columns))
