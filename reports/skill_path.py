"""The path of forecast skill: where in time a forecast gained on the naive one, and where it lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtests.run.result import Result
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.evidence import bounds_of
from models.forecasts import Forecasts
from models.level import LEAST_ROWS
from models.naive import expanding_mean
from models.scores import inside
from models.track import Track
from reports.metrics import FORECASTING_RULES, asked_tracks

# As many bars as a figure shows one by one.
BAND_BARS = 240


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


@dataclass(frozen=True, eq=False)
class Band:
    """The last returns of a market beside the intervals that were issued for them one bar before.

    `timestamp`: OPEN of the bar whose log return is `outcome`. `coverage`: over all bars with an interval that has
    ends, which should be `level`.
    """

    symbol: str
    timestamp: IntArray
    outcome: FloatArray
    lower: FloatArray
    upper: FloatArray
    level: float
    coverage: float


def forecast_bands(result: Result) -> list[Band]:
    """The bands of a result's markets, of those that have one."""
    bands = [_band(track) for track in asked_tracks(result)]
    return [band for band in bands if band is not None]


def _band(track: Track) -> Band | None:
    level, bounds = bounds_of(track)
    rows = track.rows[np.isfinite(bounds[track.rows]).all(axis=1)]
    last = rows[-BAND_BARS:]
    if len(rows) < LEAST_ROWS:
        return None
    return Band(
        symbol=track.symbol,
        timestamp=track.timestamp[last] + track.bar,
        outcome=track.outcome[last],
        lower=bounds[last, 0],
        upper=bounds[last, 1],
        level=level,
        coverage=float(inside(track.outcome[rows], bounds[rows, 0], bounds[rows, 1]).mean()),
    )


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
