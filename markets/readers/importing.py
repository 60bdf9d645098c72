"""Importing: market data files of any format into the store of a data folder, whole or not at all."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import DataError, ParameterError
from markets.candles import duration, utc
from markets.cleaning import Cleaned, CleaningParams, clean_candles, clean_funding
from markets.quality import QualityReport, check_candles, check_funding, order_of
from markets.readers.damage import find_defects
from markets.readers.reading import Reading, ReadOptions, join_readings
from markets.readers.registry import read_file
from markets.readers.stamps import common_step
from markets.series import Appended, SeriesKey, append_rows, check_append

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*:[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Imported:
    """One series that an import put into the store of the data folder.

    `rows`: those of the files, of which `added` were new, `known` stood there and `revised` took the
    place of others; `first`, `last` and `touched` (bars that cleaning changed) are theirs. `sources`: the
    files. `notes`: every change of meaning and every repair on the way.
    """

    series: str
    kind: str
    symbol: str
    bar: str
    rows: int
    first: str
    last: str
    touched: int
    added: int
    known: int
    revised: int
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def import_files(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    format: str = "auto",  # noqa: A002
    symbol: str | None = None,
    options: ReadOptions | None = None,
    cleaning: CleaningParams | None = None,
    revise: bool = False,
) -> list[Imported]:
    """The files as rows of the store in the data folder `out`, one entry for each series.

    Files of one kind, symbol and bar length are joined. `symbol`: VENUE:SYMBOL, or VENUE: for the
    symbols that the files name. All files are read, checked, cleaned and held against the store before the first row is
    written, and each series is written whole or not at all. Rows that the store has already change
    nothing; rows that differ from them are refused without `revise`. Raises DataError or ParameterError.
    """
    chosen = cleaning or CleaningParams()
    groups: dict[tuple[str, str, int], list[Reading]] = {}
    for path in paths:
        reading = read_file(path, format, options)
        groups.setdefault((reading.kind, _name(reading, symbol), _length(reading)), []).append(reading)
    _check_symbols(groups)
    ready = []
    for (_, name, _), readings in groups.items():
        if len(readings) > 1:
            for one in readings:
                refuse_damage(one)
        reading = join_readings(readings)
        cleaned = clean(reading, _for_joined(readings, chosen))
        ready.append((_key(reading, cleaned, name), reading, cleaned, _rows(reading, cleaned)))
    now = time.time_ns()
    for key, _, _, rows in ready if len(ready) > 1 else ():
        check_append(out, key, rows, revise=revise)
    return [
        _imported(
            key, reading, cleaned, append_rows(out, key, rows, source=_source(reading), fetched_at=now, revise=revise)
        )
        for key, reading, cleaned, rows in ready
    ]


def clean(reading: Reading, params: CleaningParams | None = None) -> Cleaned:
    """A reading in time order, whole and possible, or a DataError that names the first defect."""
    refuse_damage(reading)
    if reading.kind == "quotes":
        fix = "say --kind mark to keep the middle of bid and ask as the mark price"
        raise DataError(reading.source, "holds quotes: neither trades nor the venue's mark price", fix=fix)
    step = clean_funding if reading.kind == "funding" else clean_candles
    cleaned: Cleaned = step(reading.columns, params, source=reading.source, place=reading.place)
    if reading.kind == "funding":
        cleaned.funding()
    else:
        cleaned.candles()
    return cleaned


def refuse_damage(reading: Reading) -> None:
    """Raises DataError for the gravest damage of a reading, if there is any."""
    for defect in find_defects(reading):
        raise defect.error(reading.source)


def check_reading(reading: Reading) -> QualityReport:
    """The quality of what was read, as it stands in the file."""
    try:
        return check_funding(reading.columns) if reading.kind == "funding" else check_candles(reading.columns)
    except DataError as error:
        raise DataError(reading.source, str(error).removeprefix("table: ")) from None


def _for_joined(readings: list[Reading], params: CleaningParams) -> CleaningParams:
    """The choices for joined files: rows of several files may be sorted, if each file is in order itself."""
    ordered = all(order_of(reading.columns["timestamp"]) != "mixed" for reading in readings)
    return params.replaced(order="sort") if len(readings) > 1 and ordered else params


def _imported(key: SeriesKey, reading: Reading, cleaned: Cleaned, done: Appended) -> Imported:
    stamps = cleaned.columns["timestamp"]
    return Imported(
        series=str(key),
        kind=key.kind,
        symbol=f"{key.venue}:{key.symbol}",
        bar=duration(cleaned.bar),
        rows=len(stamps),
        first=utc(stamps[0]),
        last=utc(stamps[-1]),
        touched=int(cleaned.touched.sum()),
        added=done.added,
        known=done.known,
        revised=done.revised,
        sources=tuple(Path(part.source).name for part in reading.parts),
        notes=(
            *_other_symbol(reading, key),
            f"read as {reading.format} because {reading.reason}",
            *reading.notes,
            *cleaned.notes,
        ),
    )


def _name(reading: Reading, symbol: str | None) -> str:
    named = f"{symbol}{reading.symbol}" if symbol and symbol.endswith(":") else symbol or reading.symbol
    if not named:
        raise ParameterError("symbol", f"is not said in {reading.source}", fix="say it with --symbol VENUE:SYMBOL")
    if not _NAME.fullmatch(named):
        fix = "VENUE:SYMBOL of letters, digits, dots, hyphens and underscores, such as binance_usdm:BTCUSDT"
        problem = "is no venue and symbol" if symbol else f"is all that {reading.source} says"
        raise ParameterError("symbol", problem, value=named, fix=f"--symbol {fix}")
    return named


def _check_symbols(groups: Mapping[tuple[str, str, int], list[Reading]]) -> None:
    """Raises ParameterError where files that name different symbols would become one series."""
    for (_, name, _), readings in groups.items():
        found = sorted({reading.symbol for reading in readings if reading.symbol})
        if len(found) > 1:
            problem = f"would join files of {', '.join(found)}"
            raise ParameterError("symbol", problem, value=name, fix=f"import them apart, or say {name.split(':')[0]}:")


def _other_symbol(reading: Reading, key: SeriesKey) -> tuple[str, ...]:
    """The warning of a file that names another symbol than the one its rows are stored under."""
    if not reading.symbol or _alike(reading.symbol, key.symbol):
        return ()
    return (f"warning: {Path(reading.source).name} says {reading.symbol}, and its rows are stored as {key.symbol}",)


def _alike(one: str, other: str) -> bool:
    """Whether two spellings may mean one symbol: BTC/USDT:USDT and BTCUSDT, XBTUSD and BTC-USD, but not ETHUSDT."""
    plain = [re.sub("[^A-Z0-9]", "", name.upper()).replace("XBT", "BTC") for name in (one, other)]
    return plain[0].startswith(plain[1]) or plain[1].startswith(plain[0])


def _length(reading: Reading) -> int:
    return 0 if reading.kind == "funding" else common_step(reading.columns["timestamp"])


def _key(reading: Reading, cleaned: Cleaned, name: str) -> SeriesKey:
    venue, symbol = name.split(":")
    if reading.kind == "funding":
        return SeriesKey(venue, symbol, "funding")
    return SeriesKey(venue, symbol, "mark" if reading.kind == "mark" else "candles", cleaned.bar)


def _rows(reading: Reading, cleaned: Cleaned) -> dict[str, Any]:
    return cleaned.columns if reading.kind == "funding" else {**cleaned.columns, "touched": cleaned.touched}


def _source(reading: Reading) -> str:
    names = sorted({Path(part.source).name for part in reading.parts})
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{reading.format}: {', '.join(names[:3])}{more}"
