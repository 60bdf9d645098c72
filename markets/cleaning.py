"""Cleaning: what is done about each defect of a table, which is nothing but an error until someone chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from foundation.errors import DataError, LookAheadError, ParameterError
from foundation.parameters import Parameters
from markets.candles import BoolArray, Candles, IntArray, duration, utc
from markets.funding import Funding, to_minute
from markets.quality import check_funding, order_of, time_order
from markets.repairs import outlier_scores, replacement

Repair = Literal["error", "forward_fill", "mean", "interpolate"]
_PRICES = ("open", "high", "low", "close")
_CLEAR_CONFLICT = 0.01
_HELD = 3
_WORDS = {
    "missing": "misses a row",
    "not_a_number": "has a cell that is empty or not finite",
    "nonpositive": "has a price that is not above zero",
    "ohlc": "breaks low <= open, close <= high",
    "outliers": "scores above outlier_score",
}
_DAY = 86_400_000_000_000


class CleaningParams(Parameters):
    """What is done about each defect; `error` refuses the table and names the first row that has it.

    A repaired bar has four equal prices and no volume: the close before it (`forward_fill`), the mean
    of the closes before it (`mean`), or the straight line between the closes around it
    (`interpolate`, which looks ahead: for charts only). Every repaired bar is flagged as touched.
    """

    table: ClassVar[str] = "cleaning"

    missing: Literal[Repair, "keep"] = Field(
        "error", description="bars without a row: error, forward_fill, mean or interpolate; keep, for funding alone"
    )
    duplicates: Literal["error", "drop_duplicate"] = Field(
        "error", description="rows of one stamp: error, or drop_duplicate, which keeps the first in the file"
    )
    order: Literal["error", "sort"] = Field("error", description="rows in mixed order: error or sort")
    not_a_number: Repair = Field(
        "error", description="bars with an empty cell: error, forward_fill, mean or interpolate"
    )
    nonpositive: Repair = Field("error", description="prices not above zero: error, forward_fill, mean or interpolate")
    ohlc: Literal["error", "clip_open", "forward_fill", "mean", "interpolate"] = Field(
        "error", description="open or close outside low..high: error, clip_open, forward_fill, mean or interpolate"
    )
    outliers: Literal["keep", "error", "forward_fill", "mean", "interpolate"] = Field(
        "keep",
        description="bars of an outlier score above outlier_score: keep, error, forward_fill, mean or interpolate",
    )
    outlier_score: float = Field(20.0, gt=0, description="robust deviations, above 0; real crashes pass 20 too")
    outlier_window: int = Field(100, ge=20, le=10_000, description="bars, 20 to 10000")
    mean_window: int = Field(20, ge=1, le=10_000, description="bars, 1 to 10000")
    longest_fill: int = Field(24, ge=1, description="bars, at least 1: a longer gap is refused whatever is chosen")


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A table in time order, on its grid and without gaps, and what was done to it.

    `columns`: as in a reading. `touched`: the bars that were changed or added. `counts`: bars by
    repair, such as {"missing: forward_fill": 3}. `looks_ahead`: whether a later bar went into one.
    """

    columns: dict[str, Any]
    touched: BoolArray
    bar: int
    counts: dict[str, int]
    notes: tuple[str, ...]
    looks_ahead: bool
    source: str

    def funding(self) -> Funding:
        """The rates as Funding, checked once more; its stamps are rounded to the minute."""
        return Funding(self.columns["timestamp"], self.columns["funding_rate"], self.source)

    def candles(self) -> Candles:
        """The bars as Candles, checked once more. Raises LookAheadError where interpolation went into them."""
        if self.looks_ahead:
            raise LookAheadError(
                f"{self.source}: its gaps were interpolated, which looks ahead; choose forward_fill or mean"
            )
        volume = self.columns.get("volume")
        columns = {name: self.columns[name] for name in ("timestamp", *_PRICES)}
        columns["volume"] = np.zeros(len(self.touched)) if volume is None else volume
        return Candles(**columns, bar=self.bar, touched=self.touched, source=self.source)


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def clean_candles(
    columns: Mapping[str, Any],
    params: CleaningParams | None = None,
    *,
    bar: int | None = None,
    source: str = "candles",
    place: Callable[[int], str] | None = None,
    purpose: Literal["backtest", "chart"] = "backtest",
) -> Cleaned:
    """A table of bars with its defects repaired as `params` say, or a DataError that names the first.

    `columns`: as in a reading, with or without a volume, in any order. `place` names a row in its
    file. Up to any bar the outcome depends on rows up to that bar alone, unless a repair is
    `interpolate`, which raises ParameterError for a backtest.
    """
    chosen = params or CleaningParams()
    _refuse_interpolation(chosen, purpose)
    work = _Work(dict(columns), chosen, source, place or (lambda row: f"row {row}"))
    work.sort()
    work.drop_duplicates()
    work.lay_grid(bar)
    work.mend()
    return work.finish()


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def clean_funding(
    columns: Mapping[str, Any],
    params: CleaningParams | None = None,
    *,
    source: str = "funding",
    place: Callable[[int], str] | None = None,
) -> Cleaned:
    """A table of rates in time order, one for each stamp, or a DataError. Rates are never filled in.

    A hole is a step longer than the commonest that does not hold for three settlements in a row
    (venues change their interval); `missing = keep` leaves it, and a backtest that needs it says so.
    """
    chosen = params or CleaningParams()
    work = _Work(dict(columns), chosen, source, place or (lambda row: f"row {row}"))
    work.sort()
    work.drop_duplicates()
    work.check_holes()
    return work.finish()


def funding_holes(stamps: IntArray, interval: int) -> tuple[IntArray, BoolArray]:
    """The steps between settlements to the minute, and which are holes: above the interval, and not three in a row."""
    steps = np.diff(to_minute(stamps))
    return steps, (steps > interval) & (_run_lengths(steps) < _HELD)


def _refuse_interpolation(params: CleaningParams, purpose: str) -> None:
    if purpose != "backtest":
        return
    for name in ("missing", "not_a_number", "nonpositive", "ohlc", "outliers"):
        if getattr(params, name) == "interpolate":
            problem = "looks ahead, so a backtest would know a later price"
            raise ParameterError(f"cleaning.{name}", problem, value="interpolate", fix="choose forward_fill or mean")


class _Work:
    """A table on its way through cleaning; `rows` holds the row in the file of each bar, -1 for one added."""

    def __init__(
        self, columns: dict[str, Any], params: CleaningParams, source: str, place: Callable[[int], str]
    ) -> None:
        self.columns = columns
        self.params = params
        self.source = source
        self.place = place
        self.rows: IntArray = np.arange(len(columns["timestamp"]))
        self.touched: BoolArray = np.zeros(len(self.rows), dtype=np.bool_)
        self.counts: dict[str, int] = {}
        self.notes: list[str] = []
        self.looks_ahead = False
        self.bar = 0

    def sort(self) -> None:
        stamps: IntArray = self.columns["timestamp"]
        order = order_of(stamps)
        if order == "rising":
            return
        if order == "falling":
            self.notes.append("its rows stand newest first and were turned round")
        elif self.params.order == "error":
            row = int(np.argmax(_against_the_run(stamps))) + 1
            raise self._error("is in mixed order", row, "choose --repair order=sort, or fetch the file again")
        else:
            self.notes.append("its rows stood in mixed order and were sorted")
        self._keep(time_order(stamps, order))

    def drop_duplicates(self) -> None:
        stamps: IntArray = self.columns["timestamp"]
        again = np.insert(np.diff(stamps) == 0, 0, False)
        if not again.any():
            return
        row, total = int(np.argmax(again)), int(again.sum())
        if self.params.duplicates == "error":
            problem = f"has {total:,} rows whose stamp another row has, the first"
            raise self._error(
                problem, row, "choose --repair duplicates=drop_duplicate, which keeps the first in the file"
            )
        start = np.maximum.accumulate(np.where(again, 0, np.arange(len(stamps))))
        kept = self._first_in_file(start)
        differs = self._conflicts(kept, again)
        self.touched[kept[differs]] = True
        self.counts["duplicates: drop_duplicate"] = total
        self.notes.append(
            f"{total:,} rows of a stamp that another row has were dropped; {int(differs.sum()):,} of them differed"
        )
        self._keep(np.unique(kept))

    def check_holes(self) -> None:
        """Refuses funding with holes, or notes them where they are to be kept."""
        stamps: IntArray = self.columns["timestamp"]
        report = check_funding(self.columns, None if len(stamps) > 1 else 1)
        self.bar = report.bar
        steps, wide = funding_holes(stamps, self.bar)
        if not wide.any():
            return
        row = int(np.argmax(np.where(wide, steps, 0)))
        problem = (
            f"has {int(wide.sum()):,} hole(s), the longest of {int(steps[row]) / _DAY:.3g} days after the settlement"
        )
        if self.params.missing != "keep":
            raise self._error(problem, row, "fetch it, or choose --repair missing=keep")
        self.notes.append(f"{problem} at {utc(stamps[row])} UTC, and keeps them")

    def lay_grid(self, bar: int | None) -> None:
        stamps: IntArray = self.columns["timestamp"]
        steps = np.diff(stamps)
        if steps.size == 0 and not bar:
            raise self._error("holds one bar only, so its length is unknown", 0, "hand in two or more")
        self.bar = bar or _commonest(steps)
        beside = (stamps - stamps[0]) % self.bar != _commonest((stamps - stamps[0]) % self.bar)
        if beside.any():
            problem = f"has {int(beside.sum()):,} stamps beside the grid of {duration(self.bar)} bars, the first"
            raise self._error(problem, int(np.argmax(beside)), "fetch the row again, stamped at its open")
        wide = steps > self.bar
        if not wide.any():
            return
        missing = steps[wide] // self.bar - 1
        first, longest = int(np.argmax(wide)), int(missing.max())
        total = f"misses {int(missing.sum()):,} bar(s) of {duration(self.bar)} in {len(missing):,} gap(s)"
        if self.params.missing in ("error", "keep"):
            fix = "fetch them, or choose --repair missing=forward_fill or mean"
            raise self._error(
                f"{total}, the first gap of {int(steps[first]) // self.bar - 1:,} after the bar", first, fix
            )
        if longest > self.params.longest_fill:
            first = int(np.argmax(steps == steps.max()))
            problem = f"{total}, the longest of {longest:,} after the bar"
            fix = f"fetch them, or raise longest_fill above {self.params.longest_fill}"
            raise self._error(problem, first, fix)
        self._spread(stamps)

    def mend(self) -> None:
        """Repairs whatever cannot stand: bars added for missing ones, empty cells, impossible prices, outliers."""
        self._trim()
        added = self.rows < 0
        names = [name for name in (*_PRICES, "volume") if name in self.columns]
        empty = ~np.all([np.isfinite(self.columns[name]) for name in names], axis=0)
        below = np.any([self.columns[name] <= 0 for name in _PRICES], axis=0)
        if "volume" in self.columns and (self.columns["volume"] < 0).any():
            raise self._error(
                "has a negative volume", int(np.argmax(self.columns["volume"] < 0)), "fetch the row again"
            )
        bad = {"missing": added, "not_a_number": empty & ~added, "nonpositive": below & ~empty}
        bad["ohlc"] = self._impossible() & ~below & ~empty
        self._replace(bad)
        if self.params.outliers != "keep":
            scores = outlier_scores(self.columns, self.params.outlier_window)
            self._replace({"outliers": (scores > self.params.outlier_score) & ~self.touched})

    def finish(self) -> Cleaned:
        notes = [f"{kind}: {count:,} bar(s)" for kind, count in self.counts.items()]
        return Cleaned(
            self.columns, self.touched, self.bar, self.counts, (*self.notes, *notes), self.looks_ahead, self.source
        )

    def _impossible(self) -> BoolArray:
        """The bars that break low <= open, close <= high, after opens were clipped where that was chosen."""
        o, h, lo, c = (self.columns[name] for name in _PRICES)
        wrong: BoolArray = (h < np.maximum(o, c)) | (lo > np.minimum(o, c)) | (h < lo)
        if self.params.ohlc != "clip_open" or not wrong.any():
            return wrong
        only_open = wrong & (lo <= c) & (c <= h) & (lo > 0)
        self.columns["open"] = np.where(only_open, np.clip(o, lo, h), o)
        self.touched |= only_open
        self.counts["ohlc: clip_open"] = int(only_open.sum())
        left: BoolArray = wrong & ~only_open
        return left

    def _replace(self, bad: dict[str, BoolArray]) -> None:
        """Replaces the bars of each defect by its repair; only bars of no defect, or repaired ones, go into it."""
        chosen: dict[str, BoolArray] = {}
        for defect, rows in bad.items():
            if not rows.any():
                continue
            repair: str = getattr(self.params, defect)
            row, total = int(np.argmax(rows)), int(rows.sum())
            if repair in ("error", "clip_open"):
                other = "clip_open" if defect == "ohlc" else "mean"
                fix = f"fetch the row again, or choose --repair {defect}=forward_fill or {other}"
                raise self._error(f"{_WORDS[defect]} in {total:,} bar(s), the first", row, fix)
            if row == 0:
                problem = f"{_WORDS[defect]} in its first bar"
                raise self._error(problem, 0, "cut off that bar: nothing before it could replace it")
            chosen[repair] = chosen.get(repair, np.zeros(len(rows), dtype=np.bool_)) | rows
            self.counts[f"{defect}: {repair}"] = total
        if not chosen:
            return
        self.looks_ahead |= "interpolate" in chosen
        every = np.any(list(chosen.values()), axis=0)
        value = replacement(self.columns["close"], chosen, self.params.mean_window)
        for name in _PRICES:
            self.columns[name] = np.where(every, value, self.columns[name])
        if "volume" in self.columns:
            self.columns["volume"] = np.where(every, 0.0, self.columns["volume"])
        self.touched = self.touched | every

    def _trim(self) -> None:
        """Leaves out leading bars without numbers, where they may be repaired: nothing stands before them."""
        bad = ~np.isfinite(self.columns["close"])
        if not bad[0] or bad.all() or self.params.not_a_number == "error":
            return
        first = int(np.argmax(~bad))
        self.notes.append(f"the first {first:,} bar(s) have empty cells and nothing before them, and were left out")
        self._keep(np.arange(first, len(bad)))

    def _spread(self, stamps: IntArray) -> None:
        """Makes room for the missing bars, as NaN."""
        grid = np.arange(stamps[0], stamps[-1] + self.bar, self.bar)
        at = (stamps - stamps[0]) // self.bar
        for name, values in self.columns.items():
            wide = np.full(len(grid), np.nan)
            wide[at] = values
            self.columns[name] = grid if name == "timestamp" else wide
        rows = np.full(len(grid), -1, dtype=np.int64)
        rows[at] = self.rows
        touched = np.zeros(len(grid), dtype=np.bool_)
        touched[at] = self.touched
        self.rows, self.touched = rows, touched

    def _first_in_file(self, start: IntArray) -> IntArray:
        """For each row the one of its stamp that stands first in the file."""
        order = np.lexsort((self.rows, start))
        heads = order[np.insert(np.diff(start[order]) != 0, 0, True)]
        kept: IntArray = heads[np.searchsorted(start[heads], start)]
        return kept

    def _conflicts(self, kept: IntArray, again: BoolArray) -> BoolArray:
        differs = np.zeros(len(kept), dtype=np.bool_)
        for name, values in self.columns.items():
            if name == "timestamp":
                continue
            differs |= ~((values == values[kept]) | (np.isnan(values) & np.isnan(values[kept])))
            if name != "volume":
                apart = np.abs(values - values[kept])
                allowed = 0.0 if name == "funding_rate" else _CLEAR_CONFLICT * np.abs(values[kept])
                if (apart > allowed).any():
                    row = int(np.argmax(apart > allowed))
                    problem = (
                        f"has two rows of one stamp that disagree in {name} ({values[row]:g} and {values[kept][row]:g})"
                    )
                    raise self._error(problem, row, "find out which is right and keep that one")
        return differs

    def _keep(self, rows: IntArray) -> None:
        self.columns = {name: values[rows] for name, values in self.columns.items()}
        self.rows, self.touched = self.rows[rows], self.touched[rows]

    def _error(self, problem: str, row: int, fix: str) -> DataError:
        at = utc(self.columns["timestamp"][row])
        where = "" if self.rows[row] < 0 else f" ({self.place(int(self.rows[row]))})"
        return DataError(self.source, f"{problem} at {at} UTC{where}", fix=fix)


def _against_the_run(stamps: IntArray) -> BoolArray:
    """The steps against the direction that most of the table goes in."""
    steps = np.diff(stamps)
    forward = np.count_nonzero(steps > 0) >= np.count_nonzero(steps < 0)
    against: BoolArray = steps < 0 if forward else steps > 0
    return against


def _run_lengths(steps: IntArray) -> IntArray:
    """For each step how many equal ones stand in a row around it."""
    if steps.size == 0:
        return steps
    changes = np.flatnonzero(np.diff(steps) != 0) + 1
    edges = np.concatenate(([0], changes, [len(steps)]))
    lengths = np.diff(edges)
    return np.repeat(lengths, lengths)


def _commonest(values: IntArray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])
