"""Promise: what the open bars of a run let a sealed stretch expect, and how much such a stretch can tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from markets.candles import FloatArray
from reports.intervals import optimal_block
from reports.stability import bar_sharpe

# The level at which a sealed stretch is tested, and the odds of passing it from which on failing it tells something.
LEVEL = 0.05
LEAST_POWER = 0.8
RESAMPLES = 1000
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Promise:
    """What the open bars of a run promise of `bars` sealed ones; Sharpe ratios per year.

    `sharpe`: of the open bars. `low`: what 19 of 20 stretches of that many bars reach, drawn from the open ones; None
    for no bars. `power`: the odds that so many bars show an edge of that size; `needed`: the bars that show it with
    LEAST_POWER, infinity where there is no edge to show.
    """

    bars: int
    sharpe: float
    low: float | None
    power: float
    needed: float


def promise_of(returns: FloatArray, bars_per_year: float, bars: int) -> Promise | None:
    """The promise of open returns for a sealed stretch of some bars; None where they have no Sharpe ratio.

    `power = Phi(s sqrt(m) - z(1 - LEVEL))`, `needed = ((z(1 - LEVEL) + z(LEAST_POWER)) / s)^2`, with s the Sharpe ratio
    per bar and m the sealed bars: the odds that an edge that lasts is told from none by a one-sided test. Assumes that
    luck without an edge ends at zero; costs put it below, so the odds are at least these.
    """
    ratio = bar_sharpe(returns)
    if ratio is None:
        return None
    tested, shown = _NORMAL.inv_cdf(1.0 - LEVEL), _NORMAL.inv_cdf(LEAST_POWER)
    low = None
    if bars >= 2:
        drawn = drawn_sharpe(returns, bars, np.random.default_rng(0), RESAMPLES)
        low = float(np.quantile(drawn, LEVEL)) * math.sqrt(bars_per_year)
    return Promise(
        bars=bars,
        sharpe=ratio * math.sqrt(bars_per_year),
        low=low,
        power=_NORMAL.cdf(ratio * math.sqrt(bars) - tested),
        needed=((tested + shown) / ratio) ** 2 if ratio > 0.0 else math.inf,
    )


def drawn_sharpe(returns: FloatArray, bars: int, random: np.random.Generator, resamples: int) -> FloatArray:
    """The Sharpe ratios per bar of stretches of some bars, drawn by the stationary bootstrap; 0 where nothing varies.

    Blocks of geometric length with the mean of `optimal_block` are taken with wrap-around. That a short stretch may
    differ more than a long one is what they show.
    """
    chance, count = 1.0 / optimal_block(returns), len(returns)
    found = np.zeros(resamples)
    steps = np.arange(bars)
    for k in range(resamples):
        begins = random.random(bars) < chance
        begins[0] = True
        at = np.flatnonzero(begins)
        block = np.cumsum(begins) - 1
        rows = (random.integers(count, size=len(at))[block] + steps - at[block]) % count
        values = returns[rows]
        deviation = float(values.std(ddof=1))
        found[k] = float(values.mean()) / deviation if deviation > 0.0 else 0.0
    return found
