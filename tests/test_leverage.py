"""The leverage base: averages by definition, the likeliest slopes, and sigmas near the truth of a planted GARCH."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from look_ahead import Observed, what_changes
from planted_faults import mutated
from planted_market import FEW, TINY, planted_market

from benchmarks.volatility_problems import expected_qlike, garch
from markets.candles import FloatArray
from markets.market import Market
from models.forecasts import market_bars
from models.leverage import fit_leverage, leverage_columns, leverage_variance, relative_leverage
from models.samples import build_sample
from models.stepping import SampleStepper
from models.training import train_network
from models.variance import bar_variance

SPANS = (3, 10)
MODEL = TINY.replaced(output="student", variance_base="leverage", har_bars=SPANS)
CANDLES = planted_market(400).candles


def columns() -> FloatArray:
    """The averages of a small market, as log returns."""
    return leverage_columns(bar_variance(CANDLES, "parkinson"), CANDLES.close, SPANS)


def test_averages_are_those_of_pandas() -> None:
    """Deviations, falls, variances and squared falls by exponential averages that begin at their first value."""
    variances = bar_variance(CANDLES, "parkinson")
    fall = -np.minimum(np.diff(np.log(CANDLES.close), prepend=np.log(CANDLES.close[0])), 0.0)
    kinds = (np.sqrt(variances), fall, variances, np.square(fall))
    expected = [pd.Series(kind).ewm(span=span, adjust=False).mean() for kind in kinds for span in SPANS]
    np.testing.assert_allclose(columns()[10:], np.column_stack(expected)[10:], rtol=1e-9)
    assert np.isnan(columns()[:10]).all()


def test_relative_columns_are_free_of_units() -> None:
    """At prices whose moves are twice as large, and a trailing volatility twice as high, the columns are the same."""
    raw, volatility = columns()[20:], np.linspace(0.01, 0.02, 380)
    one = relative_leverage(raw, volatility)
    doubled = raw * np.repeat([2.0, 2.0, 4.0, 4.0], len(SPANS))
    other = relative_leverage(doubled, 2.0 * volatility)
    constants = [2 * len(SPANS), 4 * len(SPANS) + 1]
    assert one.shape == (380, 4 * len(SPANS) + 2)
    np.testing.assert_allclose(np.delete(one, constants, axis=1), np.delete(other, constants, axis=1), rtol=1e-12)


def test_the_slopes_are_the_likeliest() -> None:
    """Of rows with a known law the fit finds its variance; no neighbour is likelier, none of the slopes below zero."""
    random = np.random.default_rng(4)
    shown = np.exp(0.5 * random.standard_normal((20_000, 6)))
    truth = np.array([0.3, 0.0, 0.2, 0.0, 0.4, 0.1])
    variance = leverage_variance(truth, shown)
    outcome = variance * np.square(random.standard_t(8, 20_000)) * 0.75
    outcome[::50] = np.nan
    slopes = fit_leverage(outcome, shown)
    assert (slopes >= 0.0).all()
    assert expected_qlike(leverage_variance(slopes, shown), variance) < 1e-3
    known = np.isfinite(outcome)

    def loss(tried: FloatArray) -> float:
        made = leverage_variance(tried, shown[known])
        return float((np.log(made) + outcome[known] / made).mean())

    best = loss(slopes)
    for place in range(6):
        for factor in (0.9, 1.1):
            near = slopes.copy()
            near[place] = factor * near[place] + 1e-3 * (factor > 1.0)
            assert loss(near) > best - 1e-6


def test_a_garch_with_leverage_is_found() -> None:
    """The base alone loses to the true variance less than a tenth of what the trailing volatility does."""
    params = MODEL.replaced(volatility_bars=32, har_bars=(4, 12, 32, 64, 128), steps=1)
    problem = garch(14_000, 3)
    sample = problem.sample(params)
    network = train_network(sample, 10_000, 64, "standard", params, 1)
    sigma = network.forecast(sample.features[9_000:], network.fresh_state())[1_000:, 1] * sample.volatility[10_000:]
    true, trailing = np.square(problem.oracle[10_000:]), np.square(sample.volatility[10_000:])
    assert expected_qlike(np.square(sigma), true) < 0.1 * expected_qlike(trailing, true)
    assert len(network.scaler.centre) == sample.features.shape[1] - sample.har
    assert len(network.base) == sample.har == 22


def test_without_falls_a_leverage_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base whose falls are taken for rises finds no leverage, and loses more."""
    params = MODEL.replaced(volatility_bars=32, har_bars=(4, 12, 32, 64, 128), steps=1)
    right, wrong = "math.log(close[t - 1] / close[t])", "math.log(close[t] / close[t - 1])"
    faulty = mutated("models.leverage", right, wrong)
    problem, losses = garch(6_000, 3), []
    for columns_of in (leverage_columns, faulty.leverage_columns):
        monkeypatch.setattr("models.variance.leverage_columns", columns_of)
        sample = problem.sample(params)
        network = train_network(sample, 4_000, 64, "standard", params, 1)
        sigma = network.forecast(sample.features[3_000:], network.fresh_state())[1_000:, 1] * sample.volatility[4_000:]
        losses.append(expected_qlike(np.square(sigma), np.square(problem.oracle[4_000:])))
    assert losses[1] > 2.0 * losses[0]


@pytest.mark.parametrize("measure", ["parkinson", "true_range"])
def test_steps_are_the_batch(measure: str) -> None:
    """Bar by bar the columns are those of the whole series."""
    params = MODEL.replaced(range_measure=measure)
    sample, stepper = build_sample(CANDLES, FEW, params), SampleStepper(FEW, params, CANDLES.bar)
    rows = np.array([stepper.step(bar).features for bar in market_bars(planted_market(400))])
    np.testing.assert_allclose(rows[20:], sample.features[20:], rtol=2e-6, atol=1e-7)
    assert (np.isnan(rows[:, -1]) == np.isnan(sample.features[:, -1])).all()


def test_the_columns_know_no_future() -> None:
    """What stands at a bar does not change with all later bars."""

    def observe(market: Market) -> Observed:
        features = build_sample(market.candles, FEW, MODEL).features
        return {"known": features[:301, 2:], "later": features[301:, 2:]}

    assert what_changes(planted_market(400), 300, observe) == {"later"}
