"""The manifest of a stored series: the parts that make it up, where their rows came from, and what was revised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from foundation.errors import DataError
from foundation.files import atomic_file
from foundation.fingerprint import fingerprint

NAME = "_manifest.json"
_VERSION = 1


@dataclass(frozen=True)
class Part:
    """One parquet file of a series, never changed once written: rows between those of its neighbours.

    `file`: its path below the series. `year`: that of all its rows, None for snapshots. `first`,
    `last`: stamps in UTC nanoseconds. `gaps`, `missing`: inside it, in bars. `touched`: bars that
    cleaning changed. `sha256`: of the bytes of the file.
    """

    file: str
    year: int | None
    rows: int
    first: int
    last: int
    gaps: int
    missing: int
    touched: int
    sha256: str


@dataclass(frozen=True)
class Origin:
    """Where rows came from: appends of one source one after the other, with their span and number of new rows."""

    source: str
    fetched_first: int
    fetched_last: int
    first: int
    last: int
    rows: int


@dataclass(frozen=True)
class Revision:
    """Stored rows that gave way to others: their number, span, and the file that keeps them."""

    source: str
    fetched_at: int
    rows: int
    first: int
    last: int
    file: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything that a series consists of; what it does not name does not belong to the series."""

    series: Mapping[str, Any]
    parts: tuple[Part, ...] = ()
    origins: tuple[Origin, ...] = ()
    revisions: tuple[Revision, ...] = ()

    @property
    def files(self) -> set[str]:
        """The files that the manifest names."""
        return {part.file for part in self.parts} | {revision.file for revision in self.revisions}

    @property
    def content(self) -> str:
        """The hash of all rows: of the hashes of the parts, in time order."""
        return fingerprint([part.sha256 for part in self.parts])

    def with_origin(self, new: Origin) -> Manifest:
        """The manifest with one more origin, which joins the last one of the same source."""
        if not self.origins or self.origins[-1].source != new.source:
            return replace(self, origins=(*self.origins, new))
        last = self.origins[-1]
        joined = Origin(
            new.source,
            min(last.fetched_first, new.fetched_first),
            max(last.fetched_last, new.fetched_last),
            min(last.first, new.first),
            max(last.last, new.last),
            last.rows + new.rows,
        )
        return replace(self, origins=(*self.origins[:-1], joined))


def read_manifest(home: Path) -> Manifest | None:
    """The manifest in the folder of a series, or None; raises DataError where it is damaged."""
    path = home / NAME
    try:
        held = json.loads(path.read_bytes())
        record = held["manifest"]
        if held["version"] != _VERSION:
            problem = f"is of version {held['version']}, this crossgate reads {_VERSION}"
            raise DataError(path, problem, fix="use the crossgate that wrote it")
        if held["hash"] != fingerprint(record):
            raise ValueError
        return Manifest(
            record["series"],
            tuple(Part(**part) for part in record["parts"]),
            tuple(Origin(**origin) for origin in record["origins"]),
            tuple(Revision(**revision) for revision in record["revisions"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise DataError(path, "is damaged", fix="delete the folder of the series and fetch it again") from None


def write_manifest(home: Path, manifest: Manifest) -> None:
    """Puts the manifest in the place of the one there: the moment in which an append comes true."""
    record = asdict(manifest)
    text = json.dumps({"version": _VERSION, "hash": fingerprint(record), "manifest": record}, indent=1)
    with atomic_file(home / NAME) as scratch:
        scratch.write_text(text + "\n", "utf-8")
