"""Rolling figures: how a run fared in the time up to each of its bars."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from markets.candles import FloatArray, IntArray
from reports.curves import EquityCurve

QUARTER = 90 * 86_400_000_000_000


def rolling_bars(curve: EquityCurve) -> int:
    """The bars of 90 days, or of a third of a run that is shorter than 270 days; at least 2."""
    return max(2, min(QUARTER // curve.bar, len(curve.equity) // 3))


def shared_window(curves: Mapping[str, EquityCurve]) -> int:
    """Over how many bars the Sharpe ratio rolls: the same for all runs."""
    return min(rolling_bars(run) for run in curves.values())


def rolling_sharpe(curve: EquityCurve, bars: int) -> tuple[IntArray, FloatArray]:
    """The yearly Sharpe ratio of the last `bars` bars, and the opens of the bars at whose close it is known.

    mean / standard deviation (one degree of freedom less) of the returns in the window, by the root of the bars of a
    year; 0 where nothing varied.
    """
    if len(curve.returns) < bars:
        return curve.timestamp[:0], curve.returns[:0]
    # Sums about the mean of all returns, so that little is lost to rounding.
    centre = float(curve.returns.mean())
    shifted = np.concatenate(([0.0], curve.returns - centre))
    total, squares = np.cumsum(shifted), np.cumsum(np.square(shifted))
    mean = (total[bars:] - total[:-bars]) / bars
    variance = ((squares[bars:] - squares[:-bars]) - bars * np.square(mean)) / (bars - 1)
    moving = variance > 1e-12 * float(np.square(shifted).max())
    ratio = np.zeros(len(mean))
    ratio[moving] = (mean[moving] + centre) / np.sqrt(variance[moving]) * math.sqrt(curve.bars_per_year)
    return curve.timestamp[bars - 1 :], ratio
