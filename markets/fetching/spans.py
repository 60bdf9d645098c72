"""Spans of time in UTC nanoseconds: which are still to be fetched, and how they fall into pages and months."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from markets.candles import IntArray

DAY = 86_400_000_000_000
# Perpetuals settle at least this often, so a longer step between settlements is a hole.
LONGEST_SETTLEMENT = 8 * 3_600_000_000_000


class Span(NamedTuple):
    """The stamps from `start` up to, not including, `end`."""

    start: int
    end: int


def missing_bars(stored: IntArray, wanted: Span, bar: int) -> list[Span]:
    """The stretches of a grid of bars that are not among the stored stamps; `wanted` begins and ends on the grid."""
    absent = np.ones(max(0, (wanted.end - wanted.start) // bar), dtype=np.int8)
    inside = stored[(stored >= wanted.start) & (stored < wanted.end)]
    absent[(inside - wanted.start) // bar] = 0
    edges = np.diff(absent, prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [
        Span(wanted.start + int(first) * bar, wanted.start + int(last) * bar)
        for first, last in zip(starts, ends, strict=True)
    ]


def missing_settlements(stored: IntArray, wanted: Span) -> list[Span]:
    """The stretches without a stored settlement: before the first, after the last, and longer ones between."""
    inside = stored[(stored >= wanted.start) & (stored < wanted.end)]
    if inside.size == 0:
        return [wanted]
    wide = np.flatnonzero(np.diff(inside) > LONGEST_SETTLEMENT)
    holes = [Span(int(inside[row]) + 1, int(inside[row + 1])) for row in wide]
    ends = [Span(wanted.start, int(inside[0])), *holes, Span(int(inside[-1]) + 1, wanted.end)]
    return [span for span in ends if span.start < span.end]


def widened(span: Span, stored: IntArray, wanted: Span, bar: int) -> Span:
    """The span with the stored bars beside it, which are asked for again to see whether the venue has changed them."""
    start, end = span
    if start > wanted.start and start - bar in stored:
        start -= bar
    if end < wanted.end and end in stored:
        end += bar
    return Span(start, end)


def pages(span: Span, length: int) -> list[Span]:
    """The span in stretches of at most `length` nanoseconds, in time order."""
    return [Span(start, min(start + length, span.end)) for start in range(span.start, span.end, length)]


def months(span: Span) -> Iterator[tuple[str, Span]]:
    """The calendar months that lie in the span as a whole, by name: `2024-03`."""
    first = pd.Timestamp(span.start, unit="ns")
    month = first.to_period("M") if first == first.to_period("M").to_timestamp() else first.to_period("M") + 1
    while True:
        start, after = month.to_timestamp(), (month + 1).to_timestamp()
        if int(after.value) > span.end:
            return
        yield str(month), Span(int(start.value), int(after.value))
        month += 1


def floor_to(stamp: int, bar: int) -> int:
    """The last grid stamp that is not later."""
    return stamp // bar * bar


def ceil_to(stamp: int, bar: int) -> int:
    """The first grid stamp that is not earlier."""
    return -(-stamp // bar) * bar
