"""The clock that fetching waits by; tests hand in one that does not really wait."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that only ever rise, and a wait."""

    def monotonic(self) -> float:
        """Seconds since some moment, never falling."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Pace:
    """A rate limit: requests are `seconds` apart, each times its cost, by the clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._free_at = 0.0

    def wait(self, cost: float = 1.0) -> None:
        """Waits until the next request may go out, and books its cost."""
        now = self._clock.monotonic()
        if now < self._free_at:
            self._clock.sleep(self._free_at - now)
            now = self._free_at
        self._free_at = now + self._seconds * cost
