"""Sigma's source: whether it is a forecast's own, a trailing volatility, or the width of learned quantiles."""

from __future__ import annotations

from typing import Literal

import numpy as np

from markets.candles import FloatArray
from models.track import Track

Source = Literal["own", "trailing", "quantiles"]
# How far a square may lie from the recursion, in its own size, and the share of rows that may lie farther (floors).
ROUNDING, SHARE = 1e-9, 0.01
LEAST_ROWS = 10


def sigma_source(track: Track) -> Source:
    """What the sigma of some forecasts is, told from the forecasts alone.

    `quantiles`: where these were learned, sigma is that of the normal distribution whose outermost quantiles lie as far
    apart. `trailing`: in each model its square follows s'^2 = s^2 + a (k r'^2 - s^2) with one a and k, r' the newest
    return: an exponential average of squared returns times one number, which no network has learned. Else `own`.
    """
    if track.quantiles is not None and 0.5 in track.levels:
        return "quantiles"
    moves = np.append(np.nan, np.diff(np.log(track.close)))
    square = np.square(track.sigma)
    same = np.append(False, track.model[1:] == track.model[:-1])
    known = same & (track.model >= 0) & np.isfinite(square) & np.isfinite(np.append(np.nan, square[:-1]))
    found = []
    for model in np.unique(track.model[known]):
        rows = np.flatnonzero(known & (track.model == model))
        if len(rows) >= LEAST_ROWS:
            found.append(_is_average(np.square(moves[rows]), square[rows - 1], square[rows]))
    return "trailing" if found and all(found) else "own"


def _is_average(moves: FloatArray, before: FloatArray, after: FloatArray) -> bool:
    """Whether some squares follow a recursion of squared returns, by the least-squares fit of its two numbers."""
    change, shown = after / before - 1.0, np.column_stack((moves / before, np.full(len(moves), -1.0)))
    slopes = np.linalg.lstsq(shown, change, rcond=None)[0]
    apart = np.abs(change - shown @ slopes) > ROUNDING * (1.0 + np.abs(shown).sum(axis=1))
    return 0.0 < slopes[1] < 1.0 and float(apart.mean()) <= SHARE
