"""Live series: a series from outside the market row by row as it is published, joined to each bar at its close."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from foundation.errors import DataError
from markets.candles import utc
from markets.exogenous import AGE, COUNT, HOUR, Exogenous


class Published(NamedTuple):
    """One row of a series as it became public: the time it speaks of, when it was public, and its values by name.

    Times are UTC nanoseconds. `published` is what a file would say, the lag `published_after` included.
    """

    name: str
    event: int
    published: int
    values: Mapping[str, float]


class _Row(NamedTuple):
    published: int
    event: int
    number: int
    values: tuple[float, ...]


class LiveSeries:
    """An Exogenous as a live process knows it: `publish` each row as it comes, `at` the close of each bar.

    `series`: its names and limits, and its rows as history, which are known from their publication on, like all. What
    is joined at a time is what `Exogenous.joined` says of all rows published by then. Each time is at or after the one
    before, unless `rewind` begins again. A row that is handed in after a bar by whose close it was public counts
    from the next bar on: `late` says how many did; a longer `published_after` makes room for the way it takes.
    The work of a bar does not grow with what came before, but for the rows of a `window`.
    """

    def __init__(self, series: Exogenous) -> None:
        self.series, self.late = series, 0
        columns = zip(*(values.tolist() for values in series.values.values()), strict=True)
        rows = zip(series.published.tolist(), series.event.tolist(), range(len(series)), columns, strict=True)
        self._rows = sorted(_Row(*row) for row in rows)
        self.rewind()

    def rewind(self) -> None:
        """Begins again before the first bar, with all rows that there are."""
        self._taken, self._first, self._time = 0, 0, -(2**63)
        self._newest: _Row | None = None

    def publish(self, row: Published) -> None:
        """Takes one more row; raises DataError for one that no file could hold."""
        names = tuple(self.series.values)
        if row.name != self.series.name or set(row.values) != set(names):
            problem = f"is handed {row.name} with {', '.join(sorted(row.values))}"
            raise DataError(self.series.name, problem, fix=f"{self.series.name} with {', '.join(names)}")
        values = tuple(float(row.values[name]) for name in names)
        if not all(map(math.isfinite, values)):
            raise DataError(self.series.name, f"has no finite value at {utc(row.event)} UTC", fix="leave the row out")
        if row.published < row.event:
            problem = f"says that {utc(row.event)} UTC was public at {utc(row.published)} UTC already"
            raise DataError(self.series.name, problem, fix="hand in when it was public")
        added = _Row(int(row.published), int(row.event), len(self._rows), values)
        insort(self._rows, added)
        if added.published <= self._time:
            self.late += 1
            self._taken += 1
            self._first += added.published <= self._time - (self.series.window or 0)
            self._see(added)

    def at(self, time: int) -> dict[str, float]:
        """What is known at a time (UTC nanoseconds), by the names of `Exogenous.columns`; NaN where nothing is."""
        if time < self._time:
            raise DataError(self.series.name, f"is asked for {utc(time)} UTC after a later time", fix="rewind it")
        self._time = time
        rows = self._rows
        while self._taken < len(rows) and rows[self._taken].published <= time:
            self._see(rows[self._taken])
            self._taken += 1
        newest, series = self._newest, self.series
        if newest is None:
            return dict.fromkeys(series.columns, math.nan)
        age = (time - newest.event) / HOUR
        if series.window is None:
            stale = time - newest.event > series.stale_after
            shown = dict(zip(series.values, [math.nan] * len(newest.values) if stale else newest.values, strict=True))
        else:
            stale, shown = False, self._means(time)
        if series.neutral is None:
            shown[AGE] = math.nan if stale else age
        else:
            shown = {name: series.neutral if math.isnan(value) else value for name, value in shown.items()}
            shown[AGE] = min(age, series.stale_after / HOUR)
        return {f"{series.name}.{name}": value for name, value in shown.items()}

    def _see(self, row: _Row) -> None:
        """Lets a row be the newest, unless it speaks of an older time, or of the same and was public before."""
        newest = self._newest
        if newest is None or (row.event, *row[:3]) > (newest.event, *newest[:3]):
            self._newest = row

    def _means(self, time: int) -> dict[str, float]:
        """The means over the rows published within the window, NaN without any, and their count."""
        rows, begin = self._rows, time - (self.series.window or 0)
        while self._first < self._taken and rows[self._first].published <= begin:
            self._first += 1
        inside = [row.values for row in rows[self._first : self._taken]]
        means = np.mean(inside, axis=0).tolist() if inside else [math.nan] * len(self.series.values)
        return {**dict(zip(self.series.values, means, strict=True)), COUNT: float(len(inside))}
