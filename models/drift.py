"""Drift: whether a running model's forecasts became less likely, or its features lie elsewhere than in training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from markets.candles import FloatArray, IntArray
from models.features import Float32Array
from models.forecasts import Retraining
from models.parameters import WalkForwardParams

# Groups of equal size in training that a population stability index counts.
GROUPS = 10
# How far above anything seen within training an index has to be: features drift there, too.
MARGIN = 2.0
LIKELIHOOD = "likelihood"


class Alarm(NamedTuple):
    """A detector's alarm at the close of a row, counted from the first row of its model's test."""

    row: int
    detector: str
    figure: float
    limit: float


class Watch(NamedTuple):
    """What is watched of one model; rows are counted from the first of its test.

    `reference`: the log scores of its forecasts on its validation rows. `realised`: those of its test as they become
    KNOWN, the value at a row is of the forecast one row before; NaN where none became known. `stability`: population
    stability indices, shape (rows, features), of the latest bars at the close of each row; `limits`: the highest
    allowed of each.
    """

    reference: FloatArray
    realised: FloatArray
    stability: FloatArray
    limits: FloatArray
    names: tuple[str, ...]

    def since(self, row: int) -> Watch:
        """The same from a row on, for a model that stays after an alarm."""
        return self._replace(realised=self.realised[row:], stability=self.stability[row:])


class Adwin:
    """River's ADWIN at its own defaults, from its compiled part alone; after each change it begins anew.

    River's wrapper of it loads all of river, with pandas and scipy, which takes a second.
    """

    def __init__(self, delta: float) -> None:
        self._delta, self._changed = delta, True

    def update(self, value: float) -> bool:
        """Whether the mean has changed, now that it is shown one more value."""
        if self._changed:
            from river._river_rust.drift import AdaptiveWindowing

            self._window = AdaptiveWindowing(
                delta=self._delta, clock=32, max_buckets=5, min_window_length=5, grace_period=10
            )
        self._changed = bool(self._window.update(value))
        return self._changed


def find_drift(watch: Watch, wait: int, delta: float) -> Alarm | None:
    """The first alarm at row `wait` of the test or later; None where nothing drifts.

    Likelihood: ADWIN (Bifet and Gavalda 2007) on the rank of each score among those of the validation rows, which it
    is shown first; it errs once in 1 / `delta` looks, for independent scores. Only a fall counts, and one that came
    during the wait counts after it, unless the scores rose again.
    """
    detector = Adwin(delta)
    ordered = np.sort(watch.reference)
    seen = rank_share(watch.reference, ordered).tolist()
    for share in seen:
        detector.update(share)
    beyond: list[bool] = np.any(watch.stability > watch.limits, axis=1).tolist()
    fell: tuple[float, float] | None = None
    for row, share in enumerate(rank_share(watch.realised, ordered).tolist()):
        if not math.isnan(share):
            seen.append(share)
            if detector.update(share):
                later, before = likeliest_change(np.array(seen))
                fell = (later, before) if later < before else None
        if row < wait:
            continue
        if fell is not None:
            return Alarm(row, LIKELIHOOD, *fell)
        if beyond[row]:
            column = int(np.argmax(watch.stability[row] / watch.limits))
            return Alarm(row, watch.names[column], float(watch.stability[row, column]), float(watch.limits[column]))
    return None


def alarms_of(watch: Watch, wait: int, delta: float) -> Iterator[Alarm]:
    """Every alarm of a model that stays, rows counted from the first of its test; after each the wait begins anew."""
    since = 0
    while alarm := find_drift(watch.since(since), wait, delta):
        since += alarm.row + 1
        yield alarm._replace(row=since - 1)


def likeliest_change(values: FloatArray) -> tuple[float, float]:
    """The means after and before the row at which a series most likely changed its mean.

    That is where the squared difference of the means, times the harmonic mean of both lengths, is greatest.
    """
    count = np.arange(1, len(values))
    total = np.cumsum(values)
    before, after = total[:-1] / count, (total[-1] - total[:-1]) / count[::-1]
    at = int(np.argmax(np.square(after - before) * count * count[::-1]))
    return float(after[at]), float(before[at])


def rank_share(values: FloatArray, ordered: FloatArray) -> FloatArray:
    """The share of some rising values that each one is above, ties counting half; NaN for NaN.

    Evenly spread from 0 to 1 for values of the same distribution, however heavy its tails: what ADWIN's bounds ask for.
    """
    below, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    share: FloatArray = np.where(np.isnan(values), np.nan, 0.5 * (below + upto) / len(ordered))
    return share


def stability_limits(training: Float32Array, window: int, least: float) -> FloatArray:
    """The highest population stability index allowed of each feature.

    `least`, or where that is more MARGIN times the highest of any window of as many rows within training: features
    that wander do so there, too.
    """
    highest: FloatArray = np.nanmax(stability_index(training, training, window), axis=0)
    return np.maximum(least, MARGIN * highest)


def stability_index(training: Float32Array, shown: Float32Array, window: int) -> FloatArray:
    """The population stability index of the last `window` rows of `shown` at each, shape (rows, features).

    Sum over groups of (p - q) log(p / q), q the share of training rows in a group (tenths of them), p that of the
    window. Every group counts half a row more, so that an empty one has a logarithm. NaN before there are so many rows.
    """
    index = np.full(shown.shape, np.nan)
    for column in range(shown.shape[1]):
        edges = np.unique(np.quantile(training[:, column], np.linspace(0.0, 1.0, GROUPS + 1)[1:-1]))
        expected = _shares(np.bincount(np.searchsorted(edges, training[:, column]), minlength=len(edges) + 1))
        member = np.searchsorted(edges, shown[:, column])[:, None] == np.arange(len(edges) + 1)
        running = np.concatenate([np.zeros((1, len(edges) + 1)), np.cumsum(member, axis=0)])
        p = _shares(running[window:] - running[:-window])
        index[window - 1 :, column] = ((p - expected) * np.log(p / expected)).sum(axis=1)
    return index


def _shares(counts: FloatArray | IntArray) -> FloatArray:
    more = counts + 0.5
    shares: FloatArray = more / more.sum(axis=-1, keepdims=True)
    return shares


def drift_notes(alarms: Sequence[Retraining], walk: WalkForwardParams) -> tuple[str, ...]:
    """How often drift led to another model, and how often that was not allowed any more."""
    if walk.retrain != "drift":
        return ()
    followed = sum(one.model >= 0 for one in alarms)
    left = len(alarms) - followed
    most = f"at most {walk.drift_retrains}{'' if walk.pooled else ' a market'}"
    said = f"drift led to {followed} refit{'' if followed == 1 else 's'} ({most})"
    return (f"{said}; {left} more alarm{'' if left == 1 else 's'} led to none" if left else said,)
