"""The section on the forecasts: what they were worth, whoever traded them."""

from __future__ import annotations

from models.forecasts import Forecasts
from reports import formats
from reports.figures import draw_band, draw_skill
from reports.findings import Findings
from reports.parts import Chart, Grid, Paragraph, Part, Points, Section, legend
from reports.sentences import explain_skill
from reports.skill_path import Band, SkillPath, forecast_bands, skill_paths
from reports.skill_tables import paired_table, retraining_table, skill_table, skill_tables


def skill(findings: Findings) -> Section:
    """The skill of the forecasts against naive ones, in sentences, figures and tables."""
    table = skill_table(findings.skills)
    if table is None:
        parts: list[Part] = [Paragraph("This rule asks no forecast, so there is no skill to measure.")]
        return Section("skill", "Forecast skill", "Forecast skill", parts)
    result = findings.result
    parts = [Paragraph(f"{one.skill.symbol}: {one.verdict}", "strong") for one in findings.evidence]
    parts.append(Paragraph(explain_skill(findings.skills, synthetic=result.synthetic)))
    parts += [_path_chart(path, number) for number, path in enumerate(skill_paths(result))]
    parts.append(Grid(table))
    parts += [_band_chart(band, number) for number, band in enumerate(forecast_bands(result))]
    parts += [Grid(one) for one in skill_tables(findings.evidence)]
    parts += worth_parts(result.forecasts)
    alarms = retraining_table(result.forecasts.retrainings)
    parts += [Grid(alarms)] if alarms else []
    return Section("skill", "Forecast skill", "Forecast skill", parts)


def worth_parts(forecasts: Forecasts) -> list[Part]:
    """What retraining was worth on each market, where that was measured, and how to learn what was not."""
    parts: list[Part] = []
    if forecasts.worth:
        parts.append(Paragraph("What was retraining worth? The same bars by models that differ in nothing else."))
    for pair in forecasts.worth:
        parts.append(Grid(paired_table(pair)))
        parts.append(Points([f"{pair.symbol}: {gain}." for gain in pair.gains]))
    if forecasts.worth_note:
        parts.append(Paragraph(forecasts.worth_note))
    elif not forecasts.worth and forecasts.ensembles is not None:
        how = "`crossgate skill RUN --retraining` of a config, or `models.retraining_worth`, trains the other ways"
        parts.append(Paragraph(f"What retraining was worth was not measured: {how}."))
    return parts


def _path_chart(path: SkillPath, number: int) -> Chart:
    final = formats.percent(float(path.forecast[-1]), signed=True, decimals=3)
    names = ["forecasts", *(["oracle"] if path.oracle is not None else [])]
    return Chart(
        f"skill{number}",
        lambda sheet: draw_skill(path, sheet),
        f"Line chart of the skill of the forecasts of {path.symbol} as it adds up over time, to {final} at the end.",
        "The line rises while the forecasts beat the expanding mean and falls while they do not; it ends at the skill.",
        legend(names),
        low=True,
    )


def _band_chart(band: Band, number: int) -> Chart:
    held, level = formats.percent(band.coverage), formats.percent(band.level, decimals=0)
    return Chart(
        f"band{number}",
        lambda sheet: draw_band(band, sheet),
        f"The last returns of {band.symbol} with the interval issued before each; {held} of all lay inside.",
        f"The last {len(band.outcome)} returns, each with the {level} interval that was issued one bar before; "
        f"over the whole run {held} lay inside.",
        low=True,
    )
