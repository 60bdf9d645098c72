"""Drift detectors: what they see, what they leave alone, and when."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from planted_faults import mutated

from markets.candles import FloatArray
from models.drift import Adwin, Watch, find_drift, likeliest_change, rank_share, stability_index, stability_limits
from models.features import Float32Array

TREE = Path(__file__).resolve().parent.parent
QUIET: Float32Array = np.zeros((1, 1), np.float32)


def watch(reference: FloatArray, realised: FloatArray) -> Watch:
    """A watch over a likelihood, with a feature that stands still."""
    return Watch(reference, realised, np.zeros((len(realised), 1)), np.ones(1), ("still",))


def scores(seed: int, rows: int, wild_from: int | None = None) -> FloatArray:
    """Log scores of a sigma that trails a heavy-tailed GARCH(1, 1); from a row on outcomes are twice as wild."""
    random = np.random.default_rng(seed)
    shocks = random.standard_t(5, rows) * math.sqrt(0.6)
    variance, trailing, made = 1.0, 1.0, np.empty(rows)
    for row in range(rows):
        outcome = math.sqrt(variance) * shocks[row]
        wild = 4.0 if wild_from is not None and row >= wild_from else 1.0
        made[row] = -0.5 * wild * outcome**2 / trailing
        variance = 0.03 + 0.05 * outcome**2 + 0.92 * variance
        trailing += (outcome**2 - trailing) * 2.0 / 33.0
    return made


def test_a_fall_of_the_likelihood_is_seen() -> None:
    """Outcomes twice as wild as sigma says raise an alarm within 200 rows, with the mean ranks before and after."""
    for seed in range(5):
        all_scores = scores(seed, 2500, wild_from=1500)
        alarm = find_drift(watch(all_scores[:500], all_scores[500:]), 0, 0.002)
        assert alarm is not None
        assert 1000 < alarm.row < 1200
        assert alarm.detector == "likelihood"
        assert alarm.figure < 0.4 < alarm.limit


def test_a_rise_of_the_likelihood_is_no_alarm() -> None:
    """Forecasts that have become likelier call for nothing; the same change the other way round does."""
    falling = scores(3, 2500, wild_from=1500)
    rising = np.concatenate((falling[1500:], falling[:1500]))
    assert find_drift(watch(rising[:500], rising[500:]), 0, 0.002) is None
    faulty = mutated("models.drift", "(later, before) if later < before else None", "(later, before)")
    assert faulty.find_drift(watch(rising[:500], rising[500:]), 0, 0.002) is not None


def test_false_alarms_are_rare() -> None:
    """Where nothing changes but volatility clusters, a year of hours has an alarm in at most one of 25 markets."""
    alarms = [find_drift(watch(*np.split(scores(seed, 10_000), [2_000])), 0, 0.002) for seed in range(25)]
    assert sum(one is not None for one in alarms) <= 1


def test_an_alarm_waits() -> None:
    """What happens during the wait counts after it, at its first row; a missing outcome changes nothing."""
    all_scores = scores(1, 2500, wild_from=700)
    assert find_drift(watch(all_scores[:500], all_scores[500:]), 900, 0.002).row == 900  # type: ignore[union-attr]
    holed = all_scores[500:].copy()
    holed[[0, 7, 99]] = math.nan
    assert find_drift(watch(all_scores[:500], holed), 900, 0.002) is not None
    assert find_drift(watch(all_scores[:500], np.full(2000, math.nan)), 0, 0.002) is None


def test_ranks() -> None:
    """A rank is the share of the reference that a value is above, ties counting half."""
    ordered = np.array([1.0, 2.0, 2.0, 4.0])
    assert rank_share(np.array([0.0, 2.0, 3.0, 9.0]), ordered).tolist() == [0.0, 0.5, 0.75, 1.0]
    assert np.isnan(rank_share(np.array([math.nan]), ordered)).all()


def test_the_likeliest_change() -> None:
    """The mean after and before the row at which a series of two levels changes."""
    assert likeliest_change(np.array([5.0, 5.0, 5.0, 1.0, 1.0])) == (1.0, 5.0)


def test_stability_by_hand() -> None:
    """Windows of 20 rows against 100 training rows in tenths: all in the lowest group, and evenly spread."""
    training = np.arange(100, dtype=np.float32)[:, None]
    shown = np.concatenate((np.zeros(20), np.arange(2, 100, 5))).astype(np.float32)[:, None]
    index = stability_index(training, shown, 20)
    low, rest, q = 20.5 / 25.0, 0.5 / 25.0, 10.5 / 105.0
    assert np.isnan(index[:19]).all()
    assert index[19, 0] == pytest.approx((low - q) * math.log(low / q) + 9 * (rest - q) * math.log(rest / q))
    assert index[39, 0] == pytest.approx(0.0, abs=1e-12)


def test_stability_knows_no_units() -> None:
    """Stretching a feature changes nothing; a feature of two values has two groups, not ten."""
    random = np.random.default_rng(0)
    training, shown = random.normal(size=(500, 2)), random.normal(size=(200, 2))
    training[:, 1], shown[:, 1] = training[:, 1] > 0.0, shown[:, 1] > 0.0
    stretched = [(7.0 + 3.0 * one).astype(np.float32) for one in (training, shown)]
    plain = [one.astype(np.float32) for one in (training, shown)]
    np.testing.assert_allclose(stability_index(*plain, 100), stability_index(*stretched, 100), rtol=1e-9)
    assert (stability_index(*plain, 100)[99:, 1] < 0.1).all()


def test_a_feature_that_moves_away_is_seen() -> None:
    """A shift of two deviations raises an alarm with the feature's name; one that wanders in training has room."""
    random = np.random.default_rng(5)
    training = random.normal(size=(2000, 2)).astype(np.float32)
    training[:, 1] = np.cumsum(training[:, 1]) / 10.0
    shown = random.normal(size=(600, 2)).astype(np.float32)
    shown[:, 1] = np.cumsum(shown[:, 1]) / 10.0 + training[-1, 1]
    shown[300:, 0] += 2.0
    limits = stability_limits(training, 200, 0.25)
    assert limits[0] == 0.25 < limits[1]
    stability = stability_index(training, np.concatenate((training[-199:], shown)), 200)[199:]
    made = find_drift(Watch(np.zeros(100), np.full(600, math.nan), stability, limits, ("level", "walk")), 0, 0.002)
    assert made is not None
    assert made.detector == "level"
    assert 300 < made.row < 400
    assert made.figure > made.limit == 0.25


@pytest.mark.parametrize("seed", range(3))
def test_adwin_is_that_of_river(seed: int) -> None:
    """It sees each change at the same value as river's own, one after the other, and begins anew after each."""
    from river.drift import ADWIN

    random = np.random.default_rng(seed)
    values = np.concatenate([random.random(900) * size for size in (1.0, 0.5, 1.0, 0.2, 0.9)]).tolist()
    ours, theirs, seen = Adwin(0.01), ADWIN(delta=0.01), list[bool]()
    for value in values:
        theirs.update(value)
        seen.append(ours.update(value))
        assert seen[-1] == theirs.drift_detected
    assert sum(seen) >= 4


def test_watching_loads_little() -> None:
    """The detector comes without the rest of river, nor pandas nor scipy."""
    code = "import sys; from models.drift import Adwin; before = set(sys.modules); Adwin(0.1).update(1.0); "
    code += "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TREE)
    assert done.stdout.strip() == "['river']"
