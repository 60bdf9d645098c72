"""Order book: the orders that wait on both sides, rebuilt from a snapshot and the changes after it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from markets.candles import utc

Level = tuple[float, float]


class BookUpdate(NamedTuple):
    """A snapshot of a book, or what changed in it: levels of (price, quantity); the quantity 0 takes a level away.

    `time`: the exchange's clock, UTC nanoseconds. `first`, `last`: the ids of the changes it holds, and `before` the
    `last` of the update before it; a snapshot holds everything up to `last`. All 0 where the venue counts nothing.
    """

    time: int
    snapshot: bool
    bids: Sequence[Level]
    asks: Sequence[Level]
    first: int = 0
    last: int = 0
    before: int = 0


class OrderBook:
    """A book that knows when it is whole: after a snapshot, and until an update is missing.

    `apply` takes the updates in their order. Those that came before the snapshot are kept until it comes and
    applied to it where they are newer (Binance's rule: drop `last` < id of the snapshot; the first one kept holds
    that id; each later one follows on the one before). After a gap the book is not whole until the next snapshot.
    `gaps`, `crossed`: the times of missing updates, and of books whose best bid was not below their best ask.
    """

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.whole = False
        self.gaps: list[int] = []
        self.crossed: list[int] = []
        self.applied = self.dropped = 0
        self._last = 0
        self._fresh = False
        self._early: list[BookUpdate] = []

    def apply(self, update: BookUpdate) -> None:
        """Takes one update in."""
        if update.snapshot:
            self._start(update)
        elif self.whole:
            self._follow(update)
        else:
            self._early.append(update)
        if self.whole and self.is_crossed:
            self.crossed.append(update.time)

    @property
    def is_crossed(self) -> bool:
        """Whether a bid is not below an ask, or a side is empty: a state that no exchange leaves standing."""
        return not self.bids or not self.asks or max(self.bids) >= min(self.asks)

    def top(self, depth: int) -> tuple[list[Level], list[Level]]:
        """The best `depth` bids and asks, the best first."""
        bids = [(price, self.bids[price]) for price in heapq.nlargest(depth, self.bids)]
        return bids, [(price, self.asks[price]) for price in heapq.nsmallest(depth, self.asks)]

    def notes(self) -> list[str]:
        """What a reader must know: how much was applied, and where the book was not whole or crossed."""
        said = [f"{self.applied:,} updates, {self.dropped:,} older than their snapshot"]
        for times, what in ((self.gaps, "missing update(s)"), (self.crossed, "crossed book(s)")):
            said.append(f"{len(times):,} {what}" + (f", the first at {utc(times[0])} UTC" if times else ""))
        return said

    def _start(self, snapshot: BookUpdate) -> None:
        self.bids, self.asks = dict(snapshot.bids), dict(snapshot.asks)
        self.whole, self._last, self._fresh = True, snapshot.last, True
        self.applied += 1
        early, self._early = self._early, []
        for update in early:
            if self.whole:
                self._follow(update)

    def _follow(self, update: BookUpdate) -> None:
        if self._fresh and update.last and update.last < self._last:
            self.dropped += 1
            return
        follows = update.first <= self._last <= update.last if self._fresh else update.before == self._last
        if update.last and not follows:
            self.gaps.append(update.time)
            self.whole, self._early = False, [update]
            return
        self._fresh, self._last = False, update.last
        self.applied += 1
        for side, levels in ((self.bids, update.bids), (self.asks, update.asks)):
            for price, quantity in levels:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
