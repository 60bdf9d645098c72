"""BitMEX's bucketed trades: pages of its API, and CSV or parquet made of them."""

from __future__ import annotations

import re

from markets.readers.candles import PRICES, make_reading, price_columns, require, symbol_of
from markets.readers.raw import RawTable
from markets.readers.reading import Reading, ReadOptions
from markets.readers.stamps import in_utc, read_stamps, to_open

NAME = "BitMEX"
_OWN = {"foreignnotional", "homenotional", "turnover", "lastsize"}


def detect(raw: RawTable) -> str | None:
    """Why a table is BitMEX's: columns that only its bucketed trades have."""
    if not raw.header or not {*PRICES, "volume"} <= set(raw.lower) or not set(raw.lower) >= _OWN:
        return None
    what = "a page of its API" if raw.kind == "json" else "its header"
    return f"{what} names turnover, homeNotional and foreignNotional, which only BitMEX's buckets have"


def read(raw: RawTable, options: ReadOptions, reason: str) -> Reading:
    """The bars of one table, moved from the close, where BitMEX stamps them, to the open.

    BitMEX sets a bar's open to the close before it, which may lie outside low..high: such bars are
    kept as they are, and count as OHLC violations. Volume is in contracts.
    """
    stamp = "timestamp" if "timestamp" in raw.lower else "date"
    names = require(raw, (stamp, *PRICES, "volume"))
    stamps, notes = read_stamps(raw, names[stamp])
    stamps = in_utc(stamps, notes, options.utc_offset)
    stamped_at = "close" if options.stamps == "auto" else options.stamps
    stamps = to_open(raw, stamps, stamped_at, notes)
    columns = price_columns(raw, stamps, names)
    notes.append("volume is in contracts, as BitMEX counts it")
    return make_reading(raw, "candles", NAME, reason, columns, notes, symbol=_symbol(raw), stamped_at=stamped_at)


def _symbol(raw: RawTable) -> str:
    named = symbol_of(raw)
    if named:
        return named
    found = re.search(r"(?<![A-Z0-9])([A-Z]{3,6}USDT?)(?![A-Z0-9])", raw.name)
    return found.group(1) if found else ""
