"""Funding: the payments between longs and shorts of a perpetual, as the venue stamped them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foundation.errors import DataError
from markets.candles import FloatArray, IntArray, check_order, utc

MINUTE = 60_000_000_000
# Of settlements every 8 hours the median size is near 0.0001 at every venue known here, and in percent near 0.01.
LEAST_IN_PERCENT = 0.002


def to_minute(stamps: IntArray) -> IntArray:
    """Settlement times as they count: to the nearest full minute, from half a minute on to the next."""
    return (stamps + MINUTE // 2) // MINUTE * MINUTE


@dataclass(frozen=True, eq=False)
class Funding:
    """Funding settlements of one contract.

    `timestamp`: settlement time, UTC nanoseconds, int64, rising; venues stamp with some jitter, so
    stamps are rounded to the minute. `rate`: fraction of notional; longs pay a positive rate.
    `source`: the file or generator, named in errors. Intervals vary (1 h to 8 h) and are never assumed.
    """

    timestamp: IntArray
    rate: FloatArray
    source: str = "funding"

    def __post_init__(self) -> None:
        stamps = to_minute(self._stamps())
        rates = np.array(self.rate, dtype=np.float64)
        if stamps.shape != rates.shape or stamps.ndim != 1 or stamps.size == 0:
            problem = f"has {stamps.size} stamps and {rates.size} rates"
            raise DataError(self.source, problem, fix="hand in one rate for each stamp")
        check_order(stamps, self.source)
        for wrong, what, fix in (
            (~np.isfinite(rates), "is missing or not a finite number", "mend or fetch the row again"),
            (np.abs(rates) >= 1.0, "is no fraction of notional", "write 0.01 % as 0.0001"),
        ):
            if wrong.any():
                row = int(np.argmax(wrong))
                place = f"{utc(stamps[row])} UTC (row {row}), {int(wrong.sum())} in all"
                raise DataError(self.source, f"has a funding rate that {what} ({rates[row]:g}) at {place}", fix=fix)
        for name, array in (("timestamp", stamps), ("rate", rates)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def _stamps(self) -> IntArray:
        stamps = np.asarray(self.timestamp)
        if stamps.dtype.kind not in "iuM":
            fix = "hand in UTC nanoseconds (int64) or numpy datetime64"
            raise DataError(self.source, f"has stamps of type {stamps.dtype}", fix=fix)
        return (stamps.astype("datetime64[ns]") if stamps.dtype.kind == "M" else stamps).astype(np.int64)

    def __len__(self) -> int:
        return len(self.timestamp)

    def missing(self, start: int, end: int, interval: int) -> tuple[int, int] | None:
        """The first stretch of [start, end) longer than `interval` ns without a settlement, or None.

        Venues shorten intervals at times, so only stretches longer than the contract's rule count.
        """
        inside = self.timestamp[(self.timestamp >= start) & (self.timestamp < end)]
        points = np.concatenate(([start], inside, [end]))
        too_long = np.flatnonzero(np.diff(points) > interval)
        if too_long.size == 0:
            return None
        return int(points[too_long[0]]), int(points[too_long[0] + 1])


def in_percent(rates: FloatArray) -> tuple[int, float] | None:
    """The first row that gives away rates written in percent, and their typical size; None for fractions.

    Rates are taken for percent where their median size, zeros aside, is 0.002 or more: a fifth of a
    percent of notional at each settlement is what squeezes pay for hours, not the half of a history.
    """
    sizes = np.abs(rates)
    known = sizes[np.isfinite(sizes) & (sizes > 0.0)]
    typical = float(np.median(known)) if known.size else 0.0
    return (int(np.argmax(sizes >= LEAST_IN_PERCENT)), typical) if typical >= LEAST_IN_PERCENT else None
