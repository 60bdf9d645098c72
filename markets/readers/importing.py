"""Importing: market data files of any format into the layout of the data folder, whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foundation.errors import DataError, ParameterError
from foundation.files import atomic_file
from markets.candles import duration, utc
from markets.cleaning import Cleaned, CleaningParams, clean_candles, clean_funding
from markets.quality import QualityReport, check_candles, check_funding, order_of
from markets.readers.damage import find_defects
from markets.readers.reading import Reading, ReadOptions, join_readings
from markets.readers.registry import read_file
from markets.readers.stamps import common_step

_FOLDERS = {"candles": "ohlcv", "mark": "mark", "funding": "funding"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(:[A-Za-z0-9][A-Za-z0-9._-]*)?")
_MILLISECOND = 1_000_000


@dataclass(frozen=True)
class Imported:
    """One series that an import put into the data folder.

    `state`: written, replaced, or unchanged where the file there holds the same rows already.
    `notes`: every change of meaning and every repair on the way.
    """

    path: Path
    kind: str
    symbol: str
    bar: str
    rows: int
    first: str
    last: str
    touched: int
    state: str
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
    replace: bool = False,
) -> list[Imported]:
    """The files as parquet below `out`: ohlcv/, mark/ and funding/, one file for each series.

    Files of one kind, symbol and bar length are joined. `symbol`: VENUE:SYMBOL or SYMBOL, else what
    the files name. All files are read, checked and cleaned before the first is written; a file is
    written whole or not at all, and again only with `replace` where it holds other rows. Raises
    DataError or ParameterError.
    """
    chosen = cleaning or CleaningParams()
    groups: dict[tuple[str, str, str], list[Reading]] = {}
    for path in paths:
        reading = read_file(path, format, options)
        groups.setdefault((reading.kind, _name(reading, symbol), _length(reading)), []).append(reading)
    ready = []
    for (kind, name, _), readings in groups.items():
        if len(readings) > 1:
            for one in readings:
                refuse_damage(one)
        reading = join_readings(readings)
        cleaned = clean(reading, _for_joined(readings, chosen))
        target = Path(out) / _FOLDERS[kind] / f"{name}{_suffix(kind, cleaned.bar)}.parquet"
        ready.append((target, reading, cleaned, _table(reading, cleaned), readings))
    states = [_state(target, table, replace) for target, _, _, table, _ in ready]
    done = []
    for (target, reading, cleaned, table, readings), state in zip(ready, states, strict=True):
        if state != "unchanged":
            with atomic_file(target) as scratch:
                pq.write_table(table, scratch, compression="zstd", write_page_checksum=True)
        sources = tuple(Path(one.source).name for one in readings)
        done.append(_imported(target, reading, cleaned, state, sources))
    return done


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


def _imported(target: Path, reading: Reading, cleaned: Cleaned, state: str, sources: tuple[str, ...]) -> Imported:
    stamps = cleaned.columns["timestamp"]
    return Imported(
        path=target,
        kind=reading.kind,
        symbol=target.stem.removesuffix(_suffix(reading.kind, cleaned.bar)),
        bar=duration(cleaned.bar),
        rows=len(stamps),
        first=utc(stamps[0]),
        last=utc(stamps[-1]),
        touched=int(cleaned.touched.sum()),
        state=state,
        sources=sources,
        notes=(f"read as {reading.format} because {reading.reason}", *reading.notes, *cleaned.notes),
    )


def _name(reading: Reading, symbol: str | None) -> str:
    named = symbol or reading.symbol
    if not named:
        raise ParameterError("symbol", f"is not said in {reading.source}", fix="say it with --symbol VENUE:SYMBOL")
    if not _NAME.fullmatch(named):
        fix = "letters, digits, dots, hyphens and underscores, such as binance_usdm:BTCUSDT"
        raise ParameterError("symbol", "is no symbol", value=named, fix=fix)
    return named.replace(":", "_")


def _length(reading: Reading) -> str:
    return "" if reading.kind == "funding" else duration(common_step(reading.columns["timestamp"]))


def _suffix(kind: str, bar: int) -> str:
    return {"candles": f"_{duration(bar)}", "mark": f"_mark_{duration(bar)}", "funding": "_funding"}[kind]


def _table(reading: Reading, cleaned: Cleaned) -> pa.Table:
    """The cleaned rows in the columns of the data folder; `touched` only where a bar was touched."""
    columns: Mapping[str, Any] = cleaned.columns
    whole = bool((columns["timestamp"] % _MILLISECOND == 0).all())
    unit = "ms" if whole else "ns"
    stamps = columns["timestamp"] // (_MILLISECOND if whole else 1)
    arrays = {"timestamp": pa.array(stamps).cast(pa.timestamp(unit, tz="UTC"))}
    arrays |= {name: pa.array(values) for name, values in columns.items() if name != "timestamp"}
    if cleaned.touched.any():
        arrays["touched"] = pa.array(cleaned.touched.astype(np.int8))
    origin = {
        "format": reading.format,
        "sources": sorted({Path(part.source).name for part in reading.parts}),
        "notes": [*reading.notes, *cleaned.notes],
    }
    metadata = {b"crossgate": json.dumps(origin, sort_keys=True).encode()}
    return pa.table(arrays).replace_schema_metadata(metadata)


def _state(target: Path, table: pa.Table, replace: bool) -> str:
    if not target.exists():
        return "written"
    try:
        present = pq.ParquetFile(target).read()
    except (pa.ArrowException, OSError, ValueError):
        present = None
    if present is not None and present.schema.equals(table.schema, check_metadata=False) and present.equals(table):
        return "unchanged"
    if not replace:
        raise DataError(target, "stands there already and holds other rows", fix="say --replace, or another --out")
    return "replaced"
