"""The connection: how a venue is reached, by which clock, and how patiently."""

from __future__ import annotations

from dataclasses import dataclass, field

from markets.fetching.clock import Clock, SystemClock
from markets.fetching.retry import Retry

ARCHIVE = "https://data.binance.vision"


@dataclass(frozen=True)
class Connection:
    """Where and how to ask.

    `base_url`: a server that stands in for all venues, such as a mirror; else each venue's own. `archive_url`:
    the root of the monthly files. `seconds_apart`: the least time between requests of cost one, else the
    venue's rate limit. `timeout_seconds`: how long one answer may take. `key`, `secret`: for what a venue
    tells to signed requests only.
    """

    base_url: str | None = None
    archive_url: str | None = None
    seconds_apart: float | None = None
    timeout_seconds: float = 30.0
    retry: Retry = field(default_factory=Retry)
    clock: Clock = field(default_factory=SystemClock)
    key: str = ""
    secret: str = field(default="", repr=False)

    @property
    def archive(self) -> str:
        """The root of the monthly files."""
        return (self.archive_url or self.base_url or ARCHIVE).rstrip("/")
