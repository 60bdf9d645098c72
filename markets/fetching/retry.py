"""Retries: what is asked again after a failure that may pass, how long is waited, and when it ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from foundation.errors import DataError
from markets.fetching.clock import Clock

T = TypeVar("T")
RESUME = "run the same command again: it goes on where it stopped"


class Transient(Exception):
    """A failure that may pass: a full rate limit, a fault of the server, a cut connection, a timeout.

    `retry_after`: the seconds that the server asks for, or None.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(Exception):
    """An answer that will not change by asking again; its text is what the server said."""


@dataclass(frozen=True)
class Retry:
    """Exponential back-off with jitter, bounded.

    Before attempt k + 1: `min(first_seconds * 2**(k - 1), longest_seconds)` times a factor between 0.5 and 1
    that is drawn from `seed`, and never less than the server asks for. A server that asks for more than
    `patience_seconds` is not waited for.
    """

    attempts: int = 8
    first_seconds: float = 1.0
    longest_seconds: float = 60.0
    patience_seconds: float = 600.0
    seed: int = 7

    def delays(self) -> Callable[[int, float | None], float]:
        """The wait after failure k (from 1), given what the server asks for; draws in order from the seed."""
        draws = random.Random(self.seed)

        def delay(failure: int, asked: float | None) -> float:
            backoff = min(self.first_seconds * 2.0 ** (failure - 1), self.longest_seconds)
            return max(backoff * (0.5 + 0.5 * draws.random()), asked or 0.0)

        return delay


class Retrier:
    """Calls that are repeated while they fail in passing; all of one client draw from one seed."""

    def __init__(self, where: str, policy: Retry, clock: Clock) -> None:
        self.where = where
        self.policy = policy
        self.clock = clock
        self.failures = 0
        self._delay = policy.delays()

    def run(self, what: str, once: Callable[[], T]) -> T:
        """What `once` returns. Raises DataError when it is refused or has failed too often in a row."""
        for attempt in range(1, self.policy.attempts + 1):
            try:
                return once()
            except Transient as failure:
                self.failures += 1
                self._wait(what, attempt, failure)
            except Refused as refusal:
                raise DataError(self.where, f"{what} is refused: {refusal}", fix="check symbol, bar and span") from None
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, what: str, attempt: int, failure: Transient) -> None:
        asked = failure.retry_after
        if asked is not None and asked > self.policy.patience_seconds:
            problem = f"{what} failed ({failure}), and the venue asks to wait {asked:,.0f} s"
            raise DataError(self.where, problem, fix=f"wait that long, then {RESUME}") from None
        if attempt >= self.policy.attempts:
            problem = f"{what} failed {attempt} times in a row, the last time with: {failure}"
            raise DataError(self.where, problem, fix=RESUME) from None
        self.clock.sleep(self._delay(attempt, asked))


def retry_after(header: str | None, now: str | None = None) -> float | None:
    """The seconds of a Retry-After header: a number, or a date less the server's own `Date`; None where unread."""
    if header is None:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        until, since = parsedate_to_datetime(header), parsedate_to_datetime(now or "")
    except (TypeError, ValueError):
        return None
    return max((until - since).total_seconds(), 0.0)
