"""The path of forecast skill: where in time a forecast gained on the naive one, and where it lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtests.result import Result
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.forecasts import Forecasts
from models.naive import expanding_mean
from reports.metrics import FORECASTING_RULES


@dataclass(frozen=True, eq=False)
class SkillPath:
    """How skill adds up over the bars that have a forecast and a known outcome.

    With y the next log return, f the forecast and b the expanding mean, `forecast` is at each bar
    the sum so far of (y - b)^2 - (y - f)^2, over the sum of (y - b)^2 of the WHOLE run: it rises where the
    forecast beats the mean, and its last value is the skill. `oracle`: the same for the true
    expectation, or None. `timestamp`: bar OPEN, UTC nanoseconds.
    """

    symbol: str
    timestamp: IntArray
    forecast: FloatArray
    oracle: FloatArray | None


def skill_paths(result: Result) -> list[SkillPath]:
    """The skill paths of a result's markets; none for a rule that asks no forecast."""
    if result.strategy.rule not in FORECASTING_RULES:
        return []
    paths = [_path(market, result.forecasts) for market in result.markets]
    return [path for path in paths if path is not None]


def _path(market: Market, forecasts: Forecasts) -> SkillPath | None:
    mean, _ = forecasts.on(market)
    returns = np.diff(np.log(market.candles.close))
    base = np.append(np.nan, expanding_mean(returns)[:-1])
    known = np.isfinite(mean[:-1]) & np.isfinite(base)
    naive = np.square(returns - base)[known]
    total = float(naive.sum())
    if total == 0.0:
        return None

    def gain(guess: FloatArray) -> FloatArray:
        return np.cumsum(naive - np.square(returns - guess[:-1])[known]) / total

    oracle = None if market.oracle is None else gain(market.oracle)
    return SkillPath(market.symbol, market.candles.timestamp[:-1][known], gain(mean), oracle)
