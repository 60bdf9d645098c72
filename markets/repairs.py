"""Repairs: the prices that stand in for a bar that is missing or impossible, and the score that finds outliers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from markets.candles import BoolArray, FloatArray

_PRICES = ("open", "high", "low", "close")


def outlier_scores(columns: Mapping[str, Any], window: int) -> FloatArray:
    """The robust score of each bar against the bars before it: how far it stands out, in deviations.

    excursion(t) = max |ln(price(t) / median of the five closes before t)| over its four prices;
    score(t) = (excursion(t) - median) / (1.4826 * median absolute deviation), both over the `window`
    bars before t. 0 until half a window has gone by. A real crash scores as high as a bad print.
    """
    close = pd.Series(columns["close"])
    level = close.rolling(5, min_periods=1).median().shift(1).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        excursion = np.max([np.abs(np.log(columns[name] / level)) for name in _PRICES], axis=0)
    series = pd.Series(excursion)
    middle = series.rolling(window, min_periods=window // 2).median().shift(1)
    spread = (series - middle).abs().rolling(window, min_periods=window // 2).median().shift(1) * 1.4826
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = ((series - middle) / spread.clip(lower=1e-6)).to_numpy()
    known: FloatArray = np.nan_to_num(scores, nan=0.0)
    return known


def replacement(close: FloatArray, bad: Mapping[str, BoolArray], window: int) -> FloatArray:
    """The prices that stand in for bad bars, given the bad bars of each repair; other bars keep their close.

    forward_fill: the close before, a repaired one too. mean: the mean of the `window` closes before,
    repaired ones among them. interpolate: the straight line in time between the good closes around
    it, which looks ahead. The first bar has to be good.
    """
    filled = close.copy()
    every = np.any(list(bad.values()), axis=0)
    drawn = bad.get("interpolate")
    if drawn is not None:
        good = np.flatnonzero(~every)
        filled[drawn] = np.interp(np.flatnonzero(drawn), good, close[good])
    mean = bad.get("mean")
    averaged = np.zeros(len(close), dtype=np.bool_) if mean is None else mean
    for row in np.flatnonzero(every if drawn is None else every & ~drawn):
        filled[row] = filled[max(row - window, 0) : row].mean() if averaged[row] else filled[row - 1]
    return filled
