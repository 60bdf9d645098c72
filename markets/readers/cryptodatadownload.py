"""CryptoDataDownload's files of bars, in the variants that have gone round since 2017."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa

from foundation.errors import DataError
from markets.candles import BoolArray, FloatArray, IntArray, utc
from markets.readers.candles import (
    PRICES,
    make_reading,
    price_columns,
    quote_volume_defects,
    require,
    stamp_defect,
    symbol_of,
)
from markets.readers.raw import RawTable
from markets.readers.reading import Defect, Reading, ReadOptions
from markets.readers.stamps import NO_ZONE, in_utc, read_dates, read_stamps

NAME = "CryptoDataDownload"
_UNIX = ("unix", "timestamp", "unix timestamp")
_QUOTES = ("usdt", "usd", "usdc", "busd", "eur", "gbp", "tusd")


def detect(raw: RawTable) -> str | None:
    """Why a file is one of theirs: the address above its header, or a date, a symbol and two volumes."""
    if raw.kind != "csv" or not raw.header:
        return None
    if any("cryptodatadownload" in line.lower() for line in raw.preface):
        return "the line above its header names it"
    volumes = [name for name in raw.lower if name.startswith("volume")]
    if {"date", "symbol", *PRICES} <= set(raw.lower) and len(volumes) == 2:
        return "its header names a date, a symbol and two volumes"
    return None


def read(raw: RawTable, options: ReadOptions, reason: str) -> Reading:
    """The bars of one file: spot, stamped at the open in UTC, newest first as a rule.

    Where a unix stamp and a date stand side by side, both are read, and rows in which they differ
    are a defect. Two volumes stand in each row, in base and in quote: rows in which they stand in
    the wrong columns show by the price they give, and are put right with a note.
    """
    names = require(raw, ("date", *PRICES))
    unix = next((name for name in _UNIX if name in raw.lower), None)
    defects: list[Defect] = []
    if unix is None:
        stamps, notes = read_stamps(raw, names["date"])
    else:
        stamps, notes = read_stamps(raw, raw.names[raw.lower.index(unix)])
        defects = _clock_defects(raw, stamps, names["date"], notes)
    if NO_ZONE in notes and any("utc" in line.lower() for line in raw.preface):
        notes.remove(NO_ZONE)
    stamps = in_utc(stamps, notes, options.utc_offset)
    base, quote = _volume_names(raw)
    columns = price_columns(raw, stamps, {**names, "volume": base})
    columns["volume"], quote_volume = _straighten(raw, columns, raw.numbers(quote), notes)
    defects += quote_volume_defects(raw, columns, quote_volume)
    return make_reading(raw, "candles", NAME, reason, columns, notes, defects, symbol=symbol_of(raw))


def _volume_names(raw: RawTable) -> tuple[str, str]:
    """The columns of base and quote volume: the one named after a quote currency is the quote's."""
    found = [name for name in raw.names if name.strip().lower().startswith("volume")]
    if len(found) != 2:
        raise DataError(raw.path, f"has {len(found)} columns of volume", fix="keep its two, in base and in quote")
    units = [re.sub(r"^volume[ _]?", "", name.strip().lower()) for name in found]
    if units[0] in _QUOTES or (units[1] and units[1] not in _QUOTES):
        return found[1], found[0]
    return found[0], found[1]


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def _straighten(
    raw: RawTable, columns: dict[str, Any], quote: FloatArray, notes: list[str]
) -> tuple[FloatArray, FloatArray]:
    """Base and quote volume, exchanged in the rows where their ratio is the price only the other way round."""
    volume: FloatArray = columns["volume"]
    known = (volume > 0) & (quote > 0) & (columns["close"] > 0)
    ratio = np.ones(len(volume))
    np.divide(quote, volume, out=ratio, where=known)
    swapped: BoolArray = known & _near(1.0 / ratio, columns["close"]) & ~_near(ratio, columns["close"])
    if swapped.any():
        row = int(np.argmax(swapped))
        notes.append(
            f"base and quote volume stood in each other's columns in {int(swapped.sum()):,} rows (first in "
            f"{raw.place(row)}) and were put right: only so do they give the price"
        )
    return np.where(swapped, quote, volume), np.where(swapped, volume, quote)


def _near(price: FloatArray, close: FloatArray) -> BoolArray:
    return (price > close / 2) & (price < close * 2)


def _clock_defects(raw: RawTable, stamps: IntArray, date: str, notes: list[str]) -> list[Defect]:
    cells = raw.column(date)
    if pa.types.is_null(cells.type):
        return []
    blank = int(cells.null_count)
    if blank:
        notes.append(f"{blank:,} rows have no date beside their unix stamp")
    dates = read_dates(cells)
    unread = (dates == 0) & ~np.asarray(cells.is_null())
    defects = stamp_defect(raw, unread, "its date cannot be read", "fetch the row again")
    wrong = (dates != 0) & (dates != stamps)
    if wrong.any():
        row = int(np.argmax(wrong))
        what = f"its unix stamp says {utc(stamps[row])} and its date {utc(dates[row])}"
        defects += stamp_defect(
            raw, wrong, what, "fetch the file again, or cut out the rows that contradict themselves"
        )
    return defects
