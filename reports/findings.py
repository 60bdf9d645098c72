"""Findings: all that is worked out about one run before a page is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from backtests.result import Result
from foundation.trials import TrialLedger
from models.evidence import Evidence
from models.skill import Skill
from reports.certainty import Certainty, assess
from reports.curves import EquityCurve, equity_curve
from reports.metrics import Metrics, compute_metrics, measure_evidence
from reports.trades import list_trades


@dataclass(frozen=True)
class Findings:
    """A run, and what is known of it.

    `baselines`: the same account run by simpler rules, by name, with their metrics in `baseline_metrics`.
    `evidence`: on the forecasts, one per market; none for a rule that asks no forecast.
    """

    result: Result
    metrics: Metrics
    trades: pd.DataFrame
    evidence: Sequence[Evidence]
    certainty: Certainty
    baselines: Mapping[str, Result]
    baseline_metrics: Mapping[str, Metrics]

    @property
    def skills(self) -> list[Skill]:
        """The skill of the forecasts, one per market."""
        return [one.skill for one in self.evidence]

    @property
    def curve(self) -> EquityCurve:
        """The equity curve of the run."""
        return self.curves["this run"]

    @cached_property
    def curves(self) -> dict[str, EquityCurve]:
        """The equity curves of the run, first, and of its baselines."""
        return {"this run": equity_curve(self.result)} | {
            name: equity_curve(one) for name, one in self.baselines.items()
        }


def find(result: Result, baselines: Mapping[str, Result] | None = None, ledger: TrialLedger | None = None) -> Findings:
    """The findings about a run, which is put down as a trial; the baselines are played when not handed in."""
    from backtests.baselines import run_baselines

    others = run_baselines(result) if baselines is None else baselines
    evidence = measure_evidence(result)
    skills = [one.skill for one in evidence]
    return Findings(
        result=result,
        metrics=compute_metrics(result, skills),
        trades=list_trades(result),
        evidence=evidence,
        certainty=assess(result, ledger or TrialLedger()),
        baselines=others,
        baseline_metrics={
            name: compute_metrics(one, skills if one.strategy.rule == "forecast" else ())
            for name, one in others.items()
        },
    )
