"""Breakdown: forecasts taken apart by model, regime, seed and age, each part with its errors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from foundation.units import nanoseconds
from markets.candles import BoolArray, FloatArray, utc
from models.level import LEAST_ROWS
from models.regimes import REGIMES, volatility_regimes
from models.scores import inside
from models.significance import holm, long_run_error, robust_correlation, skill_p
from models.skill import directional_accuracy, skill_error, skill_score
from models.track import Track
from models.volatility import quasi_likelihood

AGES = 4
UNITS = {name: nanoseconds(f"1{name[0]}") for name in ("days", "hours", "minutes", "seconds")}


class Part(NamedTuple):
    """Part of the forecasts: how many, and what they were worth there, with HAC errors.

    `skill`: against the expanding mean. `skill_p`: of its being luck, by the normed Clark-West tests against that
    mean and against zero, NaN where the forecast never varies, and `adjusted_p` the same, allowing for the number of
    parts of its kind (Holm). `coverage`: share of outcomes inside the finite intervals. On fewer than
    LEAST_ROWS rows there are no errors, tests or coverage.
    `qlike_gain`: mean QLIKE of sigma less that of HAR with leverage, below 0 where sigma is better. NaN where unknown:
    one network of an ensemble has neither interval nor sigma of its own.
    """

    label: str
    bars: int
    skill: float
    skill_error: float
    information_coefficient: float
    information_coefficient_error: float
    directional_accuracy: float
    skill_p: float
    adjusted_p: float
    coverage: float
    qlike_gain: float
    qlike_gain_error: float


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a track that count: outcome, forecast, expanding mean, sigma, HAR's sigma, and the interval."""

    y: FloatArray
    f: FloatArray
    base: FloatArray
    sigma: FloatArray
    har: FloatArray
    lower: FloatArray
    upper: FloatArray

    def of(self, own: BoolArray) -> Rows:
        """Those of some of the rows."""
        return Rows(*(values[own] for values in vars(self).values()))


def counted_rows(track: Track, base: FloatArray, har: FloatArray, bounds: FloatArray) -> Rows:
    """The rows of a track that count, beside the expanding mean, HAR's sigma and the bounds of its intervals."""
    columns = (track.outcome, track.mean, base, track.sigma, har, bounds[:, 0], bounds[:, 1])
    return Rows(*(values[track.rows] for values in columns))


def fold_parts(track: Track, rows: Rows) -> tuple[Part, ...]:
    """By model; none where there is but one."""
    models, stamps = track.model[track.rows], track.timestamp[track.rows]
    numbers = np.unique(models)
    if len(numbers) < 2:
        return ()
    own = [models == number for number in numbers]
    return _parts(rows, [(f"from {utc(int(stamps[one][0]))[:10]}", one) for one in own])


def regime_parts(track: Track, rows: Rows) -> tuple[Part, ...]:
    """By how wild the market was beside all bars before."""
    regimes = volatility_regimes(track.close)[track.rows]
    return _parts(rows, [(name, regimes == number) for number, name in enumerate(REGIMES)])


def seed_parts(track: Track, rows: Rows) -> tuple[Part, ...]:
    """Each network of the ensemble alone."""
    if track.members is None or not len(rows.y):
        return ()
    unknown = np.full(len(rows.y), np.nan)
    alone = [Rows(rows.y, one, rows.base, *[unknown] * 4) for one in track.members[track.rows].T]
    return _tested([_part(f"seed {number + 1}", one) for number, one in enumerate(alone)])


def age_parts(track: Track, rows: Rows) -> tuple[Part, ...]:
    """By the time since the last bar that touched the model, in bins of equal length; none where that never varies."""
    if not len(track.rows):
        return ()
    age = track.timestamp[track.rows] + track.bar - track.trained_through[track.rows]
    edges = np.linspace(float(age.min()), float(age.max()), AGES + 1)
    if edges[0] == edges[-1]:
        return ()
    place = np.minimum(np.searchsorted(edges, age, side="right") - 1, AGES - 1)
    labels = _spans(edges)
    return _parts(rows, [(label, place == number) for number, label in enumerate(labels)])


def _spans(edges: FloatArray) -> list[str]:
    """From each edge to the next, in nanoseconds, told in the largest unit of which each bin holds two or more."""
    width = float(edges[1] - edges[0])
    name, unit = next(
        ((name, unit) for name, unit in UNITS.items() if width >= 2 * unit), ("seconds", UNITS["seconds"])
    )
    places = [f"{edge / unit:.1f}" for edge in edges]
    return [f"{one} to {two} {name}" for one, two in pairwise(places)]


def _parts(rows: Rows, groups: Iterable[tuple[str, BoolArray]]) -> tuple[Part, ...]:
    """The parts of the rows; each group says which of them are its own. Empty ones are left out."""
    return _tested([_part(label, rows.of(own)) for label, own in groups if own.any()])


def _part(label: str, rows: Rows) -> Part:
    y, f, base = rows.y, rows.f, rows.base
    linear = robust_correlation(f, y)
    finite = np.isfinite(rows.lower) & np.isfinite(rows.upper)
    held = inside(y[finite], rows.lower[finite], rows.upper[finite])
    known = np.isfinite(rows.har) & (rows.sigma > 0.0)
    gain = quasi_likelihood(y[known], rows.sigma[known]) - quasi_likelihood(y[known], rows.har[known])
    return Part(
        label=label,
        bars=len(y),
        skill=skill_score(y, f, base),
        skill_error=skill_error(y, f, base),
        information_coefficient=linear.value,
        information_coefficient_error=linear.error,
        directional_accuracy=directional_accuracy(f, y),
        skill_p=skill_p(y, f, base),
        adjusted_p=math.nan,
        coverage=float(held.mean()) if len(held) >= LEAST_ROWS else math.nan,
        qlike_gain=float(gain.mean()) if len(gain) else math.nan,
        qlike_gain_error=long_run_error(gain),
    )


def _tested(parts: list[Part]) -> tuple[Part, ...]:
    """The parts with p-values that allow for their number."""
    adjusted = holm([part.skill_p for part in parts])
    return tuple(part._replace(adjusted_p=p) for part, p in zip(parts, adjusted, strict=True))
