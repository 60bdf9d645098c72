"""The raw table of a file: its cells as they stand, under its own column names, with the line of each row."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from foundation.errors import DataError
from markets.buffers import owned_buffer
from markets.candles import FloatArray
from markets.readers.content import Content, open_content

_NOTHING = ["", "NULL", "null", "None", "NaN", "nan", "NA", "N/A"]
_NUMBER = re.compile(rb'^"?\s*[-+]?(\d|\.\d)[-+\d.,:eETZ /]*"?$')
_AGAIN = "copy, fetch or export the file again"
_DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError, RecursionError)


@dataclass(frozen=True, eq=False)
class RawTable:
    """The cells of one file. Text files hold text in every cell; nothing is converted yet.

    `names`: the column names, or `0`, `1`, ... where the file has no header (`header` False).
    `preface`: the lines above the header. `unit` and `first`: how rows are counted in errors.
    `unfinished`: the last line has no line end, so the file may be cut.
    """

    path: Path
    name: str
    kind: str
    packing: str
    names: tuple[str, ...]
    table: pa.Table
    header: bool = True
    preface: tuple[str, ...] = ()
    unit: str = "row"
    first: int = 0
    unfinished: bool = False

    @property
    def lower(self) -> tuple[str, ...]:
        """The column names in small letters, without blanks around them."""
        return tuple(name.strip().lower() for name in self.names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def place(self, row: int) -> str:
        """Where a row stands: `line 7`, or `row 5` of a file without lines."""
        return f"{self.unit} {self.first + int(row)}"

    def column(self, name: str) -> pa.ChunkedArray:
        """The cells of a column. Raises DataError that names the columns there are."""
        if name not in self.names:
            held = ", ".join(self.names[:14])
            raise DataError(
                self.path, f'has no column "{name}" among its columns ({held})', fix="name it with --columns"
            )
        return self.table.column(self.names.index(name))

    def text(self, name: str, row: int) -> str:
        """One cell as text, for errors."""
        value = self.column(name)[int(row)].as_py()
        return "nothing" if value is None else repr(str(value)[:40])

    def numbers(self, name: str) -> FloatArray:
        """A column as float64, empty cells as NaN. Raises DataError at the first cell that is no number."""
        cells = self.column(name)
        if pa.types.is_null(cells.type):
            return np.full(len(self), np.nan)
        if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
            if not (pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type)):
                raise DataError(self.path, f"column {name} is of type {cells.type}, not numbers", fix="store numbers")
            return np.array(cells.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        try:
            return np.array(pc.cast(cells, pa.float64()).to_numpy(), dtype=np.float64)
        except pa.ArrowException:
            row = next(row for row, text in enumerate(cells.to_pylist()) if not _is_number(text))
            problem = f"column {name} holds {self.text(name, row)} in {self.place(row)}, not a number"
            fix = "write numbers with a decimal point and no thousands separator; fetch the row again"
            raise DataError(self.path, problem, fix=fix) from None


def read_raw(path: Path) -> RawTable:
    """The raw table of a CSV, JSON, feather or parquet file, packed or not. Raises DataError."""
    content = open_content(path)
    match content.kind:
        case "csv":
            return _read_csv(content)
        case "json":
            return _read_json(content)
        case _:
            return _read_arrow(content)


def _read_csv(content: Content) -> RawTable:
    data = content.data.removeprefix(b"\xef\xbb\xbf")
    body = data.rstrip(b"\r\n \t")
    heads = body[:65536].split(b"\n")
    skipped = _count_preface(heads)
    line = heads[skipped].strip(b"\r")
    delimiter = max((",", ";", "\t"), key=lambda mark: line.count(mark.encode()))
    header = not any(_NUMBER.match(cell.strip()) for cell in line.split(delimiter.encode()))
    if header and body.count(b"\n") <= skipped:
        raise DataError(content.path, "holds a header and no rows", fix="export it again, with data")
    table = _parse_csv(content.path, body, skipped, delimiter, header)
    names = tuple(table.column_names) if header else tuple(str(k) for k in range(table.num_columns))
    first = skipped + 1 + header
    lines = body.count(b"\n") + 1
    if table.num_rows != lines - skipped - header:
        problem = f"has {lines - skipped - header} lines of data but reads as {table.num_rows} rows"
        raise DataError(content.path, problem, fix="look for a stray quotation mark or line end, or fetch it again")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(content.path, f'has two columns named "{twice[0]}"', fix="rename one of them")
    return RawTable(
        path=content.path,
        name=content.name,
        kind="csv",
        packing=content.packing,
        names=names,
        table=table,
        header=header,
        preface=tuple(head.decode("utf-8", "replace").strip() for head in heads[:skipped]),
        unit="line",
        first=first,
        unfinished=not data.endswith((b"\n", b"\r")),
    )


def _count_preface(heads: list[bytes]) -> int:
    """The lines above the header: those with fewer cells than the line below them, five at most."""
    for skipped in range(min(5, len(heads) - 1)):
        here, below = heads[skipped], heads[skipped + 1]
        widths = [max(line.count(mark) for mark in (b",", b";", b"\t")) for line in (here, below)]
        if not (widths[0] < widths[1] and widths[1] >= 3 and not _NUMBER.match(here.split(b",")[0].strip())):
            return skipped
    return 0


def _parse_csv(path: Path, body: bytes, skipped: int, delimiter: str, header: bool) -> pa.Table:
    read = pyarrow.csv.ReadOptions(skip_rows=skipped, autogenerate_column_names=not header, block_size=1 << 22)
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=False, ignore_empty_lines=False)
    try:
        names = _column_names(body, skipped, delimiter, header)
        convert = pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            null_values=_NOTHING,
            strings_can_be_null=True,
            check_utf8=True,
        )
        buffer = owned_buffer(body)
        try:
            return pyarrow.csv.read_csv(buffer, read, parse, convert)
        except pa.ArrowException:
            read.use_threads = False  # only then does the error name its row
            return pyarrow.csv.read_csv(buffer, read, parse, convert)
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        known = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", reason)
        if known:
            row, expected, found = (int(part) for part in known.groups())
            problem = f"has {found} cells in line {row + skipped}, where the others have {expected}"
            raise DataError(path, problem, fix="mend the line or fetch the file again") from None
        raise DataError(path, f"cannot be read as CSV ({reason[:120]})", fix=_AGAIN) from None


def _column_names(body: bytes, skipped: int, delimiter: str, header: bool) -> list[str]:
    lines = body[:65536].split(b"\n", skipped + 1)
    head = b"\n".join([*lines[: skipped + 1], b""])
    read = pyarrow.csv.ReadOptions(skip_rows=skipped, autogenerate_column_names=not header)
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False)
    return list(pyarrow.csv.read_csv(owned_buffer(head), read, parse).column_names)


def _read_json(content: Content) -> RawTable:
    try:
        rows = json.loads(content.data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(content.path, f"is damaged and cannot be read as JSON ({error})", fix=_AGAIN) from None
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict | list):
        raise DataError(content.path, "holds no list of rows", fix="hand in a JSON list of bars")
    top: Any = rows[0]
    header = isinstance(top, dict)
    names = tuple(top) if header else tuple(str(k) for k in range(len(top)))
    for number, row in enumerate(rows):
        if not (isinstance(row, type(top)) and (row.keys() == top.keys() if header else len(row) == len(names))):
            raise DataError(
                content.path, f"row {number} has other columns than row 0", fix="mend or fetch the row again"
            )
    keys: tuple[Any, ...] = names if header else tuple(range(len(names)))
    arrays = [_json_column(content.path, str(key), [row[key] for row in rows]) for key in keys]
    table = pa.Table.from_arrays(arrays, names=list(names))
    return RawTable(content.path, content.name, "json", content.packing, names, table, header)


def _json_column(path: Path, name: str, values: list[Any]) -> pa.Array:
    words = [isinstance(value, str) for value in values if value is not None]
    plain = all(value is None or (isinstance(value, str | int | float) and value is not True) for value in values)
    if not plain or (any(words) and not all(words)):
        raise DataError(path, f"column {name} mixes numbers with other things", fix="mend or fetch the rows again")
    try:
        return pa.array(values)
    except _DAMAGE as error:
        raise DataError(path, f"column {name} cannot be read ({error})"[:200], fix=_AGAIN) from None


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON number")


def _read_arrow(content: Content) -> RawTable:
    source = pa.BufferReader(owned_buffer(content.data))
    try:
        if content.kind == "feather":
            table = pyarrow.feather.read_table(source)
        else:
            with pyarrow.parquet.ParquetFile(source, page_checksum_verification=True) as file:
                table = file.read()
        table.validate(full=True)
    except _DAMAGE as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise DataError(
            content.path, f"is damaged and cannot be read as {content.kind} ({reason[:120]})", fix=_AGAIN
        ) from None
    if table.num_rows == 0:
        raise DataError(content.path, "holds no rows", fix="export the file again, with data")
    names = tuple(table.column_names)
    if len(set(names)) < len(names):
        raise DataError(content.path, "has two columns of the same name", fix="rename one of them")
    return RawTable(content.path, content.name, content.kind, content.packing, names, table)


def _is_number(text: str | None) -> bool:
    if text is None:
        return True
    try:
        pc.cast(pa.array([text]), pa.float64())
    except pa.ArrowException:
        return False
    return True
