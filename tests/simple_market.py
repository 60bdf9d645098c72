"""Small markets made of a few bars, for tests that read like tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from markets.candles import Candles
from markets.contract import Contract
from markets.funding import Funding
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries

HOUR = 3_600_000_000_000
START = 1_704_067_200_000_000_000  # 2024-01-01 00:00 UTC

Row = tuple[float, float, float, float]


def contract(symbol: str = "TEST", **changes: object) -> Contract:
    """A linear contract without fees: tick 0.1, lot 0.001, 1 % maintenance."""
    values: dict[str, object] = {
        "taker_fee": 0.0,
        "maker_fee": 0.0,
        "maintenance_rate": 0.01,
        "tick": 0.1,
        "lot": 0.001,
    }
    return Contract(venue="test", symbol=symbol, **{**values, **changes})


def candles(rows: Sequence[Row]) -> Candles:
    """Hourly candles from rows of open, high, low, close; volume 1."""
    table = np.array(rows, dtype=float)
    stamps = START + HOUR * np.arange(len(rows))
    return Candles(stamps, *table.T, np.ones(len(rows)), HOUR)


def market(
    rows: Sequence[Row],
    mark: Sequence[Row] | None = None,
    funding: dict[int, float] | None = None,
    symbol: str = "TEST",
    **changes: object,
) -> Market:
    """A market of a few bars; `funding` maps a bar's row to the rate stamped at its open."""
    bars = candles(rows)
    rates = dict.fromkeys(range(0, len(rows), 8), 0.0) | (funding or {})
    stamps = np.array([START + HOUR * row for row in sorted(rates)], dtype=np.int64)
    settlements = Funding(stamps, np.array([rates[row] for row in sorted(rates)]))
    marks = bars if mark is None else candles(mark)
    return Market(contract(symbol, **changes), bars, marks, settlements)


def flat(count: int, price: float = 100.0) -> list[Row]:
    """Bars that do not move."""
    return [(price, price, price, price)] * count


def walk(count: int, seed: int, drift: float = 0.0, volatility: float = 0.01) -> list[Row]:
    """Bars of a random walk whose opens are the closes before; on the tick of 0.1."""
    rng = np.random.default_rng(seed)
    close = 1000.0 * np.exp(np.cumsum(rng.normal(drift, volatility, count)))
    opened = np.concatenate(([1000.0], close[:-1]))
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, volatility / 2, count)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, volatility / 2, count)))
    low, high = np.floor(low * 10) / 10, np.ceil(high * 10) / 10
    table = np.column_stack((np.round(opened, 1), high, low, np.round(close, 1)))
    return [tuple(row) for row in table.tolist()]


def forecasts(over: Market, means: Sequence[float] | np.ndarray, first: int = 0, sigma: float = 0.01) -> Forecasts:
    """Forecasts for the bars of a market from row `first` on; `means` covers every bar."""
    stamps = over.candles.timestamp[first:]
    mean = np.asarray(means, dtype=float)[first:]
    rows = len(stamps)
    series = ForecastSeries(stamps, mean, np.full(rows, sigma), stamps - 1, np.zeros(rows, dtype=np.int64))
    return Forecasts({over.symbol: series})
