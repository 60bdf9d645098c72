"""Plain tables: CSV, parquet, feather or JSON with a column for each of ours, under its name or a mapped one."""

from __future__ import annotations

import re

from foundation.errors import DataError, ParameterError, suggestion
from markets.readers.candles import PRICES, make_reading, symbol_of
from markets.readers.raw import RawTable
from markets.readers.reading import COLUMNS, Kind, Reading, ReadOptions
from markets.readers.stamps import DAY, in_utc, read_stamps, to_open

NAME = "plain table"
_ALIASES = {
    "timestamp": ("timestamp", "date", "datetime", "time", "open_time", "unix", "ts", "__index_level_0__"),
    "volume": ("volume", "vol", "base_volume"),
    "funding_rate": ("funding_rate", "funding rate", "fundingrate", "rate"),
    **{name: (name,) for name in PRICES},
}


def detect(raw: RawTable) -> str | None:
    """Why a table can be read as it is: it names a stamp and open, high, low, close, or a funding rate."""
    if not raw.header or not _find(raw, "timestamp"):
        return None
    if all(_find(raw, name) for name in PRICES):
        return "its columns name a stamp, open, high, low and close"
    return "its columns name a stamp and a funding rate" if _find(raw, "funding_rate") else None


def read(raw: RawTable, options: ReadOptions, reason: str) -> Reading:
    """The rows of one table. Bars without a volume are mark prices; stamps stand at the open unless it is said."""
    known = {*PRICES, "timestamp", "volume", "funding_rate"}
    for name in options.columns:
        if name not in known:
            raise ParameterError("columns", "is no column of ours", value=name, fix=suggestion(name, known))
    kind = _kind(raw, options)
    names = {name: options.columns.get(name) or _find(raw, name) for name in COLUMNS[kind]}
    missing = next((name for name, own in names.items() if not own), None)
    if missing is not None:
        held = ", ".join(raw.names[:14])
        fix = f"name it with --columns {missing}=NAME"
        raise DataError(raw.path, f'has no column "{missing}" among its columns ({held})', fix=fix)
    stamps, notes = read_stamps(raw, names["timestamp"])
    if names["timestamp"].lower() == "date" and "time" in raw.lower and bool((stamps % DAY == 0).all()):
        problem = f"says its days in column {names['timestamp']} and its hours in another"
        raise DataError(raw.path, problem, fix='join them in one column, such as "2024-01-31 13:00:00"')
    stamps = in_utc(stamps, notes, options.utc_offset)
    if kind == "mark" and options.kind == "auto" and "mark" not in raw.name.lower():
        notes.append("it has no volume, so its bars are read as mark prices")
    stamped_at = "open" if options.stamps == "auto" or kind == "funding" else options.stamps
    stamps = to_open(raw, stamps, stamped_at, notes)
    columns = {"timestamp": stamps, **{name: raw.numbers(own) for name, own in names.items() if name != "timestamp"}}
    return make_reading(raw, kind, NAME, reason, columns, notes, symbol=_symbol(raw), stamped_at=stamped_at)


def _kind(raw: RawTable, options: ReadOptions) -> Kind:
    if options.kind in ("candles", "mark", "funding"):
        return options.kind  # type: ignore[return-value]
    has = {name: bool(options.columns.get(name) or _find(raw, name)) for name in ("close", "volume", "funding_rate")}
    if has["funding_rate"] and not has["close"]:
        return "funding"
    other = [name for name in raw.names if name.strip().lower().startswith("vol")]
    if other and not has["volume"]:
        fix = f'name one of them, such as --columns "volume={other[0]}", or say --kind mark'
        raise DataError(raw.path, f"has volumes under other names ({', '.join(other)})", fix=fix)
    return "candles" if has["volume"] else "mark"


def _find(raw: RawTable, name: str) -> str:
    return next((raw.names[raw.lower.index(alias)] for alias in _ALIASES[name] if alias in raw.lower), "")


def _symbol(raw: RawTable) -> str:
    named = symbol_of(raw)
    if named:
        return named
    found = re.search(r"(?<![A-Za-z0-9])([A-Z0-9]{2,}-?(?:USDT|USDC|USD|PERP|BTC|ETH))(?![A-Z0-9])", raw.name)
    return found.group(1).replace("-", "") if found else ""
