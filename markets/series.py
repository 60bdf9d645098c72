"""The store of series: rows of candles, mark prices, funding, tiers and filters, kept below `store/` in a data folder.

A series lies in a folder of its own, in hive partitions:
`store/kind=candles/venue=binance_usdm/symbol=BTCUSDT/bar=1h/year=2024/part-*.parquet`. Its manifest
names the parts that count. An append writes new parts beside the old ones and then puts a new
manifest in place of the old, so it happens whole or not at all; readers follow one manifest and never wait.
See docs/decisions/store-layout.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np

from foundation.errors import DataError, ParameterError, suggestion
from foundation.locks import PATIENCE, sole_writer
from markets.candles import SECOND, duration, utc
from markets.funding import MINUTE
from markets.manifest import Manifest, Origin, Part, Revision, read_manifest, write_manifest
from markets.parts import decode_rows, write_part, write_replaced
from markets.rows import (
    COLUMNS,
    SNAPSHOTS,
    Kind,
    Rows,
    between,
    check_grid,
    checked_rows,
    join_rows,
    stack_rows,
)

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BARRED = ("candles", "mark")
_TRIES = 1000


@dataclass(frozen=True)
class SeriesKey:
    """The name of a stored series. `bar`: the length of a bar in nanoseconds, of candles and mark prices alone."""

    venue: str
    symbol: str
    kind: Kind
    bar: int | None = None

    def __post_init__(self) -> None:
        for name in ("venue", "symbol"):
            value = getattr(self, name)
            if not isinstance(value, str) or not _WORD.fullmatch(value):
                fix = "letters, digits, dots, hyphens and underscores, such as BTCUSDT"
                raise ParameterError(f"series.{name}", "is no name of a series", value=value, fix=fix)
        if self.kind not in get_args(Kind):
            fix = suggestion(str(self.kind), get_args(Kind))
            raise ParameterError("series.kind", "is not a known kind", value=self.kind, fix=fix)
        barred = self.kind in _BARRED
        if barred and (not isinstance(self.bar, int) or self.bar <= 0 or self.bar % SECOND):
            raise ParameterError("series.bar", "is no bar length", value=self.bar, fix="whole seconds, in nanoseconds")
        if not barred and self.bar is not None:
            raise ParameterError("series.bar", f"does not apply to {self.kind}", value=self.bar, fix="leave it out")

    def __str__(self) -> str:
        bar = "" if self.bar is None else f" {duration(self.bar)}"
        return f"{self.venue}:{self.symbol} {self.kind}{bar}"

    def home(self, folder: str | Path) -> Path:
        """The folder of the series below a data folder."""
        home = Path(folder) / "store" / f"kind={self.kind}" / f"venue={self.venue}" / f"symbol={self.symbol}"
        return home if self.bar is None else home / f"bar={duration(self.bar)}"


@dataclass(frozen=True)
class Appended:
    """What an append did: rows that were new, rows that stood there already, rows that replaced others."""

    added: int
    known: int
    revised: int


@dataclass(frozen=True)
class SeriesInfo:
    """What the manifest of a series says; times are UTC nanoseconds, `missing` counts bars in `gaps` stretches."""

    key: SeriesKey
    rows: int
    first: int
    last: int
    gaps: int
    missing: int
    touched: int
    sources: tuple[str, ...]
    fetched_at: int
    revised: int
    content: str


def append_rows(
    folder: str | Path,
    key: SeriesKey,
    columns: Mapping[str, Any],
    *,
    source: str,
    fetched_at: int,
    revise: bool = False,
    wait_seconds: float = PATIENCE,
) -> Appended:
    """What was added to a series of the data folder `folder`, known there already, or revised: all of it or nothing.

    `columns`: the columns of the kind (`markets.rows.COLUMNS`) as arrays, rows in any order, gaps allowed;
    `timestamp` is the bar OPEN or the settlement in UTC nanoseconds. A bar whose close lies after
    `fetched_at` (UTC nanoseconds) was still running and is refused. Rows that differ from stored
    ones are refused, unless `revise`: then the old ones are kept aside and the manifest says so. Of tiers
    and filters, a snapshot equal to the one before it counts as known. Another writer of the series is
    waited for, up to `wait_seconds`. Raises DataError.
    """
    rows = checked_rows(key.kind, key.bar, columns, str(key))
    _check_origin(key, rows, source, fetched_at)
    if len(rows["timestamp"]) == 0:
        return Appended(0, 0, 0)
    home = key.home(folder)
    with sole_writer(home / "_lock", f"an append to {key}", patience=wait_seconds):
        manifest = read_manifest(home) or Manifest(asdict(key))
        _remove_strays(home, manifest)
        append = _Append(home, key, manifest)
        append.join(rows, revise=revise)
        changed = append.write(source, fetched_at)
        if changed is not manifest:
            write_manifest(home, changed)
            _remove_strays(home, changed)
    return append.done


def check_append(folder: str | Path, key: SeriesKey, columns: Mapping[str, Any], *, revise: bool = False) -> Appended:
    """What an append would do, for a look ahead of it: nothing is written. Raises DataError as the append would."""
    rows = checked_rows(key.kind, key.bar, columns, str(key))
    if len(rows["timestamp"]) == 0:
        return Appended(0, 0, 0)
    home = key.home(folder)
    append = _Append(home, key, read_manifest(home) or Manifest(asdict(key)))
    append.join(rows, revise=revise)
    return append.done


def read_rows(folder: str | Path, key: SeriesKey, start: int | None = None, end: int | None = None) -> Rows:
    """The rows of a series stamped at or after `start` and before `end` (UTC nanoseconds), in time order.

    One state of the series, never a mixture, whatever a writer does meanwhile. Raises DataError where
    there is no such series or a part of it is damaged.
    """
    home = key.home(folder)
    before = None
    for _ in range(_TRIES):
        manifest = read_manifest(home)
        if manifest is None:
            raise DataError(key, f"is not in the store of {folder}", fix=_near(folder, key))
        parts = [part for part in manifest.parts if _overlaps(part, start, end)]
        try:
            return between(stack_rows(key.kind, _read_parts(home, key, parts)), start, end)
        except FileNotFoundError as error:
            # A writer has removed what the manifest no longer names; unless it still names it.
            if manifest == before:
                raise DataError(error.filename, "is missing", fix="fetch the series again") from None
            before = manifest
    raise DataError(key, "changes too quickly to be read", fix="read it when its writer is done")


def last_stamp(folder: str | Path, key: SeriesKey) -> int | None:
    """The last stamp of a series, or None where there is none yet."""
    manifest = read_manifest(key.home(folder))
    return manifest.parts[-1].last if manifest and manifest.parts else None


def list_series(folder: str | Path, venue: str = "*", symbol: str = "*") -> tuple[SeriesInfo, ...]:
    """What is in the store of a data folder, all of it or of one contract, by venue, symbol, kind and bar."""
    found = []
    for path in (Path(folder) / "store").glob(f"kind=*/venue={venue}/symbol={symbol}/**/_manifest.json"):
        manifest = read_manifest(path.parent)
        if manifest is not None and manifest.parts:
            found.append(_info(manifest))
    return tuple(sorted(found, key=lambda one: (one.key.venue, one.key.symbol, one.key.kind, one.key.bar or 0)))


class _Append:
    """One append on its way: which parts give way to which rows, decided before anything is written."""

    def __init__(self, home: Path, key: SeriesKey, manifest: Manifest) -> None:
        self.home = home
        self.key = key
        self.manifest = manifest
        self.blocks: list[tuple[int | None, set[str], Rows]] = []
        self.replaced: list[Rows] = []
        self.done = Appended(0, 0, 0)
        self.span = (0, 0)

    def join(self, rows: Rows, *, revise: bool) -> None:
        parts = self.manifest.parts
        if parts and self.key.bar:
            check_grid(rows["timestamp"], parts[0].first, self.key.bar, str(self.key))
        self.span = (int(rows["timestamp"][0]), int(rows["timestamp"][-1]))
        for year, batch in [(None, rows)] if self.key.kind in SNAPSHOTS else _by_year(rows):
            self._join(year, [part for part in parts if part.year == year], batch, revise)

    def _join(self, year: int | None, parts: list[Part], batch: Rows, revise: bool) -> None:
        first, last = int(batch["timestamp"][0]), int(batch["timestamp"][-1])
        # A snapshot is compared with the one before it, however long ago that was.
        every = self.key.kind in SNAPSHOTS
        held = [part for part in parts if every or (part.first <= last and first <= part.last)]
        old = stack_rows(self.key.kind, _read_parts(self.home, self.key, held))
        joined = join_rows(self.key.kind, old, batch, str(self.key), revise=revise)
        done = self.done
        self.done = Appended(done.added + joined.added, done.known + joined.known, done.revised + joined.revised)
        if joined.added == 0 and joined.revised == 0:
            return
        if joined.revised:
            self.replaced.append(joined.replaced)
        self.blocks.append((year, *self._grown(parts, held, joined.rows)))

    def _grown(self, parts: list[Part], held: list[Part], rows: Rows) -> tuple[set[str], Rows]:
        """The rows with those of neighbours at most twice as many, so that parts stay few and are seldom rewritten."""
        stamps = rows["timestamp"]
        left = [part for part in parts if part.last < stamps[0]]
        right = [part for part in parts if part.first > stamps[-1]]
        gone = {part.file for part in held}
        while left and left[-1].rows <= 2 * len(rows["timestamp"]):
            rows = stack_rows(self.key.kind, [*_read_parts(self.home, self.key, left[-1:]), rows])
            gone.add(left.pop().file)
        while right and right[0].rows <= 2 * len(rows["timestamp"]):
            rows = stack_rows(self.key.kind, [rows, *_read_parts(self.home, self.key, right[:1])])
            gone.add(right.pop(0).file)
        return gone, rows

    def write(self, source: str, fetched_at: int) -> Manifest:
        """The manifest after the append, its parts written; the one before where nothing is new."""
        if not self.blocks:
            return self.manifest
        gone = {file for _, files, _ in self.blocks for file in files}
        new = [write_part(self.home, self.key.kind, self.key.bar, year, rows) for year, _, rows in self.blocks]
        kept = [part for part in self.manifest.parts if part.file not in gone]
        parts = tuple(sorted((*kept, *new), key=lambda part: part.first))
        rows = self.done.added + self.done.revised
        changed = replace(self.manifest, parts=parts)
        changed = changed.with_origin(Origin(source, fetched_at, fetched_at, *self.span, rows))
        if not self.replaced:
            return changed
        old = stack_rows(self.key.kind, self.replaced)
        file, digest = write_replaced(self.home, self.key.kind, old)
        stamps = old["timestamp"]
        revision = Revision(source, fetched_at, self.done.revised, int(stamps[0]), int(stamps[-1]), file, digest)
        return replace(changed, revisions=(*changed.revisions, revision))


def _read_parts(home: Path, key: SeriesKey, parts: list[Part]) -> list[Rows]:
    """The rows of some parts. All files are opened before the first is read: an open file cannot be taken away."""
    with ExitStack() as stack:
        files = [stack.enter_context((home / part.file).open("rb")) for part in parts]
        return [
            decode_rows(key.kind, file.read(), part.sha256, home / part.file)
            for file, part in zip(files, parts, strict=True)
        ]


def _by_year(rows: Rows) -> list[tuple[int, Rows]]:
    years = rows["timestamp"].astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    edges = [0, *(np.flatnonzero(np.diff(years)) + 1), len(years)]
    return [
        (int(years[first]), {name: values[first:last] for name, values in rows.items()})
        for first, last in pairwise(edges)
    ]


def _remove_strays(home: Path, manifest: Manifest) -> None:
    """Removes the files that the manifest does not name: of writers that died, or given up by an append."""
    patterns = ("year=*/*", "_replaced/*", "part-*", ".part-*", "._manifest*")
    for path in (path for pattern in patterns for path in home.glob(pattern)):
        if path.relative_to(home).as_posix() not in manifest.files:
            path.unlink(missing_ok=True)


def _overlaps(part: Part, start: int | None, end: int | None) -> bool:
    return (start is None or part.last >= start) and (end is None or part.first < end)


def _check_origin(key: SeriesKey, rows: Rows, source: str, fetched_at: int) -> None:
    if not source.strip() or "\n" in source:
        raise ParameterError("source", "should be one line that says where the rows come from", value=source)
    if not len(rows["timestamp"]):
        return
    # Settlements are rounded to the minute, which may be half a minute ahead.
    known = int(rows["timestamp"][-1]) + (key.bar or -MINUTE)
    if known > fetched_at:
        what = "a bar that closes" if key.bar else "a row stamped"
        at = utc(known if key.bar else int(rows["timestamp"][-1]))
        problem = f"has {what} at {at} UTC, after it was fetched at {utc(fetched_at)} UTC"
        raise DataError(key, problem, fix="leave out the bar that is not over yet")


def _near(folder: str | Path, key: SeriesKey) -> str:
    known = [str(one.key) for one in list_series(folder)]
    return suggestion(str(key), known) if known else "the store is empty: crossgate data import, or fetch"


def _info(manifest: Manifest) -> SeriesInfo:
    key = SeriesKey(**manifest.series)
    parts = manifest.parts
    holes = [(after.first - part.last) // key.bar - 1 for part, after in pairwise(parts)] if key.bar else []
    return SeriesInfo(
        key,
        rows=sum(part.rows for part in parts),
        first=parts[0].first,
        last=parts[-1].last,
        gaps=sum(part.gaps for part in parts) + sum(hole > 0 for hole in holes),
        missing=sum(part.missing for part in parts) + sum(holes),
        touched=sum(part.touched for part in parts),
        sources=tuple(dict.fromkeys(origin.source for origin in manifest.origins)),
        fetched_at=max(origin.fetched_last for origin in manifest.origins),
        revised=sum(revision.rows for revision in manifest.revisions),
        content=manifest.content,
    )


__all__ = [
    "COLUMNS",
    "Appended",
    "SeriesInfo",
    "SeriesKey",
    "append_rows",
    "check_append",
    "last_stamp",
    "list_series",
    "read_rows",
]
