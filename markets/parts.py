"""The parquet files of a stored series: rows in, rows out, checked by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foundation.errors import DataError
from foundation.files import atomic_file
from markets.buffers import owned_buffer
from markets.manifest import Part
from markets.rows import COLUMNS, Kind, Rows

_FIX = "delete the folder of the series and fetch it again"


def write_part(home: Path, kind: Kind, bar: int | None, year: int | None, rows: Rows) -> Part:
    """The part that was written from rows, of one year where one is named; it counts once a manifest names it."""
    data = encode_rows(kind, rows)
    digest = hashlib.sha256(data).hexdigest()
    file = f"part-{digest[:16]}.parquet" if year is None else f"year={year}/part-{digest[:16]}.parquet"
    _put(home / file, data)
    stamps = rows["timestamp"]
    steps = np.diff(stamps) // bar - 1 if bar else np.zeros(0, dtype=np.int64)
    touched = int(rows["touched"].sum()) if "touched" in rows else 0
    gaps, missing = int(np.count_nonzero(steps)), int(steps.sum())
    return Part(file, year, len(stamps), int(stamps[0]), int(stamps[-1]), gaps, missing, touched, digest)


def write_replaced(home: Path, kind: Kind, rows: Rows) -> tuple[str, str]:
    """The file that keeps rows which gave way to others, and its hash."""
    data = encode_rows(kind, rows)
    digest = hashlib.sha256(data).hexdigest()
    file = f"_replaced/rows-{digest[:16]}.parquet"
    _put(home / file, data)
    return file, digest


def encode_rows(kind: Kind, rows: Rows) -> memoryview:
    """Rows as the bytes of a parquet file; the same rows give the same bytes."""
    arrays = {name: pa.array(rows[name]) for name in COLUMNS[kind]}
    arrays["timestamp"] = arrays["timestamp"].cast(pa.timestamp("ns", tz="UTC"))
    sink = pa.BufferOutputStream()
    # Of the encodings measured, the quickest to read, and the smallest for prices as venues round them.
    encodings = {name: "BYTE_STREAM_SPLIT" for name, values in arrays.items() if values.type == pa.float64()}
    encodings["timestamp"] = "DELTA_BINARY_PACKED"
    pq.write_table(pa.table(arrays), sink, compression="lz4", use_dictionary=False, column_encoding=encodings)
    return memoryview(sink.getvalue())


def decode_rows(kind: Kind, data: bytes, digest: str, path: Path) -> Rows:
    """The rows of a parquet file; raises DataError where its bytes are not those that were written."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise DataError(path, "is damaged: its bytes are not those of the manifest", fix=_FIX)
    table = pq.ParquetFile(pa.BufferReader(owned_buffer(data))).read(columns=list(COLUMNS[kind]))
    return {name: _array(name, table[name]) for name in COLUMNS[kind]}


def _array(name: str, column: Any) -> Any:
    return column.cast(pa.int64()).to_numpy() if name == "timestamp" else column.to_numpy()


def _put(path: Path, data: memoryview) -> None:
    with atomic_file(path) as scratch:
        scratch.write_bytes(data)
