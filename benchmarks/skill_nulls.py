"""How often the report's tests of skill see skill where there is none: `python benchmarks/skill_nulls.py`.

2,000 markets that cannot be forecast of each of three kinds: iid normal returns, GARCH(1,1) with Student-t shocks, and
the same with a drift. A small model forecasts each bar: a constant and the last two returns, by least squares over a
window that rolls (or grows), refitted as time goes on. Prints each figure beside its target and exits with 1 on a miss.
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
from models.naive import expanding_mean
from models.regression import accumulate, dot, solve
from models.significance import anatolyev_gerko_p, clark_west_p, pesaran_timmermann_p
from models.skill import SIGNIFICANCE

REPLICATES, BARS, FIRST = 2000, 2000, 250
WINDOW, REFIT_BARS, LAGS = 250, 20, 2
KINDS = ("iid", "GARCH-t", "GARCH-t with drift")
DRIFT = 0.05  # of a bar's deviation: strong, a yearly Sharpe ratio of about 4.7 at hourly bars


class Figures(NamedTuple):
    """Of one kind of market: the share of false alarms of each test, and the pooled out-of-sample R2.

    `against_zero`: of Clark-West against a forecast of zero, which no report ever uses. `exact`: the statistics above
    which Clark-West and Pesaran-Timmermann would be with a chance of 5 % here; 1.645 is what both are held to.
    """

    clark_west: float
    pesaran_timmermann: float
    anatolyev_gerko: float
    against_zero: float
    pooled: float
    exact: tuple[float, float] = (1.645, 1.645)


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


def measure(kind: str, rolling: bool, replicates: int) -> Figures:
    """The figures of one kind of market."""
    found, errors, zero = np.zeros((replicates, 4)), np.zeros(2), np.zeros(BARS - 1 - FIRST)
    for replicate in progress(range(replicates), f"{kind} markets", replicates):
        returns = draw(kind, replicate)
        rows = slice(FIRST, BARS - 1)
        y, f = returns[FIRST + 1 :], small_model(returns, rolling)[rows]
        base = expanding_mean(returns)[rows]
        right = pesaran_timmermann_p(f > 0.0, y > 0.0), anatolyev_gerko_p(f, y)
        found[replicate] = clark_west_p(y, f, base), *right, clark_west_p(y, f, zero)
        errors += np.square(y - f).sum(), np.square(y - base).sum()
    alarms = (found < SIGNIFICANCE).mean(axis=0).tolist()
    lowest = np.nanquantile(found[:, :2], SIGNIFICANCE, axis=0).tolist()
    exact = tuple(NormalDist().inv_cdf(1.0 - p) for p in lowest)
    return Figures(*alarms, 1.0 - float(errors[0] / errors[1]), (exact[0], exact[1]))


def judge(window: str, kind: str, found: Figures, band: tuple[float, float]) -> bool:
    """Prints the figures of one kind of market beside their targets; whether all were met.

    With a rolling window Clark-West and Pesaran-Timmermann should be right about 5 %. With a growing one a
    model nests its base ever more closely, which is known to make such tests cautious: there, and for
    Anatolyev-Gerko, the target is that they do not cry wolf.
    """
    low, high = band
    exact = ("clark_west", "pesaran_timmermann") if window == "rolling" else ()
    lines = [
        (name, f"{getattr(found, name):7.2%}", low if name in exact else 0.0, getattr(found, name))
        for name in ("clark_west", "pesaran_timmermann", "anatolyev_gerko")
    ]
    all_met = True
    for name, text, least, share in lines:
        met = least <= share <= high
        all_met &= met
        target, verdict = f"{least:.2%} to {high:.2%}" if least else f"{high:.2%} or less", "met" if met else "MISSED"
        print(f"{window:8} {kind:18} {name.replace('_', ' '):19} {text}  target {target:14}  {verdict}")
    if not kind.endswith("drift"):
        met = found.pooled <= 0.0
        all_met &= met
        verdict = "met" if met else "MISSED"
        print(f"{window:8} {kind:18} {'pooled R2':19} {found.pooled:+7.2%}  target {'0% or less':14}  {verdict}")
    elif window == "rolling":
        print(f"{window:8} {kind:18} {'Clark-West vs zero':19} {found.against_zero:7.2%}  (never used: this is why)")
    said = "Clark-West {:.2f}, Pesaran-Timmermann {:.2f}".format(*found.exact)
    print(f"{window:8} {kind:18} critical values that would be exact here, against 1.645: {said}")
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
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
