"""Agreement: whether two drivers of the exchange made the same fills and money, and the first bar where not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from markets.candles import FloatArray, IntArray

# What two fills have in common when they are the same; numbers are compared as doubles, or to a tolerance.
WORDS = ("timestamp", "symbol", "side", "reason")
NUMBERS = ("quantity", "price", "fee", "realised_pnl", "position", "cash", "slippage", "liquidation_fee")
# Of these a driver that adds up in another order comes only as near as the account is large.
MONEY = ("fee", "realised_pnl", "cash", "slippage", "liquidation_fee")
# How far two values of equity may lie apart, a fraction of the larger one, or of one unit of money.
TOLERANCE = 1e-9


class Account(NamedTuple):
    """What a driver made of a run: `fills` as in Result, `equity` at the closes of the bars that open at `stamps`."""

    fills: pd.DataFrame
    stamps: IntArray
    equity: FloatArray


class Difference(NamedTuple):
    """Where two accounts part: the open of the bar, UTC nanoseconds, and what differs there, first ours."""

    timestamp: int
    text: str


def first_difference(ours: Account, theirs: Account, near: float = 0.0) -> Difference | None:
    """The first bar at which two accounts part; None where every fill is the same and no equity further away than 1e-9.

    `near`: how far the numbers of a fill may lie apart, a fraction of the larger one, for money of the highest equity
    of ours where that is more; by default they are the same doubles. In a bar fills come before equity. Raises nothing
    where one of them is shorter: that is a difference.
    """
    fills = _of_fills(ours.fills, theirs.fills, near, float(ours.equity.max(initial=0.0)))
    found = [one for one in (fills, _of_equity(ours, theirs)) if one is not None]
    return min(found, key=lambda one: one.timestamp, default=None)


def farthest(ours: Account, theirs: Account) -> float:
    """The largest distance of two equities at one bar, a fraction of the larger one, or of one unit of money."""
    shared = min(len(ours.equity), len(theirs.equity))
    return float(_apart(ours.equity[:shared], theirs.equity[:shared]).max(initial=0.0))


def _of_fills(ours: pd.DataFrame, theirs: pd.DataFrame, near: float, largest: float) -> Difference | None:
    shared = min(len(ours), len(theirs))
    columns = {name: (ours[name].to_numpy()[:shared], theirs[name].to_numpy()[:shared]) for name in (*WORDS, *NUMBERS)}
    parts = {name: np.asarray(own != other, dtype=bool) for name, (own, other) in columns.items()}
    for name in NUMBERS if near else ():
        own, other = columns[name]
        size = np.maximum(np.abs(own), np.abs(other))
        parts[name] = ~(np.abs(own - other) <= near * (np.maximum(size, largest) if name in MONEY else size))
    differs = np.logical_or.reduce(list(parts.values()))
    if differs.any():
        row = int(np.argmax(differs))
        told = [f"{name} {own[row]} and {other[row]}" for name, (own, other) in columns.items() if parts[name][row]]
        stamps = [table["timestamp"].iloc[row].value for table in (ours, theirs)]
        return Difference(min(stamps), f"fill {row + 1}: {', '.join(told)}")
    if len(ours) == len(theirs):
        return None
    longer = ours if len(ours) > shared else theirs
    return Difference(longer["timestamp"].iloc[shared].value, f"{len(ours):,} fills and {len(theirs):,}")


def _of_equity(ours: Account, theirs: Account) -> Difference | None:
    shared = min(len(ours.stamps), len(theirs.stamps))
    differs = ours.stamps[:shared] != theirs.stamps[:shared]
    differs |= ~(_apart(ours.equity[:shared], theirs.equity[:shared]) <= TOLERANCE)
    if differs.any():
        row = int(np.argmax(differs))
        stamp = min(int(ours.stamps[row]), int(theirs.stamps[row]))
        return Difference(stamp, f"bar {row + 1}: equity {ours.equity[row]} and {theirs.equity[row]}")
    if len(ours.stamps) == len(theirs.stamps):
        return None
    longer = ours if len(ours.stamps) > shared else theirs
    return Difference(int(longer.stamps[shared]), f"{len(ours.stamps):,} bars and {len(theirs.stamps):,}")


def _apart(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    size = np.maximum(np.maximum(np.abs(ours), np.abs(theirs)), 1.0)
    return np.asarray(np.abs(ours - theirs) / size)
