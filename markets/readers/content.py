"""The content of a file as people hand it in: unpacked from zip or gzip, and known by its first bytes."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import DataError

LARGEST = 4 << 30
_GZIP = b"\x1f\x8b"
_ZIP = b"PK"
_FEATHER = (b"ARROW1", b"FEA1")
_PARQUET = b"PAR1"
_AGAIN = "copy, fetch or export the file again"


@dataclass(frozen=True)
class Content:
    """The unpacked bytes of one file.

    `path`: the file handed in, named in errors. `name`: the file name, or that of the member of a
    zip. `data`: the bytes without packing. `kind`: csv, json, feather or parquet. `packing`: zip,
    gzip or empty. Only one member of a zip is taken; a zip of several is refused.
    """

    path: Path
    name: str
    data: bytes
    kind: str
    packing: str = ""


def open_content(path: Path) -> Content:
    """The content of a file. Raises DataError for what cannot be opened, unpacked or told apart."""
    if path.is_dir():
        raise DataError(path, "is a folder, not a file", fix="name the files in it")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(path, "there is no such file", fix="check the spelling of the path") from None
    except OSError as error:
        raise DataError(path, f"cannot be opened ({error.strerror})", fix="check the file's permissions") from None
    name, packing = path.name, ""
    if data.startswith(_GZIP):
        data, name, packing = _gunzip(path, data), path.name.removesuffix(".gz"), "gzip"
    elif data.startswith(_ZIP):
        name, data = _unzip(path, data)
        packing = "zip"
    if not data.strip():
        raise DataError(path, "is empty", fix=_AGAIN)
    return Content(path, name, data, _kind(path, data), packing)


def _gunzip(path: Path, data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            text = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(path, f"is damaged and cannot be unpacked as gzip ({error})", fix=_AGAIN) from None
    _check_size(path, len(text))
    return text


def _unzip(path: Path, data: bytes) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [entry for entry in archive.infolist() if not entry.is_dir() and "__MACOSX" not in entry.filename]
            names = [entry.filename for entry in members]
            if any(name.startswith("xl/") for name in names):
                raise DataError(
                    path, "is a spreadsheet workbook", fix="fetch the CSV itself, not opened in a spreadsheet"
                )
            if len(members) != 1:
                held = ", ".join(names[:4]) or "nothing"
                raise DataError(path, f"is a zip of {len(names)} files ({held})", fix="hand in a zip of one file")
            _check_size(path, members[0].file_size)
            return Path(names[0]).name, archive.read(members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise DataError(path, f"is damaged and cannot be unpacked as zip ({reason})", fix=_AGAIN) from None


def _check_size(path: Path, size: int) -> None:
    if size > LARGEST:
        raise DataError(path, f"unpacks to more than {LARGEST >> 30} GiB", fix="split it into several files")


def _kind(path: Path, data: bytes) -> str:
    if data.startswith(_PARQUET):
        return "parquet"
    if data.startswith(_FEATHER):
        return "feather"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4096]:
        raise DataError(path, "is neither UTF-8 text, JSON, feather nor parquet", fix="export it as UTF-8 CSV")
    return "json" if data[:64].lstrip()[:1] in (b"[", b"{") else "csv"
