"""The quality of a table of bars or rates: what is missing, doubled, out of order, impossible or odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from foundation.errors import DataError
from markets.candles import BoolArray, FloatArray, IntArray, duration, utc
from markets.funding import to_minute

JUMP = 0.01
_PRICES = ("open", "high", "low", "close")
_BLOCK = 1 << 14


@dataclass(frozen=True)
class QualityReport:
    """The counts of one table, measured on its rows in time order; times are UTC nanoseconds.

    `bar`: the commonest step. `expected`: bars from the first to the last stamp. `missing`: of these,
    the ones without a row, in `gaps` stretches, the longest of `largest_gap` bars after
    `largest_gap_at`. `duplicates`: rows whose stamp an earlier row has. `order`: rising, falling or
    mixed, as the rows stand. `off_grid`: stamps beside the grid that most stamps keep.

    Of bars only (None for funding): `not_a_number` and `ohlc_violations` (not low <= open, close <=
    high) and `nonpositive` prices count bars. `zero_volume` (None without a volume). `flat`: bars
    with four equal prices, `longest_flat_run` of them in a row from `longest_flat_run_at`.
    `largest_return`: |close / close before - 1|. `largest_range`: high / low - 1. `jumps`: opens
    more than 1 % away from the close before.
    """

    rows: int
    bar: int
    first: int
    last: int
    expected: int
    missing: int
    gaps: int
    largest_gap: int
    largest_gap_at: int | None
    duplicates: int
    order: str
    off_grid: int
    not_a_number: int | None = None
    ohlc_violations: int | None = None
    nonpositive: int | None = None
    zero_volume: int | None = None
    flat: int | None = None
    longest_flat_run: int | None = None
    longest_flat_run_at: int | None = None
    largest_return: float | None = None
    largest_return_at: int | None = None
    largest_range: float | None = None
    largest_range_at: int | None = None
    jumps: int | None = None

    @property
    def clean(self) -> bool:
        """Whether the table can be used as it is: in order, whole, and with possible prices."""
        wrong = (
            self.missing,
            self.duplicates,
            self.off_grid,
            self.not_a_number,
            self.ohlc_violations,
            self.nonpositive,
        )
        return self.order == "rising" and not any(wrong)

    def record(self) -> dict[str, Any]:
        """The report as JSON takes it: times as text in UTC, the bar as a duration; no fields that do not apply."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("first", "last", *(name for name in values if name.endswith("_at"))):
            values[name] = None if values[name] is None else utc(values[name])
        values["bar"] = duration(self.bar)
        return {name: value for name, value in values.items() if value is not None}

    def lines(self) -> list[str]:
        """The report as people read it, one fact a line."""
        said = [
            f"{self.rows:,} rows of {duration(self.bar)}, {utc(self.first)} to {utc(self.last)} UTC, {self.order}",
            f"missing {self.missing:,} of {self.expected:,}, in {self.gaps:,} gaps{self._largest_gap()}",
            f"duplicates {self.duplicates:,}, off the grid {self.off_grid:,}",
        ]
        if self.flat is None:
            return said
        volume = "no volume" if self.zero_volume is None else f"zero volume {self.zero_volume:,}"
        run = (
            ""
            if not self.longest_flat_run
            else f" (longest run {self.longest_flat_run:,} from {_at(self.longest_flat_run_at)})"
        )
        return [
            *said,
            f"not a number {self.not_a_number:,}, OHLC violations {self.ohlc_violations:,}, prices not above zero "
            f"{self.nonpositive:,}",
            f"{volume}, flat {self.flat:,}{run}",
            f"largest return {self.largest_return:.4g} at {_at(self.largest_return_at)}, largest range "
            f"{self.largest_range:.4g} at {_at(self.largest_range_at)}",
            f"jumps over {JUMP:.0%} between close and open: {self.jumps:,}",
        ]

    def _largest_gap(self) -> str:
        return f" (largest {self.largest_gap:,} bars after {_at(self.largest_gap_at)})" if self.gaps else ""


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def check_candles(table: Mapping[str, Any] | pd.DataFrame, bar: int | None = None) -> QualityReport:
    """The quality of a table of price bars, with or without a volume; the table is not changed.

    `table`: columns by name, stamps as UTC nanoseconds or pandas times. `bar`: the length of a bar
    in nanoseconds, else the commonest step. Raises DataError for fewer than two different stamps without `bar`.
    """
    stamps = _stamps(table)
    order = order_of(stamps)
    prices = [np.ascontiguousarray(table[name], dtype=np.float64) for name in _PRICES]
    volume = np.ascontiguousarray(table["volume"], dtype=np.float64) if "volume" in table else None
    if order != "rising":
        rows = time_order(stamps, order)
        stamps, prices = stamps[rows], [values[rows] for values in prices]
    counts = _count_stamps(stamps, bar, order)
    return QualityReport(**counts, **_count_prices(stamps, prices), zero_volume=_zeros(volume))


def check_funding(table: Mapping[str, Any] | pd.DataFrame, interval: int | None = None) -> QualityReport:
    """The quality of a table of funding rates; stamps are rounded to the minute, as venues jitter.

    `interval`: nanoseconds between settlements, else the commonest step.
    """
    stamps = to_minute(_stamps(table))
    rates = np.asarray(table["funding_rate"], dtype=np.float64)
    order = order_of(stamps)
    stamps = stamps if order == "rising" else np.sort(stamps, kind="stable")
    bad = int(np.count_nonzero(~np.isfinite(rates)))
    return QualityReport(**_count_stamps(stamps, interval, order), not_a_number=bad)


def _at(stamp: int | None) -> str:
    return "no time" if stamp is None else utc(stamp)


def _stamps(table: Mapping[str, Any] | pd.DataFrame) -> IntArray:
    values = table["timestamp"]
    if isinstance(values, pd.Series):
        values = pd.to_datetime(values, utc=True).dt.tz_localize(None).to_numpy()
    stamps = np.asarray(values)
    if stamps.dtype.kind == "M":
        stamps = stamps.astype("datetime64[ns]").astype(np.int64)
    if len(stamps) == 0:
        raise DataError("table", "holds no rows", fix="hand in at least two")
    return np.ascontiguousarray(stamps, dtype=np.int64)


def order_of(stamps: IntArray) -> str:
    """How stamps stand: rising, falling or mixed; equal neighbours break neither."""
    if len(stamps) < 2:
        return "rising"
    steps = np.diff(stamps)
    if bool((steps >= 0).all()):
        return "rising"
    return "falling" if bool((steps <= 0).all()) else "mixed"


def time_order(stamps: IntArray, order: str) -> IntArray:
    """The rows in time order: a falling table turned round, a mixed one sorted, equal stamps as they stand."""
    return np.arange(len(stamps))[::-1] if order == "falling" else np.argsort(stamps, kind="stable")


def _count_stamps(stamps: IntArray, bar: int | None, order: str) -> dict[str, Any]:
    steps = np.diff(stamps)
    level = len(steps) > 0 and steps[0] > 0 and bool((steps == steps[0]).all())
    length = bar or (int(steps[0]) if level else _commonest(steps[steps > 0]))
    if length <= 0:
        raise DataError("table", "holds one stamp only, so its bar length is unknown", fix="hand in two bars or more")
    first, last = int(stamps[0]), int(stamps[-1])
    counts: dict[str, Any] = {"rows": len(stamps), "bar": length, "first": first, "last": last, "order": order}
    counts["expected"] = (last - first) // length + 1
    counts |= {"missing": 0, "gaps": 0, "largest_gap": 0, "largest_gap_at": None, "duplicates": 0, "off_grid": 0}
    if level and length == steps[0]:
        return counts
    phases = stamps % length
    beside = phases != _commonest(phases)
    known = np.unique(stamps[~beside])
    between = np.diff(known)
    wide = between > length
    counts["off_grid"] = int(np.count_nonzero(beside))
    counts["duplicates"] = int(np.count_nonzero(steps == 0))
    counts["expected"] = int(known[-1] - known[0]) // length + 1
    counts["missing"] = counts["expected"] - len(known)
    counts["gaps"] = int(np.count_nonzero(wide))
    if counts["gaps"]:
        widest = int(np.argmax(between))
        counts |= {"largest_gap": int(between[widest]) // length - 1, "largest_gap_at": int(known[widest])}
    return counts


def _commonest(values: IntArray) -> int:
    if values.size == 0:
        return 0
    if bool((values == values[0]).all()):
        return int(values[0])
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _zeros(volume: FloatArray | None) -> int | None:
    return None if volume is None else int(np.count_nonzero(volume == 0))


def _count_prices(stamps: IntArray, prices: list[FloatArray]) -> dict[str, Any]:
    """The counts of prices, taken block by block so that the numbers stay in the processor's cache."""
    total = {"not_a_number": 0, "ohlc_violations": 0, "nonpositive": 0, "flat": 0, "jumps": 0}
    best = {"largest_return": (0.0, None), "largest_range": (0.0, None)}
    level: BoolArray = np.zeros(len(stamps), dtype=np.bool_)
    for start in range(0, len(stamps), _BLOCK):
        before = max(start - 1, 0)
        block = [values[before : start + _BLOCK] for values in prices]
        new = [values[start - before :] for values in block]
        _count_block(total, best, new, level[start : start + _BLOCK], start)
        _count_steps(total, best, block[0], block[3], before)
    run, at = _longest_run(level)
    found: dict[str, Any] = dict(total)
    for name, (value, row) in best.items():
        found |= {name: value, f"{name}_at": None if row is None else int(stamps[row])}
    return found | {"longest_flat_run": run, "longest_flat_run_at": int(stamps[at]) if run else None}


def _count_block(
    total: dict[str, int], best: dict[str, Any], block: list[FloatArray], level: BoolArray, start: int
) -> None:
    o, h, lo, c = block
    wrong = (h < np.maximum(o, c)) | (lo > np.minimum(o, c))
    violations = int(np.count_nonzero(wrong))
    total["ohlc_violations"] += violations
    if not np.isfinite(o.sum() + h.sum() + lo.sum() + c.sum()):
        finite = np.isfinite(o) & np.isfinite(h) & np.isfinite(lo) & np.isfinite(c)
        total["not_a_number"] += int(np.count_nonzero(~finite))
    if violations or not lo.min() > 0:
        total["nonpositive"] += int(np.count_nonzero((o <= 0) | (h <= 0) | (lo <= 0) | (c <= 0)))
    np.equal(h, lo, out=level)
    if level.any():
        level &= (o == c) & (o == h)
        total["flat"] += int(np.count_nonzero(level))
    with np.errstate(divide="ignore", invalid="ignore"):
        _keep_largest(best, "largest_range", h / lo, start)


def _count_steps(
    total: dict[str, int], best: dict[str, Any], opens: FloatArray, closes: FloatArray, start: int
) -> None:
    """The returns from close to close and the jumps from close to open."""
    last = closes[:-1]
    if last.size == 0:
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        jumps = opens[1:] / last
        if not (jumps.max() <= 1 + JUMP / 2 and jumps.min() >= 1 - JUMP / 2):
            total["jumps"] += int(np.count_nonzero(np.abs(jumps - 1.0) > JUMP))
        returns = closes[1:] / last
        most = best["largest_return"][0]
        if not (returns.max() - 1.0 <= most and 1.0 - returns.min() <= most):
            _keep_largest(best, "largest_return", np.abs(returns - 1.0) + 1.0, start + 1)


def _keep_largest(best: dict[str, Any], name: str, values: FloatArray, start: int) -> None:
    """Keeps the largest of some ratios, less one, where it is beyond the one kept; infinite ones do not count."""
    if values.max() - 1.0 <= best[name][0]:
        return
    row = int(np.argmax(values))
    if not np.isfinite(values[row]):
        values = np.where(np.isfinite(values), values, -np.inf)
        row = int(np.argmax(values))
    if values[row] - 1.0 > best[name][0]:
        best[name] = (float(values[row] - 1.0), start + row)


def _longest_run(level: BoolArray) -> tuple[int, int]:
    """The length and the first row of the longest run of True."""
    if not level.any():
        return 0, 0
    edges = np.diff(level.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    longest = int(np.argmax(ends - starts))
    return int(ends[longest] - starts[longest]), int(starts[longest])
