"""One series on its way from a venue into the store: what is missing is asked for, and each page stored at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from foundation.errors import DataError
from foundation.progress import progress
from markets.candles import IntArray, utc
from markets.fetching.archive import Archive
from markets.fetching.pages import Pager
from markets.fetching.rows import Columns
from markets.fetching.spans import DAY, Span, missing_bars, missing_settlements, months, widened
from markets.series import SeriesKey, append_rows, last_stamp, read_rows

_REVISE = "a bar of the venue changed after it was stored: --revise takes the venue's rows and keeps the old ones aside"


@dataclass
class SeriesFetch:
    """One series between a venue and the store of a data folder. `wanted`: the span that was asked for, on the grid.

    Whatever is killed at any moment, the stored rows are whole pages, and the next run asks for what they lack:
    the plan comes from the stored stamps alone.
    """

    folder: Path
    pager: Pager
    archive: Archive | None
    wanted: Span
    revise: bool = False
    added: int = 0
    revised: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def key(self) -> SeriesKey:
        """The name of the series in the store."""
        venue, listing = self.pager.client.venue.key, self.pager.listing.id
        return SeriesKey(venue, listing, self.pager.kind, self.pager.bar or None)  # type: ignore[arg-type]

    def run(self) -> None:
        """Fetches what the store lacks of the wanted span. Raises DataError, and keeps what was stored until then."""
        self._from_archive()
        for span in self._plan():
            for page in progress(*self._pages(span)):
                rows = self.pager.fetch(page)
                if rows is not None:
                    self._store(rows, f"{self.pager.client.venue.key} REST")

    def stored(self) -> Columns | None:
        """The stored rows of the wanted span, or None where there are none."""
        if last_stamp(self.folder, self.key) is None:
            return None
        rows = read_rows(self.folder, self.key, *self.wanted)
        return rows if len(rows["timestamp"]) else None

    def _stamps(self) -> IntArray:
        rows = self.stored()
        return np.zeros(0, dtype=np.int64) if rows is None else rows["timestamp"]

    def _plan(self) -> list[Span]:
        """The spans to ask for; bars stored beside them are asked for too, to see whether they have changed."""
        stamps, bar = self._stamps(), self.pager.bar
        if self.revise:
            return [self._listed(self.wanted)]
        if not bar:
            return missing_settlements(stamps, self.wanted)
        found = [self._listed(span) for span in missing_bars(stamps, self.wanted, bar)]
        return [widened(span, stamps, self.wanted, bar) for span in found if span.start < span.end]

    def _listed(self, span: Span) -> Span:
        """The span without the years before the venue's first bar, where it begins at the start of all."""
        if not self.pager.bar or span.start > self.wanted.start or span.end - span.start <= DAY:
            return span
        return Span(max(span.start, self.pager.first_day(span)), span.end)

    def _pages(self, span: Span) -> tuple[Iterator[Span] | list[Span], str, int]:
        pages = self.pager.split(span)
        return pages, f"{self.pager.where} from {utc(span.start)}", len(pages)

    def _from_archive(self) -> None:
        if self.archive is None:
            return
        spans = (
            []
            if self.revise
            else [self._listed(span) for span in missing_bars(self._stamps(), self.wanted, self.pager.bar)]
        )
        wanted = [month for span in spans for month in months(span)]
        if not wanted:
            return
        absent = 0
        for name, span in progress(wanted, f"{self.pager.where} archive", len(wanted)):
            rows = self.archive.fetch(name, span)
            absent += rows is None
            if rows is not None:
                self._store(rows, f"{self.pager.client.venue.key} archive")
        taken = len(wanted) - absent
        if taken:
            self.notes.append(f"{taken} month(s) came from the archive, checked against its SHA-256")
        if absent:
            self.notes.append(f"{absent} month(s) are not in the archive: asked for page by page")

    def _store(self, rows: Columns, source: str) -> None:
        if not len(rows["timestamp"]):
            return
        self._compare(rows)
        done = append_rows(self.folder, self.key, rows, source=source, fetched_at=self.pager.now, revise=self.revise)
        self.added += done.added
        self.revised += done.revised

    def _compare(self, rows: Columns) -> None:
        """Raises DataError where rows differ from stored ones, unless they are to be revised."""
        if self.revise or last_stamp(self.folder, self.key) is None:
            return
        first, last = int(rows["timestamp"][0]), int(rows["timestamp"][-1])
        old = read_rows(self.folder, self.key, first, last + 1)
        _, here, there = np.intersect1d(rows["timestamp"], old["timestamp"], return_indices=True)
        for name in rows:
            differs = rows[name][here] != old[name][there]
            if differs.any():
                at = int(np.argmax(differs))
                was, now = old[name][there][at], rows[name][here][at]
                problem = f"{name} at {utc(int(rows['timestamp'][here][at]))} UTC is stored as {was:g} and now {now:g}"
                raise DataError(self.pager.where, problem, fix=_REVISE)
