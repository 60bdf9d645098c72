"""Provenance: which of the models that made some forecasts were fitted.

Read by commands that only show a run, so nothing here loads a compiler.
"""

from __future__ import annotations

import numpy as np

from markets.candles import IntArray


def fitted_models(model: IntArray, trained_through: IntArray) -> IntArray:
    """The numbers of the models, by row, that were fitted: those all of whose rows were trained through one moment.

    A forecaster that is asked bar by bar may learn as it goes: each of its rows was trained through the bar before it.
    """
    numbers, first, at = np.unique(model, return_index=True, return_inverse=True)
    moving = np.zeros(len(numbers), dtype=bool)
    np.logical_or.at(moving, at, trained_through != trained_through[first][at])
    found: IntArray = numbers[~moving]
    return found
