"""Tests of a Sharpe ratio: worked examples of the papers, and simulations with a known truth."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from test_verdict import BARS, GOOD, SPAN, curve

from foundation.trials import TrialLedger, batch_of
from reports.evidence import (
    SharpeMoments,
    backtest_overfitting,
    deflated_sharpe,
    expected_best_sharpe,
    luck_variance,
    minimum_track_length,
    probabilistic_sharpe,
    sharpe_moments,
)
from reports.standing import standing_of

# The example of "The Deflated Sharpe Ratio" (2014): a yearly 2.5 over five years of days, as the best of 100 trials
# whose yearly ratios have variance 1/2; skewness -3, kurtosis 10.
PAPER = SharpeMoments(2.5 / math.sqrt(250), -3.0, 10.0, 1250)
PAPER_VARIANCE = 0.5 / 250


def test_the_example_of_the_paper_comes_out() -> None:
    """The best of 100 has an expected luck of 0.1132 a day and a deflated ratio of about 0.9004; of 46, 0.9505."""
    assert expected_best_sharpe(PAPER_VARIANCE, 100) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(PAPER, PAPER_VARIANCE, 100) == pytest.approx(0.9004, abs=5e-4)
    assert deflated_sharpe(PAPER, PAPER_VARIANCE, 46) == pytest.approx(0.9505, abs=5e-4)


def test_a_normal_track_record_needs_the_length_of_the_formula() -> None:
    """After the minimum track length the probabilistic ratio is exactly the confidence asked for."""
    moments = SharpeMoments(0.08, -0.7, 6.0, 500)
    length = minimum_track_length(moments, 0.02)
    long_enough = SharpeMoments(0.08, -0.7, 6.0, math.ceil(length))
    assert probabilistic_sharpe(long_enough, 0.02) == pytest.approx(0.95, abs=2e-4)
    assert minimum_track_length(moments, 0.08) == math.inf


def test_moments_are_those_of_the_returns() -> None:
    """Skewness and raw kurtosis of a large normal sample are near 0 and 3; a constant has none."""
    returns = np.random.default_rng(1).normal(0.001, 0.01, 100_000)
    found = sharpe_moments(returns)
    assert found is not None
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found.skewness == pytest.approx(0.0, abs=0.03)
    assert found.kurtosis == pytest.approx(3.0, abs=0.06)
    assert sharpe_moments(np.ones(100)) is None


def test_the_probabilistic_ratio_is_right_as_often_as_it_says() -> None:
    """On skewed noise without an edge it exceeds 95 % in about 5 % of 2,000 runs."""
    random = np.random.default_rng(4)
    found = []
    for _ in range(2000):
        moments = sharpe_moments(random.gamma(2.0, 1.0, 500) - 2.0)
        assert moments is not None
        found.append(probabilistic_sharpe(moments))
    assert 0.03 <= np.mean(np.array(found) > 0.95) <= 0.07


@pytest.mark.parametrize("trials", [10, 100, 400])
def test_the_best_of_noise_passes_no_more_often_than_it_may(trials: int) -> None:
    """The best of N runs of noise has a deflated ratio above 95 % in at most 5 % of 400 searches.

    The probabilistic ratio, which knows nothing of the others, passes most of them.
    """
    random, deflated, naive = np.random.default_rng(trials), [], []
    for _ in range(400):
        returns = random.standard_t(5, (trials, 200))
        ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
        moments = sharpe_moments(returns[ratios.argmax()])
        assert moments is not None
        deflated.append(deflated_sharpe(moments, float(ratios.var()), trials) > 0.95)
        naive.append(probabilistic_sharpe(moments) > 0.95)
    # The bound of a binomial at 5 % that is passed by chance once in a thousand.
    assert np.mean(deflated) <= 0.05 + 3.1 * math.sqrt(0.05 * 0.95 / 400)
    assert np.mean(naive) > 0.4


def test_the_variance_of_luck_is_that_of_the_estimate() -> None:
    """Sharpe ratios of 4,000 skewed samples vary as the formula says of any one of them; one trial deflates nothing."""
    random = np.random.default_rng(6)
    samples = random.gamma(4.0, 1.0, (4000, 250)) - 3.8
    ratios = samples.mean(axis=1) / samples.std(axis=1, ddof=1)
    moments = sharpe_moments(samples.ravel())
    assert moments is not None
    expected = luck_variance(moments) * (moments.count - 1) / 249
    assert ratios.var() == pytest.approx(expected, rel=0.08)
    assert deflated_sharpe(PAPER, luck_variance(PAPER), 1) == probabilistic_sharpe(PAPER)


def test_choosing_among_noise_is_overfitting_half_the_time() -> None:
    """On noise the mean probability of overfitting over 60 searches is about a half."""
    random = np.random.default_rng(2)
    found = [backtest_overfitting(random.normal(size=(30, 16))) for _ in range(60)]
    assert 0.42 <= np.mean(found) <= 0.58


def test_a_setting_that_is_truly_better_is_not_overfitting() -> None:
    """One setting that earns steadily among noise is found again in the other half."""
    blocks = np.random.default_rng(3).normal(size=(30, 16))
    blocks[7] += 3.0
    assert backtest_overfitting(blocks) < 0.01


def summed(returns: np.ndarray) -> np.ndarray:
    """The sums of 16 blocks of returns and of their squares, of some settings."""
    parts = returns.reshape(len(returns), 16, -1)
    return np.stack([parts.sum(axis=2), (parts**2).sum(axis=2)], axis=1)


def slowly(returns: np.ndarray) -> float:
    """The probability of overfitting, each half ranked by the Sharpe ratios of its bars, one half after another."""
    parts, below, halves = returns.reshape(len(returns), 16, -1), 0, list(combinations(range(16), 8))
    for half in halves:
        ratios = []
        for blocks in (half, sorted(set(range(16)) - set(half))):
            bars = parts[:, list(blocks)].reshape(len(parts), -1)
            deviation = bars.std(axis=1)
            ratios.append(np.divide(bars.mean(axis=1), deviation, out=np.zeros(len(bars)), where=deviation > 0.0))
        inside, outside = ratios
        reached = outside[inside.argmax()]
        rank = (outside < reached).sum() + 0.5 * ((outside == reached).sum() - 1)
        below += int(rank <= (len(parts) - 1) / 2)
    return below / len(halves)


@pytest.mark.parametrize("earned", [0.0, 0.0002, 0.001])
def test_overfitting_is_told_by_the_sharpe_ratio(earned: float) -> None:
    """As bar by bar, to the last half, with an account that long did nothing; whatever the size of the positions."""
    returns = np.random.default_rng(8).normal(0.0, 0.01, (12, 16 * 40)) * np.linspace(0.2, 5.0, 12)[:, None]
    returns[0] += earned
    returns[5, : 16 * 30] = 0.0
    blocks, found = summed(returns), slowly(returns)
    assert backtest_overfitting(blocks) == found == backtest_overfitting(summed(8.0 * returns))
    if earned == 0.001:
        assert found < 0.01
        assert backtest_overfitting(blocks[:, 0]) > 0.3, "by mean return those with the largest positions are chosen"


def test_searches_of_earlier_versions_kept_returns_alone(tmp_path: Path) -> None:
    """What they put down is ranked by mean return, also where a later version went on with the same search."""
    random, ledger = np.random.default_rng(5), TrialLedger(tmp_path)
    facts, run = replace(GOOD, moments=sharpe_moments(random.normal(0.001, 0.01, BARS))), curve(np.full(BARS, 0.001))
    parts = [random.normal(0.0, 1.0, (20, 16)), random.uniform(0.5, 1.0, (20, 2, 16))]
    for number, part in enumerate(parts):
        ledger.record(batch_of("tune", [SPAN], {"study": "ours"}, f"ours {number}", random.normal(0, 0.1, 20)), part)
        kept = ledger.blocks(f"ours {number}")
        assert kept is not None
        assert np.array_equal(kept, part)
        together = parts[0] if number == 0 else np.concatenate((parts[0], parts[1][:, 0]))
        assert standing_of(facts, run, ledger).overfitting == backtest_overfitting(together)
    ledger.record(batch_of("sweep", [SPAN], {}, "new", random.normal(0, 0.1, 60)), np.tile(parts[1], (3, 1, 1)))
    assert standing_of(facts, run, ledger).overfitting == backtest_overfitting(parts[1])


def test_a_setting_that_only_shone_once_is_overfitting() -> None:
    """Settings that each shine in one block of their own, and lose elsewhere, fail out of sample."""
    blocks = np.full((16, 16), -1.0) + 30.0 * np.eye(16)
    assert backtest_overfitting(blocks) > 0.9


def test_settings_that_came_to_the_same_count_once() -> None:
    """A parameter that changes nothing is no choice: its copies alone tell nothing, and weigh nothing beside others."""
    assert math.isnan(backtest_overfitting(np.tile(np.random.default_rng(4).normal(size=(1, 16)), (5, 1))))
    blocks = np.random.default_rng(5).normal(size=(12, 16))
    copies = np.vstack([blocks, np.repeat(blocks[3:4], 40, axis=0)])
    assert backtest_overfitting(copies) == backtest_overfitting(blocks)


def test_fewer_than_two_settings_tell_nothing() -> None:
    """There is no choice to overfit with one setting."""
    assert math.isnan(backtest_overfitting(np.ones((1, 16))))
