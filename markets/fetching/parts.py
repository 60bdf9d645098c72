"""Parts of a fetch: margin tiers, contract, funding, mark prices and candles of one perpetual, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from foundation.errors import ParameterError
from markets.candles import duration, utc
from markets.cleaning import CleaningParams, funding_holes
from markets.contract import Contract, registry
from markets.contract_book import book_path, write_contract
from markets.fetching.archive import open_archive
from markets.fetching.brackets import fetch_tiers, store_tiers
from markets.fetching.client import Client
from markets.fetching.connection import Connection
from markets.fetching.listing import Listing, as_contract, unsaid
from markets.fetching.pages import Pager
from markets.fetching.rows import Columns
from markets.fetching.series import SeriesFetch
from markets.fetching.spans import LONGEST_SETTLEMENT, Span, ceil_to, floor_to
from markets.fetching.venues import Venue
from markets.quality import check_candles, check_funding
from markets.series import SeriesKey, append_rows, last_stamp, read_rows
from markets.stored import stored_tiers
from markets.tiers import MarginTiers

SERIES = ("funding", "mark", "candles")
# The contract takes its maintenance rate from the tiers, so they come first.
PARTS = ("tiers", "contract", *SERIES)
_SIGNED = "are told to signed requests only: set CROSSGATE_VENUE_KEY and CROSSGATE_VENUE_SECRET (reading is enough)"


@dataclass(frozen=True)
class Fetched:
    """What one part of a fetch brought; times are text in UTC, None where there are none.

    `state`: new, unchanged, or left out. `rows`: stored in the span that was asked for, `added` and `revised`
    of them by this fetch. `missing`: bars that the venue has none of, in `gaps` stretches between the first
    and the last. `notes`: everything else that was noticed.
    """

    part: str
    state: str
    rows: int = 0
    added: int = 0
    revised: int = 0
    first: str | None = None
    last: str | None = None
    missing: int = 0
    gaps: int = 0
    notes: tuple[str, ...] = ()


@dataclass
class Job:
    """One fetch of one perpetual. `now`: the venue's time; bars that were still running then are not asked for."""

    client: Client
    listing: Listing
    folder: Path
    now: int
    bar: int
    connection: Connection
    cleaning: CleaningParams
    archive: bool
    revise: bool

    @property
    def venue(self) -> Venue:
        """The venue that is asked."""
        return self.client.venue

    def first_stored(self, parts: Sequence[str]) -> int:
        """Where the stored series begin, for a fetch that only goes on. Raises ParameterError where there is none."""
        stored = [kind for kind in SERIES if kind in parts and last_stamp(self.folder, self._key(kind)) is not None]
        if not stored and set(parts) & set(SERIES):
            raise ParameterError("since", "is missing, and nothing is stored yet", fix="such as --since 2020-01-01")
        return min((int(read_rows(self.folder, self._key(kind))["timestamp"][0]) for kind in stored), default=self.now)

    def fetch(self, part: str, span: Span, *, required: bool) -> Fetched:
        """One part. What the venue does not offer is left out and said, or refused where it was asked for by name."""
        reason = self._unavailable(part)
        if reason is not None:
            if required:
                raise ParameterError("only", reason, value=part)
            return Fetched(part, "left out", notes=(reason,))
        if part == "tiers":
            return self._tiers()
        return self._contract() if part == "contract" else self._series(part, span)

    def _unavailable(self, part: str) -> str | None:
        """Why the venue cannot give a part, or None."""
        if part in SERIES and part not in self.venue.endpoints:
            return f"{self.venue.key} offers no history of {part}"
        if part == "tiers" and self.venue.tiers == "signed" and not (self.connection.key and self.connection.secret):
            return f"margin tiers of {self.venue.key} {_SIGNED}"
        if part == "tiers" and self.venue.tiers not in ("open", "signed"):
            return f"no margin tiers: {self.venue.tiers}"
        if part == "contract" and self.listing.kind not in get_args(Contract.model_fields["kind"].annotation):
            return f"{self.listing.id} is a contract of kind {self.listing.kind}, which cannot be traded here"
        if part == "contract" and self.venue.coin_lots and self.listing.kind == "inverse":
            return f"{self.venue.key} counts {self.listing.id} in coins, not in USD: write the contract as a table"
        if part == "contract" and (lacking := unsaid(self.listing, self._registered, self._latest_tiers())):
            return f"{self.venue.key} does not say {', '.join(lacking)}: write the contract as a table in the config"
        return None

    def _key(self, kind: str) -> SeriesKey:
        bar = self.bar if kind in ("candles", "mark") else None
        return SeriesKey(self.venue.key, self.listing.id, kind, bar)  # type: ignore[arg-type]

    @property
    def _registered(self) -> Contract | None:
        return registry().get(f"{self.venue.key}:{self.listing.id}")

    def _latest_tiers(self) -> MarginTiers | None:
        tables = stored_tiers(self.folder, self.venue.key, self.listing.id)
        return tables[max(tables)] if tables else None

    @property
    def _date(self) -> str:
        return utc(self.now)[:10]

    def _tiers(self) -> Fetched:
        tiers = fetch_tiers(self.client, self.listing, self._date)
        added = store_tiers(self.folder, self.client, tiers, f"{self.venue.key} brackets", self.now)
        count = len(tiers.floors)
        note = f"{count} brackets, maintenance {tiers.rates[0]:g} to {tiers.rates[-1]:g} of {self._date}"
        return Fetched("tiers", "new" if added else "unchanged", count, added, notes=(note,))

    def _contract(self) -> Fetched:
        tiers = self._latest_tiers()
        contract = as_contract(self.venue, self.listing, self._date, self._registered, tiers)
        new = write_contract(self.folder, contract)
        self._filters(contract)
        path = book_path(self.folder, contract.venue, contract.symbol)
        return Fetched("contract", "new" if new else "unchanged", 1, int(new), notes=(f"{path}", contract.source))

    def _filters(self, contract: Contract) -> None:
        """Puts the filters of a contract into the store, dated, as they may have changed."""
        columns = {
            "timestamp": np.array([self.now], dtype=np.int64),
            "tick": np.array([contract.tick]),
            "lot": np.array([contract.lot]),
            "minimum_quantity": np.array([contract.minimum_quantity]),
            "maximum_quantity": np.array([contract.maximum_market_quantity or np.nan]),
            "minimum_notional": np.array([contract.minimum_notional]),
        }
        source = f"{self.venue.key} contract filters"
        append_rows(self.folder, self._key("filters"), columns, source=source, fetched_at=self.now)

    def _series(self, kind: str, span: Span) -> Fetched:
        bar = 0 if kind == "funding" else self.bar
        # A bar counts when it is over by the venue's clock, a settlement when its moment is past.
        end = min(ceil_to(span.end, bar), floor_to(self.now, bar)) if bar else span.end
        wanted = Span(ceil_to(span.start, bar) if bar else span.start, end)
        if wanted.start >= wanted.end:
            return Fetched(kind, "unchanged", notes=("no bar of the span is over yet",))
        name = duration(bar) if bar else ""
        pager = Pager(self.client, self.listing, kind, bar, name, self.now, self.cleaning)
        archive = None
        if self.archive and bar:
            archive = open_archive(self.venue, self.listing, kind, bar, name, self.connection, self.cleaning)
        series = SeriesFetch(self.folder, pager, archive, wanted, self.revise)
        series.run()
        return self._report(kind, series)

    def _report(self, kind: str, series: SeriesFetch) -> Fetched:
        rows = series.stored()
        if rows is None:
            return Fetched(kind, "unchanged", notes=(f"the venue has no {kind} in the span",))
        notes = list(series.notes)
        first, last = int(rows["timestamp"][0]), int(rows["timestamp"][-1])
        missing, gaps, largest = _gaps(kind, rows, self.bar)
        if first - series.wanted.start >= (series.pager.bar or LONGEST_SETTLEMENT):
            notes.append(f"the venue has none before {utc(first)} UTC")
        if gaps:
            notes.append(f"the venue has {missing:,} missing in {gaps:,} gaps, the longest after {utc(largest)} UTC")
        if self.client.retrier.failures:
            notes.append(f"{self.client.retrier.failures} request(s) failed in passing and were asked again")
        state = "new" if series.added or series.revised else "unchanged"
        return Fetched(
            kind, state, len(rows["timestamp"]), series.added, series.revised, utc(first), utc(last),
            missing, gaps, tuple(notes),
        )  # fmt: skip


def _gaps(kind: str, rows: Columns, bar: int) -> tuple[int, int, int]:
    """Rows missing between the first and the last, the number of gaps, and the stamp before the longest."""
    stamps = rows["timestamp"]
    if kind != "funding":
        report = check_candles(rows, bar)
        return report.missing, report.gaps, report.largest_gap_at or 0
    if len(stamps) < 2:
        return 0, 0, 0
    interval = check_funding(rows).bar
    steps, wide = funding_holes(stamps, interval)
    missing = int((steps[wide] // interval - 1).sum())
    return missing, int(wide.sum()), int(stamps[np.argmax(np.where(wide, steps, 0))])
