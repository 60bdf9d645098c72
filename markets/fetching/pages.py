"""Pages: one series of one contract, asked for stretch by stretch, so that no row is lost between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from foundation.errors import DataError
from markets.cleaning import CleaningParams
from markets.fetching.client import Client, dig
from markets.fetching.listing import Listing
from markets.fetching.rows import Columns, checked, read_rows_of, stacked, within
from markets.fetching.spans import DAY, LONGEST_SETTLEMENT, Span, ceil_to, pages
from markets.fetching.venues import Endpoint

_MILLISECOND = 1_000_000
# Pages that a venue numbers are asked for up to this one: 100 rows each, 8 h apart, are more than 90 years.
_LAST_PAGE = 1000


@dataclass(frozen=True)
class Pager:
    """The pages of one kind of data of one contract.

    `bar`: nanoseconds, 0 for funding; `bar_name`: as people write it. `now`: the venue's time in nanoseconds.
    """

    client: Client
    listing: Listing
    kind: str
    bar: int
    bar_name: str
    now: int
    cleaning: CleaningParams = field(default_factory=CleaningParams)

    @property
    def where(self) -> str:
        """What errors call the series."""
        bar = f" {self.bar_name}" if self.bar else ""
        return f"{self.client.venue.key}:{self.listing.id} {self.kind}{bar}"

    @property
    def endpoint(self) -> Endpoint:
        """How it is asked for."""
        return self.client.venue.endpoint(self.kind)

    def split(self, span: Span) -> list[Span]:
        """The span in stretches that one page holds; the first page is not full where settlements are 8 h apart."""
        endpoint = self.endpoint
        if endpoint.numbered:
            return [span]
        rows = endpoint.limit if self.bar else endpoint.limit - 1
        longest = min(float(rows * (self.bar or LONGEST_SETTLEMENT)), endpoint.longest_days * DAY)
        return pages(span, int(longest // (self.bar or 1)) * (self.bar or 1))

    def fetch(self, span: Span) -> Columns | None:
        """All rows of a stretch, checked; None where the venue has none.

        A page that begins after its start or ends before its end may have been cut to a limit: what is missing
        at its ends is asked for again, until an answer brings nothing new.
        """
        if self.endpoint.numbered:
            return self._numbered(span)
        parts: list[Columns] = []
        left = [span]
        while left:
            asked = left.pop()
            found = within(self._ask(asked), asked)
            rows = len(found["timestamp"])
            if rows == 0:
                continue
            parts.append(found)
            left += self._unanswered(asked, found, full=rows >= self.endpoint.limit)
        return checked(self.where, self.kind, stacked(parts), self.bar, self.cleaning) if parts else None

    def first_day(self, span: Span) -> int:
        """The open of the first daily bar that the venue has in a span: years of nothing pass in a few pages.

        Without one it is the day before the end, because a contract of today may have no daily bar yet.
        """
        daily = Pager(self.client, self.listing, self.kind, DAY, "1d", self.now, self.cleaning)
        for stretch in daily.split(Span(span.start // DAY * DAY, ceil_to(span.end, DAY))):
            found = within(daily._ask(stretch), stretch)
            if len(found["timestamp"]):
                return int(found["timestamp"].min())
        return span.end // DAY * DAY - DAY

    def _unanswered(self, asked: Span, found: Columns, *, full: bool) -> Iterator[Span]:
        stamps = found["timestamp"]
        first, last = int(stamps.min()), int(stamps.max())
        step = self.bar or (1 if full else LONGEST_SETTLEMENT + 1)
        after = last + (self.bar or 1)
        if first - asked.start >= step:
            yield Span(asked.start, first)
        if asked.end - after >= step:
            yield Span(after, asked.end)

    def _numbered(self, span: Span) -> Columns | None:
        """The rows of pages numbered from the newest on, down to the start of the span: all of them or an error."""
        parts: list[Columns] = []
        for page in range(1, _LAST_PAGE + 1):
            found = self._ask(span, page)
            if not len(found["timestamp"]):
                break
            parts.append(within(found, span))
            if int(found["timestamp"].min()) < span.start or len(found["timestamp"]) < self.endpoint.limit:
                break
        else:
            raise DataError(self.where, f"has more than {_LAST_PAGE} pages", fix="choose a later --since")
        if not any(len(part["timestamp"]) for part in parts):
            return None
        return checked(self.where, self.kind, stacked(parts), self.bar, self.cleaning)

    def _ask(self, span: Span, page: int = 1) -> Columns:
        endpoint, venue = self.endpoint, self.client.venue
        words = self._words(span, page)
        params = {
            name: value.format(**words) if isinstance(value, str) else value for name, value in endpoint.params.items()
        }
        call = endpoint.call
        if endpoint.recent is not None and span.start >= self.now - endpoint.recent_bars * self.bar:
            call = endpoint.recent
        rows = dig(self.client, self.client.call(call, params), endpoint.rows)
        if not isinstance(rows, list):
            raise DataError(self.where, "was answered without a list of rows", fix="try again later")
        columns = read_rows_of(self.where, endpoint, rows, self.listing.id, self.bar)
        if venue.contracts and "volume" in columns:
            columns["volume"] = columns["volume"] * self.listing.contract_size
        return columns

    def _words(self, span: Span, page: int) -> dict[str, Any]:
        """What the templates of an endpoint may name; bounds are whole milliseconds, rounded outwards."""
        since, end = span.start // _MILLISECOND, -(-span.end // _MILLISECOND)
        return {
            "id": self.listing.id,
            "bar": self.client.venue.bars.get(self.bar_name, ""),
            "product": self.listing.product,
            "settle": self.listing.settle,
            "page": page,
            "since": since,
            "since_before": max(since - 1, 0),
            "end": end,
            "last": end - 1,
            "since_s": since // 1000,
            "last_s": (end - 1) // 1000,
            "since_iso": _iso(since),
            "next_iso": _iso(since + self.bar // _MILLISECOND),
            "last_iso": _iso(end - 1),
            "end_iso": _iso(end),
        }


def _iso(milliseconds: int) -> str:
    time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"
