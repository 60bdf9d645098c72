"""Parquet tables of market data, read strictly: the columns asked for, as UTC stamps and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foundation.errors import DataError
from markets.candles import FloatArray, IntArray, utc

_EARLIEST = 1_230_768_000_000_000_000  # 2009-01-01: there was no crypto market before Bitcoin
_LATEST = 4_102_444_800_000_000_000  # 2100-01-01
_UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError)
_FORMATS = {b"ARROW1": "a feather file", b"FEA1": "a feather file", b"PK": "a zip file", b"\x1f\x8b": "a gzip file"}
_ALIASES = {
    "timestamp": ("date", "datetime", "time", "open_time", "ts", "__index_level_0__"),
    "volume": ("vol", "base_volume", "amount"),
    "funding_rate": ("rate", "fundingrate", "last_funding_rate"),
}


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """The columns of a parquet file by name: `timestamp` as UTC nanoseconds int64, the rest as float64.

    `optional` columns are left out where the file has none; further columns are not read. Stamps
    need a time zone, because a stamp without one may be local time. Page checksums are verified
    where the file has them. Raises DataError for whatever is not a whole, well-typed table.
    """
    _check_kind(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            found = list(file.schema_arrow.names)
            _check_columns(path, found, columns)
            wanted = [*columns, *(name for name in optional if name in found)]
            table = file.read(columns=wanted)
            _check_counts(path, file.metadata, table.num_rows)
            zone = getattr(table["timestamp"].type, "tz", None)
    except _UNREADABLE as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        problem = f"is damaged and cannot be read as parquet ({reason[:120]})"
        raise DataError(path, problem, fix="copy, fetch or export the file again") from None
    if table.num_rows == 0:
        raise DataError(path, "holds no rows", fix="export the file again, with data")
    stamps = _read_stamps(path, table["timestamp"], zone)
    numbers = {name: _read_numbers(path, name, table[name], stamps) for name in wanted if name != "timestamp"}
    return {"timestamp": stamps, **numbers}


def _check_kind(path: Path) -> None:
    if path.is_dir():
        raise DataError(path, "is a folder, not a file", fix="name one parquet file in it")
    if not path.is_file():
        raise DataError(path, "there is no such file", fix=_near_files(path))
    try:
        with path.open("rb") as file:
            head = file.read(64)
            file.seek(max(path.stat().st_size - 4, 0))
            tail = file.read()
    except OSError as error:
        raise DataError(path, f"cannot be opened ({error.strerror})", fix="check the file's permissions") from None
    if not head:
        raise DataError(path, "is an empty file (0 bytes)", fix="copy, fetch or export the file again")
    if not head.startswith(b"PAR1"):
        problem = f"is {_guess_kind(head)}, not a parquet file"
        raise DataError(path, problem, fix="save it with pandas: frame.to_parquet(path)")
    if tail != b"PAR1":
        raise DataError(path, "is truncated: its parquet footer is missing", fix="copy or fetch the file again, whole")


def _guess_kind(head: bytes) -> str:
    for magic, kind in _FORMATS.items():
        if head.startswith(magic):
            return kind
    try:
        line = head.decode("utf-8").splitlines()[0].strip()
    except UnicodeDecodeError:
        return "something unknown"
    return f"a text file (it begins {line[:40]!r})"


def _near_files(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either; name the data folder with --data DIR or $CROSSGATE_DATA"
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    near = get_close_matches(path.name, names, n=3, cutoff=0.6) or get_close_matches(path.name, names, n=3, cutoff=0.3)
    return f"{folder} holds {', '.join(near or names[:3])}" if names else f"the folder {folder} is empty"


def _check_columns(path: Path, found: list[str], columns: Sequence[str]) -> None:
    for name in columns:
        if found.count(name) > 1:
            raise DataError(path, f'has {found.count(name)} columns named "{name}"', fix="keep one of them")
        if name not in found:
            lower = {other.lower(): other for other in found if other not in columns}
            alias = [lower[other] for other in _ALIASES.get(name, ()) if other in lower]
            near = alias or [lower[other] for other in get_close_matches(name, list(lower), n=1, cutoff=0.6)]
            fix = f'rename its column "{near[0]}"' if near else f"it needs {', '.join(columns)}"
            held = ", ".join(found[:12]) or "none"
            raise DataError(path, f'has no column "{name}" among its columns ({held})', fix=fix)


def _check_counts(path: Path, metadata: pq.FileMetaData, rows: int) -> None:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    flat = [k for k in range(metadata.num_columns) if metadata.schema.column(k).max_repetition_level == 0]
    even = all(group.column(k).num_values == group.num_rows for group in groups for k in flat)
    if not even or not rows == metadata.num_rows == sum(group.num_rows for group in groups):
        raise DataError(path, "is damaged: its columns differ in length", fix="copy, fetch or export the file again")


def _read_stamps(path: Path, column: pa.ChunkedArray, zone: str | None) -> IntArray:
    kind = column.type
    if not pa.types.is_timestamp(kind):
        fix = 'if it counts milliseconds: pandas.to_datetime(frame["timestamp"], unit="ms", utc=True)'
        raise DataError(path, f"column timestamp is of type {kind}, not a timestamp", fix=fix)
    if zone is None:
        fix = 'if they are UTC, say so: frame["timestamp"] = frame["timestamp"].dt.tz_localize("UTC")'
        raise DataError(path, "column timestamp has no time zone, so its stamps may be local time", fix=fix)
    if column.null_count:
        row = _first(column.is_null())
        problem = f"column timestamp has no value in row {row}, {column.null_count} in all"
        raise DataError(path, problem, fix="mend or fetch the row again")
    raw: IntArray = column.cast(pa.int64()).to_numpy()
    scale = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[kind.unit]
    outside = (raw < _EARLIEST // scale) | (raw >= _LATEST // scale)
    if outside.any():
        row = int(np.argmax(outside))
        problem = f"column timestamp has a stamp outside 2009 to 2099 in row {row}, {int(outside.sum())} in all"
        raise DataError(path, problem, fix="check the unit it was converted from (s, ms, us, ns)")
    return raw * scale


def _read_numbers(path: Path, name: str, column: pa.ChunkedArray, stamps: IntArray) -> FloatArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        numbers: FloatArray = column.cast(pa.float64(), safe=False).to_numpy()
        return numbers
    fix = f'find the rows that hold words, then: frame["{name}"] = frame["{name}"].astype(float)'
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = column.to_pylist()
        row = next((row for row, text in enumerate(texts) if not _is_number(text)), 0)
        place = f"{str(texts[row])[:40]!r} at {utc(stamps[row])} UTC, row {row}"
        problem = f"column {name} holds text ({place}), not numbers"
        raise DataError(path, problem, fix=fix)
    raise DataError(path, f"column {name} is of type {kind}, not numbers", fix="store it as float64")


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _first(flags: pa.ChunkedArray) -> int:
    return int(np.argmax(np.asarray(flags.to_pylist(), dtype=bool)))
