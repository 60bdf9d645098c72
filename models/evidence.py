"""Evidence: the skill of forecasts taken apart, by model, regime, seed and age, with what a sceptic would ask."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from markets.candles import FloatArray, IntArray
from models.breakdown import Part, age_parts, counted_rows, fold_parts, regime_parts, seed_parts
from models.calibration import CalibrationParams, interval_bounds
from models.level import LEAST_ROWS, SIGNIFICANCE, leakage_words, zero_models_words
from models.naive import naive_forecasts
from models.scores import (
    claimed_interval,
    crps,
    gaussian_quantiles,
    inside,
    interval_score,
    quantile_crps,
    worst_block,
)
from models.sigma_source import Source, sigma_source
from models.significance import Correlation, diebold_mariano_p, holm, robust_correlation
from models.skill import Skill, too_few, track_skill
from models.track import Track
from models.volatility import clock_volatility, har_volatility, qlike, quasi_likelihood

ECHO_LAGS = 6
BLOCK_BARS = 500


class VolatilityEvidence(NamedTuple):
    """How good sigma was, over the bars where HAR has a forecast too: `bars` of them; `source`: what it is.

    `qlike` and `har_qlike`: less than 0 beats the best constant in hindsight. `diebold_mariano_p`: two-sided, of
    their being equally good. `crps`: of the forecast's distribution; `naive_crps`: of a Gaussian with the
    expanding mean and the volatility of HAR. Where the forecast learned quantiles, both are sums over these,
    `crps_levels` of them, and else exact (0).
    """

    bars: int
    qlike: float
    har_qlike: float
    diebold_mariano_p: float
    clock_qlike: float
    clock_diebold_mariano_p: float
    crps: float
    naive_crps: float
    crps_levels: int
    source: Source


class Coverage(NamedTuple):
    """How often outcomes lay inside an interval that should hold `level` of them.

    `infinite`: the share of the `bars` bars whose interval had no end: it holds everything and says nothing, so that it
    counts nowhere else. `coverage`, over the `counted` others; `worst_block`: the lowest of theirs over disjoint blocks
    of 500 neighbouring bars, of which LEAST_ROWS count;
    `width`: their median, a log return; `score`: their mean interval score. NaN where fewer than LEAST_ROWS count.
    """

    name: str
    level: float
    bars: int
    infinite: float
    counted: int
    coverage: float
    worst_block: float
    width: float
    score: float


@dataclass(frozen=True)
class Evidence:
    """All that is known about the forecasts of one market.

    `folds`, `regimes`, `seeds`, `ages`: their parts; none where all are of one kind. `echoes`: the
    correlation of the forecast with the return that had just ended (first), and with those before it, each with its
    HAC error; to be held against the information coefficient, its correlation with the next one. `price_ratio`:
    the error of the price forecasts close exp(f) over that of tomorrow being today (Theil's U); only below 1 is
    better than yesterday's price. `verdict`: one line for people.
    """

    skill: Skill
    folds: tuple[Part, ...]
    regimes: tuple[Part, ...]
    seeds: tuple[Part, ...]
    ages: tuple[Part, ...]
    echoes: tuple[Correlation, ...]
    price_ratio: float
    volatility: VolatilityEvidence | None
    coverage: tuple[Coverage, ...]
    verdict: str


def forecast_evidence(track: Track) -> Evidence:
    """The evidence on a track's forecasts; all naive forecasts, regimes and intervals know only what was known then."""
    naive, har = naive_forecasts(track.close), har_volatility(track.close, track.high, track.low)
    level, bounds = bounds_of(track)
    base, skill = naive["expanding mean"], track_skill(track, naive)
    rows, volatility = counted_rows(track, base, har, bounds), _volatility(track, base, har)
    seeds = seed_parts(track, rows)
    return Evidence(
        skill=skill,
        folds=fold_parts(track, rows),
        regimes=regime_parts(track, rows),
        seeds=seeds,
        ages=age_parts(track, rows),
        echoes=_echoes(track),
        price_ratio=_price_ratio(track),
        volatility=volatility,
        coverage=tuple(_coverages(track, level, bounds)),
        verdict=verdict_of(skill, seeds, volatility),
    )


def bounds_of(track: Track) -> tuple[float, FloatArray]:
    """The level of the outermost interval that the forecasts hold, and its bounds (bars, 2); else one made here."""
    if track.quantiles is not None:
        return track.levels[-1] - track.levels[0], track.quantiles[:, [0, -1]]
    params = CalibrationParams()
    return params.level, interval_bounds(track.close, track.high, track.low, track.mean, track.sigma, params)


def _echoes(track: Track) -> tuple[Correlation, ...]:
    returns = np.append(np.nan, np.diff(np.log(track.close)))
    found = []
    for lag in range(ECHO_LAGS):
        rows = track.rows[track.rows > lag]
        found.append(robust_correlation(track.mean[rows], returns[rows - lag]))
    return tuple(found)


def _price_ratio(track: Track) -> float:
    close, y, f = track.close[track.rows], track.outcome[track.rows], track.mean[track.rows]
    still = float(np.square(close * np.expm1(y)).sum())
    return math.sqrt(float(np.square(close * (np.expm1(y) - np.expm1(f))).sum()) / still) if still > 0.0 else math.nan


def _volatility(track: Track, base: FloatArray, har: FloatArray) -> VolatilityEvidence | None:
    rows = track.rows[np.isfinite(har[track.rows]) & (track.sigma[track.rows] > 0.0)]
    if len(rows) < 3:
        return None
    y, sigma, other = track.outcome[rows], track.sigma[rows], har[rows]
    clock = clock_volatility(track.timestamp, track.bar, track.close, har)[rows]
    loss = quasi_likelihood(y, sigma)
    own, naive, levels = _crps(track, rows, base, other)
    return VolatilityEvidence(
        bars=len(rows),
        qlike=qlike(y, sigma),
        har_qlike=qlike(y, other),
        diebold_mariano_p=diebold_mariano_p(loss, quasi_likelihood(y, other)),
        clock_qlike=qlike(y, clock),
        clock_diebold_mariano_p=diebold_mariano_p(loss, quasi_likelihood(y, clock)),
        crps=own,
        naive_crps=naive,
        crps_levels=levels,
        source=sigma_source(track),
    )


def _crps(track: Track, rows: IntArray, base: FloatArray, har: FloatArray) -> tuple[float, float, int]:
    """The mean CRPS of the forecasts at some rows, that of the expanding mean with HAR, and over how many quantiles.

    Bounds of a conformal interval are no distribution: quantiles count where the median is one of them.
    """
    y, mean = track.outcome[rows], base[rows]
    if track.quantiles is None or 0.5 not in track.levels:
        freedom = None if track.degrees_of_freedom is None else track.degrees_of_freedom[rows]
        own = crps(y, track.mean[rows], track.sigma[rows], freedom)
        return float(own.mean()), float(crps(y, mean, har).mean()), 0
    naive = gaussian_quantiles(mean, har, track.levels)
    scores = [quantile_crps(y, one, track.levels) for one in (track.quantiles[rows], naive)]
    return float(scores[0].mean()), float(scores[1].mean()), len(track.levels)


def _coverages(track: Track, level: float, bounds: FloatArray) -> Iterable[Coverage]:
    """Of the interval, and of what mean and sigma claim at the same level."""
    claimed = np.column_stack(claimed_interval(track.mean, track.sigma, track.degrees_of_freedom, level))
    for name, both in (("interval", bounds), ("mean and sigma", claimed)):
        made = track.rows[~np.isnan(both[track.rows, 0])]
        rows = made[np.isfinite(both[made]).all(axis=1)]
        y, lower, upper = track.outcome[rows], both[rows, 0], both[rows, 1]
        if len(made):
            held, enough = inside(y, lower, upper), len(rows) >= LEAST_ROWS
            yield Coverage(
                name=name,
                level=round(level, 12),
                bars=len(made),
                infinite=1.0 - len(rows) / len(made),
                counted=len(rows),
                coverage=float(held.mean()) if enough else math.nan,
                worst_block=worst_block(held, rows, BLOCK_BARS),
                width=float(np.median(upper - lower)) if enough else math.nan,
                score=interval_score(y, lower, upper, level) if enough else math.nan,
            )


def verdict_of(skill: Skill, seeds: tuple[Part, ...], volatility: VolatilityEvidence | None) -> str:
    """One line: skill, none or too few bars, which naive forecasts did as well, and what sigma is worth beside HAR."""
    if not math.isfinite(skill.skill):
        return f"No verdict: {skill.count:,} forecasts have a known outcome."
    if skill.short:
        return f"{too_few(skill.count)}."
    side = "below" if skill.skill > 0.0 else "above"
    spread = f" (standard error {skill.skill_error:.3%})" if math.isfinite(skill.skill_error) else ""
    error = f"squared error {abs(skill.skill):.3%} {side} that of the mean of all earlier returns{spread}"
    p = skill.skill_p
    chance = "no test possible" if math.isnan(p) else f"normed Clark-West {_p(p)}"
    beaten = f", but no more than {', '.join(skill.beaten_by)}" if skill.beaten_by else ""
    said = f"{'Skill' if skill.evident else 'No evident skill'}{beaten}: {error}, {chance}, {skill.count:,} bars"
    said += f"; {_against(skill)}{_sigma(volatility)}"
    if len(seeds) > 1:
        said += f"; {sum(one.skill > 0.0 for one in seeds)} of {len(seeds)} seeds beat that mean alone"
    idle = zero_models_words(skill.models, skill.zero_models)
    said += f"; {idle}" if idle else ""
    leak = leakage_words(skill.skill, skill.directional_accuracy)
    return f"{said}. {leak}." if skill.suspect else f"{said}."


def _against(skill: Skill) -> str:
    """Which naive forecasts did better, and which of them by more than luck, or as well."""
    better = [one for one in skill.against if one.skill < 0.0]
    equal = [one.name for one in skill.against if one.skill == 0.0]
    adjusted = holm([one.diebold_mariano_p for one in better])
    clearly = [one.name for one, p in zip(better, adjusted, strict=True) if p < SIGNIFICANCE]
    parts = []
    if better:
        more = f" ({', '.join(clearly)} by more than luck)" if clearly else ""
        parts.append(f"{', '.join(one.name for one in better)} did better{more}")
    parts += [f"{', '.join(equal)} did as well"] if equal else []
    return "; ".join(parts) or "no naive forecast did as well"


_NAMED: Mapping[Source, str] = {
    "own": "sigma",
    "trailing": "sigma, which is not learned but a trailing volatility times one number a model,",
    "quantiles": "sigma, here the width of learned quantiles as if they were of a normal distribution,",
}


def _sigma(volatility: VolatilityEvidence | None) -> str:
    """What sigma is worth beside HAR with leverage, and by the time of day; nothing where that cannot be told."""
    if volatility is None or math.isnan(volatility.diebold_mariano_p):
        return ""
    own, p, clock_p = volatility.qlike, volatility.diebold_mariano_p, volatility.clock_diebold_mariano_p
    said = f"; {_NAMED[volatility.source]} {_beside('HAR with leverage', own - volatility.har_qlike, p)}"
    if math.isnan(clock_p):
        return said
    return f"{said}, and {_beside('that HAR by time of day', own - volatility.clock_qlike, clock_p)}"


def _beside(name: str, apart: float, p: float) -> str:
    how = "cannot be told from" if p >= SIGNIFICANCE else "is worse than" if apart > 0.0 else "is better than"
    return f"{how} {name} (QLIKE {apart:+.3f}, Diebold-Mariano {_p(p)})"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
