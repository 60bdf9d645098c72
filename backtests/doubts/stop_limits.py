"""Stop limits: the leverage from which on the stop of an entry lies beyond its liquidation, where it never acts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtests.doubts.playback import Playback
from backtests.doubts.ruin import highest_leverage
from backtests.exchange.levels import liquidation_level
from backtests.exchange.records import FILL_REASONS, Records, Row
from backtests.exchange.valuation import initial_margin_of, reserve_of
from foundation.compilation import rule
from markets.candles import FloatArray, IntArray

# Entries for which the leverage is sought at which their stop lies beyond liquidation, and how closely.
MOST_ENTRIES, STEPS = 500, 30
ENTRY = FILL_REASONS.index("entry")


@dataclass(frozen=True)
class StopLimits:
    """The leverage from which on a stop lies beyond liquidation, over the entries of a run.

    `least`, `median`: of those leverages, the highest allowed where none is high enough. `beyond`: the share of
    entries whose stop lay beyond liquidation at the run's own leverage. `entries`: how many were looked at.
    """

    least: float
    median: float
    beyond: float
    entries: int


def stop_limits(playback: Playback) -> StopLimits | None:
    """Where stops meet liquidation; None without a stop or an entry, and on cross margin, where the account stands in.

    For each entry, as it was filled: the lowest leverage at which the price of liquidation is reached before that of
    the stop, both as they stand when the entry has filled. At most 500 entries, evenly spaced.
    """
    fills, rows = playback.fills()
    chosen = np.flatnonzero((fills["reason"] == ENTRY) & (fills["opening"] == 1))
    stop = playback.risk.first_stop
    if stop is None or playback.account.margin == "cross" or len(chosen) == 0:
        return None
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, MOST_ENTRIES).astype(int))]
    entries, limits = fills[chosen], np.empty(len(chosen))
    distances, of_margin = _distances(playback, entries, rows[chosen]), stop.unit == "%margin"
    most, own = highest_leverage(playback), playback.risk.leverage
    beyond = _find_limits(playback.scene.contracts, entries, distances, of_margin, most, own, limits)
    return StopLimits(float(limits.min()), float(np.median(limits)), beyond / len(chosen), len(chosen))


def _distances(playback: Playback, entries: Records, rows: IntArray) -> FloatArray:
    """How far the stop of each entry stands from it, in price; of a stop in "%margin" times the leverage."""
    stop, price, before = playback.risk.first_stop, entries["price"], (entries["symbol"], rows - 1)
    assert stop is not None
    match stop.unit:
        case "%" | "%margin":
            found = price * stop.amount / 100.0
        case "atr":
            found = stop.amount * playback.wish.atr[before]
        case _:
            found = price * stop.amount * playback.wish.sigma[before]
    return np.ascontiguousarray(found, dtype=np.float64)


@rule
def _find_limits(
    contracts: Records,
    entries: Records,
    distances: FloatArray,
    of_margin: bool,
    most: float,
    leverage: float,
    limits: FloatArray,
) -> int:
    """How many stops lie beyond liquidation at a leverage; writes `limits`, the lowest from 1 to `most`, by halving."""
    beyond = 0
    for k in range(len(entries)):
        contract, entry, distance = contracts[entries[k].symbol], entries[k], distances[k]
        beyond += 1 if _stop_beyond(contract, entry, distance, of_margin, leverage) else 0
        low, high = min(1.0, most), most
        if not _stop_beyond(contract, entry, distance, of_margin, most):
            low = most
        elif _stop_beyond(contract, entry, distance, of_margin, low):
            high = low
        else:
            for _ in range(STEPS):
                middle = 0.5 * (low + high)
                if _stop_beyond(contract, entry, distance, of_margin, middle):
                    high = middle
                else:
                    low = middle
        limits[k] = high
    return beyond


@rule
def _stop_beyond(contract: Row, entry: Row, distance: float, of_margin: bool, leverage: float) -> bool:
    """Whether an entry (a FILL record) has its stop beyond its liquidation price at a leverage."""
    side, price, quantity = entry.side, entry.price, entry.quantity
    reserve = reserve_of(contract, side * quantity, price, leverage)
    posted = initial_margin_of(contract, quantity, price, leverage) + reserve
    liquidation = liquidation_level(contract, side * quantity, price, posted, reserve)
    away = distance / leverage if of_margin else distance
    return liquidation > 0.0 and side * (liquidation - (price - side * away)) >= 0.0
