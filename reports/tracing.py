"""Tracing: one run's curve beside another's."""

from __future__ import annotations

import numpy as np

from markets.candles import FloatArray, IntArray
from reports.curves import EquityCurve


def relative_growth(first: EquityCurve, run: EquityCurve) -> tuple[IntArray, FloatArray]:
    """The growth of a run over that of the first one on the bars they share, while the first is not ruined."""
    shared, ours, theirs = np.intersect1d(first.timestamp, run.timestamp, True, return_indices=True)
    alive = first.equity[ours] > 0.0
    growth = run.equity[theirs][alive] / run.cash / (first.equity[ours][alive] / first.cash)
    return shared[alive], growth
