"""The section on the networks: which features they rest on, and what they did over time."""

from __future__ import annotations

import numpy as np

from models.interpretation import FORGET, Interpretation
from reports.figures import draw_lines
from reports.findings import Findings
from reports.interpretation_tables import importance_table, memory_sentence
from reports.parts import Chart, Grid, Paragraph, Part, Section, legend

# So many coefficients stay lines that can be followed.
MOST_SHOWN = 5
_EXPLAINED = (
    "Each feature in turn was shuffled in blocks over bars of the tests, and the networks run over it again: what "
    "their loss rises by is what it is worth to them. Below two errors it may be nothing, and features that say the "
    "same stand in for each other. Attributions are integrated gradients: what each value brought to the forecast, "
    "counted from the training mean; they say what a forecast rests on, not whether that is of use."
)


def interpretation(findings: Findings) -> Section | None:
    """What the networks rest on; None where they are not at hand."""
    several = findings.result.forecasts.interpretations
    if not several:
        return None
    parts: list[Part] = [Paragraph(_EXPLAINED)]
    for number, one in enumerate(several):
        parts += [Grid(importance_table(one)), *_coefficients(one, number), Paragraph(memory_sentence(one))]
        parts.append(_gates(one, number))
    return Section("interpretation", "What it rests on", "What the forecasts rest on", parts)


def _coefficients(found: Interpretation, number: int) -> list[Part]:
    """The coefficients of the features that had the largest ones."""
    if found.coefficients is None:
        return []
    sizes = np.abs(found.coefficients).mean(axis=0)
    shown = np.argsort(-sizes, kind="stable")[:MOST_SHOWN]
    named = {found.features[at]: (found.timestamp, found.coefficients[:, at]) for at in shown}
    return [
        Chart(
            f"coefficients{number}",
            lambda sheet: draw_lines(named, sheet, f"{found.symbol}, coefficients"),
            f"Line chart of the coefficients of {', '.join(named)} over time.",
            "What the networks' state makes of each feature: trailing volatilities of forecast for a spread of it.",
            legend(named),
            low=True,
        )
    ]


def _gates(found: Interpretation, number: int) -> Chart:
    named = {name: (found.timestamp, gate) for name, gate in zip(FORGET, found.forget.T, strict=True)}
    return Chart(
        f"gates{number}",
        lambda sheet: draw_lines(named, sheet, f"{found.symbol}, forget gates", level=None),
        f"Line chart of the forget gates over time, {float(found.forget[:, 0].mean()):.2f} in the mean.",
        "How much of their memory the units keep at each bar, from 0 to 1; dips are moments at which they let go.",
        legend(named),
        low=True,
    )
