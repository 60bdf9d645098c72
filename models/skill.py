"""Skill: how much better forecasts of the next return were than naive ones, and whether that is evident."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from markets.candles import FloatArray
from markets.market import Market
from models.forecasts import Forecasts
from models.level import LEAST_FORECASTS, LEAST_ROWS, SIGNIFICANCE
from models.naive import naive_forecasts
from models.provenance import fitted_models
from models.significance import (
    anatolyev_gerko_p,
    clark_west_p,
    diebold_mariano_p,
    long_run_error,
    normed_anatolyev_gerko_p,
    normed_clark_west_p,
    normed_pesaran_timmermann_p,
    pesaran_timmermann_p,
    ranks,
    robust_correlation,
    skill_p,
)
from models.track import Track, track_of

# A forecast holds these within it: a comparison of losses, as of strangers, is none with them.
NESTED = ("zero", "expanding mean")
# Of returns, more than this above the share of right signs that chance gives is rarer than a look ahead. For normal
# variables it goes with an R2 of sin(0.05 pi)^2.
SUSPECT_ACCURACY = 0.05
SUSPECT_SKILL = math.sin(SUSPECT_ACCURACY * math.pi) ** 2


class Against(NamedTuple):
    """A naive forecast: its root mean square error, and the skill against it, 1 - MSE(f) / MSE(naive).

    `diebold_mariano_p`: two-sided, of their squared errors being equal; NaN for those that a model holds within. Over
    the bars where there is such a naive forecast; all NaN where these are fewer than LEAST_ROWS, but some are not.
    """

    name: str
    rmse: float
    skill: float
    diebold_mariano_p: float


@dataclass(frozen=True)
class Skill:
    """How forecasts of one market did, over the bars that have one and whose next return is known.

    Bars that cleaning touched do not count, neither as the bar of a forecast nor as its outcome.

    With y the next log return, f the forecast and b the expanding mean (of all returns known by then,
    from the first candle): `skill` = 1 - MSE(f) / MSE(b), with its HAC error
    `skill_error`; `skill_against_zero` the same against a forecast of
    zero, and `against` against each naive forecast of models/naive.py. `rmse`: root mean square of y - f.
    `information_coefficient` and `rank_information_coefficient`: correlation of f and y, and of their ranks, each
    with its error and two-sided p-value, robust to autocorrelation. `directional_accuracy`: share of non-zero returns
    whose sign a non-zero forecast had, and `chance_accuracy` that under independent signs. `skill_p`: of f adding
    nothing to b or nothing to zero, the larger of `normed_clark_west_p`, against b, and `normed_clark_west_zero_p`;
    `normed_pesaran_timmermann_p`: of the right signs; `normed_anatolyev_gerko_p`: of what trading on the sign earns;
    all one-sided, and the same without `normed` as published, Clark-West against b. `models`: how many fitted models
    the bars were forecast by (each seed counts; see `fitted_models`, none where a forecaster was asked bar by bar), and
    `zero_models` how many of them say exactly zero throughout.
    `oracle_skill`: of the true expectation g, and `oracle_ratio` = E[2fg - f^2] / E[g^2], 1 for f = g; None where
    g is unknown. `evident`: skill above 0, against zero too (forecasting nothing is no skill, though it beats a noisy
    mean), skill_p below 0.05, and at least LEAST_FORECASTS forecasts. `suspect`: evident, and better than forecasts of
    returns are known to be, by SUSPECT_ACCURACY or SUSPECT_SKILL. `verdict`: one line for people. What is
    undefined (such as a correlation with a constant) is NaN.
    """

    symbol: str
    count: int
    rmse: float
    skill: float
    skill_error: float
    skill_against_zero: float
    against: tuple[Against, ...]
    information_coefficient: float
    information_coefficient_error: float
    information_coefficient_p: float
    rank_information_coefficient: float
    rank_information_coefficient_error: float
    rank_information_coefficient_p: float
    directional_accuracy: float
    chance_accuracy: float
    skill_p: float
    normed_clark_west_p: float
    normed_clark_west_zero_p: float
    clark_west_p: float
    normed_pesaran_timmermann_p: float
    pesaran_timmermann_p: float
    normed_anatolyev_gerko_p: float
    anatolyev_gerko_p: float
    models: int
    zero_models: int
    oracle_skill: float | None
    oracle_ratio: float | None
    evident: bool
    suspect: bool
    verdict: str

    @property
    def short(self) -> bool:
        """Whether there are too few forecasts to tell skill from luck."""
        return self.count < LEAST_FORECASTS

    @property
    def beaten_by(self) -> tuple[str, ...]:
        """The naive forecasts that did better although skill is evident: it is then not the model's own."""
        return tuple(one.name for one in self.against if self.evident and one.skill < 0.0)


def forecast_skill(market: Market, forecasts: Forecasts) -> Skill:
    """The skill of the forecasts on a market. Every naive forecast uses returns known by then only."""
    return track_skill(track_of(market, forecasts))


def track_skill(track: Track, naive: Mapping[str, FloatArray] | None = None) -> Skill:
    """The skill of a track's forecasts; `naive`: the naive forecasts on its bars, where they were made already."""
    rows, made = track.rows, naive or naive_forecasts(track.close)
    y, f, b = track.outcome[rows], track.mean[rows], made["expanding mean"][rows]
    g = None if track.oracle is None else track.oracle[rows]
    skill, against_zero, p = skill_score(y, f, b), skill_score(y, f, np.zeros(len(y))), skill_p(y, f, b)
    evident = min(skill, against_zero) > 0.0 and p < SIGNIFICANCE and len(y) >= LEAST_FORECASTS
    accuracy, chance = directional_accuracy(f, y), chance_accuracy(f, y)
    linear, ranked = robust_correlation(f, y), robust_correlation(ranks(f), ranks(y))
    models, zero_models = _counted_models(track)
    error, oracle_skill = skill_error(y, f, b), None if g is None else skill_score(y, g, b)
    return Skill(
        symbol=track.symbol,
        count=len(y),
        rmse=root_mean_square(y - f),
        skill=skill,
        skill_error=error,
        skill_against_zero=against_zero,
        against=tuple(_against(name, y, f, base[rows]) for name, base in made.items()),
        information_coefficient=linear.value,
        information_coefficient_error=linear.error,
        information_coefficient_p=linear.p,
        rank_information_coefficient=ranked.value,
        rank_information_coefficient_error=ranked.error,
        rank_information_coefficient_p=ranked.p,
        directional_accuracy=accuracy,
        chance_accuracy=chance,
        skill_p=p,
        **_tests(y, f, b),
        models=models,
        zero_models=zero_models,
        oracle_skill=oracle_skill,
        oracle_ratio=None if g is None else oracle_ratio(f, g),
        evident=evident,
        suspect=evident
        and (oracle_skill is None or skill > oracle_skill)
        and _too_good(accuracy - chance, skill, error, len(y)),
        verdict=_verdict(skill, p, len(y), evident),
    )


def _too_good(lead: float, skill: float, error: float, count: int) -> bool:
    """Whether accuracy above chance, or skill, lies beyond what returns are known to allow by two of its errors."""
    return lead - 1.0 / math.sqrt(count) > SUSPECT_ACCURACY or skill - 2.0 * error > SUSPECT_SKILL


def _tests(y: FloatArray, f: FloatArray, b: FloatArray) -> dict[str, float]:
    """The p-values by the names of their fields, normed and as published; of direction where both signs are known."""
    nonzero = (f != 0.0) & (y != 0.0)
    signs, signed = (f[nonzero] > 0.0, y[nonzero] > 0.0), (f[nonzero], y[nonzero])
    return {
        "normed_clark_west_p": normed_clark_west_p(y, f, b),
        "normed_clark_west_zero_p": normed_clark_west_p(y, f, np.zeros(len(y))),
        "clark_west_p": clark_west_p(y, f, b),
        "normed_pesaran_timmermann_p": normed_pesaran_timmermann_p(*signs),
        "pesaran_timmermann_p": pesaran_timmermann_p(*signs),
        "normed_anatolyev_gerko_p": normed_anatolyev_gerko_p(*signed),
        "anatolyev_gerko_p": anatolyev_gerko_p(*signed),
    }


def _counted_models(track: Track) -> tuple[int, int]:
    """How many fitted models forecast the rows that count, by model and seed, and how many say zero on all theirs."""
    said = track.mean[:, None] if track.members is None else track.members
    numbers = track.model[track.rows]
    fitted = fitted_models(numbers, track.trained_through[track.rows])
    zero = [(said[track.rows[numbers == number]] == 0.0).all(axis=0) for number in fitted]
    return sum(map(len, zero)), int(sum(one.sum() for one in zero))


def skill_score(y: FloatArray, f: FloatArray, base: FloatArray) -> float:
    """1 - MSE(f) / MSE(base); NaN without rows, or where the base has no error."""
    error = float(np.square(y - base).sum())
    return 1.0 - float(np.square(y - f).sum()) / error if error > 0.0 else math.nan


def skill_error(y: FloatArray, f: FloatArray, base: FloatArray) -> float:
    """The HAC error of a skill, a ratio of means: that of the mean of (y - b)^2 (1 - skill) - (y - f)^2 over MSE(b)."""
    skill, naive = skill_score(y, f, base), np.square(y - base)
    if math.isnan(skill):
        return math.nan
    return long_run_error(naive * (1.0 - skill) - np.square(y - f)) / float(naive.mean())


def _against(name: str, y: FloatArray, f: FloatArray, base: FloatArray) -> Against:
    made = np.isfinite(base)
    if not made.all() and np.count_nonzero(made) < LEAST_ROWS:
        return Against(name, math.nan, math.nan, math.nan)
    y, f, base = y[made], f[made], base[made]
    p = math.nan if name in NESTED else diebold_mariano_p(np.square(y - f), np.square(y - base))
    return Against(name, root_mean_square(y - base), skill_score(y, f, base), p)


def root_mean_square(values: FloatArray) -> float:
    """The root of the mean square; NaN without values."""
    return math.sqrt(float(np.square(values).mean())) if len(values) else math.nan


def directional_accuracy(f: FloatArray, y: FloatArray) -> float:
    """The share of non-zero outcomes whose sign a non-zero forecast had; NaN where there is no such pair."""
    nonzero = (f != 0.0) & (y != 0.0)
    hits = np.sign(f[nonzero]) == np.sign(y[nonzero])
    return float(hits.mean()) if hits.size else math.nan


def chance_accuracy(f: FloatArray, y: FloatArray) -> float:
    """The share of right signs were those of forecast and outcome independent; NaN where there is no pair."""
    nonzero = (f != 0.0) & (y != 0.0)
    if not nonzero.any():
        return math.nan
    up, rose = float((f[nonzero] > 0.0).mean()), float((y[nonzero] > 0.0).mean())
    return up * rose + (1.0 - up) * (1.0 - rose)


def oracle_ratio(f: FloatArray, g: FloatArray) -> float:
    """E[2fg - f^2] / E[g^2]: the share of the oracle's gain that a forecast reaches; NaN for a constant oracle."""
    if len(g) == 0 or np.ptp(g) == 0.0:
        return math.nan
    return float((2.0 * f * g - np.square(f)).mean() / np.square(g).mean())


def too_few(count: int) -> str:
    """That so many forecasts do not tell skill from luck."""
    return f"Too short to tell: {count:,} bars, at least {LEAST_FORECASTS}"


def _verdict(skill: float, p: float, count: int, evident: bool) -> str:
    if not math.isfinite(skill):
        return f"No verdict: {count:,} forecasts with a known outcome do not tell skill from chance."
    if count < LEAST_FORECASTS:
        return f"{too_few(count)}."
    figures = f"skill {skill:+.3%} against the expanding mean over {count:,} bars"
    figures += f", normed Clark-West p = {p:.3g}" if math.isfinite(p) else ""
    return f"The forecasts show skill: {figures}." if evident else f"The forecasts show no evident skill: {figures}."
