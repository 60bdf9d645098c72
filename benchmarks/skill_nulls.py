"""How often the report's tests of skill see skill where there is none: `python benchmarks/skill_nulls.py`.

2,000 markets that cannot be forecast of each of three kinds: iid normal returns, GARCH(1,1) with Student-t shocks, and
the same with a drift. A small model forecasts each bar: a constant and the last two returns, by least squares over a
window that rolls (or grows), refitted as time goes on. Then the same on 100 and 300 bars, with forecasts of noise and
such that follow the last returns. Prints each figure beside its target and exits with 1 on a miss.
"""

from __future__ import annotations

import argparse
import math
import sys
from statistics import NormalDist
from typing import NamedTuple

import numba
import numpy as np

from foundation.progress import progress
from markets.candles import FloatArray
from models.level import SIGNIFICANCE
from models.naive import expanding_mean
from models.regression import accumulate, dot, solve
from models.significance import (
    anatolyev_gerko_p,
    clark_west_p,
    mean_above_zero_p,
    pesaran_timmermann_p,
    robust_correlation,
)

REPLICATES, BARS, FIRST = 2000, 2000, 250
WINDOW, REFIT_BARS, LAGS = 250, 20, 2
FEW_BARS, FEW_WINDOWS = (100, 300), (0, 5, 20)
KINDS = ("iid", "GARCH-t", "GARCH-t with drift")
DRIFT = 0.05  # of a bar's deviation: strong, a yearly Sharpe ratio of about 4.7 at hourly bars


class Figures(NamedTuple):
    """Of one kind of market: the share of false alarms of each test, and the pooled out-of-sample R2.

    `published`: of Clark-West and Pesaran-Timmermann as they were published, before they are normed. `against_zero`: of
    Clark-West against a forecast of zero. No report uses these.
    """

    clark_west: float
    pesaran_timmermann: float
    anatolyev_gerko: float
    published: tuple[float, float]
    against_zero: float
    pooled: float


@numba.njit
def garch(shocks: FloatArray) -> FloatArray:
    """Returns of unconditional deviation 1: variance = 0.03 + 0.05 r^2 + 0.92 variance."""
    returns, variance = np.empty(len(shocks)), 1.0
    for t in range(len(shocks)):
        returns[t] = math.sqrt(variance) * shocks[t]
        variance = 0.03 + 0.05 * returns[t] ** 2 + 0.92 * variance
    return returns


@numba.njit
def small_model(returns: FloatArray, rolling: bool) -> FloatArray:
    """The forecast made at each bar of the next return; NaN before bar FIRST."""
    forecast, slopes, row = np.full(len(returns), np.nan), np.zeros(1 + LAGS), np.ones(1 + LAGS)
    factor = np.zeros((1 + LAGS, 1 + LAGS))
    for t in range(FIRST, len(returns)):
        if (t - FIRST) % REFIT_BARS == 0:
            gram, moment = np.zeros((1 + LAGS, 1 + LAGS)), np.zeros(1 + LAGS)
            for s in range(max(LAGS, t - WINDOW if rolling else LAGS), t):
                for lag in range(LAGS):
                    row[1 + lag] = returns[s - lag]
                accumulate(gram, moment, row, returns[s + 1])
            solve(gram, moment, 0.0, factor, slopes)
        for lag in range(LAGS):
            row[1 + lag] = returns[t - lag]
        forecast[t] = dot(row, slopes)
    return forecast


def draw(kind: str, replicate: int) -> FloatArray:
    """The returns of one market, in units of their deviation; each kind and replicate has a seed of its own."""
    random = np.random.default_rng([KINDS.index(kind), replicate])
    if kind == "iid":
        return random.standard_normal(BARS)
    returns: FloatArray = garch(random.standard_t(5, BARS) * math.sqrt(3.0 / 5.0))
    return returns + (DRIFT if kind.endswith("drift") else 0.0)


def published(y: FloatArray, f: FloatArray, base: FloatArray) -> tuple[float, float]:
    """The p-values of Clark and West (2007) and of Pesaran and Timmermann (1992) as they were published."""
    up, rose = f > 0.0, y > 0.0
    right, share, risen = float((up == rose).mean()), float(up.mean()), float(rose.mean())
    expected = risen * share + (1.0 - risen) * (1.0 - share)
    of_expected = (2.0 * risen - 1.0) ** 2 * share * (1.0 - share) + (2.0 * share - 1.0) ** 2 * risen * (1.0 - risen)
    both = 4.0 * risen * share * (1.0 - risen) * (1.0 - share) / len(y)
    variance = (expected * (1.0 - expected) - of_expected - both) / len(y)
    direction = NormalDist().cdf((expected - right) / math.sqrt(variance)) if variance > 0.0 else math.nan
    return mean_above_zero_p((f - base) * (y - base)), direction


def measure(kind: str, rolling: bool, replicates: int) -> Figures:
    """The figures of one kind of market."""
    found, errors = np.zeros((replicates, 6)), np.zeros(2)
    for replicate in progress(range(replicates), f"{kind} markets", replicates):
        returns = draw(kind, replicate)
        rows = slice(FIRST, BARS - 1)
        y, f = returns[FIRST + 1 :], small_model(returns, rolling)[rows]
        base = expanding_mean(returns)[rows]
        right = pesaran_timmermann_p(f > 0.0, y > 0.0), anatolyev_gerko_p(f, y)
        against_zero = mean_above_zero_p(f * y)
        found[replicate] = clark_west_p(y, f, base), *right, *published(y, f, base), against_zero
        errors += np.square(y - f).sum(), np.square(y - base).sum()
    one, two, three, first, second, against_zero = (found < SIGNIFICANCE).mean(axis=0).tolist()
    return Figures(one, two, three, (first, second), against_zero, 1.0 - float(errors[0] / errors[1]))


def judge(window: str, kind: str, found: Figures, band: tuple[float, float]) -> bool:
    """Prints the figures of one kind of market beside targets; whether all were met. Too seldom is a miss, too."""
    low, high = band
    all_met = True
    for name in ("clark_west", "pesaran_timmermann", "anatolyev_gerko"):
        share = getattr(found, name)
        met = low <= share <= high
        all_met &= met
        target, verdict = f"{low:.2%} to {high:.2%}", "met" if met else "MISSED"
        print(f"{window:8} {kind:18} {name.replace('_', ' '):19} {share:7.2%}  target {target:14}  {verdict}")
    if not kind.endswith("drift"):
        met = found.pooled <= 0.0
        all_met &= met
        verdict = "met" if met else "MISSED"
        print(f"{window:8} {kind:18} {'pooled R2':19} {found.pooled:+7.2%}  target {'0% or less':14}  {verdict}")
    said = "Clark-West {:.2%}, Pesaran-Timmermann {:.2%}".format(*found.published)
    print(f"{window:8} {kind:18} as published, never used: {said}; Clark-West against zero {found.against_zero:.2%}")
    return all_met


def few_bars(bars: int, window: int, replicates: int) -> tuple[float, float]:
    """The share of false alarms of the correlation and of Clark-West on so few bars of Student-t returns.

    The forecast is the sum of the last `window` returns, noise of its own where that is 0.
    """
    found = np.zeros((replicates, 2))
    for replicate in range(replicates):
        random = np.random.default_rng([bars, window, replicate])
        returns = random.standard_t(5, bars + window)
        f = np.convolve(returns, np.ones(window), "valid")[:bars] if window else random.standard_t(5, bars)
        found[replicate] = robust_correlation(f, returns[window:]).p, clark_west_p(returns[window:], f, np.zeros(bars))
    correlation, clark_west = (found < SIGNIFICANCE).mean(axis=0).tolist()
    return correlation, clark_west


def judge_few(replicates: int, highest: float) -> bool:
    """Prints the false alarms on few bars beside the most there may be; whether all were met."""
    all_met = True
    for bars in FEW_BARS:
        for window in FEW_WINDOWS:
            what = f"following {window} returns" if window else "noise"
            for name, share in zip(("correlation", "Clark-West"), few_bars(bars, window, replicates), strict=True):
                all_met &= share <= highest
                verdict = "met" if share <= highest else "MISSED"
                print(f"{bars} bars, {what:20} {name:11} {share:7.2%}  target at most {highest:.2%}  {verdict}")
    return all_met


def main() -> None:
    """Prints the table of figures and targets."""
    from scipy.stats import binom

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=REPLICATES, metavar="N")
    count = parser.parse_args().replicates
    low, high = (binom.ppf([0.0005, 0.9995], count, SIGNIFICANCE) / count).tolist()
    print(f"{count:,} markets of {BARS:,} bars of each kind, tests at {SIGNIFICANCE:.0%}, 99.9% binomial band")
    met = [
        judge(window, kind, measure(kind, window == "rolling", count), (low, high))
        for window in ("rolling", "growing")
        for kind in KINDS
    ]
    met.append(judge_few(count, high))
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
