"""What candles say about market impact: volatility and volume as they were known before each of them."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from foundation.errors import DataError
from markets.candles import Candles, FloatArray, utc


def impact_units(candles: Candles, bars: int) -> FloatArray:
    """`sigma / sqrt(volume)` as known before each candle, from the `bars` before it, or as many as there are.

    Candles that cleaning touched are left out, and returns on either side of them; the first candle's
    return is from its open. NaN or infinite where no return, or no volume, is known.
    """
    close, clean = candles.close, ~candles.touched
    returns: FloatArray = np.log(close / np.concatenate((candles.open[:1], close[:-1])))
    whole = clean & np.concatenate(([True], clean[:-1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.sqrt(
            _sum_before(np.where(whole, returns**2, 0.0), bars) / _sum_before(whole.astype(np.float64), bars)
        )
        volume = _sum_before(np.where(clean, candles.volume, 0.0), bars) / _sum_before(clean.astype(np.float64), bars)
        return np.asarray(sigma / np.sqrt(volume))


def checked_impact_units(candles: Candles, bars: int, first: int = 0) -> FloatArray:
    """`impact_units` for a run whose first decision falls at the close of row `first`; DataError where one is unknown.

    0 up to and with that row, on which nothing fills: what lies before it warms averages up, as much of it as the
    settings played together need, and is asked nothing.
    """
    units = impact_units(candles, bars)
    units[: first + 1] = 0.0
    unknown = ~np.isfinite(units)
    if unknown.any():
        row = int(np.argmax(unknown))
        problem = f"hold no volume, or no move, in the {bars} bars before {utc(candles.timestamp[row])} UTC (row {row})"
        fix = "hand in volumes, raise costs.impact_bars, or set costs.impact = 0"
        raise DataError(candles.source, problem, fix=fix)
    return units


def _sum_before(values: FloatArray, count: int) -> FloatArray:
    """At each row the sum over the `count` rows before it."""
    padded = np.concatenate((np.zeros(count), values))
    return np.asarray(sliding_window_view(padded, count)[: len(values)].sum(axis=1))
