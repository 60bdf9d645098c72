"""Stored verdicts: what a run folder keeps of the verdict on it, and of all that it rests on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundation.files import atomic_file
from reports.fingerprints import renew_fingerprint

if TYPE_CHECKING:
    from backtests.doubts.examination import Examination
    from reports.facts import Facts
    from reports.findings import Findings
    from reports.verdict import Verdict

VERDICT = "verdict.json"


def stored_verdict(findings: Findings) -> dict[str, Any]:
    """The content of verdict.json for a run that has just been made."""
    return verdict_record(findings.facts, findings.verdict, findings.examination)


def verdict_record(facts: Facts, verdict: Verdict, examination: Examination | str) -> dict[str, Any]:
    """The facts, the verdict as it was then, and the figures of the examination; None where there is none."""
    from reports.examined_record import examined_record

    examined = None if isinstance(examination, str) else examined_record(examination)
    return {"facts": facts.record(), "verdict": verdict.record(), "examination": examined}


def stored_facts(folder: Path) -> Facts | None:
    """The facts that a run folder holds; None where it holds none, or those of another version."""
    from reports.facts import read_facts

    try:
        return read_facts(json.loads((folder / VERDICT).read_text("utf-8"))["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def stored_record(folder: Path) -> dict[str, Any] | None:
    """The whole content of a folder's verdict.json; None where it holds none."""
    try:
        record: dict[str, Any] = json.loads((folder / VERDICT).read_text("utf-8"))
        return record if {"facts", "verdict", "examination"} <= record.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def keep_verdict(folder: Path, record: dict[str, Any]) -> None:
    """Writes verdict.json into a run folder, whole or not at all, and its fingerprint."""
    with atomic_file(folder / VERDICT) as scratch:
        text = json.dumps(record, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
        scratch.write_text(text + "\n", "utf-8")
    renew_fingerprint(folder, VERDICT)
