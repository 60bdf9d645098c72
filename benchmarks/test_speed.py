"""The speed of the parts on two years of hourly bars: `make bench-parts`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossgate as cg
from backtests.run.result import Result
from markets.market import Market
from models.features import compute_features, parse_columns
from models.forecasts import Forecasts, ForecastSeries, market_bars
from models.parameters import FeatureParams
from models.stepping import FeatureStepper

Benchmark = Callable[..., Any]


@pytest.fixture(scope="module")
def market() -> Market:
    """Two years of the demo market."""
    return cg.demo_market()


@pytest.fixture(scope="module")
def forecasts(market: Market) -> Forecasts:
    """Forecasts that know the truth, so that there is something to trade."""
    stamps, oracle = market.candles.timestamp, market.oracle
    assert oracle is not None
    rows = len(stamps)
    return Forecasts(
        {market.symbol: ForecastSeries(stamps, oracle, np.full(rows, 0.005), stamps - 1, np.zeros(rows, np.int64))}
    )


def test_command_line_help(benchmark: Benchmark) -> None:
    """`crossgate --help` in a fresh process."""
    benchmark(subprocess.run, [sys.executable, "-m", "crossgate", "--help"], check=True, capture_output=True)


def test_demo_market(benchmark: Benchmark) -> None:
    """The demo market, made from its seed."""
    benchmark(cg.demo_market)


def test_load_market(benchmark: Benchmark, market: Market, tmp_path: Path) -> None:
    """Candles read from parquet and checked."""
    path = tmp_path / "candles.parquet"
    market.candles.frame().to_parquet(path)
    benchmark(cg.load_market, market.contract, path)


def test_features(benchmark: Benchmark, market: Market) -> None:
    """The five default features."""
    benchmark(compute_features, market.candles, parse_columns(FeatureParams().columns))


def test_many_features(benchmark: Benchmark, market: Market) -> None:
    """Twenty features, with windows of up to a month."""
    names = [
        "return:1",
        "return:24",
        "lagged_return:1:1",
        "sma_distance:20",
        "ema_distance:20",
        "rsi:14",
        "macd",
        "atr:14",
        "bollinger:20",
    ]
    names += [
        "vwap_distance:24",
        "volume:24",
        "realised_volatility:24",
        "parkinson:24",
        "har:24",
        "har:168",
        "har:720",
        "week_sine",
    ]
    names += ["week_cosine", "ema_crossover:20:50", "funding"]
    benchmark(compute_features, market, parse_columns(names))


def test_one_step_of_the_features(benchmark: Benchmark, market: Market) -> None:
    """The five default features of one bar after another, a thousand of them."""
    bars, columns = list(market_bars(market))[:1000], parse_columns(FeatureParams().columns)

    def step() -> None:
        stepper = FeatureStepper(columns, market.candles.bar)
        for bar in bars:
            stepper.step(bar)

    benchmark(step)


def test_one_training(benchmark: Benchmark) -> None:
    """One model on nine months of hours, with the forecasts of the next three."""
    market = cg.demo_market(bars=8760)
    settings = {"scheme": "holdout", "train": "270d", "seeds": 1, "workers": 1, "cache": False}
    benchmark.pedantic(cg.walk_forward, (market,), settings, rounds=3)  # type: ignore[attr-defined]


def test_backtest(benchmark: Benchmark, market: Market, forecasts: Forecasts) -> None:
    """A backtest on forecasts that are there already."""
    benchmark(cg.backtest, market, forecasts)


def test_report(benchmark: Benchmark, market: Market, forecasts: Forecasts, tmp_path: Path) -> None:
    """The run folder of a backtest, baselines included."""
    result: Result = cg.backtest(market, forecasts)
    benchmark.pedantic(cg.write_report, (result, tmp_path / "run"), rounds=3)  # type: ignore[attr-defined]
