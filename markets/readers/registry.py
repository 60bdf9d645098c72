"""The formats that can be read, and the one that a file is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import DataError, ParameterError, suggestion
from markets.readers import binance, bitmex, cryptodatadownload, freqtrade, lean, plain, rates
from markets.readers.raw import RawTable, read_raw
from markets.readers.reading import Reading, ReadOptions


@dataclass(frozen=True)
class Format:
    """One format: its key at the command line, how it is recognised, and how it is read.

    `detect` returns the reason why a raw table is in this format, or None; `read` takes it over.
    """

    key: str
    detect: Callable[[RawTable], str | None]
    read: Callable[[RawTable, ReadOptions, str], Reading]


FORMATS = (
    Format("lean", lean.detect, lean.read),
    Format("bitmex", bitmex.detect, bitmex.read),
    Format("cryptodatadownload", cryptodatadownload.detect, cryptodatadownload.read),
    Format("binance_archive", binance.detect_archive, binance.read_archive),
    Format("binance_rest", binance.detect_rest, binance.read_rest),
    Format("freqtrade", freqtrade.detect, freqtrade.read),
    Format("funding", rates.detect, rates.read),
    Format("plain", plain.detect, plain.read),
)
_NEVER = (
    ({"price", "side"}, "holds single trades, not bars"),
    ({"sum_open_interest"}, "holds open interest, not bars"),
    ({"update_type", "last_update_id"}, "holds an order book, not bars"),
)


def read_file(path: str | Path, format: str = "auto", options: ReadOptions | None = None) -> Reading:  # noqa: A002
    """The market data of one file in the names and units of the project.

    `format`: a key of FORMATS, or `auto`: the first format that recognises the file, which the
    reading's `reason` explains. Raises DataError for a file that is damaged or in no known format.
    """
    chosen = options or ReadOptions()
    _check_options(chosen)
    reading = _read(read_raw(Path(path)), format, chosen)
    return rates.in_fractions(reading, chosen.rates) if reading.kind == "funding" else reading


def _read(raw: RawTable, format: str, chosen: ReadOptions) -> Reading:  # noqa: A002
    path = raw.path
    if format != "auto":
        named = next((one for one in FORMATS if one.key == format), None)
        if named is None:
            known = ["auto", *(one.key for one in FORMATS)]
            raise ParameterError("format", "is not known", value=format, fix=suggestion(format, known))
        found = named.detect(raw)
        if found is None and not (named.key == "plain" and chosen.columns):
            held = ", ".join(raw.names[:14])
            fix = "leave out --format, or read it as plain with --columns"
            raise DataError(path, f"does not look like {format}: its columns are {held}", fix=fix)
        return named.read(raw, chosen, found or "it was said to be")
    if chosen.columns:
        return FORMATS[-1].read(raw, chosen, "its columns were named")
    for one in FORMATS:
        reason = one.detect(raw)
        if reason is not None:
            return one.read(raw, chosen, reason)
    raise _unknown(raw)


def _check_options(options: ReadOptions) -> None:
    for key, value, known in (
        ("kind", options.kind, ("auto", "candles", "mark", "funding")),
        ("stamps", options.stamps, ("auto", "open", "close")),
        ("rates", options.rates, ("auto", "fraction", "percent")),
    ):
        if value not in known:
            raise ParameterError(key, "is not known", value=value, fix=suggestion(value, known))
    if options.utc_offset is not None and not -14 <= options.utc_offset <= 14:
        raise ParameterError("utc_offset", "should be -14 to 14 hours", value=options.utc_offset)


def _unknown(raw: RawTable) -> DataError:
    for names, what in _NEVER:
        if names <= set(raw.lower):
            return DataError(raw.path, what, fix="hand in candles, mark prices or funding")
    if not raw.header:
        fix = "count them, such as --columns timestamp=0,open=1,high=2,low=3,close=4,volume=5"
        return DataError(raw.path, f"is in no known format: it has {len(raw.names)} columns and no header", fix=fix)
    held = ", ".join(raw.names[:14])
    fix = "name its columns, such as --columns timestamp=Date,open=Open,high=High,low=Low,close=Close,volume=Volume"
    return DataError(raw.path, f"is in no known format: its columns are {held}", fix=fix)
