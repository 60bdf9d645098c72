"""Volatility regimes: how wild each bar was beside all bars before it, so that no label knows what came later."""

from __future__ import annotations

import math

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray, IntArray
from models.volatility import ewma_volatility

VOLATILITY_BARS = 32
LEAST_PAST = 100
REGIMES = ("calm", "middling", "wild")


def volatility_regimes(close: FloatArray) -> IntArray:
    """The number in REGIMES of each bar; -1 where fewer than LEAST_PAST bars before it have a volatility.

    A bar is calm where its trailing volatility, known at its close, is above less than a third of those of all
    EARLIER bars, and wild where it is above two thirds of them or more.
    """
    share = past_share(ewma_volatility(close, VOLATILITY_BARS), LEAST_PAST)
    regimes: IntArray = np.where(np.isnan(share), -1, np.minimum(np.floor(3.0 * np.nan_to_num(share)), 2.0)).astype(
        np.int64
    )
    return regimes


def past_share(values: FloatArray, least: int) -> FloatArray:
    """The share of the earlier values that are below each one; NaN for NaN, and after fewer than `least` values."""
    # The order of all values only says where in the tree one is counted: what counts at t are the values before t.
    places = np.unique(values, return_inverse=True)[1]
    share: FloatArray = _past_share(values, places.astype(np.int64), least)
    return share


@rule(makes_arrays=True)
def _past_share(values: FloatArray, places: IntArray, least: int) -> FloatArray:
    """By a tree of partial counts (Fenwick 1994): each value costs the logarithm of their number."""
    size = len(values) + 1
    counts, share = np.zeros(size + 1, dtype=np.int64), np.full(len(values), np.nan)
    seen = 0
    for t in range(len(values)):
        if math.isnan(values[t]):
            continue
        below, at = 0, places[t]
        while at > 0:
            below += counts[at]
            at -= at & -at
        if seen >= least:
            share[t] = below / seen
        at = places[t] + 1
        while at <= size:
            counts[at] += 1
            at += at & -at
        seen += 1
    return share
