"""freqtrade's files: feather tables and JSON lists of candles, mark prices and funding."""

from __future__ import annotations

import re

import numpy as np

from foundation.errors import DataError
from markets.readers.candles import PRICES, make_reading, price_columns
from markets.readers.raw import RawTable
from markets.readers.reading import Kind, Reading, ReadOptions
from markets.readers.stamps import in_utc, read_stamps

NAME = "freqtrade"
_FIELDS = ("date", *PRICES, "volume")
_PAIR = re.compile(r"^([A-Z0-9]+)_([A-Z0-9]+?)(?:_[A-Z0-9]+)?-")


def detect(raw: RawTable) -> str | None:
    """Why a file is freqtrade's: feather with its six columns, or JSON rows of six numbers."""
    if raw.kind == "feather" and raw.names == _FIELDS:
        return "it is feather with the columns date, open, high, low, close, volume"
    if raw.kind == "json" and not raw.header and len(raw.names) == 6:
        return "it is a JSON list of rows of six numbers, the first of them a time"
    return None


def read(raw: RawTable, options: ReadOptions, reason: str) -> Reading:
    """The rows of one file. A funding file keeps the rate in `open` and 0 in the other columns.

    Mark prices have the columns of candles with a volume that means nothing; only the file name
    (`-mark`) tells them apart.
    """
    names = dict(zip(("timestamp", *_FIELDS[1:]), raw.names, strict=True))
    stamps, notes = read_stamps(raw, names["timestamp"])
    stamps = in_utc(stamps, notes, options.utc_offset)
    columns = price_columns(raw, stamps, names)
    rest = [columns[name] for name in ("high", "low", "close")]
    only_open = not any(np.any(values) for values in rest) and bool(np.all(np.abs(columns["open"]) < 1))
    kind = _kind(raw, options, only_open, notes)
    if kind == "funding":
        columns = {"timestamp": stamps, "funding_rate": columns["open"]}
    elif kind == "mark":
        del columns["volume"]
    return make_reading(raw, kind, NAME, reason, columns, notes, symbol=_symbol(raw))


def _kind(raw: RawTable, options: ReadOptions, only_open: bool, notes: list[str]) -> Kind:
    named: Kind = "funding" if "funding_rate" in raw.name else "mark" if "-mark." in raw.name else "candles"
    if options.kind in ("candles", "mark", "funding"):
        asked: Kind = options.kind  # type: ignore[assignment]
    elif only_open:
        asked = "funding"
        notes.append("high, low and close are 0 in every row, as in freqtrade's funding: the rate is read from open")
    else:
        asked = named
        if named == "mark":
            notes.append("its name says mark; its volume means nothing and is left out")
    if (asked == "funding") != only_open:
        what = (
            "funding, yet high, low and close hold values"
            if asked == "funding"
            else "prices, yet only open holds values"
        )
        raise DataError(raw.path, f"is said to hold {what}", fix="name its kind with --kind candles, mark or funding")
    return asked


def _symbol(raw: RawTable) -> str:
    found = _PAIR.match(raw.name)
    return found.group(1) + found.group(2) if found else ""
