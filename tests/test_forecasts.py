"""Forecasts: what a series may say besides its mean and sigma, and what it refuses to hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foundation.errors import DataError
from models.forecasts import Forecasts, ForecastSeries

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
