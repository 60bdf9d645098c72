"""Volatility and regressions in time: recursions held to the library or to the definition, and to causality."""

from __future__ import annotations

import numpy as np
import pytest
from look_ahead import what_changes
from planted_market import planted_market

from markets.candles import FloatArray
from markets.market import Market
from models.regression import walk_regression
from models.samples import trailing_volatility
from models.volatility import (
    HAR_WINDOWS,
    REFIT_BARS,
    ewma_state,
    ewma_step,
    har_volatility,
    qlike,
    quasi_likelihood,
)

MARKET = planted_market(1200, seed=6)
CANDLES = MARKET.candles


def test_the_exponential_average_is_the_one_that_models_are_trained_with() -> None:
    """Stepped bar by bar, the deviation is the trailing volatility of the samples."""
    state = ewma_state()
    stepped = [ewma_step(state, move, 32) for move in np.diff(np.log(CANDLES.close))]
    np.testing.assert_allclose(stepped, trailing_volatility(CANDLES.close, 32)[1:], rtol=1e-12)


def har_by_definition(t: int) -> float:
    """The forecast made at the close of bar t by ordinary least squares over whole histories."""
    from statsmodels.regression.linear_model import OLS

    moves = np.diff(np.log(CANDLES.close))
    spans = np.log(CANDLES.high / CANDLES.low)[1:] / np.sqrt(4.0 * np.log(2.0))

    def inputs(row: int) -> list[float]:
        windows = [slice(row + 1 - bars, row + 1) for bars in HAR_WINDOWS]
        return [1.0, *(spans[one].mean() for one in windows), *(min(moves[one].mean(), 0.0) for one in windows)]

    first, now = int(HAR_WINDOWS[-1]) - 1, t - 1
    needed, rows = 10 * len(inputs(first)), []
    fits: dict[int, float] = {}
    slopes, last = None, 0
    for row in range(first, now + 1):
        rows.append(inputs(row))
        due = slopes is None or row - last >= REFIT_BARS
        if due and row - first >= needed:
            slopes, last = OLS(spans[first + 1 : row + 1], np.array(rows[:-1])).fit().params, row
        if slopes is not None:
            fits[row] = max(rows[-1] @ slopes, 0.25 * rows[-1][len(HAR_WINDOWS)])
    made = np.array([fits[row] for row in sorted(fits)])
    later = moves[min(fits) + 1 : now + 1]
    return float(made[-1] * np.sqrt(np.square(later).sum() / np.square(made[:-1]).sum()))


@pytest.mark.parametrize("t", [400, 411, 700])
def test_har_is_the_regression_by_definition(t: int) -> None:
    """The recursion comes to ordinary least squares over all rows known by then, refitted, bounded, calibrated."""
    sigma = har_volatility(CANDLES.close, CANDLES.high, CANDLES.low)
    assert sigma[t] == pytest.approx(har_by_definition(t), rel=1e-9)
    assert np.isnan(sigma[: int(HAR_WINDOWS[-1]) + 70]).all()
    assert np.isfinite(sigma[200:]).all()


def test_volatility_and_regression_know_no_future() -> None:
    """What is known at a bar stands when all later bars change."""

    def observe(market: Market) -> dict[str, FloatArray]:
        one = market.candles
        moves = np.diff(np.log(one.close), prepend=np.nan)
        design = np.column_stack([np.ones(len(moves)), moves, np.append(np.nan, moves[:-1])])
        made = walk_regression(design, np.append(moves[1:], np.nan), 10.0, 1)
        sigma = har_volatility(one.close, one.high, one.low)
        return {"har": sigma[:801], "made": made[:801], "later": sigma[801:]}

    assert what_changes(MARKET, 800, observe) == {"later"}


@pytest.mark.parametrize("penalty", [0.0, 50.0])
def test_a_walked_regression_is_least_squares_on_the_rows_before(penalty: float) -> None:
    """Each forecast is that of a ridge over the earlier rows, whose penalty counts as rows of usual size."""
    random = np.random.default_rng(8)
    design = np.column_stack([np.ones(300), random.standard_normal((300, 3))])
    design[40, 2] = np.nan
    outcome = 0.5 + design[:, 1] - 0.3 * np.nan_to_num(design[:, 2]) + random.standard_normal(300)
    outcome[77] = np.nan
    made = walk_regression(design, outcome, penalty, 1)
    for t in (60, 78, 299):
        known = [row for row in range(t) if row not in (40, 77)]
        x, y = design[known], outcome[known]
        ridge = np.diag(np.square(x).sum(axis=0) * penalty / len(known) * np.array([0, 1, 1, 1]))
        assert made[t] == pytest.approx(design[t] @ np.linalg.solve(x.T @ x + ridge, x.T @ y), rel=1e-9)
    assert np.isnan(made[:40]).all()
    assert np.isnan(made[40])
    assert np.isfinite(made[42:]).all()


def test_columns_that_say_the_same_have_no_regression() -> None:
    """Two equal columns, or a price that stands still, give no forecast, rather than one made of rounding."""
    random = np.random.default_rng(9)
    column = random.standard_normal(200)
    design = np.column_stack([np.ones(200), column, column])
    assert np.isnan(walk_regression(design, random.standard_normal(200), 0.0, 1)).all()
    assert np.isnan(har_volatility(np.full(300, 5.0), np.full(300, 5.0), np.full(300, 5.0))).all()


def test_quasi_likelihood() -> None:
    """QLIKE less its part in v alone; zero for the best constant, and lowest for the true volatility."""
    random = np.random.default_rng(10)
    sigma = np.exp(0.5 * random.standard_normal(20_000))
    y = sigma * random.standard_normal(20_000)
    v, h = np.square(y), np.square(sigma)
    difference = quasi_likelihood(y, sigma) - (v / h - np.log(v / h) - 1.0)
    np.testing.assert_allclose(difference, np.log(v) + 1.0, rtol=1e-9)
    best = np.full(len(y), np.sqrt(v.mean()))
    assert qlike(y, best) == pytest.approx(0.0, abs=1e-12)
    assert qlike(y, sigma) < min(qlike(y, 1.2 * sigma), qlike(y, sigma / 1.2), 0.0)
    assert np.isnan(qlike(np.zeros(5), np.ones(5)))
