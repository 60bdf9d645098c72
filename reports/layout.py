"""The layout of a report: which sections stand on it, in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reports.findings import Findings
from reports.parts import Part, Section
from reports.sections import activity, doubts, forecasts, interpretation, market, performance, record

# What stands above all else, right below the title; each gives parts, or none.
TOP: tuple[Callable[[Findings], Sequence[Part]], ...] = (doubts.verdict,)
# The sections in their order; one that has nothing to say of a run gives None.
SECTIONS: tuple[Callable[[Findings], Section | None], ...] = (
    performance.equity,
    performance.certainty,
    performance.baselines,
    doubts.luck,
    doubts.parts,
    doubts.sensitivity,
    doubts.ruin,
    market.price,
    activity.trades,
    performance.months,
    activity.distributions,
    performance.costs,
    forecasts.skill,
    interpretation.interpretation,
    activity.decisions,
    performance.metrics,
    record.assumptions,
    record.settings,
)


def lay_out(findings: Findings) -> list[Section]:
    """The sections of the report on a run."""
    return [section for make in SECTIONS if (section := make(findings)) is not None]


def top_parts(findings: Findings) -> list[Part]:
    """The parts above the figures of the report on a run."""
    return [part for make in TOP for part in make(findings)]
