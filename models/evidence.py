"""Evidence: the skill of forecasts taken apart, by model, regime, seed and age, with what a sceptic would ask."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from foundation.units import nanoseconds
from markets.candles import BoolArray, FloatArray, utc
from models.calibration import CalibrationParams, interval_bounds
from models.naive import naive_forecasts
from models.regimes import REGIMES, volatility_regimes
from models.scores import claimed_interval, crps, inside, interval_score, worst_block
from models.significance import correlation, diebold_mariano_p
from models.skill import Skill, directional_accuracy, skill_score, track_skill
from models.track import Track
from models.volatility import har_volatility, qlike, quasi_likelihood

ECHO_LAGS = 6
AGES = 4
BLOCK_BARS = 500
DAY = nanoseconds("1d")


class Part(NamedTuple):
    """Part of the forecasts: how many, and their skill against the expanding mean, correlation and accuracy there."""

    label: str
    bars: int
    skill: float
    information_coefficient: float
    directional_accuracy: float


class VolatilityEvidence(NamedTuple):
    """How good sigma was, over the bars where HAR has a forecast too: `bars` of them.

    `qlike` and `har_qlike`: less than 0 beats the best constant in hindsight. `diebold_mariano_p`: two-sided, of
    their being equally good. `crps`: of the forecast's distribution; `naive_crps`: of a Gaussian with the
    expanding mean and the volatility of HAR.
    """

    bars: int
    qlike: float
    har_qlike: float
    diebold_mariano_p: float
    crps: float
    naive_crps: float


class Coverage(NamedTuple):
    """How often outcomes lay inside an interval that should hold `level` of them.

    `coverage`, over `bars` bars; `worst_block`: the lowest over disjoint blocks of 500; `width`: the median of the
    finite ones, a log return; `score`: the mean interval score (NaN where an interval was infinite).
    """

    name: str
    level: float
    bars: int
    coverage: float
    worst_block: float
    width: float
    score: float


@dataclass(frozen=True)
class Evidence:
    """All that is known about the forecasts of one market.

    `folds`, `regimes`, `seeds`, `ages`: their parts; none where all are of one kind. `echoes`: the
    correlation of the forecast with the return that had just ended (first), and with those before it; to be held
    against the information coefficient, its correlation with the next one. `price_ratio`: the error of the price
    forecasts close exp(f) over that of tomorrow being today (Theil's U); only below 1 is better than
    yesterday's price. `verdict`: one line for people.
    """

    skill: Skill
    folds: tuple[Part, ...]
    regimes: tuple[Part, ...]
    seeds: tuple[Part, ...]
    ages: tuple[Part, ...]
    echoes: tuple[float, ...]
    price_ratio: float
    volatility: VolatilityEvidence | None
    coverage: tuple[Coverage, ...]
    verdict: str


def forecast_evidence(track: Track) -> Evidence:
    """The evidence on a track's forecasts; all naive forecasts, regimes and intervals know only what was known then."""
    naive = naive_forecasts(track.close)
    base, skill = naive["expanding mean"], track_skill(track, naive)
    parts = [_fold_parts(track, base), _regime_parts(track, base), _seed_parts(track, base), _age_parts(track, base)]
    folds, regimes, seeds, ages = map(tuple, parts)
    return Evidence(
        skill=skill,
        folds=folds,
        regimes=regimes,
        seeds=seeds,
        ages=ages,
        echoes=_echoes(track),
        price_ratio=_price_ratio(track),
        volatility=_volatility(track, base),
        coverage=tuple(_coverages(track)),
        verdict=_verdict(skill, seeds),
    )


def bounds_of(track: Track) -> tuple[float, FloatArray]:
    """The level of the outermost interval that the forecasts hold, and its bounds (bars, 2); else one made here."""
    if track.quantiles is not None:
        return track.levels[-1] - track.levels[0], track.quantiles[:, [0, -1]]
    params = CalibrationParams()
    return params.level, interval_bounds(track.close, track.high, track.low, track.mean, track.sigma, params)


def _part(label: str, y: FloatArray, f: FloatArray, base: FloatArray) -> Part:
    return Part(label, len(y), skill_score(y, f, base), correlation(f, y), directional_accuracy(f, y))


def _split(track: Track, base: FloatArray, groups: Iterable[tuple[str, BoolArray]]) -> list[Part]:
    """The parts of the rows that count; each group says which of them are its own. Empty ones are left out."""
    y, f, b = track.outcome[track.rows], track.mean[track.rows], base[track.rows]
    return [_part(label, y[own], f[own], b[own]) for label, own in groups if own.any()]


def _fold_parts(track: Track, base: FloatArray) -> list[Part]:
    models, stamps = track.model[track.rows], track.timestamp[track.rows]
    numbers = np.unique(models)
    if len(numbers) < 2:
        return []
    own = [models == number for number in numbers]
    return _split(track, base, [(f"from {utc(int(stamps[one][0]))[:10]}", one) for one in own])


def _regime_parts(track: Track, base: FloatArray) -> list[Part]:
    regimes = volatility_regimes(track.close)[track.rows]
    return _split(track, base, [(name, regimes == number) for number, name in enumerate(REGIMES)])


def _seed_parts(track: Track, base: FloatArray) -> list[Part]:
    if track.members is None:
        return []
    y, b, members = track.outcome[track.rows], base[track.rows], track.members[track.rows]
    return [_part(f"seed {number + 1}", y, one, b) for number, one in enumerate(members.T)] if len(y) else []


def _age_parts(track: Track, base: FloatArray) -> list[Part]:
    """By the time since the last bar that touched the model, in bins of equal length; none where that never varies."""
    if not len(track.rows):
        return []
    age = track.timestamp[track.rows] + track.bar - track.trained_through[track.rows]
    edges = np.linspace(float(age.min()), float(age.max()), AGES + 1)
    if edges[0] == edges[-1]:
        return []
    place = np.minimum(np.searchsorted(edges, age, side="right") - 1, AGES - 1)
    labels = [f"{edges[at] / DAY:.1f} to {edges[at + 1] / DAY:.1f} days" for at in range(AGES)]
    return _split(track, base, [(label, place == number) for number, label in enumerate(labels)])


def _echoes(track: Track) -> tuple[float, ...]:
    returns = np.append(np.nan, np.diff(np.log(track.close)))
    found = []
    for lag in range(ECHO_LAGS):
        rows = track.rows[track.rows > lag]
        found.append(correlation(track.mean[rows], returns[rows - lag]))
    return tuple(found)


def _price_ratio(track: Track) -> float:
    close, y, f = track.close[track.rows], track.outcome[track.rows], track.mean[track.rows]
    still = float(np.square(close * np.expm1(y)).sum())
    return math.sqrt(float(np.square(close * (np.expm1(y) - np.expm1(f))).sum()) / still) if still > 0.0 else math.nan


def _volatility(track: Track, base: FloatArray) -> VolatilityEvidence | None:
    har = har_volatility(track.close, track.high, track.low)
    rows = track.rows[np.isfinite(har[track.rows]) & (track.sigma[track.rows] > 0.0)]
    if len(rows) < 3:
        return None
    y, sigma, other = track.outcome[rows], track.sigma[rows], har[rows]
    freedom = None if track.degrees_of_freedom is None else track.degrees_of_freedom[rows]
    return VolatilityEvidence(
        bars=len(rows),
        qlike=qlike(y, sigma),
        har_qlike=qlike(y, other),
        diebold_mariano_p=diebold_mariano_p(quasi_likelihood(y, sigma), quasi_likelihood(y, other)),
        crps=float(crps(y, track.mean[rows], sigma, freedom).mean()),
        naive_crps=float(crps(y, base[rows], other).mean()),
    )


def _coverages(track: Track) -> Iterable[Coverage]:
    """Of the interval, and of what mean and sigma claim at the same level."""
    level, bounds = bounds_of(track)
    freedom = track.degrees_of_freedom
    claimed = np.column_stack(claimed_interval(track.mean, track.sigma, freedom, level))
    for name, both in (("interval", bounds), ("mean and sigma", claimed)):
        rows = track.rows[~np.isnan(both[track.rows, 0])]
        y, lower, upper = track.outcome[rows], both[rows, 0], both[rows, 1]
        finite = np.isfinite(upper) & np.isfinite(lower)
        if len(rows):
            held, width = inside(y, lower, upper), (upper - lower)[finite]
            yield Coverage(
                name=name,
                level=round(level, 12),
                bars=len(rows),
                coverage=float(held.mean()),
                worst_block=worst_block(held, BLOCK_BARS),
                width=float(np.median(width)) if len(width) else math.inf,
                score=interval_score(y, lower, upper, level) if finite.all() else math.nan,
            )


def _verdict(skill: Skill, seeds: tuple[Part, ...]) -> str:
    if not math.isfinite(skill.skill):
        return f"No verdict: {skill.count:,} forecasts have a known outcome."
    side = "below" if skill.skill > 0.0 else "above"
    error = f"squared error {abs(skill.skill):.3%} {side} that of the mean of all earlier returns"
    p = skill.clark_west_p
    chance = "no test possible" if math.isnan(p) else f"Clark-West p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
    better = [one.name for one in skill.against if one.skill < 0.0]
    equal = [one.name for one in skill.against if one.skill == 0.0]
    said = f"{'Skill' if skill.evident else 'No evident skill'}: {error}, {chance}, {skill.count:,} bars"
    for names, how in ((better, "better"), (equal, "as well")):
        said += f"; {', '.join(names)} did {how}" if names else ""
    said += "" if better or equal else "; no naive forecast did as well"
    if len(seeds) > 1:
        said += f"; {sum(one.skill > 0.0 for one in seeds)} of {len(seeds)} seeds beat that mean alone"
    return f"{said}."
