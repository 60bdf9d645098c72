"""Judging: the verdict on a run from its folder alone, played again where the folder does not hold its facts yet."""

from __future__ import annotations

from pathlib import Path

from foundation.trials import TrialLedger
from reports.certainty import weighed_in
from reports.folders import read_run
from reports.standing import standing_of
from reports.stored_verdict import VERDICT, keep_verdict, stored_facts, verdict_record
from reports.verdict import Verdict, judge


def judge_run(folder: Path, data: Path | None = None, ledger: TrialLedger | None = None) -> Verdict:
    """The verdict on the run in a folder, by what the ledger says now; the folder keeps that of when it was written.

    Facts that the folder does not hold are worked out and kept in its verdict.json, but for a folder that was altered:
    the market is loaded anew by its config (`data`: the data folder), the forecasts are those of the folder, and
    nothing is trained. Where that cannot be done the rungs that need it say so. Raises
    DataError for a folder that holds no run.
    """
    run, kept = read_run(folder), stored_facts(folder)
    known, weighed = ledger or TrialLedger(), weighed_in(folder)
    if kept is not None and kept.played is not None:
        return judge(kept, standing_of(kept, run.curve, known, weighed))
    from crossgate.gathering import gather

    facts, found = gather(folder, run, data)
    if kept is not None and facts.played is None:
        return judge(kept, standing_of(kept, run.curve, known, weighed))
    verdict = judge(facts, standing_of(facts, run.curve, known, weighed))
    if not set(run.altered or ()) - {VERDICT}:
        keep_verdict(folder, verdict_record(facts, verdict, found))
    return verdict
