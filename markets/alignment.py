"""Alignment: whether series that belong together do: candles and mark price, funding and its rule, two venues."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from foundation.errors import DataError, ParameterError
from markets.candles import Candles, FloatArray, IntArray, duration, utc
from markets.funding import Funding
from markets.resampling import resample

# Bars by which one series is tried against the other.
MOST_LAG = 3
# Robust deviations beyond which a basis or ratio is an outlier, and the least distance that counts.
OUTLIER_SCORE = 20.0
LEAST_OUTLIER = 0.005
_FEWEST = 50
_CLEARLY = 0.2
_HELD = 3
_BLOCK = 96
# Returns that are enough to tell a lag.
_MOST_RETURNS = 50_000


@dataclass(frozen=True)
class Finding:
    """One kind of misalignment: what it is, how often, and the first places (UTC nanoseconds).

    `wrong`: whether a backtest on the series would be false, so that loading refuses; else it warns.
    """

    name: str
    problem: str
    count: int
    places: tuple[int, ...] = ()
    wrong: bool = False

    def line(self) -> str:
        """The finding as people read it."""
        at = ", ".join(utc(place) for place in self.places[:3])
        return f"{self.problem}{f' (first at {at} UTC)' if at else ''}"


@dataclass(frozen=True)
class Alignment:
    """How two series of prices lie to each other, over the bars that both have.

    `bars`: how many those are. `ratio`: the median of the other's close over the first's. `lag`: the number of
    bars by which the other one's returns come later than the first's (0 if aligned); `correlation` at
    that lag, `correlation_aligned` at none. `largest`: the largest distance of ln(ratio) from its median
    in its block of 96 bars, at `largest_at`. `missing`: bars that only the other has, `missing_other`:
    those that only the first has, between the first and the last bar of both.
    """

    bars: int
    ratio: float
    lag: int
    correlation: float
    correlation_aligned: float
    largest: float
    largest_at: int | None
    missing: int
    missing_other: int
    findings: tuple[Finding, ...]


def align_prices(one: Candles, other: Candles, *, same_contract: bool = False) -> Alignment:
    """How two series of candles lie to each other: level, lag and bars of their own.

    `other` may be a mark price, or the same coin at another venue; of `same_contract`, a level more than a
    factor of two away is wrong. A lag is wrong: one of the two has its stamps at another end of the bar. An
    outlier is a bar whose ln(other / one) lies more than 20 robust deviations, and half a percent, from its
    median in its block of 96 bars; it is a warning, as crashes part prices too. Bars that cleaning
    touched do not count. Raises DataError where the bar lengths differ, or no bar is common.
    """
    if one.bar != other.bar:
        problem = f"has bars of {duration(other.bar)}, {one.source} of {duration(one.bar)}"
        raise DataError(other.source, problem, fix="compare bars of one length")
    common, at_one, at_other = np.intersect1d(one.timestamp, other.timestamp, assume_unique=True, return_indices=True)
    if len(common) == 0:
        raise DataError(other.source, f"has no bar in common with {one.source}", fix="compare series that overlap")
    known = ~(one.touched[at_one] | other.touched[at_other])
    basis = np.where(known, np.log(other.close[at_other] / one.close[at_one]), np.nan)
    distance = _from_median(basis)
    lag, correlation, aligned = _find_lag(common, np.log(one.close[at_one]), np.log(other.close[at_other]), one.bar)
    ratio = float(np.exp(np.nanmedian(basis))) if known.any() else float("nan")
    findings = [
        *_level(ratio, len(common), same_contract),
        *_lagging(lag, correlation, aligned, one.bar),
        *_outliers(distance, common),
    ]
    first, last = max(one.timestamp[0], other.timestamp[0]), min(one.timestamp[-1], other.timestamp[-1])
    lacking = [_lacking(a, b, int(first), int(last)) for a, b in ((one, other), (other, one))]
    for source, stamps in zip((one.source, other.source), lacking, strict=True):
        if len(stamps):
            places = tuple(int(stamp) for stamp in stamps[:3])
            findings.append(Finding("missing", f"{len(stamps):,} bars are missing in {source}", len(stamps), places))
    size = np.abs(np.nan_to_num(distance))
    largest = int(np.argmax(size))
    return Alignment(
        len(common), ratio, lag, correlation, aligned, float(size[largest]), int(common[largest]),
        len(lacking[0]), len(lacking[1]), tuple(findings),
    )  # fmt: skip


def align_mark(candles: Candles, mark: Candles) -> Alignment | None:
    """How a mark price lies to the candles of its contract, in the longer bars of the two; None if they share none."""
    bar = max(candles.bar, mark.bar)
    try:
        one, other = resample(candles, bar), resample(mark, bar)
        return align_prices(one, other, same_contract=True)
    except (DataError, ParameterError):
        return None


def align_funding(funding: Funding, interval: int, start: int | None = None, end: int | None = None) -> list[Finding]:
    """What in settlements goes against the contract's rule, one every `interval` nanoseconds from 00:00 UTC.

    Missing: steps longer than the rule and than the interval in force around them. Interval: stretches of three
    settlements or more that are a shorter or longer time apart, as venues change their rule. Off the grid:
    stamps that are no whole number of the intervals in force after 00:00 UTC. The span is from `start` to
    before `end`, in which the first and last settlement are expected too. All of it warns: what is
    missing is refused where a backtest needs it.
    """
    inside = (funding.timestamp >= (start or 0)) & (funding.timestamp < (end or np.iinfo(np.int64).max))
    stamps = funding.timestamp[inside]
    if len(stamps) == 0:
        return [Finding("missing", "no settlement lies in the span", 0)]
    steps = np.diff(stamps)
    rule = _in_force(steps, interval)
    findings = []
    changed = np.flatnonzero(np.diff(np.concatenate(([interval], rule))) != 0)
    if changed.size:
        said = ", ".join(f"{duration(int(rule[row]))} from {utc(stamps[row])}" for row in changed[:4])
        places = tuple(int(stamps[row]) for row in changed)
        problem = f"the interval is not {duration(interval)} throughout: {said}"
        findings.append(Finding("interval", problem, int(changed.size), places))
    beside = stamps[stamps % np.concatenate((rule, rule[-1:] if len(rule) else [interval])) != 0]
    if len(beside):
        problem = f"{len(beside):,} settlements stand beside the grid of {duration(interval)} from 00:00 UTC"
        findings.append(Finding("off grid", problem, len(beside), tuple(int(one) for one in beside[:3])))
    edges = np.concatenate(([stamps[0] - start] if start is not None else [], steps, [end - stamps[-1]] if end else []))
    before = np.concatenate(([start] if start is not None else [], stamps[: len(stamps) if end else -1])).astype(
        np.int64
    )
    due = np.concatenate(([interval] if start is not None else [], rule, [interval] if end else []))
    hole = edges > due
    if hole.any():
        count = int(np.maximum(np.ceil(edges[hole] / due[hole]) - 1, 1).sum())
        places = tuple(int(one) for one in before[hole])
        problem = f"{count:,} settlements are missing in {int(hole.sum()):,} holes, the longest of "
        problem += duration(int(edges[hole].max()))
        findings.append(Finding("missing", problem, count, places))
    return findings


def _in_force(steps: IntArray, interval: int) -> IntArray:
    """The interval in force at each step: its own where it holds for three in a row, else the one before it."""
    if len(steps) == 0:
        return steps
    edges = np.concatenate(([0], np.flatnonzero(np.diff(steps) != 0) + 1, [len(steps)]))
    lengths = np.repeat(np.diff(edges), np.diff(edges))
    held = (lengths >= _HELD) | (steps == interval)
    last = np.maximum.accumulate(np.where(held, np.arange(len(steps)), -1))
    rule: IntArray = np.where(last >= 0, steps[np.maximum(last, 0)], interval)
    return rule


def _from_median(basis: FloatArray) -> FloatArray:
    """The distance of each value from the median of its block of 96."""
    padded = np.full(-(-len(basis) // _BLOCK) * _BLOCK, np.nan)
    padded[: len(basis)] = basis
    blocks = padded.reshape(-1, _BLOCK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a block without a known value has no median
        middle = np.nanmedian(blocks, axis=1)
    distance: FloatArray = (blocks - middle[:, None]).reshape(-1)[: len(basis)]
    return distance


def _find_lag(stamps: IntArray, one: FloatArray, other: FloatArray, bar: int) -> tuple[int, float, float]:
    """The lag at which returns agree best, the correlation there, and that without lag; NaN for too few."""
    if len(stamps) < _FEWEST:
        return 0, float("nan"), float("nan")
    stamps, one, other = stamps[-_MOST_RETURNS:], one[-_MOST_RETURNS:], other[-_MOST_RETURNS:]
    whole = np.diff(stamps) == bar
    a, b = np.where(whole, np.diff(one), np.nan), np.where(whole, np.diff(other), np.nan)
    found = {lag: _correlation(a, b, lag) for lag in range(-MOST_LAG, MOST_LAG + 1)}
    best = max(found, key=lambda lag: (found[lag] if np.isfinite(found[lag]) else -1.0, -abs(lag)))
    return best, found[best], found[0]


def _correlation(a: FloatArray, b: FloatArray, lag: int) -> float:
    """The correlation of a(t) and b(t + lag), large moves cut to four deviations so that one crash does not decide."""
    x, y = (a[: len(a) - lag], b[lag:]) if lag >= 0 else (a[-lag:], b[:lag])
    both = np.isfinite(x) & np.isfinite(y)
    if np.count_nonzero(both) < _FEWEST - 2 * MOST_LAG:
        return float("nan")
    x, y = _cut(x[both]), _cut(y[both])
    spread = float(x.std() * y.std())
    return float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 0 else float("nan")


def _cut(values: FloatArray) -> FloatArray:
    most = 4.0 * float(values.std())
    return np.clip(values, -most, most)


def _level(ratio: float, bars: int, same_contract: bool) -> list[Finding]:
    if not same_contract or not np.isfinite(ratio) or 0.5 < ratio < 2.0:
        return []
    return [Finding("level", f"its prices are typically {ratio:.3g} times the candles'", bars, wrong=True)]


def _lagging(lag: int, correlation: float, aligned: float, bar: int) -> list[Finding]:
    if lag == 0 or not correlation - np.nan_to_num(aligned) > _CLEARLY:
        return []
    when = "later" if lag > 0 else "earlier"
    problem = (
        f"it moves {abs(lag)} bar(s) of {duration(bar)} {when} (correlation of returns {correlation:.2f}, without that "
        f"{aligned:.2f}): one of the two is stamped at the other end of the bar, or on another clock"
    )
    return [Finding("lag", problem, abs(lag), wrong=True)]


def _outliers(distance: FloatArray, stamps: IntArray) -> list[Finding]:
    known = np.abs(distance[np.isfinite(distance)])
    if len(known) < _FEWEST:
        return []
    most = max(LEAST_OUTLIER, OUTLIER_SCORE * 1.4826 * float(np.median(known)))
    far = np.flatnonzero(np.abs(np.nan_to_num(distance)) > most)
    if far.size == 0:
        return []
    worst = float(np.expm1(distance[far[np.argmax(np.abs(distance[far]))]]))
    bars = f"{far.size:,} bar{' lies' if far.size == 1 else 's lie'}"
    problem = f"{bars} more than {most:.2%} from the usual ratio, the worst {worst:+.2%}"
    return [Finding("outliers", problem, int(far.size), tuple(int(stamps[row]) for row in np.sort(far)[:50]))]


def _lacking(one: Candles, other: Candles, first: int, last: int) -> IntArray:
    """The stamps between two times that `other` has and `one` lacks."""
    stamps = other.timestamp[(other.timestamp >= first) & (other.timestamp <= last)]
    lacking: IntArray = np.setdiff1d(stamps, one.timestamp, assume_unique=True)
    return lacking
