"""Files of order-book messages, one a line, as recorders of Binance and Hyperliquid streams write them."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foundation.errors import DataError
from markets.candles import FloatArray, IntArray
from markets.order_book import BookUpdate, Level

MILLISECOND = 1_000_000


@dataclass(frozen=True, eq=False)
class Trades:
    """Trades in time order: `time` (the exchange's, UTC nanoseconds), `price`, `size`; `side`, 1 for a buyer's."""

    time: IntArray
    price: FloatArray
    size: FloatArray
    side: FloatArray


@dataclass(frozen=True, eq=False)
class BookRecording:
    """What was recorded of one contract: updates of its book in their order, and its trades.

    `clock_lag`: how far the recorder's clock ran behind the exchange's in nanoseconds (median; negative: ahead, as
    latency makes it). All times are the exchange's, so that a wrong clock of the recorder moves nothing.
    """

    updates: tuple[BookUpdate, ...]
    trades: Trades
    clock_lag: int
    source: str


def read_recording(path: Path) -> BookRecording:
    """The messages in a file, `*.jsonl` or `*.jsonl.gz`: a line is the receive time in nanoseconds, a space, and JSON.

    Binance: depthUpdate, trade and aggTrade of USD-M and COIN-M, and REST snapshots; best prices (bookTicker) are left
    out, because the book has them. Hyperliquid: l2Book and trades. Raises DataError that names the line.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except FileNotFoundError:
        raise DataError(path, "there is no such file", fix="paths start from the data folder (--data DIR)") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(path, f"cannot be read ({error})", fix="copy or fetch the file again, whole") from None
    updates: list[BookUpdate] = []
    trades: list[tuple[int, float, float, float]] = []
    lags: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        received, _, message = line.partition(" ")
        if '"bookTicker"' in message[:80]:
            continue
        try:
            lags.append(_take(json.loads(message), updates, trades) - int(received))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            problem = f"line {number} is no message it can read ({type(error).__name__}: {str(error)[:60]})"
            raise DataError(path, problem, fix="mend the line, or fetch the file again") from None
    if not updates or not trades:
        problem = f"holds {len(updates)} updates of a book and {len(trades)} trades"
        raise DataError(path, problem, fix="record both")
    trades.sort(key=lambda trade: trade[0])
    time, price, size, side = (np.array(column) for column in zip(*trades, strict=True))
    return BookRecording(tuple(updates), Trades(time, price, size, side), int(np.median(lags)), source=str(path))


def _take(message: Any, updates: list[BookUpdate], trades: list[tuple[int, float, float, float]]) -> int:
    """Puts a message where it belongs; its time by the exchange's clock, UTC nanoseconds."""
    if "lastUpdateId" in message:
        time, last = int(message["E"]) * MILLISECOND, int(message["lastUpdateId"])
        updates.append(BookUpdate(time, True, _levels(message["bids"]), _levels(message["asks"]), last, last, last))
        return time
    body = message["data"]
    if message.get("channel") == "l2Book":
        time = int(body["time"]) * MILLISECOND
        bids, asks = ([(float(one["px"]), float(one["sz"])) for one in side] for side in body["levels"])
        updates.append(BookUpdate(time, True, bids, asks))
        return time
    if message.get("channel") == "trades":
        rows = [
            (int(one["time"]) * MILLISECOND, float(one["px"]), float(one["sz"]), 1.0 if one["side"] == "B" else -1.0)
            for one in body
        ]
        trades += rows
        return rows[-1][0]
    time = int(body["E"]) * MILLISECOND
    if body["e"] == "depthUpdate":
        ids = int(body["U"]), int(body["u"]), int(body["pu"])
        updates.append(BookUpdate(time, False, _levels(body["b"]), _levels(body["a"]), *ids))
    elif body["e"] in ("trade", "aggTrade"):
        trades.append((int(body["T"]) * MILLISECOND, float(body["p"]), float(body["q"]), -1.0 if body["m"] else 1.0))
    else:
        raise ValueError(f"an event {body['e']!r}")
    return time


def _levels(written: list[list[str]]) -> list[Level]:
    return [(float(price), float(quantity)) for price, quantity in written]
