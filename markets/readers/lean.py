"""LEAN's files: zips of one day of trade or quote bars, and margin interest (funding)."""

from __future__ import annotations

import re

import numpy as np

from foundation.errors import DataError
from markets.candles import SECOND, FloatArray, IntArray
from markets.readers.candles import PRICES, make_reading
from markets.readers.raw import RawTable
from markets.readers.reading import Defect, Reading, ReadOptions
from markets.readers.stamps import in_utc, read_stamps

NAME = "LEAN"
_DAY = re.compile(r"^(\d{8})_([a-z0-9]+)_(minute|second)_(trade|quote)", re.IGNORECASE)
_RATE = re.compile(r"^\d{8} \d{2}:\d{2}")


def detect(raw: RawTable) -> str | None:
    """Why a file is LEAN's: a zip member named by day, symbol and kind, or dated funding without a header."""
    if raw.kind != "csv" or raw.header:
        return None
    found = _DAY.match(raw.name)
    if found and len(raw.names) == (6 if found.group(4).lower() == "trade" else 11):
        return f"its name says day, symbol and kind ({raw.name}), and its rows count milliseconds of that day"
    if len(raw.names) == 2 and _RATE.match(raw.text("0", 0).strip("'")):
        return "it has no header, a time such as 20221213 08:00:00 and a rate, as its margin interest"
    return None


def read(raw: RawTable, options: ReadOptions, reason: str) -> Reading:
    """The bars or rates of one file, in UTC.

    Quote bars hold bid and ask bars: they read as the middle of the two (of kind `quotes`). The
    middle of two highs need not have been a middle price at any moment.
    """
    found = _DAY.match(raw.name)
    if found is None:
        stamps, notes = read_stamps(raw, "0")
        stamps = in_utc(stamps, notes, options.utc_offset)
        columns = {"timestamp": stamps, "funding_rate": raw.numbers("1")}
        return make_reading(
            raw, "funding", NAME, reason, columns, notes, symbol=raw.name.split("_")[-1].split(".")[0].upper()
        )
    stamps = _stamps(raw, found.group(1))
    notes = []
    stamps = in_utc(stamps, notes, options.utc_offset)
    symbol = found.group(2).upper()
    if found.group(4).lower() == "trade":
        columns = {"timestamp": stamps, **{name: raw.numbers(str(k + 1)) for k, name in enumerate((*PRICES, "volume"))}}
        return make_reading(raw, "candles", NAME, reason, columns, notes, symbol=symbol)
    bid = [raw.numbers(str(k)) for k in range(1, 5)]
    ask = [raw.numbers(str(k)) for k in range(6, 10)]
    notes.append("bid and ask bars are read as their middle")
    middle = {name: (bid[k] + ask[k]) / 2 for k, name in enumerate(PRICES)}
    kind = "mark" if options.kind == "mark" else "quotes"
    columns = {"timestamp": stamps, **middle}
    return make_reading(raw, kind, NAME, reason, columns, notes, _crossed(raw, bid, ask), symbol=symbol)  # type: ignore[arg-type]


def _stamps(raw: RawTable, day: str) -> IntArray:
    count = raw.numbers("0")
    outside = ~((count >= 0) & (count < 86_400_000) & (count == np.floor(count)))
    if outside.any():
        row = int(np.argmax(outside))
        problem = f"column 0 holds {raw.text('0', row)} in {raw.place(row)}, which is no millisecond of a day"
        raise DataError(raw.path, problem, fix="fetch the file again")
    try:
        start = np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}", "ns").astype(np.int64)
    except ValueError:
        raise DataError(raw.path, f"its member {raw.name} names no day", fix="fetch the file again") from None
    return start + count.astype(np.int64) * (SECOND // 1000)


def _crossed(raw: RawTable, bid: list[FloatArray], ask: list[FloatArray]) -> list[Defect]:
    wrong = ~((bid[0] <= ask[0]) & (bid[3] <= ask[3]))
    if not wrong.any():
        return []
    row = int(np.argmax(wrong))
    problem = f"{raw.place(row)}: its bid stands above its ask ({int(wrong.sum()):,} in all)"
    return [Defect("crossed quotes", problem, "fetch the row again", int(wrong.sum()))]
