"""Chain: a file of records, each of which holds the digest of the one before it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from foundation.errors import DataError
from foundation.journals import is_record, mend_tail

# The digest that the first record follows.
ORIGIN = "0" * 64


class Head(NamedTuple):
    """Where a chain ended: how many records it held, the digest of the last one, and when that was written, in UTC.

    `written`: empty for an empty chain, and for a record of a version that did not keep it.
    """

    records: int
    digest: str
    written: str = ""


@dataclass
class _Known:
    """The records that this process found sound, and the digest of the bytes that held them."""

    length: int = 0
    digest: str = hashlib.sha256().hexdigest()
    records: list[dict[str, Any]] = field(default_factory=list)


# By file, so that a record is parsed and checked once a process; bytes that have changed are read anew.
_KNOWN: dict[Path, _Known] = {}


class Chain:
    """The records of a file, a line each. `fix`: what helps where one of them is not as it was written.

    The digest of a record covers the one before it, so what is changed or lost inside breaks the chain, and
    what is cut off at the end shows against any later `Head` that was kept elsewhere. Whoever appends does so alone.
    """

    def __init__(self, path: Path, fix: str) -> None:
        self.path, self.fix = path, fix

    def records(self) -> tuple[dict[str, Any], ...]:
        """The records, which nobody may change; raises DataError for one that does not follow from those before."""
        text = self.path.read_bytes() if self.path.exists() else b""
        known = _KNOWN.get(self.path)
        if known is None or hashlib.sha256(text[: known.length]).hexdigest() != known.digest:
            known = _Known()
        rest = text[known.length :]
        whole = rest.rfind(b"\n") + 1
        found = [*known.records, *self._read(rest[:whole].split(b"\n")[:-1], known.records)]
        if whole:
            length = known.length + whole
            _KNOWN[self.path] = _Known(length, hashlib.sha256(text[:length]).hexdigest(), found)
        # Behind the last line end stands nothing, half a record, or one that lost its line end.
        last = rest[whole:]
        return (*found, *self._read([last], found)) if is_record(last) else tuple(found)

    def _read(self, lines: list[bytes], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
        previous, found = before[-1]["digest"] if before else ORIGIN, []
        for number, line in enumerate(lines, len(before) + 1):
            try:
                record = json.loads(line)
                sound = record["previous"] == previous and record["digest"] == _digest(record)
            except (ValueError, KeyError, TypeError, AttributeError):
                sound = False
            if not sound:
                raise DataError(self.path, f"record {number} is not as it was written", fix=self.fix)
            previous = record["digest"]
            found.append(record)
        return found

    def head(self) -> Head:
        """Where the chain ends now."""
        records = self.records()
        if not records:
            return Head(0, ORIGIN)
        return Head(len(records), str(records[-1]["digest"]), str(records[-1].get("written", "")))

    def holds(self, head: Head) -> bool:
        """Whether every record up to a head that was kept elsewhere is there still, unchanged."""
        if head.records == 0:
            return head.digest == ORIGIN
        records = self.records()
        return len(records) >= head.records and records[head.records - 1]["digest"] == head.digest

    def mend(self) -> None:
        """Cuts off the half line of a writer that was killed: its record was never reported as written."""
        mend_tail(self.path)

    def append(self, record: Mapping[str, Any]) -> Head:
        """The head after a record, whose line is on the disk then."""
        before = self.head()
        line: dict[str, Any] = {**record, "previous": before.digest}
        line["written"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        line["digest"] = _digest(line)
        with self.path.open("ab") as file:
            file.write(json.dumps(line, sort_keys=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return Head(before.records + 1, line["digest"], line["written"])


def _digest(record: Mapping[str, Any]) -> str:
    content = {name: value for name, value in record.items() if name != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
