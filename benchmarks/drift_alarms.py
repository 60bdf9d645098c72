"""How often drift is seen where there is none, and how soon where there is: `python benchmarks/drift_alarms.py`.

Markets of hours, two years to train on and one to watch: iid and GARCH(1, 1) returns with a heavy tail, forecast as
noise of the trailing volatility; and the same with outcomes that are twice as wild as forecast from mid-year on.
Prints the years with a false alarm of the likelihood and of the five default features, and the delay in bars.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

TREE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TREE))

from foundation.progress import progress  # noqa: E402 - found only once the tree is on the path
from foundation.units import nanoseconds  # noqa: E402
from markets.candles import Candles, FloatArray  # noqa: E402
from models.drift import Alarm, Watch, find_drift, stability_index, stability_limits  # noqa: E402
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams  # noqa: E402
from models.samples import build_sample  # noqa: E402
from models.scores import log_score  # noqa: E402

HOUR = nanoseconds("1h")
TRAIN, YEAR, WINDOW, WAIT, EMBARGO = 17_280, 8_760, 720, 336, 300


class Alarms(NamedTuple):
    """The first alarm of the likelihood, of the likelihood in a market that changes, and of the features."""

    likelihood: Alarm | None
    changed: Alarm | None
    features: Alarm | None


def draw(clusters: bool, seed: int) -> Candles:
    """Hourly candles around iid or GARCH(1, 1) returns of a Student t with 5 degrees of freedom."""
    random = np.random.default_rng(seed)
    shocks, bars = random.standard_t(5, TRAIN + YEAR) * np.sqrt(0.6), TRAIN + YEAR
    returns, variance = np.empty(bars), 1.0
    for t in range(bars):
        returns[t] = np.sqrt(variance) * shocks[t]
        variance = 0.03 + 0.05 * returns[t] ** 2 + 0.92 * variance if clusters else 1.0
    close = 20_000.0 * np.exp(np.cumsum(0.004 * returns))
    opened = np.concatenate((close[:1], close[:-1]))
    reach = np.exp(np.abs(random.normal(0.0, 0.001, (2, bars))))
    high, low = np.maximum(opened, close) * reach[0], np.minimum(opened, close) / reach[1]
    return Candles(HOUR * np.arange(bars), opened, high, low, close, random.lognormal(3.0, 0.5, bars), HOUR)


def watch_year(clusters: bool, seed: int) -> Alarms:
    """What is seen in the year after training."""
    walk, sample = WalkForwardParams(), build_sample(draw(clusters, seed), FeatureParams(), LSTMParams())
    outcomes = sample.returns.astype(np.float64)
    sigma = np.full(len(outcomes), np.sqrt(np.nanmean(np.square(outcomes[:TRAIN]))))
    training = sample.features[sample.first : TRAIN]
    shown = sample.features[TRAIN - WINDOW + 1 :]
    stability = stability_index(training, shown, WINDOW)[WINDOW - 1 :]
    limits = stability_limits(training, WINDOW, walk.drift_psi)

    def alarm(scores: FloatArray, index: FloatArray) -> Alarm | None:
        realised = np.append(np.nan, scores[:-1])[TRAIN:]
        names = FeatureParams().columns
        return find_drift(Watch(check, realised, index, limits, names), WAIT, walk.drift_delta)

    scores = log_score(outcomes, 0.0 * sigma, sigma)
    wild = outcomes * np.where(np.arange(len(outcomes)) < TRAIN + YEAR // 2, 1.0, 2.0)
    check = scores[int(0.8 * TRAIN) : TRAIN - EMBARGO]
    still, unknown = np.zeros_like(stability), np.full(len(scores), np.nan)
    return Alarms(alarm(scores, still), alarm(log_score(wild, 0.0 * sigma, sigma), still), alarm(unknown, stability))


def main() -> None:
    """Prints one line for each kind of market."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=60, metavar="N")
    count = parser.parse_args().markets
    for name, clusters in (("iid", False), ("GARCH", True)):
        found = [watch_year(clusters, seed) for seed in progress(range(count), f"{name} markets", count)]
        delays = [one.changed.row - YEAR // 2 for one in found if one.changed and one.changed.row >= YEAR // 2]
        false = [sum(getattr(one, kind) is not None for one in found) / count for kind in ("likelihood", "features")]
        print(f"{name:6} years with a false alarm: likelihood {false[0]:.1%}, five features {false[1]:.1%}")
        print(f"{name:6} outcomes twice as wild: seen in {len(delays)}, after {np.median(delays):.0f} bars (median)")


if __name__ == "__main__":
    main()
