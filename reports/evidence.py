"""Evidence: how likely a Sharpe ratio is to be luck, by itself, and as the best of many that were tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from markets.candles import FloatArray

EULER = 0.5772156649015329
_NORMAL = NormalDist()
# Sums looked at in one go: so few that they stay near the processor, which makes it five times as fast.
ROOM = 50_000


@dataclass(frozen=True)
class SharpeMoments:
    """What the tests of a Sharpe ratio rest on, per bar and not annualised.

    `sharpe`: mean over standard deviation. `skewness`, `kurtosis`: of the returns, the kurtosis raw (3 for a
    normal). `count`: of returns.
    """

    sharpe: float
    skewness: float
    kurtosis: float
    count: int


def sharpe_moments(returns: FloatArray) -> SharpeMoments | None:
    """The moments of some returns; None where they do not vary."""
    if len(returns) < 3 or np.ptp(returns) == 0.0:
        return None
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    return SharpeMoments(
        float(returns.mean()) / float(returns.std(ddof=1)),
        float(np.mean(centred**3)) / variance**1.5,
        float(np.mean(centred**4)) / variance**2,
        len(returns),
    )


def probabilistic_sharpe(moments: SharpeMoments, benchmark: float = 0.0) -> float:
    """The probability that the true Sharpe ratio is above a benchmark (Bailey and Lopez de Prado 2012).

    `Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2))`, all per bar. Assumes returns that are
    independent of one another.
    """
    return _NORMAL.cdf((moments.sharpe - benchmark) * math.sqrt(moments.count - 1) / math.sqrt(_spread(moments)))


def expected_best_sharpe(variance: float, trials: int) -> float:
    """The Sharpe ratio that the best of some trials without any skill is expected to show, per bar.

    `sqrt(V) ((1 - g) Phi^-1(1 - 1 / N) + g Phi^-1(1 - 1 / (N e)))`, g Euler's constant, V the variance of the trials'
    ratios; 0 for a single trial (Bailey and Lopez de Prado 2014).
    """
    if trials < 2:
        return 0.0
    first, second = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(max(variance, 0.0)) * ((1.0 - EULER) * first + EULER * second)


def deflated_sharpe(moments: SharpeMoments, variance: float, trials: int) -> float:
    """The probability that the true Sharpe ratio is above what the best of all trials would show by luck alone.

    `variance`: of the trials' Sharpe ratios per bar; where too few are known to tell, `luck_variance` stands in.
    """
    return probabilistic_sharpe(moments, expected_best_sharpe(variance, trials))


def luck_variance(moments: SharpeMoments) -> float:
    """The variance of the Sharpe ratios of trials that differ by luck alone: that of the estimate, per bar."""
    return _spread(moments) / (moments.count - 1)


def minimum_track_length(moments: SharpeMoments, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """The returns, in bars, that it takes to be confident of a Sharpe ratio above a benchmark; infinity at or below it.

    `1 + (1 - skew SR + (kurtosis - 1) / 4 SR^2) (Phi^-1(confidence) / (SR - SR*))^2`.
    """
    if moments.sharpe <= benchmark:
        return math.inf
    return 1.0 + _spread(moments) * (_NORMAL.inv_cdf(confidence) / (moments.sharpe - benchmark)) ** 2


def backtest_overfitting(blocks: FloatArray) -> float:
    """The probability of backtest overfitting by combinatorially symmetric cross-validation (Bailey et al. 2017).

    `blocks`: sums of bar returns and of their squares, shape (settings, 2, S), S even, 16 by custom; or of returns
    alone, shape (settings, S). For every half of the blocks the setting with the highest Sharpe ratio in it, or of
    returns alone the highest mean, is looked up in the other half: the share of halves in which it ranks at or below
    the middle there. About 0.5 where choosing helps nothing, near 0 where the best stays the best. Settings that came
    to the same in every block count as one: a parameter that changes nothing is no choice. NaN for fewer than two.
    """
    blocks = blocks[np.sort(np.unique(blocks, axis=0, return_index=True)[1])]
    settings, count = len(blocks), blocks.shape[-1]
    if settings < 2 or count < 2 or count % 2:
        return math.nan
    # Of each half and its other one alone: those that hold the first block.
    halves = np.array([half for half in combinations(range(count), count // 2) if half[0] == 0])
    chosen = np.zeros((len(halves), count))
    chosen[np.arange(len(halves))[:, None], halves] = 1.0
    sums = [np.ascontiguousarray(one.T) for one in (blocks.swapaxes(0, 1) if blocks.ndim == 3 else [blocks])]
    below = 0
    for part in np.array_split(chosen, max(1, 2 * len(halves) * settings // ROOM)):
        one, other = _ratios(part, sums), _ratios(1.0 - part, sums)
        below += _fallen(one, other) + _fallen(other, one)
    return below / (2 * len(halves))


def _ratios(chosen: FloatArray, sums: Sequence[FloatArray]) -> FloatArray:
    """What settings rank by in some halves, shape (halves, settings): as their Sharpe ratio, or their mean return.

    `S / sqrt(Q)` of the sums S of returns and Q of their squares rises with `S / sqrt(n Q - S^2)`, the Sharpe ratio,
    for any number n of bars; 0 where an account never moved.
    """
    earned: FloatArray = chosen @ sums[0]
    if len(sums) == 1:
        return earned
    squares = chosen @ sums[1]
    return np.divide(earned, np.sqrt(squares, out=squares), out=np.zeros_like(earned), where=squares > 0.0)


def _fallen(inside: FloatArray, outside: FloatArray) -> int:
    """In how many halves the best setting inside ranks at or below the middle outside."""
    reached = outside[np.arange(len(inside)), inside.argmax(axis=1)][:, None]
    lower, equal = (np.count_nonzero(one, axis=1) for one in (outside < reached, outside == reached))
    return int((lower + 0.5 * (equal - 1) <= (inside.shape[1] - 1) / 2.0).sum())


def _spread(moments: SharpeMoments) -> float:
    """The variance of the estimated ratio times the number of returns less one."""
    shape = 1.0 - moments.skewness * moments.sharpe + (moments.kurtosis - 1.0) / 4.0 * moments.sharpe**2
    return max(shape, 1e-12)
