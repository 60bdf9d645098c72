"""Statistics of a run against skfolio, which was written by others from the same papers."""

from __future__ import annotations

import numpy as np
import pytest
from planted_faults import mutated
from result_factory import HOUR, START

from markets.candles import FloatArray
from reports import evidence
from reports.curves import EquityCurve
from reports.evidence import deflated_sharpe, expected_best_sharpe, probabilistic_sharpe, sharpe_moments
from reports.metrics import curve_metrics

CASES = {"a gain": (7, 4e-4), "a loss": (8, -4e-4), "a large gain": (9, 4e-3)}


def returns_of(case: str, bars: int = 3000) -> FloatArray:
    """Bar returns with fat tails, some skewness and a mean."""
    seed, mean = CASES[case]
    random = np.random.default_rng(seed)
    shocks = random.standard_t(5, bars) + 0.15 * (random.standard_exponential(bars) - 1.0)
    return np.asarray(mean + 0.006 * (shocks - shocks.mean()))


@pytest.mark.parametrize("case", CASES)
def test_risks_are_those_of_skfolio(case: str) -> None:
    """Volatility, Sharpe, Sortino, drawdown, skewness, kurtosis and the 5 % tail, each within rounding.

    Its value at risk is the order statistic below our quantile, which lies between two of them; so is the mean beyond.
    """
    from skfolio import measures

    values = returns_of(case)
    curve = EquityCurve(START + HOUR * np.arange(len(values)), 1e4 * np.cumprod(1.0 + values), 1e4, HOUR)
    found, year, worst = curve_metrics(curve), np.sqrt(curve.bars_per_year), np.sort(-values)[::-1]
    mean, deviation = measures.mean(values), measures.standard_deviation(values)
    assert found["volatility"] == pytest.approx(deviation * year)
    assert found["sharpe"] == pytest.approx(mean / deviation * year)
    below = measures.semi_deviation(values, min_acceptable_return=0.0, biased=True)
    assert found["sortino"] == pytest.approx(mean / below * year)
    assert found["max_drawdown"] == pytest.approx(
        measures.max_drawdown(measures.get_drawdowns(values, compounded=True))
    )
    assert found["skewness"] == pytest.approx(measures.skew(values), rel=1e-9)
    assert found["kurtosis"] == pytest.approx(measures.kurtosis(values), rel=1e-9)
    assert measures.value_at_risk(values, beta=0.95) == pytest.approx(worst[150])
    assert worst[150] <= found["value_at_risk"] <= worst[149]
    assert found["expected_shortfall"] == pytest.approx(measures.cvar(values, beta=0.95), rel=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("least", [0.0, 0.02, -0.01])
def test_the_probabilistic_ratio_is_that_of_skfolio(case: str, least: float) -> None:
    """Length, skewness and kurtosis weigh alike, against any benchmark."""
    from skfolio import measures

    moments = sharpe_moments(returns_of(case, 400))
    assert moments is not None
    expected = measures.probabilistic_sharpe_ratio(returns_of(case, 400), benchmark_sharpe_ratio=least)
    assert probabilistic_sharpe(moments, least) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("trials", [1, 2, 10, 5000])
def test_the_best_of_luck_is_that_of_skfolio(trials: int) -> None:
    """The ratio that the best of so many trials shows without skill."""
    from skfolio import measures

    expected = measures.expected_max_sharpe_ratio(trials, 0.03)
    assert expected_best_sharpe(0.03**2, trials) == pytest.approx(expected, abs=1e-12)


def deflated_apart(module: object) -> float:
    """How far a deflated ratio over 60 trials lies from that of skfolio, which takes the same variance."""
    from skfolio import measures

    values, ratios = returns_of("a gain", 400), np.random.default_rng(3).normal(0.0, 0.03, 60)
    moments, spread = sharpe_moments(values), measures.standard_deviation(ratios)
    assert moments is not None
    expected = float(measures.deflated_sharpe_ratio(values, ratios))
    assert 0.01 < expected < 0.999
    return abs(float(module.deflated_sharpe(moments, spread**2, len(ratios))) - expected)  # type: ignore[attr-defined]


def test_the_deflated_ratio_is_that_of_skfolio() -> None:
    """Over the same trials with the same variance; a planted fault in either formula shows."""
    assert deflated_sharpe is evidence.deflated_sharpe
    assert deflated_apart(evidence) < 1e-12
    for fault in (
        ("(1.0 - EULER) * first + EULER * second", "first"),
        ("math.sqrt(moments.count - 1)", "math.sqrt(moments.count)"),
    ):
        assert deflated_apart(mutated("reports.evidence", *fault)) > 1e-6, fault
