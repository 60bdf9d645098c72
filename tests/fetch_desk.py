"""What the tests of fetching share: a clock that does not wait, a fetch of a made-up venue, and what it should keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from venue_server import Served
from venue_truth import BARS, DAY, HOUR, LISTED, MINUTE, Truth

from markets.fetching.connection import Connection
from markets.fetching.fetching import fetch_market
from markets.fetching.parts import Fetched
from markets.fetching.retry import Retry
from markets.funding import MINUTE as ROUNDING
from markets.series import SeriesKey, read_rows

SYMBOLS = {
    "binance_usdm": "BTCUSDT",
    "binance_coinm": "BTCUSD_PERP",
    "bybit_linear": "BTCUSDT",
    "bybit_inverse": "BTCUSD",
    "okx": "BTC-USDT-SWAP",
    "bitget": "BTCUSDT",
    "bingx": "BTC-USDT",
    "gate": "BTC_USDT",
    "bitmex": "XBTUSD",
}
# Half an hour into a bar of one hour, 60 days after the listing: 2023-03-02 00:30.
NOW = LISTED + 60 * DAY + 30 * MINUTE


class StillClock:
    """A clock that moves only when someone sleeps, and keeps what was slept."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Moves on at once."""
        self.slept.append(seconds)
        self.time += seconds


def truth(**changes: Any) -> Truth:
    """A venue 60 days after its contracts were listed."""
    return Truth(**{"now": NOW, **changes})


def connection(served: Served, **changes: Any) -> Connection:
    """A connection to the made-up venue, without a rate limit and without waiting."""
    values = {"base_url": served.url, "seconds_apart": 0.0, "clock": StillClock(), "timeout_seconds": 5.0}
    return Connection(**{**values, **changes})


def fetch(
    served: Served,
    folder: Path,
    venue: str = "binance_usdm",
    *,
    bar: str = "1h",
    since: str | None = "2022-12-01",
    until: str | None = None,
    only: Sequence[str] = ("candles",),
    archive: bool = False,
    revise: bool = False,
    **changes: Any,
) -> dict[str, Fetched]:
    """What a fetch of the venue's first contract says of each part."""
    done = fetch_market(
        f"{venue}:{SYMBOLS[venue]}", bar, since, until, out=folder, only=only, archive=archive, revise=revise,
        connection=connection(served, **changes),
    )  # fmt: skip
    return {one.part: one for one in done}


def stored(folder: Path, venue: str = "binance_usdm", kind: str = "candles", bar: str = "1h") -> dict[str, Any]:
    """The stored rows of a series."""
    length = None if kind == "funding" else BARS[bar]
    return read_rows(folder, SeriesKey(venue, SYMBOLS[venue], kind, length))  # type: ignore[arg-type]


def expected(known: Truth, venue: str = "binance_usdm", kind: str = "candles", bar: str = "1h") -> dict[str, Any]:
    """The rows that a whole fetch should have stored: all that is over, as the venue knows it."""
    symbol = SYMBOLS[venue]
    if kind == "funding":
        rows = known.settlements(symbol, 0, known.now - 1)
        stamps = (np.array([stamp for stamp, _ in rows]) + ROUNDING // 2) // ROUNDING * ROUNDING
        return {"timestamp": stamps, "funding_rate": np.array([rate for _, rate in rows])}
    table = np.array([row[1:] for row in known.closed(symbol, kind, BARS[bar], 0, known.now)])
    stamps = np.array([row[0] for row in known.closed(symbol, kind, BARS[bar], 0, known.now)])
    columns = dict(zip(("open", "high", "low", "close"), table.T[:4], strict=True))
    volume = {"volume": table[:, 4]} if kind == "candles" else {}
    return {"timestamp": stamps, **columns, **volume, "touched": np.zeros(len(stamps), dtype=np.bool_)}


def same(rows: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two sets of rows have the same columns and values; volumes to a relative 1e-9, as units are converted."""
    if rows.keys() != other.keys() or len(rows["timestamp"]) != len(other["timestamp"]):
        return False
    exact = all(np.array_equal(rows[name], other[name]) for name in rows if name != "volume")
    return exact and ("volume" not in rows or bool(np.allclose(rows["volume"], other["volume"], rtol=1e-9, atol=0.0)))


__all__ = ["DAY", "HOUR", "LISTED", "MINUTE", "NOW", "SYMBOLS", "Retry", "StillClock"]
