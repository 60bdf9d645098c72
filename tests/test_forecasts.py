"""Forecasts: what a series may say besides its mean and sigma, and what it refuses to hold."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from simple_market import flat, market

from backtests import CandleFeed, FuturesBroker
from foundation.errors import DataError
from markets.candles import utc
from models.forecasts import (
    NO_FORECAST,
    Bar,
    Forecast,
    Forecasts,
    ForecastSeries,
    checked,
    collect_forecasts,
)
from strategies.lstm_crossover import LSTMCrossover

STAMPS = 3_600_000_000_000 * np.arange(4)


def series(**extras: Any) -> ForecastSeries:
    """Four plain forecasts with what is asked for besides."""
    return ForecastSeries(STAMPS, np.zeros(4), np.ones(4), STAMPS - 1, np.zeros(4), **extras)


def test_what_a_series_says_besides_counts_in_its_fingerprint() -> None:
    """Members, degrees of freedom, quantiles and their levels are content: each one changes the name."""
    two = np.arange(8.0).reshape(4, 2)
    others = [
        series(),
        series(members=two),
        series(members=2 * two),
        series(degrees_of_freedom=np.full(4, 5.0)),
        series(levels=(0.05, 0.95), quantiles=two),
        series(levels=(0.1, 0.9), quantiles=two),
    ]
    assert len({Forecasts({"A": one}).fingerprint for one in others}) == len(others)


def test_what_a_series_says_besides_cannot_be_changed() -> None:
    """Members and quantiles are copies that refuse to be written to."""
    two = np.arange(8.0).reshape(4, 2)
    held = series(members=two).members
    two[0] = 9.0
    assert held is not None
    assert held[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        held[0, 0] = 1.0


@pytest.mark.parametrize(
    ("extras", "problem"),
    [
        ({"members": np.zeros((3, 2))}, "members have 3 rows"),
        ({"degrees_of_freedom": np.array([5.0, 5.0, 2.0, 5.0])}, "not above 2"),
        ({"degrees_of_freedom": np.full(4, np.nan)}, "not above 2"),
        ({"quantiles": np.zeros((4, 2))}, "one column of quantiles"),
        ({"levels": (0.1, 0.9)}, "one column of quantiles"),
        ({"levels": (0.1, 0.5, 0.9), "quantiles": np.zeros((4, 2))}, "one column of quantiles"),
        ({"levels": (0.9, 0.1), "quantiles": np.zeros((4, 2))}, "do not rise"),
        ({"levels": (0.1, 0.9), "quantiles": np.array([[0.0, 1.0], [1.0, 0.0]] * 2)}, "do not rise"),
    ],
)
def test_what_a_series_refuses(extras: dict[str, Any], problem: str) -> None:
    """Columns of another length, a deviation that does not exist, and quantiles that cross are errors."""
    with pytest.raises(DataError, match=problem):
        series(**extras)


def test_rows_without_quantiles_are_welcome() -> None:
    """Rows from before the first interval hold NaN, infinite bounds are bounds."""
    rows = np.array([[np.nan, np.nan], [-np.inf, np.inf], [-1.0, 1.0], [0.0, 0.0]])
    held = series(levels=(0.05, 0.95), quantiles=rows).quantiles
    assert held is not None
    np.testing.assert_array_equal(held, rows)


@pytest.mark.parametrize(
    ("mean", "sigma"), [(0.0, -1.0), (0.0, np.inf), (np.inf, 1.0), (-np.inf, np.nan), (np.nan, -1e-9)]
)
def test_a_sigma_that_cannot_be_is_told_with_its_bar(mean: float, sigma: float) -> None:
    """Below zero, and infinities: one line names bar and value, of a series and of a forecaster that is asked."""
    means, sigmas = np.zeros(4), np.ones(4)
    means[2], sigmas[2] = mean, sigma
    with pytest.raises(DataError, match=rf"mean {mean} and sigma {sigma} at 1970-01-01 02:00 UTC \(row 2\)"):
        ForecastSeries(STAMPS, means, sigmas, STAMPS - 1, np.zeros(4))

    class Wrong:
        def forecast(self, bar: Bar) -> Forecast:
            return Forecast(mean, sigma) if bar.timestamp == over.candles.timestamp[5] else Forecast(0.1, 1.0)

    over = market(flat(20))
    where = utc(over.candles.timestamp[5])
    with pytest.raises(DataError, match=f"mean {mean} and sigma {sigma} for .* at the bar of {where} UTC; both"):
        collect_forecasts(Wrong(), over)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=over))
    cerebro.broker = FuturesBroker()
    cerebro.addstrategy(LSTMCrossover, forecaster=Wrong(), fast=1, slow=2, rule="forecast", atr_bars=2)
    with pytest.raises(DataError, match=f"mean {mean} and sigma {sigma} for .* at the bar of {where} UTC; both"):
        cerebro.run()


@pytest.mark.parametrize("answer", [None, 0.1, (0.1,), ("up", 1.0)])
def test_an_answer_that_is_no_forecast_is_told_with_its_bar(answer: Any) -> None:
    """In one line, where the strategy asks by itself at each bar under Backtrader."""

    class Wrong:
        def forecast(self, bar: Bar) -> Any:
            return answer

    over, cerebro = market(flat(20)), bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=over))
    cerebro.broker = FuturesBroker()
    cerebro.addstrategy(LSTMCrossover, forecaster=Wrong(), fast=1, slow=2, rule="forecast", atr_bars=2)
    with pytest.raises(DataError, match=r"answered .* at the bar of .* UTC; answer with"):
        cerebro.run()


def test_no_forecast_is_nan() -> None:
    """A row, or an answer, of NaN is none, whatever its other half."""
    held = ForecastSeries(STAMPS, np.full(4, np.nan), np.array([np.nan, 1.0, np.nan, 2.0]), STAMPS - 1, np.zeros(4))
    assert len(held) == 4
    assert np.isnan(checked(NO_FORECAST, "ONE", 0).sigma)
