"""How often the report's tests of skill see skill where there is none: `python benchmarks/skill_nulls.py`.

2,000 markets that cannot be forecast of each of three kinds: iid normal returns, GARCH(1,1) with Student-t shocks, and
the same with a drift. A small model forecasts each bar: a constant and the last two returns, by least squares over a
window that rolls (or grows), refitted as time goes on. Then forecasts that shrink to zero, or to half the mean, as
those of networks that early stopping left where they began; forecasts of small LSTMs themselves; and 100 and 300 bars,
with forecasts of noise and such that follow the last returns. Last, what the tests see of skill that is there. Prints
each figure beside its target and exits with 1 on a miss.

`skill p` is what reports judge by: the larger of the normed Clark-West p-values against the mean and against zero. It
may be below its level, where both nulls are false or one is far off, and is held to be at most in the band. Each of the
others is held to the band from both sides on models for which it is made.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np

from foundation.progress import progress
from markets.candles import FloatArray
from models.level import SIGNIFICANCE
from models.naive import expanding_mean
from models.regression import accumulate, dot, solve
from models.significance import (
    clark_west_p,
    mean_above_zero_p,
    normed_anatolyev_gerko_p,
    normed_clark_west_p,
    normed_pesaran_timmermann_p,
    pesaran_timmermann_p,
    robust_correlation,
    skill_p,
)
from models.skill import skill_score

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.planted import BURN_IN, SIGMA, momentum, problem_of

REPLICATES, BARS, FIRST = 2000, 2000, 250
WINDOW, REFIT_BARS, LAGS = 250, 20, 2
FEW_BARS, FEW_WINDOWS = (100, 300), (0, 5, 20)
# Bars before the few that are forecast.
EARLIER = 250
# From which window on a forecast is slow, so that its correlation has no target; bars and span of a slower one.
SLOW_RETURNS, SLOW_BARS, SLOW_SPAN = 20, 1000, 400
# Markets for networks, as a share of the others, and the bars of each: known to training, and in all.
NETWORK_SHARE, NETWORK_FIRST, NETWORK_BARS = 5, 1200, 2200
KINDS = ("iid", "GARCH-t", "GARCH-t with drift")
DRIFT = 0.05  # of a bar's deviation: strong, a yearly Sharpe ratio of about 4.7 at hourly bars


class Figures(NamedTuple):
    """Of one kind of market: the share of false alarms of each test, and the pooled out-of-sample R2.

    `skill`: of the p-value that reports judge by. `published`: of Clark-West and Pesaran-Timmermann as they were
    published, before they are normed. `against_zero`: of Clark-West against a forecast of zero alone. Reports show the
    published ones beside the normed, and judge by none of both.
    """

    skill: float
    clark_west: float
    pesaran_timmermann: float
    anatolyev_gerko: float
    published: tuple[float, float]
    against_zero: float
    pooled: float


class Alarms(NamedTuple):
    """The share of false alarms of a forecast: of the p judged by, of being `evident`, and of Clark-West by itself."""

    skill: float
    evident: float
    clark_west: float


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


def draw(kind: str, replicate: int, bars: int = BARS) -> FloatArray:
    """The returns of one market, in units of their deviation; each kind and replicate has a seed of its own."""
    random = np.random.default_rng([KINDS.index(kind), replicate])
    if kind == "iid":
        return random.standard_normal(bars)
    returns: FloatArray = garch(random.standard_t(5, bars) * math.sqrt(3.0 / 5.0))
    return returns + (DRIFT if kind.endswith("drift") else 0.0)


def measure(kind: str, rolling: bool, replicates: int) -> Figures:
    """The figures of one kind of market."""
    found, errors = np.zeros((replicates, 7)), np.zeros(2)
    for replicate in progress(range(replicates), f"{kind} markets", replicates):
        returns = draw(kind, replicate)
        rows = slice(FIRST, BARS - 1)
        y, f = returns[FIRST + 1 :], small_model(returns, rolling)[rows]
        base, signs = expanding_mean(returns)[rows], (f > 0.0, returns[FIRST + 1 :] > 0.0)
        found[replicate] = (
            skill_p(y, f, base), normed_clark_west_p(y, f, base), normed_pesaran_timmermann_p(*signs),
            normed_anatolyev_gerko_p(f, y), clark_west_p(y, f, base), pesaran_timmermann_p(*signs),
            mean_above_zero_p(f * y),
        )  # fmt: skip
        errors += np.square(y - f).sum(), np.square(y - base).sum()
    *normed, first, second, against_zero = (found < SIGNIFICANCE).mean(axis=0).tolist()
    return Figures(*normed, (first, second), against_zero, 1.0 - float(errors[0] / errors[1]))


def tell(what: str, share: float, low: float, high: float) -> bool:
    """Prints a share of alarms beside its target, "at most" where `low` is 0; whether it was met."""
    met = low <= share <= high
    target = f"{low:.2%} to {high:.2%}" if low else f"at most {high:.2%}"
    print(f"{what:62} {share:7.2%}  target {target:14}  {'met' if met else 'MISSED'}")
    return met


def judge(window: str, kind: str, found: Figures, band: tuple[float, float]) -> bool:
    """Prints the figures of one kind of market beside targets; whether all were met. Too seldom is a miss, too."""
    low, high = band
    where = f"{window:8} {kind:18}"
    met = [tell(f"{where} skill p", found.skill, 0.0, high)]
    met += [
        tell(f"{where} {name.replace('_', ' ')}, normed", getattr(found, name), low, high)
        for name in ("clark_west", "pesaran_timmermann", "anatolyev_gerko")
    ]
    if not kind.endswith("drift"):
        met.append(found.pooled <= 0.0)
        verdict = "met" if met[-1] else "MISSED"
        print(f"{f'{where} pooled R2':62} {found.pooled:+7.2%}  target {'0% or less':14}  {verdict}")
    said = "Clark-West {:.2%}, Pesaran-Timmermann {:.2%}".format(*found.published)
    print(f"{where} as published, not judged: {said}; Clark-West against zero alone {found.against_zero:.2%}")
    return all(met)


def alarms_of(y: FloatArray, f: FloatArray, base: FloatArray) -> tuple[bool, bool, bool]:
    """Whether a forecast passes for skilled: by the p judged by, as `evident`, and by Clark-West against the mean."""
    alarm = skill_p(y, f, base) < SIGNIFICANCE
    better = min(skill_score(y, f, base), skill_score(y, f, np.zeros(len(y)))) > 0.0
    return alarm, alarm and better, normed_clark_west_p(y, f, base) < SIGNIFICANCE


# What is left of a model that learned nothing: of the mean of all returns so far, and of noise of deviation 1.
SHRUNKEN: Mapping[str, tuple[float, float]] = {
    "zero": (0.0, 0.0),
    "0.01 x noise": (0.0, 0.01),
    "0.1 x noise": (0.0, 0.1),
    "half the mean, 0.01 x noise": (0.5, 0.01),
}


def shrunken(kind: str, name: str, replicates: int) -> Alarms:
    """The false alarms of a forecast of SHRUNKEN on one kind of market."""
    (of_mean, of_noise), found = SHRUNKEN[name], np.zeros((replicates, 3))
    for replicate in progress(range(replicates), f"{kind} markets, {name}", replicates):
        returns = draw(kind, replicate)
        mean = expanding_mean(returns)[FIRST : BARS - 1]
        noise = np.random.default_rng([3, KINDS.index(kind), replicate]).standard_normal(len(mean))
        found[replicate] = alarms_of(returns[FIRST + 1 :], of_mean * mean + of_noise * noise, mean)
    return Alarms(*found.mean(axis=0).tolist())


def networks(kind: str, replicates: int) -> tuple[Alarms, float]:
    """The false alarms of small LSTMs, each trained once, and the share that was best at step 0."""
    from models.parameters import LSTMParams
    from models.training import train_network

    params = LSTMParams(hidden=8, steps=40, check=5, patience=15, batch=32, chunk=64, device="cpu")
    found, idle, first, warm = np.zeros((replicates, 3)), 0, NETWORK_FIRST, params.replay
    for replicate in progress(range(replicates), f"{kind} markets, networks", replicates):
        drawn = draw(kind, replicate, NETWORK_BARS + BURN_IN)
        problem = problem_of(drawn, np.zeros(len(drawn)))
        sample, returns = problem.sample(params), problem.returns / SIGMA
        network = train_network(sample, first - 64, 64, "standard", params, replicate)
        said = network.forecast(sample.features[first - warm :], network.fresh_state())[warm:, 0]
        f = (said * sample.volatility[first:] / SIGMA)[:-1]
        found[replicate] = alarms_of(returns[first + 1 :], f, expanding_mean(returns)[first:-1])
        idle += network.steps == 0
    return Alarms(*found.mean(axis=0).tolist()), idle / replicates


def judge_shrunken(what: str, found: Alarms, highest: float) -> bool:
    """Prints the alarms of a forecast that knows nothing; whether what reports judge by gives few enough."""
    met = tell(f"{what}, skill p", found.skill, 0.0, highest)
    print(
        f"{what}, evident {found.evident:.2%}; Clark-West against the mean alone, not judged by: {found.clark_west:.2%}"
    )
    return met


def power(name: str, replicates: int) -> tuple[float, float]:
    """The share of planted markets whose skill is seen by Clark-West against the mean, and by the p judged by."""
    found = np.zeros((replicates, 2))
    for replicate in progress(range(replicates), f"momentum, {name}", replicates):
        problem = momentum(BARS, replicate)
        returns, oracle = problem.returns, problem.oracle[FIRST : BARS - 1]
        f = 0.1 * (oracle + 3.0 * oracle.std() * np.random.default_rng([4, replicate]).standard_normal(len(oracle)))
        if name == "the small model":
            f = small_model(returns, False)[FIRST : BARS - 1]
        skill, _, clark_west = alarms_of(returns[FIRST + 1 :], f, expanding_mean(returns)[FIRST : BARS - 1])
        found[replicate] = clark_west, skill
    first, second = found.mean(axis=0).tolist()
    return first, second


def tell_power(replicates: int) -> None:
    """Prints what is seen of skill that is there, by one test and by both. Of the first some is false alarms."""
    for name in ("a tenth of the oracle under 3 x noise", "the small model"):
        alone, both = power(name, replicates)
        print(f"momentum, {name}: seen by Clark-West against the mean {alone:.2%}, by skill p {both:.2%}")


def few_bars(bars: int, window: int, replicates: int) -> tuple[float, float]:
    """The share of false alarms of the correlation and of the p judged by on so few bars of Student-t returns.

    The forecast is the sum of the last `window` returns, noise of its own where that is 0; the base is the mean of all
    returns known by then, of which there are EARLIER before.
    """
    found = np.zeros((replicates, 2))
    for replicate in range(replicates):
        random = np.random.default_rng([bars, window, replicate])
        returns = random.standard_t(5, EARLIER + bars)
        f = random.standard_t(5, bars)
        if window:
            f = np.convolve(returns, np.ones(window), "valid")[EARLIER - window : -1]
        y, base = returns[EARLIER:], expanding_mean(returns)[EARLIER - 1 : -1]
        found[replicate] = robust_correlation(f, y).p, skill_p(y, f, base)
    correlation, skill = (found < SIGNIFICANCE).mean(axis=0).tolist()
    return correlation, skill


def slow_correlation(replicates: int) -> float:
    """The false alarms of the correlation with an exponential mean of the returns so far, which moves slowly."""
    alarms, keep = 0, 1.0 - 2.0 / (SLOW_SPAN + 1.0)
    for replicate in range(replicates):
        returns = np.random.default_rng([SLOW_SPAN, replicate]).standard_normal(SLOW_BARS + EARLIER)
        f = slow_mean(returns, keep)[EARLIER - 1 : -1]
        alarms += robust_correlation(f, returns[EARLIER:]).p < SIGNIFICANCE
    return alarms / replicates


@numba.njit
def slow_mean(returns: FloatArray, keep: float) -> FloatArray:
    """The exponential mean of the returns up to each one, from 0 on."""
    made, mean = np.empty(len(returns)), 0.0
    for t in range(len(returns)):
        mean = keep * mean + (1.0 - keep) * returns[t]
        made[t] = mean
    return made


def judge_few(replicates: int, highest: float) -> bool:
    """Prints the false alarms on few bars beside the most there may be; whether all were met.

    At most: the correlation's errors are made no smaller than without lags, and skill p asks for two tests. The
    correlation of slow forecasts has no target, and no report judges by it: it leans below zero (Stambaugh 1999).
    """
    met = []
    for bars in FEW_BARS:
        for window in FEW_WINDOWS:
            correlation, skill = few_bars(bars, window, replicates)
            what = f"{bars} bars, following {window} returns" if window else f"{bars} bars, noise"
            met.append(tell(f"{what}, skill p", skill, 0.0, highest))
            if window < SLOW_RETURNS:
                met.append(tell(f"{what}, correlation", correlation, 0.0, highest))
            else:
                print(f"{f'{what}, correlation':62} {correlation:7.2%}  no target")
    slow = f"{SLOW_BARS:,} bars, following a mean of span {SLOW_SPAN}, correlation"
    print(f"{slow:62} {slow_correlation(replicates):7.2%}  no target")
    return all(met)


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
    met += [
        judge_shrunken(f"{kind:18} {name}", shrunken(kind, name, count), high) for name in SHRUNKEN for kind in KINDS
    ]
    few = max(count // NETWORK_SHARE, 1)
    most = float(binom.ppf(0.9995, few, SIGNIFICANCE)) / few
    print(f"Small LSTMs on {few:,} markets of {NETWORK_BARS:,} bars of each kind")
    for kind in KINDS:
        found, idle = networks(kind, few)
        met.append(judge_shrunken(f"{kind:18} small LSTM", found, most))
        print(f"{kind:18} small LSTM, best before any training step: {idle:.0%}")
    met.append(judge_few(count, high))
    tell_power(few)
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
