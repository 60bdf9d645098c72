"""Fetching a market: contract, margin tiers, funding, mark prices and candles of one perpetual into the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foundation.errors import ParameterError, suggestion
from foundation.units import nanoseconds
from markets.candles import duration, utc
from markets.cleaning import CleaningParams
from markets.fetching.client import open_client, venue_time
from markets.fetching.connection import Connection
from markets.fetching.listing import parse_name
from markets.fetching.parts import PARTS, Fetched, Job
from markets.fetching.spans import Span
from markets.fetching.venues import Venue, find_venue
from markets.store import read_time


def fetch_market(
    name: str,
    bar: str = "1h",
    since: str | None = None,
    until: str | None = None,
    *,
    out: str | Path,
    only: Sequence[str] = (),
    archive: bool = True,
    revise: bool = False,
    cleaning: CleaningParams | None = None,
    connection: Connection | None = None,
) -> list[Fetched]:
    """What was fetched of the perpetual `VENUE:SYMBOL` into the store of the data folder `out`, part by part.

    Bars that open at or after `since` and before `until`, and are over by the VENUE's clock; `since` may be
    left out where bars are stored already. `only`: some of PARTS, else all that the venue offers. `archive`:
    take whole months from monthly files where there are some. `revise`: ask for the whole span again and let
    the venue's rows take the place of others. Only what is missing is asked for; a run that was stopped goes on.
    Raises ParameterError before anything is stored, DataError when a venue fails or answers what cannot be.
    """
    venue_key, symbol = parse_name(name)
    venue = find_venue(venue_key)
    parts = _parts(venue, only)
    length = _bar(venue, bar)
    asked = (read_time("since", since), read_time("until", until))
    reach = connection or Connection()
    client = open_client(venue, reach)
    now = venue_time(client)
    _check_span(asked, now, venue)
    listing = client.listing(symbol)
    job = Job(client, listing, Path(out), now, length, reach, cleaning or CleaningParams(), archive, revise)
    start = asked[0] if asked[0] is not None else job.first_stored(parts)
    span = Span(start, min(asked[1], now) if asked[1] is not None else now)
    return [job.fetch(part, span, required=bool(only)) for part in parts]


def _parts(venue: Venue, only: Sequence[str]) -> list[str]:
    for part in only:
        if part not in PARTS:
            raise ParameterError("only", "is not known", value=part, fix=suggestion(part, PARTS))
        if part in ("funding", "mark", "candles"):
            venue.endpoint(part)
    return [part for part in PARTS if not only or part in only]


def _bar(venue: Venue, bar: str) -> int:
    try:
        length = nanoseconds(bar)
        written = duration(length)
    except ValueError:
        raise ParameterError("bar", "is no length of a bar", value=bar, fix=f"one of {', '.join(venue.bars)}") from None
    if written not in venue.bars:
        raise ParameterError(
            "bar", f"is no length of bars at {venue.key}", value=bar, fix=f"one of {', '.join(venue.bars)}"
        )
    return length


def _check_span(asked: tuple[int | None, int | None], now: int, venue: Venue) -> None:
    since, until = asked
    if since is not None and since >= now:
        fix = f"a day before {utc(now)} UTC, which is the time of {venue.key}"
        raise ParameterError("since", "lies in the future", value=utc(since), fix=fix)
    if since is not None and until is not None and until <= since:
        raise ParameterError("until", f"should be later than since = {utc(since)}", value=utc(until))
