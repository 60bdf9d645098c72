"""The stationary bootstrap against arch, and its intervals against simulations with a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from scipy.stats import binom, binomtest

from markets.candles import FloatArray
from reports.bootstrap import bootstrap_intervals, resample_figures
from reports.intervals import binomial_range, odds_words, optimal_block

YEAR = 365.0


def autoregressive(rho: float, n: int, seed: int) -> FloatArray:
    """A Gaussian AR(1) with deviation 1 %."""
    shocks, values = np.random.default_rng(seed).normal(0.0, 0.01, n), np.empty(n)
    values[0] = shocks[0]
    for t in range(1, n):
        values[t] = rho * values[t - 1] + shocks[t]
    return values


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7, -0.4])
def test_block_lengths_are_those_of_arch(rho: float) -> None:
    """On autoregressive series the block length is the one that arch finds by the same rule."""
    values = autoregressive(rho, 4000, 3)
    expected = float(optimal_block_length(values)["stationary"].iloc[0])
    assert optimal_block(values) == pytest.approx(max(expected, 1.0), rel=0.15)


def test_resampled_means_spread_as_those_of_arch() -> None:
    """The deviation of the resampled Sharpe ratio equals that of arch's stationary bootstrap."""
    values = autoregressive(0.5, 800, 5)
    ours = resample_figures(values, 12.0, np.random.default_rng(1), 3000)[:, 0]
    other = StationaryBootstrap(12, values, seed=2).apply(lambda x: x.mean() / x.std(ddof=1), 3000)
    assert ours.std() == pytest.approx(other.std(), rel=0.07)
    assert ours.mean() == pytest.approx(float(other.mean()), abs=4 * ours.std() / math.sqrt(3000))


def test_a_resample_of_one_block_has_the_figures_of_the_run() -> None:
    """With blocks as long as the run each resample is the run turned round: same Sharpe ratio, same growth."""
    values = autoregressive(0.2, 300, 8)
    drawn = resample_figures(values, 1e12, np.random.default_rng(1), 20)
    assert drawn[:, 0] == pytest.approx(values.mean() / values.std(ddof=1))
    assert drawn[:, 1] == pytest.approx(np.log1p(values).sum())


def test_the_deepest_drawdown_is_counted_from_the_start() -> None:
    """A run that only falls has the drawdown of its whole fall."""
    values = np.full(50, -0.01)
    drawn = resample_figures(values, 5.0, np.random.default_rng(1), 3)
    assert drawn[:, 2] == pytest.approx(1.0 - 0.99**50)


def test_ruin_is_final() -> None:
    """A return of -100 % ends a resample at zero for good."""
    values = np.append(np.full(99, 0.5), -1.0)
    drawn = resample_figures(values, 1e12, np.random.default_rng(1), 5)
    assert (drawn[:, 1] == -math.inf).all()
    assert (drawn[:, 2] == 1.0).all()


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_intervals_hold_the_truth_as_often_as_they_say(rho: float) -> None:
    """Over 300 runs a 90 % interval of the Sharpe ratio holds the true one about 90 % of the time."""
    true = 0.05
    held = 0
    for seed in range(300):
        values = autoregressive(rho, 1000, seed)
        values = values + true * 0.01 / math.sqrt(1.0 - rho**2)
        found = bootstrap_intervals(values, 1.0, resamples=300, level=0.9, seed=seed)
        assert found is not None
        held += found.sharpe.low <= true <= found.sharpe.high
    assert 0.83 <= held / 300 <= 0.95


def test_equal_arguments_give_equal_bits() -> None:
    """The intervals depend on nothing but returns and seed."""
    values = autoregressive(0.1, 500, 1)
    assert bootstrap_intervals(values, YEAR) == bootstrap_intervals(values.copy(), YEAR)
    assert bootstrap_intervals(values, YEAR) != bootstrap_intervals(values, YEAR, seed=1)


def test_nothing_is_said_about_returns_that_do_not_vary() -> None:
    """A run without trades, or of a few bars, has no interval."""
    assert bootstrap_intervals(np.zeros(1000), YEAR) is None
    assert bootstrap_intervals(autoregressive(0.0, 29, 1), YEAR) is None


def test_ranges_of_chances_are_those_of_clopper_and_pearson() -> None:
    """As scipy has them; none of n goes up to 1 - 0.05^(1/n), and neither end misses the truth too often."""
    for count, draws in ((0, 100), (3, 100), (20, 500), (100, 100), (1, 1)):
        theirs = binomtest(count, draws).proportion_ci(0.9, method="exact")
        assert binomial_range(count, draws) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert binomial_range(0, 100).high == pytest.approx(1.0 - 0.05**0.01)
    ends = np.array([binomial_range(count, 60) for count in range(61)])
    for truth in (0.01, 0.05, 0.3, 0.97):
        odds = binom.pmf(np.arange(61), 60, truth)
        assert odds[ends[:, 0] > truth].sum() <= 0.05
        assert odds[ends[:, 1] < truth].sum() <= 0.05
    assert [odds_words(*one) for one in ((0, 100), (100, 100), (20, 500))] == [
        "below 3.0%", "above 97.0%", "from 2.7% to 5.8%",
    ]  # fmt: skip
    for count, draws in ((3, 2), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match=f"{count} of {draws}"):
            binomial_range(count, draws)
