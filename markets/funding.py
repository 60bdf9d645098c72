"""Funding: the payments between longs and shorts of a perpetual, as the venue stamped them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foundation.errors import DataError
from markets.candles import FloatArray, IntArray, utc

MINUTE = 60_000_000_000


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
        stamps = (np.asarray(self.timestamp, dtype=np.int64) + MINUTE // 2) // MINUTE * MINUTE
        rates = np.array(self.rate, dtype=np.float64)
        if stamps.shape != rates.shape or stamps.ndim != 1 or stamps.size == 0:
            raise DataError(self.source, f"has {stamps.size} stamps and {rates.size} rates", fix="need at least one of each")
        if not np.isfinite(rates).all():
            row = int(np.argmax(~np.isfinite(rates)))
            raise DataError(self.source, f"has a rate that is not a finite number in row {row}")
        if (np.diff(stamps) <= 0).any():
            row = int(np.argmax(np.diff(stamps) <= 0)) + 1
            raise DataError(self.source, f"has a duplicate or unsorted settlement at {utc(stamps[row])} UTC (row {row})")
        for name, array in (("timestamp", stamps), ("rate", rates)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

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
