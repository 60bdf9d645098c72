"""Exogenous series: what the world outside the market said, joined to bars as of its publication."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from foundation.errors import DataError
from markets.candles import FloatArray, IntArray, duration, utc

HOUR = 3_600_000_000_000
NAME = re.compile(r"[a-z][a-z0-9_]*")
AGE, COUNT = "age_hours", "count"


@dataclass(frozen=True, eq=False)
class Exogenous:
    """Rows of numbers, each with the time it speaks of and the time at which it was public.

    `event`, `published`: UTC nanoseconds, int64; no row was public before what it speaks of. `values`: float64
    columns by name. `stale_after`: nanoseconds after its event at which a value no longer says anything;
    `neutral` then stands in for it, or nothing does where that is None. With a `window`, in nanoseconds, a bar is
    shown the mean of all rows published within it, and their `count`; otherwise the newest row. `notes`: what was
    found in the file, for reports. Raises DataError.
    """

    name: str
    event: IntArray
    published: IntArray
    values: Mapping[str, FloatArray]
    stale_after: int
    neutral: float | None = None
    window: int | None = None
    source: str = "exogenous"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("event", "published"):
            object.__setattr__(self, field, _frozen(getattr(self, field), np.int64))
        object.__setattr__(self, "values", {name: _frozen(one, np.float64) for name, one in self.values.items()})
        self._check_names()
        rows = len(self.event)
        for name, array in (("published", self.published), *self.values.items()):
            if array.shape != (rows,) or rows == 0:
                raise DataError(self.source, f"has {rows} rows, and {array.size} of {name}", fix="one value a row")
            if not np.isfinite(array).all():
                row = int(np.argmin(np.isfinite(array)))
                problem = f"has no finite {name} at {utc(self.event[row])} UTC (row {row})"
                raise DataError(self.source, problem, fix="mend the row, or leave it out of the file")
        early = self.published < self.event
        if early.any():
            row = int(np.argmax(early))
            problem = f"says that {utc(self.event[row])} UTC was public at {utc(self.published[row])} UTC already"
            raise DataError(self.source, problem, fix="name the column of the publication, or a longer published_after")

    def _check_names(self) -> None:
        for name in (self.name, *self.values):
            if not NAME.fullmatch(name) or name in (AGE, COUNT):
                fix = f"small letters, digits and underscores, and neither {AGE} nor {COUNT}"
                raise DataError(self.source, f"cannot have a series called {name!r}", fix=fix)
        if not self.values or self.stale_after <= 0 or (self.window is not None and self.window <= 0):
            raise DataError(self.source, "needs a value, a stale_after and a window above zero", fix="name them")

    def __len__(self) -> int:
        return len(self.event)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what a bar is shown: `name.value`, `name.age_hours`, and with a window `name.count`."""
        more = (AGE,) if self.window is None else (COUNT, AGE)
        return tuple(f"{self.name}.{column}" for column in (*self.values, *more))

    def joined(self, times: IntArray) -> dict[str, FloatArray]:
        """What was known at each of some times (UTC nanoseconds), by the names of `columns`.

        A row is known from its publication on, at that very moment too. NaN before the first publication, and where
        the newest is stale and there is no neutral value. The age is that of the event, in hours; it stops at
        `stale_after` where the neutral value stands in. Cost: one binary search a time.
        """
        at = np.searchsorted(self._newest[0], times, side="right") - 1
        age = times - self._newest[1][np.maximum(at, 0)]
        if self.window is None:
            rows, stale = self._newest[2][np.maximum(at, 0)], age > self.stale_after
            shown = {name: np.where(stale, np.nan, values[rows]) for name, values in self.values.items()}
        else:
            shown, stale = self._window_means(times), np.zeros(len(times), dtype=np.bool_)
        shown[AGE] = age / HOUR
        if self.neutral is None:
            shown[AGE] = np.where(stale, np.nan, shown[AGE])
        else:
            shown = {name: np.where(np.isnan(values), self.neutral, values) for name, values in shown.items()}
            shown[AGE] = np.minimum(shown[AGE], self.stale_after / HOUR)
        return {f"{self.name}.{name}": np.where(at < 0, np.nan, values) for name, values in shown.items()}

    def neutral_share(self, times: IntArray) -> float:
        """The share of some times, from the first publication on, at which nothing fresh was known."""
        known = times[times >= self._newest[0][0]]
        if len(known) == 0:
            return 0.0
        if self.window is not None:
            return float(np.mean(np.diff(self._window_rows(known), axis=0) == 0))
        at = np.searchsorted(self._newest[0], known, side="right") - 1
        return float(np.mean(known - self._newest[1][at] > self.stale_after))

    def _window_means(self, times: IntArray) -> dict[str, FloatArray]:
        first, last = self._window_rows(times)
        count = (last - first).astype(np.float64)
        means: dict[str, FloatArray] = {}
        for name, values in self.values.items():
            # A row of the beginning, so that later rows move no earlier mean.
            shift = float(values[self._order[0]])
            sums = np.concatenate(([0.0], np.cumsum(values[self._order] - shift)))
            means[name] = np.full(len(times), np.nan)
            np.divide(sums[last] - sums[first], count, out=means[name], where=count > 0)
            means[name] += shift
        return {**means, COUNT: count}

    def _window_rows(self, times: IntArray) -> IntArray:
        """The rows published in (time - window, time]: first and last in the order of publication, shape (2, times)."""
        published = self.published[self._order]
        edges = (times - (self.window or 0), times)
        return np.array([np.searchsorted(published, edge, side="right") for edge in edges])

    @cached_property
    def _order(self) -> IntArray:
        """The rows in the order of publication; of those published together, the later event comes later."""
        return np.lexsort((self.event, self.published))

    @cached_property
    def _newest(self) -> tuple[IntArray, IntArray, IntArray]:
        """Publication, event and row of each row that was once the newest; late news of an older event never is."""
        event = self.event[self._order]
        newest = event >= np.maximum.accumulate(event)
        rows = self._order[newest]
        return self.published[rows], self.event[rows], rows

    def describe(self) -> str:
        """One line on what was read, for reports."""
        lag = int(np.median(self.published - self.event))
        span = f"{utc(self.event.min())} to {utc(self.event.max())} UTC"
        return f"{self.name}: {len(self):,} rows from {span}, public {duration(lag)} after what they speak of (median)"


def _frozen(values: object, kind: type) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.array(values, dtype=kind)
    array.setflags(write=False)
    return array
