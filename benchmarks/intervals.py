"""The coverage of 90 % intervals through a doubling of volatility: `python benchmarks/intervals.py`.

Twenty markets of 20,000 bars: GARCH(1,1) returns with Student-t shocks, whose volatility doubles half way. The forecast
is zero. Prints each figure beside its target and exits with 1 on a miss.
"""

from __future__ import annotations

import sys

import numba
import numpy as np

from markets.candles import FloatArray
from models.calibration import interval_bounds
from models.conformal import static_width
from models.scores import worst_block

SEEDS, BARS, BLOCK, LEVEL = 20, 20_000, 500, 0.9
TRAINED = 1_000


@numba.njit
def garch(shocks: FloatArray, persistence: float, reaction: float) -> FloatArray:
    """Returns of unconditional deviation 1: variance_t = (1 - a - b) + a r_{t-1}^2 + b variance_{t-1}."""
    returns = np.empty(len(shocks))
    variance = 1.0
    for t in range(len(shocks)):
        returns[t] = np.sqrt(variance) * shocks[t]
        variance = 1.0 - persistence + reaction * returns[t] ** 2 + (persistence - reaction) * variance
    return returns


def doubling_returns(seed: int) -> FloatArray:
    """Log returns of 0.5 % a bar, 1 % from half way on, by GARCH with Student-t shocks of 6 degrees of freedom."""
    shocks = np.random.default_rng(seed).standard_t(6, BARS) * np.sqrt(4.0 / 6.0)
    doubled: FloatArray = 0.005 * garch(shocks, 0.97, 0.05) * np.where(np.arange(BARS) < BARS // 2, 1.0, 2.0)
    return doubled


def covered(returns: FloatArray) -> FloatArray:
    """Whether each return lay inside the interval issued one bar before; NaN where there was none, or no end to it."""
    close = 100.0 * np.exp(np.cumsum(np.append(0.0, returns)))
    nothing = np.zeros(len(close))
    bounds = interval_bounds(close, close, close, nothing, nothing + 1.0)[:-1]
    inside = (bounds[:, 0] <= returns) & (returns <= bounds[:, 1])
    return np.where(np.isfinite(bounds).all(axis=1), inside, np.nan)


def static_cover(returns: FloatArray) -> FloatArray:
    """The same for one width for ever, from the absolute returns of the first bars."""
    width = static_width(np.abs(returns[:TRAINED]), LEVEL)
    return np.where(np.arange(len(returns)) < TRAINED, np.nan, np.abs(returns) <= width)


def summary(inside: FloatArray) -> tuple[float, float]:
    """The coverage over all bars with an interval, and over the worst disjoint block of 500 neighbouring bars."""
    known = np.flatnonzero(~np.isnan(inside))
    held = inside[known] > 0.0
    return float(held.mean()), worst_block(held, known, BLOCK)


def main() -> None:
    """Prints the table of figures and targets."""
    markets = [doubling_returns(seed) for seed in range(SEEDS)]
    adaptive = np.median([summary(covered(one)) for one in markets], axis=0)
    static = np.median([summary(static_cover(one)) for one in markets], axis=0)
    met = (0.89 <= adaptive[0] <= 0.91, adaptive[1] >= 0.86)
    print(
        f"{SEEDS} markets of {BARS:,} bars, volatility doubling half way, {LEVEL:.0%} intervals; medians over markets"
    )
    print(f"coverage            {adaptive[0]:.1%}   target 89% to 91%   {'met' if met[0] else 'MISSED'}")
    print(f"worst {BLOCK}-bar block {adaptive[1]:.1%}   target 86% or more  {'met' if met[1] else 'MISSED'}")
    print(f"one width for ever  {static[0]:.1%}, worst block {static[1]:.1%} (for comparison)")
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
