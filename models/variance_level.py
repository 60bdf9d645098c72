"""Variance level: realised over forecast variance, followed bar by bar, so that sigma can be brought to its level."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray
from models.fitted import TrainedNetwork
from models.parameters import LSTMParams
from models.samples import Sample

# A bar counts as ten sigmas at most: the first move after a price that stood still would outweigh all others for ever.
MOST_RATIO = 100.0
# A level is no lower, so that a price that stands still for long leaves a sigma above zero.
LEAST_LEVEL = 0.01


@rule
def next_level(level: float, realised: float, variance: float, bars: int) -> float:
    """The level L after one more outcome: L + 2 / (bars + 1) (min(realised / variance, MOST_RATIO) - L).

    `variance`: the forecast before any level. An outcome or a forecast that is NaN leaves it as it is.
    """
    if math.isnan(realised) or not variance > 0.0:
        return level
    ratio = min(realised / variance, MOST_RATIO)
    return max(level + 2.0 / (bars + 1.0) * (ratio - level), LEAST_LEVEL)


@rule(makes_arrays=True)
def level_path(realised: FloatArray, variance: FloatArray, starts: FloatArray, bars: int) -> FloatArray:
    """The level known when each row is forecast, and after the last: shape (rows + 1,).

    `realised`: the variance that the bar after each row brought. Where `starts` is a number another model takes over,
    and the level starts there.
    """
    levels = np.empty(len(variance) + 1)
    level = 1.0
    for t in range(len(variance)):
        if not math.isnan(starts[t]):
            level = starts[t]
        levels[t] = level
        level = next_level(level, realised[t], variance[t], bars)
    levels[len(variance)] = level
    return levels


def follows_ranges(params: LSTMParams) -> bool:
    """Whether the level follows ranges, from which sigma is learned then; else the squared errors of the mean."""
    return params.output == "volatility"


def range_factor(networks: Sequence[TrainedNetwork]) -> float:
    """What brings the variance of a range to the size of returns, by the slopes of an ensemble of `volatility`."""
    return float(np.mean([np.square(one.slope) for one in networks]))


def first_level(networks: Sequence[TrainedNetwork]) -> float:
    """The level at which an ensemble starts: the mean of what its networks came to on their validation rows."""
    return float(np.mean([one.level for one in networks]))


def sample_levels(
    said: FloatArray, sample: Sample, rows: slice, networks: Sequence[TrainedNetwork], start: float
) -> FloatArray:
    """The level at some rows of a sample, and after them: shape (rows + 1,), all `start` where nothing is followed.

    `said`: the columns of the networks' output there, in trailing volatilities. What cleaning touched says nothing.
    """
    params = networks[0].params
    if params.recalibration_bars == 0:
        return np.full(len(said) + 1, start)
    if follows_ranges(params):
        realised = sample.target[rows].astype(np.float64) * range_factor(networks)
    else:
        realised = np.square(sample.returns[rows].astype(np.float64) - said[:, 0])
    starts = np.full(len(said), np.nan)
    starts[:1] = start
    levels: FloatArray = level_path(realised, np.square(said[:, 1]), starts, params.recalibration_bars)
    return levels
