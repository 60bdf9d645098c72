"""Naive forecasts: each one by its definition, and none of them knows the future."""

from __future__ import annotations

import numpy as np
import pytest
from look_ahead import what_changes
from planted_market import planted_market

from markets.candles import FloatArray
from markets.market import Market
from models.naive import NAMES, REFIT_BARS, RIDGE_ROWS, naive_forecasts
from models.regimes import REGIMES, volatility_regimes
from models.volatility import ewma_volatility

MARKET = planted_market(1500, seed=9, trend=0.2)
CLOSE = MARKET.candles.close
MADE = naive_forecasts(CLOSE)


def test_naive_forecasts_and_regimes_know_no_future() -> None:
    """All of them, and the regime of each bar, stand when all later bars change; the forecasts speak of the next."""

    def observe(market: Market) -> dict[str, FloatArray]:
        made = naive_forecasts(market.candles.close)
        return {
            **{name: values[:901] for name, values in made.items()},
            "regime": volatility_regimes(market.candles.close)[:901],
            "later": made["ridge on lags"][901:],
        }

    assert what_changes(MARKET, 900, observe) == {"later"}
    assert what_changes(MARKET, 899, observe) >= {*NAMES[1:], "later"}


def test_zero_and_the_mean() -> None:
    """Zero is zero, and the expanding mean of log returns is the whole move over the bars it took."""
    assert not MADE["zero"][1:].any()
    t = np.arange(1, 1500)
    np.testing.assert_allclose(MADE["expanding mean"][1:], np.log(CLOSE[1:] / CLOSE[0]) / t, rtol=1e-9)
    first = {name: int(np.flatnonzero(np.isfinite(values))[0]) for name, values in MADE.items()}
    assert first == dict.fromkeys(NAMES, 1) | {"EWMA": 500}
    assert all(np.isfinite(values[first[name] :]).all() for name, values in MADE.items())


@pytest.mark.parametrize(("name", "lags", "penalty"), [("AR", 5, 0.0), ("ridge on lags", 24, RIDGE_ROWS)])
def test_regressions_on_lags(name: str, lags: int, penalty: float) -> None:
    """A forecast is that of least squares, or a ridge, over all earlier rows, as of the last refit."""
    returns = np.append(np.nan, np.diff(np.log(CLOSE)))
    first = lags
    design = np.array([[1.0, *(returns[t - lag] for lag in range(lags))] for t in range(first, 1500)])
    start = first + 10 * (lags + 1)
    for t in (start, start + REFIT_BARS, start + 3 * REFIT_BARS + 7):
        fitted = t - (t - start) % REFIT_BARS
        rows = range(first, fitted)
        x, y = design[: len(rows)], returns[first + 1 : fitted + 1]
        ridge = np.diag(np.square(x).sum(axis=0) * penalty / len(rows))
        ridge[0, 0] = 0.0
        expected = design[t - first] @ np.linalg.solve(x.T @ x + ridge, x.T @ y)
        assert MADE[name][t] == pytest.approx(expected, rel=1e-7)
    assert MADE[name][start - 1] == MADE["expanding mean"][start - 1]


def test_heterogeneous_means() -> None:
    """HAR is least squares on the means of the last 1, 5 and 22 returns."""
    returns = np.append(np.nan, np.diff(np.log(CLOSE)))
    rows = [[1.0, *(returns[t + 1 - bars : t + 1].mean() for bars in (1, 5, 22))] for t in range(22, 1500)]
    fitted = 22 + 40 + 10 * REFIT_BARS
    slopes = np.linalg.lstsq(np.array(rows[: fitted - 22]), returns[23 : fitted + 1], rcond=None)[0]
    assert MADE["HAR"][fitted + 3] == pytest.approx(rows[fitted + 3 - 22] @ slopes, rel=1e-7)


def test_a_planted_regression_is_found() -> None:
    """Where each return repeats 0.2 of the one before, AR and HAR beat zero by about 4 % of squared error."""
    y = np.diff(np.log(CLOSE))[200:]
    gain = {name: 1 - np.square(y - values[200:-1]).mean() / np.square(y).mean() for name, values in MADE.items()}
    assert gain["AR"] > 0.02
    assert gain["HAR"] > 0.02
    assert gain["ridge on lags"] > 0.01
    assert abs(gain["expanding mean"]) < 0.005


def test_a_price_that_stands_still() -> None:
    """Where nothing ever moves every naive forecast is zero, and there is no regime above the lowest."""
    for name, values in naive_forecasts(np.full(600, 7.0)).items():
        np.testing.assert_array_equal(values[500 if name == "EWMA" else 1 :], 0.0)
    assert set(volatility_regimes(np.full(400, 7.0)).tolist()) == {-1, 0}


def test_regimes_are_thirds_of_the_past() -> None:
    """A bar is wild where its trailing volatility is above two thirds of all before it."""
    regimes, volatility = volatility_regimes(CLOSE), ewma_volatility(CLOSE, 32)
    for t in (200, 700, 1499):
        share = np.mean(volatility[32:t] < volatility[t])
        assert REGIMES[regimes[t]] == ("calm" if share < 1 / 3 else "middling" if share < 2 / 3 else "wild")
    assert (regimes[:132] == -1).all()
    assert (regimes[132:] >= 0).all()
