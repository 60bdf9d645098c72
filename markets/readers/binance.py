"""Binance's files of bars: its monthly and daily archive, and exports of its REST API."""

from __future__ import annotations

import re

import numpy as np

from foundation.errors import DataError
from markets.candles import IntArray, duration
from markets.readers.candles import PRICES, make_reading, price_columns, quote_volume_defects, require, stamp_defect
from markets.readers.raw import RawTable
from markets.readers.reading import Defect, Reading, ReadOptions
from markets.readers.stamps import common_step, in_utc, read_stamps

ARCHIVE = "Binance archive"
REST = "Binance REST"
_FIELDS = (
    "open_time",
    *PRICES,
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
_SYMBOL = re.compile(r"^([A-Z0-9]{5,}(?:_[A-Z0-9]+)?)[-_]")
_CUT = re.compile(r"\D")


def detect_archive(raw: RawTable) -> str | None:
    """Why a file is one of Binance's archive: its twelve columns, by name or in their order."""
    if raw.kind != "csv" or len(raw.names) != 12:
        return None
    if raw.header:
        same = set(raw.lower) == set(_FIELDS)
        return "its header names the twelve columns of the archive" if same else None
    first = [raw.text(str(k), 0).strip("'") for k in (0, 6)]
    if all(re.fullmatch(r"\d{10,19}", text) for text in first):
        return "it has no header and twelve columns, with an open time first and a close time seventh"
    return None


def detect_rest(raw: RawTable) -> str | None:
    """Why a file is an export of the REST API: bars with a close time and a quote volume under a header."""
    if raw.kind != "csv" or not raw.header or "taker_buy_volume" in raw.lower:
        return None
    needed = {*PRICES, "volume", "close_time", "quote_volume"}
    stamped = {"timestamp", "open_time"} & set(raw.lower)
    return (
        "its header names close_time and quote_volume beside the bars" if needed <= set(raw.lower) and stamped else None
    )


def read_archive(raw: RawTable, options: ReadOptions, reason: str) -> Reading:
    """The bars of an archive file. Files of mark prices have the same columns with no volume in any row."""
    names = require(raw, _FIELDS) if raw.header else {field: str(k) for k, field in enumerate(_FIELDS)}
    return _read(raw, options, ARCHIVE, reason, names)


def read_rest(raw: RawTable, options: ReadOptions, reason: str) -> Reading:
    """The bars of an export of the REST API, which hands out the running bar as its last."""
    stamp = "timestamp" if "timestamp" in raw.lower else "open_time"
    names = require(raw, (stamp, *PRICES, "volume", "close_time", "quote_volume"))
    names["open_time"] = names[stamp]
    reading = _read(raw, options, REST, reason, names)
    note = "the REST API hands out the running bar too: the last bar may be unfinished"
    return Reading(**{**vars(reading), "notes": (*reading.notes, note)})


def symbol_of(raw: RawTable) -> str:
    """The symbol in a file name such as BTCUSDT-1h-2023-01.csv, or nothing."""
    found = _SYMBOL.match(raw.name)
    return found.group(1) if found and not _CUT.fullmatch(found.group(1)) else ""


def _read(raw: RawTable, options: ReadOptions, form: str, reason: str, names: dict[str, str]) -> Reading:
    stamps, notes = read_stamps(raw, names["open_time"])
    stamps = in_utc(stamps, notes, options.utc_offset)
    closes, _ = read_stamps(raw, names["close_time"])
    closes = closes if options.utc_offset is None else closes - round(options.utc_offset * 3600) * 10**9
    columns = price_columns(raw, stamps, names)
    quote = raw.numbers(names["quote_volume"])
    defects = _close_defects(raw, stamps, closes, notes)
    empty = not np.any(columns["volume"]) and not np.any(quote)
    mark = options.kind == "mark" or (options.kind == "auto" and empty and form == ARCHIVE)
    if mark:
        if not empty:
            raise DataError(raw.path, "has volumes, so it holds trades and no mark prices", fix="leave out --kind mark")
        notes.append("no row has a volume, as in the archive's mark prices: read as mark")
        del columns["volume"]
    else:
        defects += quote_volume_defects(raw, columns, quote)
    return make_reading(
        raw, "mark" if mark else "candles", form, reason, columns, notes, defects, symbol=symbol_of(raw)
    )


def _close_defects(raw: RawTable, stamps: IntArray, closes: IntArray, notes: list[str]) -> list[Defect]:
    """A bar's close time is one unit before the next open; a bar cut short by an outage ends earlier."""
    bar = common_step(stamps)
    if bar == 0:
        return []
    lengths = closes - stamps
    wrong = (lengths < 0) | (lengths >= bar)
    short = ~wrong & (lengths < bar - bar // 50 - 10**9)
    if short.any():
        row = int(np.argmax(short))
        notes.append(
            f"{int(short.sum()):,} bar(s) of {duration(bar)} end early, as in an outage (first in {raw.place(row)})"
        )
    return stamp_defect(
        raw, wrong, f"its close time is not inside the {duration(bar)} after its open time", "fetch the row again"
    )
