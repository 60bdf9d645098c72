"""What a made-up venue knows: bars, mark prices and settlements of its contracts, the same for every reader."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LISTED = 1_672_531_200_000_000_000  # 2023-01-01
_HORIZON = 1200 * DAY
BARS = {"1m": MINUTE, "5m": 5 * MINUTE, "30m": 30 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "8h": 8 * HOUR, "1d": DAY}

Row = tuple[int, float, float, float, float, float]


@cache
def _series(symbol: str, kind: str, bar: int, listed: int) -> np.ndarray:
    """Rows of stamp, open, high, low, close, volume from the listing on; prices on a tick of 0.1."""
    rng = np.random.default_rng(zlib.crc32(f"{symbol} {kind} {bar}".encode()))
    first = -(-listed // bar) * bar if bar < DAY else listed // DAY * DAY
    stamps = np.arange(first, listed + min(_HORIZON, 30_000 * bar), bar)
    level = {"candles": 1000.0, "mark": 1001.0}[kind]
    close = np.round(level * np.exp(np.cumsum(rng.normal(0.0, 0.002, len(stamps)))), 1)
    opened = np.concatenate(([level], close[:-1]))
    high = np.round(np.maximum(opened, close) + rng.integers(0, 20, len(stamps)) / 10, 1)
    low = np.round(np.minimum(opened, close) - rng.integers(0, 20, len(stamps)) / 10, 1)
    volume = rng.integers(1, 100_000, len(stamps)) / 1000
    return np.column_stack((stamps.astype(np.float64), opened, high, low, close, volume))


@dataclass
class Truth:
    """The state of a venue at its own time `now`. `gaps`: stretches without bars; `revised`: later closes by stamp.

    Bars of other symbols have other prices, and so have mark prices. The running bar is served as it stands: its
    prices are not those it will close with.
    """

    now: int
    listed: int = LISTED
    funding_interval: int = 8 * HOUR
    gaps: list[tuple[int, int]] = field(default_factory=list)
    revised: dict[tuple[str, int], float] = field(default_factory=dict)
    jitter: Callable[[int], int] = lambda stamp: stamp % 7 * 1_000_000

    def bars(self, symbol: str, kind: str, bar: int, start: int, end: int) -> list[Row]:
        """The bars that open from `start` to `end`, both included, up to the one that is running."""
        table = _series(symbol, kind, bar, self.listed)
        chosen = slice(*np.searchsorted(table[:, 0], (start, min(end, self.now) + 1024)))
        rows = []
        for counted, *values in table[chosen].tolist():
            stamp = round(counted)
            if not start <= stamp <= min(end, self.now) or any(a <= stamp < b for a, b in self.gaps):
                continue
            opened, high, low, close, volume = values
            if stamp + bar > self.now:
                high, low, close, volume = opened, opened, opened, 0.5
            close = self.revised.get((kind, stamp), close)
            rows.append((stamp, opened, max(high, close), min(low, close), close, volume))
        return rows

    def closed(self, symbol: str, kind: str, bar: int, start: int, end: int) -> list[Row]:
        """The bars that open from `start` up to, not including, `end` and are over."""
        return [row for row in self.bars(symbol, kind, bar, start, end - 1) if row[0] + bar <= self.now]

    def settlements(self, symbol: str, start: int, end: int) -> list[tuple[int, float]]:
        """Settlements from `start` to `end`, both included, stamped a few milliseconds late as venues do."""
        seed = zlib.crc32(symbol.encode())
        found = []
        for stamp in range(self.listed, min(end, self.now) + 1, self.funding_interval):
            late = stamp + self.jitter(stamp // self.funding_interval)
            if start <= late <= min(end, self.now):
                found.append((late, ((seed + stamp // HOUR * 7919) % 2001 - 1000) / 1e6))
        return found
