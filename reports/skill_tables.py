"""Skill in tables: what a page and a terminal set about forecasts, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.breakdown import Part
from models.evidence import Coverage, Evidence
from models.forecasts import Retraining
from models.level import LEAST_FORECASTS, LEAST_ROWS
from models.naive import EWMA_BARS
from models.paired import PairedSkill
from models.skill import Against, Skill
from reports import formats
from reports.tables import Cell, Table

Write = Callable[[Any], str]


def _skill(value: float | None) -> str:
    return formats.percent(value, signed=True, decimals=3)


def _share(value: float | None) -> str:
    return formats.percent(value, decimals=2)


def _coefficient(value: float | None) -> str:
    return formats.decimal(value, signed=True)


def _with_error(write: Write, value: float, error: float, decimals: int) -> str:
    spread = "" if not math.isfinite(error) else f" ± {error:.{decimals}f}"
    return write(value) + spread


def _moves(value: float | None) -> str:
    return formats.percent(value, decimals=4)


_SKILL_ROWS: tuple[tuple[str, str, Write], ...] = (
    ("count", "Forecasts with a known outcome", formats.count),
    ("skill", "Skill against the expanding mean", _skill),
    ("skill_error", "its standard error, allowing for autocorrelation", _share),
    ("oracle_skill", "Skill of the oracle against the expanding mean", _skill),
    ("oracle_ratio", "Share of the oracle's gain that was reached", formats.percent),
    ("information_coefficient", "Information coefficient", _coefficient),
    ("information_coefficient_error", "its error, allowing for autocorrelation", formats.decimal),
    ("rank_information_coefficient", "Rank information coefficient", _coefficient),
    ("rank_information_coefficient_error", "its error", formats.decimal),
    ("directional_accuracy", "Directional accuracy", _share),
    ("chance_accuracy", "the same under independent signs", _share),
    ("skill_p", "Normed Clark-West p-value, the larger of the next two", formats.probability),
    ("normed_clark_west_p", "against the expanding mean, normed", formats.probability),
    ("normed_clark_west_zero_p", "against zero, normed", formats.probability),
    ("clark_west_p", "against the expanding mean, as published (HAC)", formats.probability),
    ("normed_pesaran_timmermann_p", "Normed Pesaran-Timmermann p-value, of the direction", formats.probability),
    ("pesaran_timmermann_p", "as published", formats.probability),
    ("normed_anatolyev_gerko_p", "Normed Anatolyev-Gerko p-value, of what the direction earns", formats.probability),
    ("anatolyev_gerko_p", "as published", formats.probability),
    ("models", "Fitted models, each seed of its own", formats.count),
    ("zero_models", "those that forecast exactly zero throughout", formats.count),
)


def skill_table(skills: Sequence[Skill]) -> Table | None:
    """The skill of the forecasts, a column per market; None without any.

    The oracle's rows need an oracle, those of models one that was fitted.
    """
    if not skills:
        return None
    unknown = set() if any(one.models for one in skills) else {"models", "zero_models"}
    rows = [
        [Cell(label), *(Cell(write(getattr(one, name))) for one in skills)]
        for name, label, write in _SKILL_ROWS
        if name not in unknown and any(getattr(one, name) is not None for one in skills)
    ]
    short = (
        f"; fewer than {LEAST_FORECASTS} bars do not tell skill from luck" if any(one.short for one in skills) else ""
    )
    return Table(f"Forecasts of the next bar's log return{short}", ["", *(one.symbol for one in skills)], rows)


def naive_table(skills: Sequence[Skill]) -> Table:
    """The error of the forecasts and of each naive one, the skill against it, and if they are told apart."""
    words = ("error", "skill against it", "p, both equal")
    heads = [f"{one.symbol} {head}" if head == "error" else head for one in skills for head in words]
    rows = [[Cell("These forecasts"), *(Cell(text) for one in skills for text in (_moves(one.rmse), "", ""))]]
    for number, naive in enumerate(skills[0].against):
        cells = (cell for one in skills for cell in _against(one.against[number]))
        label = f"{naive.name}, once there are {EWMA_BARS} returns" if naive.name == "EWMA" else naive.name
        rows.append([Cell(label), *cells])
    return Table("Root mean square error of a bar's log return", ["", *heads], rows)


def _against(one: Against) -> tuple[Cell, Cell, Cell]:
    text = _skill(one.skill)
    tone = "loss" if text.startswith(formats.MINUS) else ""
    return Cell(_moves(one.rmse)), Cell(text, tone), Cell(formats.probability(one.diebold_mariano_p))


def part_tables(evidence: Evidence) -> list[Table]:
    """The forecasts of one market taken apart, by what they can be taken apart by."""
    groups = {
        "regime": ("By volatility when they were made", evidence.regimes),
        "age": ("By the age of the model", evidence.ages),
        "seed": ("By the seed of the network, each alone", evidence.seeds),
        "fold": ("By model", evidence.folds),
    }
    level = formats.percent(evidence.coverage[0].level, decimals=0) if evidence.coverage else ""
    return [
        _part_table(f"{evidence.skill.symbol}: {caption[0].lower()}{caption[1:]}", parts, level)
        for caption, parts in groups.values()
        if parts
    ]


def _part_table(caption: str, parts: Sequence[Part], level: str) -> Table:
    """Each part with standard errors. The p-values allow for their number; the last two columns where there are any."""
    sure = any(math.isfinite(one.coverage) or math.isfinite(one.qlike_gain) for one in parts)
    heads = ["", "Bars", "Skill ± error", "Correlation ± error", "Right direction", f"p, of {len(parts)}"]
    heads += [f"Held of {level}", "QLIKE less HAR's ± error"] if sure else []
    rows = []
    for part in parts:
        text = _skill(part.skill)
        tone = "loss" if text.startswith(formats.MINUS) else ""
        cells = [
            Cell(part.label),
            Cell(formats.count(part.bars)),
            Cell(_with_error(_skill, part.skill, 100.0 * part.skill_error, 3), tone),
            Cell(_with_error(_coefficient, part.information_coefficient, part.information_coefficient_error, 4)),
            Cell(_share(part.directional_accuracy)),
            Cell(formats.probability(part.adjusted_p)),
        ]
        if sure:
            gain = _with_error(_coefficient, part.qlike_gain, part.qlike_gain_error, 4)
            cells += [Cell(formats.percent(part.coverage)), Cell(gain)]
        rows.append(cells)
    tests = "the larger of two normed Clark-West p-values, against the mean and against zero, for their number (Holm)"
    return Table(f"{caption}; p: {tests}; none where a forecast never varies", heads, rows)


def echo_table(evidence: Sequence[Evidence]) -> Table:
    """The correlation of the forecast with the next return, and with those before it; and the price trap."""
    nexts = [(one.skill.information_coefficient, one.skill.information_coefficient_error) for one in evidence]
    rows = [[Cell("Return of the next bar"), *(Cell(_band(*one)) for one in nexts)]]
    for lag in range(len(evidence[0].echoes)):
        label = "Return that had just ended" if lag == 0 else f"{lag} bar{'s' if lag > 1 else ''} before that"
        rows.append([Cell(label), *(Cell(_band(*one.echoes[lag][:2])) for one in evidence)])
    ratios = (Cell(formats.decimal(one.price_ratio, digits=5)) for one in evidence)
    rows.append([Cell("Error of the price forecast over that of no change"), *ratios])
    heads = ["Correlation of the forecast with", *(one.skill.symbol for one in evidence)]
    return Table(
        "Is it yesterday's price? Correlations, each with a band of about 95%, too narrow on few bars", heads, rows
    )


def _band(value: float, error: float) -> str:
    """A correlation, and 1.96 of its HAC errors to both sides of it."""
    if not math.isfinite(error):
        return _coefficient(value)
    lower, upper = (_coefficient(value + side * 1.96 * error) for side in (-1.0, 1.0))
    return f"{_coefficient(value)} ({lower} to {upper})"


_SOURCES: Mapping[str, str] = {
    "own": "the forecast's own",
    "trailing": "not learned: a trailing volatility times one number a model",
    "quantiles": "the width of learned quantiles, as if of a normal distribution",
}
_VOLATILITY: tuple[tuple[str, str, Write], ...] = (
    ("qlike", "QLIKE of sigma, less that of the best constant", _coefficient),
    ("har_qlike", "QLIKE of HAR with leverage, likewise", _coefficient),
    ("diebold_mariano_p", "Diebold-Mariano p-value of their being equal", formats.probability),
    ("clock_qlike", "QLIKE of that HAR by time of day", _coefficient),
    ("clock_diebold_mariano_p", "Diebold-Mariano p-value of sigma being equal to it", formats.probability),
    ("crps", "CRPS of the forecast", _moves),
    ("naive_crps", "CRPS of the expanding mean with HAR", _moves),
)


def volatility_table(evidence: Sequence[Evidence]) -> Table | None:
    """Sigma against HAR with leverage, and how often outcomes lay inside the intervals; None without any."""
    if not any(one.volatility for one in evidence):
        return None
    rows = [
        [Cell(label), *(Cell(write(getattr(one.volatility, name, None))) for one in evidence)]
        for name, label, write in _VOLATILITY
    ]
    sources = (Cell(_SOURCES[one.volatility.source] if one.volatility else formats.NONE) for one in evidence)
    rows.insert(0, [Cell("What sigma is"), *sources])
    levels = sorted({one.volatility.crps_levels for one in evidence if one.volatility} - {0})
    if levels:
        caption = f"CRPS above is summed over the {levels[0]} quantiles that the forecast learned"
        rows.append([Cell(caption), *(Cell("") for _ in evidence)])
    for number, name in enumerate(("Interval", "What mean and sigma claim")):
        covers = [one.coverage[number] if number < len(one.coverage) else None for one in evidence]
        level = next((formats.percent(one.level, decimals=0) for one in covers if one), formats.NONE)
        rows.append([Cell(f"{name}: held, of {level} wanted"), *(Cell(_held(one)) for one in covers)])
        for key, label, write in (
            ("infinite", f"{name}: without an end, counted nowhere else", _share),
            ("worst_block", f"{name}: held in the worst 500 bars", formats.percent),
            ("width", f"{name}: width, median", _moves),
        ):
            rows.append([Cell(label), *(Cell(write(getattr(one, key, None))) for one in covers)])
    heads = ["", *(one.skill.symbol for one in evidence)]
    return Table("Volatility and intervals of the next bar's log return", heads, rows)


def _held(one: Coverage | None) -> str:
    """A coverage and the number of bars that it is the share of; that they are too few for one."""
    if one is None:
        return formats.NONE
    if one.counted < LEAST_ROWS:
        return f"too few: {one.counted:,} bar{'' if one.counted == 1 else 's'}, at least {LEAST_ROWS}"
    return f"{formats.percent(one.coverage)} of {one.counted:,} bars"


def paired_table(paired: PairedSkill) -> Table:
    """What each run's forecasts gained over another's on the bars that all of them forecast."""
    level = formats.percent(paired.level, decimals=0)
    rows = [
        [Cell(f"{one.name}, skill"), *(Cell(_skill(value)) for value in (one.skill, one.lower, one.upper)), Cell("")]
        for one in paired.contenders
    ]
    for gain in paired.gains:
        figures = (Cell(_skill(value)) for value in (gain.gain, gain.lower, gain.upper))
        word = "more than luck" if gain.clear else "may be luck"
        rows.append([Cell(f"{gain.second} over {gain.first}"), *figures, Cell(word)])
    caption = (
        f"{paired.symbol}: {paired.bars:,} bars that all forecast; each range holds the figure {level} of the time"
    )
    caption += "; more than luck allows for the number of pairs (Holm)" if len(paired.gains) > 1 else ""
    return Table(caption, ["", "Share of squared error", "from", "to", ""], rows, frozenset({0, 4}))


def retraining_table(retrainings: Sequence[Retraining]) -> Table | None:
    """Every alarm of drift: when, what, how far, and which model it led to; None without any."""
    if not retrainings:
        return None
    rows = []
    for one in retrainings:
        likely = one.detector == "likelihood"
        said = "Likelihood fell: mean rank" if likely else f"{one.detector} moved: stability index"
        limit = f"before {formats.decimal(one.limit, digits=2)}" if likely else f"at most {one.limit:.2f}"
        led = f"model {one.model + 1}" if one.model >= 0 else "none: no more were allowed"
        when = f"{one.symbol}, {formats.moment(pd.Timestamp(one.timestamp))}"
        figures = (Cell(formats.decimal(one.figure, digits=2)), Cell(limit), Cell(led))
        rows.append([Cell(when), Cell(said), *figures])
    caption = "Alarms of drift, at the close of the bar that opens then (UTC)"
    return Table(caption, ["", "What was seen", "Figure", "", "Led to"], rows, frozenset({0, 1, 3, 4}))


def skill_tables(evidence: Sequence[Evidence]) -> list[Table]:
    """All tables about some markets' forecasts but the first one, in the order of a page."""
    if not evidence:
        return []
    tables = [naive_table([one.skill for one in evidence]), echo_table(evidence), volatility_table(evidence)]
    parts = [table for one in evidence for table in part_tables(one)]
    return [*(table for table in tables if table is not None), *parts]


def skill_record(evidence: Evidence | PairedSkill) -> dict[str, Any]:
    """Evidence as JSON can hold it: nested tables by field name; figures that are not finite become None."""
    record: dict[str, Any] = _plain(evidence)
    return record


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
