"""The archive: Binance's monthly files with their checksums, the fast way to a long history."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import DataError
from markets.cleaning import CleaningParams
from markets.fetching.clock import Pace
from markets.fetching.connection import Connection
from markets.fetching.download import Missing, download
from markets.fetching.listing import Listing
from markets.fetching.retry import Retrier
from markets.fetching.rows import Columns, checked, within
from markets.fetching.spans import Span
from markets.fetching.venues import Venue
from markets.readers.importing import refuse_damage
from markets.readers.raw import read_raw
from markets.readers.reading import ReadOptions
from markets.readers.registry import read_file

_FOLDERS = {"candles": "klines", "mark": "markPriceKlines"}
_SECONDS_APART = 0.1
# The column of an archive file that counts base units where the volume counts contracts.
_BASE_VOLUME = 7


@dataclass(frozen=True)
class Archive:
    """The monthly files of one series of bars at Binance. `bar`: nanoseconds; `bar_name`: as the files say it."""

    venue: Venue
    listing: Listing
    kind: str
    bar: int
    bar_name: str
    connection: Connection
    retrier: Retrier
    pace: Pace
    cleaning: CleaningParams

    def name(self, month: str) -> str:
        """The file of a month, such as BTCUSDT-1h-2024-03.zip."""
        return f"{self.listing.id}-{self.bar_name}-{month}.zip"

    def url(self, month: str) -> str:
        """Where the file of a month lies."""
        folder = f"{self.venue.archive}/{_FOLDERS[self.kind]}/{self.listing.id}/{self.bar_name}"
        return f"{self.connection.archive}/{folder}/{self.name(month)}"

    def fetch(self, month: str, span: Span) -> Columns | None:
        """The rows of a month, or None where its file or its checksum is not there yet.

        Raises DataError for a file whose SHA-256 is not the one in its CHECKSUM file, that is damaged, or that
        holds rows outside its month.
        """
        url = self.url(month)
        stated = self._get(f"{url}.CHECKSUM")
        body = None if stated is None else self._get(url)
        if stated is None or body is None:
            return None
        _verify(url, self.name(month), stated, body)
        columns = self._read(url, self.name(month), body)
        inside = within(columns, span)
        outside = len(columns["timestamp"]) - len(inside["timestamp"])
        if outside:
            problem = f"has {outside} rows outside {month}"
            raise DataError(url, problem, fix="fetch without the archive: --no-archive")
        return checked(url, self.kind, inside, self.bar, self.cleaning)

    def _get(self, url: str) -> bytes | None:
        def once() -> bytes | None:
            self.pace.wait()
            try:
                return download(url, self.connection.timeout_seconds)
            except Missing:
                return None

        return self.retrier.run(f"GET {url}", once)

    def _read(self, url: str, name: str, body: bytes) -> Columns:
        """The rows of the file, read and searched for damage as a file of the user is."""
        with tempfile.TemporaryDirectory(prefix="crossgate-") as folder:
            path = Path(folder) / name
            path.write_bytes(body)
            try:
                reading = read_file(path, options=ReadOptions("auto" if self.kind == "candles" else self.kind))
                refuse_damage(reading)
                if reading.kind != self.kind:
                    raise DataError(path, f"holds {reading.kind}, not {self.kind}", fix="try --no-archive")
                columns: Columns = dict(reading.columns)
                if self.kind == "candles" and self.listing.kind == "inverse":
                    raw = read_raw(path)
                    columns["volume"] = raw.numbers(raw.names[_BASE_VOLUME])
            except DataError as error:
                raise DataError(url, str(error).removeprefix(f"{path}: ")) from None
        return columns


def open_archive(
    venue: Venue, listing: Listing, kind: str, bar: int, bar_name: str, connection: Connection, cleaning: CleaningParams
) -> Archive | None:
    """The archive of a series, or None where the venue has none of that kind; funding needs none, it is few rows."""
    if venue.archive is None or kind not in _FOLDERS:
        return None
    apart = _SECONDS_APART if connection.seconds_apart is None else connection.seconds_apart
    retrier = Retrier(f"{venue.key} archive", connection.retry, connection.clock)
    pace = Pace(connection.clock, apart)
    return Archive(venue, listing, kind, bar, bar_name, connection, retrier, pace, cleaning)


def _verify(url: str, name: str, stated: bytes, body: bytes) -> None:
    words = stated.decode("ascii", "replace").split()
    found = hashlib.sha256(body).hexdigest()
    if len(words) != 2 or Path(words[1].lstrip("*")).name != name:
        shown = " ".join(words)[:100]
        raise DataError(f"{url}.CHECKSUM", f"does not name the SHA-256 of {name}: {shown}", fix="try --no-archive")
    if words[0].lower() != found:
        problem = f"its SHA-256 is {found[:16]}..., and its CHECKSUM file says {words[0][:16]}...: it is damaged"
        raise DataError(url, problem, fix="nothing of it was stored; run the command again, or with --no-archive")
