"""Findings: all that is worked out about one run before a page is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from backtests.doubts.examination import Examination, checked_playback, examine
from backtests.doubts.simpler import Baseline, play_baselines
from backtests.run.result import Result
from foundation.errors import CrossgateError
from foundation.trials import TrialLedger
from models.evidence import Evidence
from models.skill import Skill
from reports.certainty import Certainty, assess
from reports.curves import EquityCurve, equity_curve
from reports.facts import Facts, facts_of
from reports.metrics import Metrics, baseline_metrics, compute_metrics, measure_evidence
from reports.standing import Standing, standing_of
from reports.trades import list_trades
from reports.verdict import Verdict, judge


@dataclass(frozen=True)
class Findings:
    """A run, and what is known of it.

    `baselines`: the same account run by simpler rules, by name, with their metrics in `baseline_metrics`.
    `evidence`: on the forecasts, one per market; none for a rule that asks no forecast. `examination`: what the kernel
    says of the run, or why it cannot; `facts` and `standing`: what the `verdict` rests on.
    """

    result: Result
    metrics: Metrics
    trades: pd.DataFrame
    evidence: Sequence[Evidence]
    certainty: Certainty
    baselines: Mapping[str, Result | Baseline]
    baseline_metrics: Mapping[str, Metrics]
    examination: Examination | str
    facts: Facts
    standing: Standing

    @cached_property
    def verdict(self) -> Verdict:
        """Where the run stops on the ladder."""
        return judge(self.facts, self.standing)

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
    evidence, trades, curve = measure_evidence(result), list_trades(result), equity_curve(result)
    skills, kept = [one.skill for one in evidence], ledger or TrialLedger()
    certainty, (others, examination) = assess(result, kept), played_again(result, baselines)
    facts = facts_of(result, curve, len(trades), skills, examination)
    return Findings(
        result=result,
        metrics=compute_metrics(result, skills, trades),
        trades=trades,
        evidence=evidence,
        certainty=certainty,
        baselines=others,
        baseline_metrics={
            name: baseline_metrics(one, skills if one.strategy.rule == "forecast" else ())
            for name, one in others.items()
        },
        examination=examination,
        facts=facts,
        standing=standing_of(facts, curve, kept),
    )


def played_again(
    result: Result, baselines: Mapping[str, Result] | None = None
) -> tuple[Mapping[str, Result | Baseline], Examination | str]:
    """The baselines of a result, where none are given, and its examination, or why it cannot be examined.

    Both are the kernel's. Where it does not play the run as it was played, Backtrader plays the baselines. A strategy
    written by hand is played again itself, beside buy and hold.
    """
    if result.own is not None:
        return _of_own(result, baselines)
    try:
        playback = checked_playback(result)
        others = play_baselines(playback) if baselines is None else baselines
        return others, examine(playback, result.positions, result.equity)
    except CrossgateError as error:
        from backtests.doubts.baselines import run_baselines

        return run_baselines(result) if baselines is None else baselines, str(error)


def _of_own(
    result: Result, baselines: Mapping[str, Result] | None
) -> tuple[Mapping[str, Result | Baseline], Examination | str]:
    from backtests.doubts.own_examination import examine_own, own_baselines

    others = own_baselines(result) if baselines is None else baselines
    try:
        return others, examine_own(result)
    except CrossgateError as error:
        return others, str(error)
