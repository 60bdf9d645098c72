"""Verdict: the first rung of a fixed ladder that a run does not climb, with the figure that decided it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from reports import rungs
from reports.facts import Facts
from reports.rungs import Check
from reports.standing import Standing

State = Literal["passed", "failed", "unknown", "not asked"]
TITLES = (
    "It earns more than its costs",
    "The forecasts have skill",
    "Luck does not do as well",
    "It works out of sample",
    "It does not hang on assumptions",
    "It survives all that was tried",
    "It keeps away from liquidation",
    "It opened a sealed stretch first",
    "It passes the sealed stretch",
)
# How many rungs there are; a run that passes all but the sealed stretch stands on the last but one.
RUNGS = len(TITLES)
FAILED = (
    "It loses after costs.",
    "The forecasts have no skill.",
    "Luck does as well.",
    "It works in sample only.",
    "It hangs on assumptions.",
    "It does not survive all that was tried.",
    "It is too close to liquidation.",
    "It passes all but the sealed stretch.",
    "It passes all but the sealed stretch.",
)
PASSED = "It passes the sealed stretch."
UNTRADED = "It did not trade."


@dataclass(frozen=True)
class Rung:
    """A step of the ladder: its number from 1, whether it was climbed, and the check that decided it."""

    number: int
    title: str
    state: State
    decided: Check | None
    checks: tuple[Check, ...]

    @property
    def text(self) -> str:
        """What decided it, in words."""
        return "" if self.decided is None else self.decided.text


@dataclass(frozen=True)
class Verdict:
    """Where a run stops on the ladder: `rung` from 1 to RUNGS, in one `headline`, with `reason` and all rungs.

    `rung`: the first that is not climbed; but a run that climbs all before the sealed stretch stands on the last but
    one, whether it has not opened the stretch or does not pass it, and one that passes that too on the last. `sure`:
    False where the run stops at a rung that could not be judged.
    """

    rung: int
    headline: str
    reason: str
    sure: bool
    rungs: tuple[Rung, ...]

    def record(self) -> dict[str, Any]:
        """The verdict as JSON can hold it."""
        rungs = [
            {
                "number": one.number,
                "title": one.title,
                "state": one.state,
                "text": one.text,
                "figure": "" if one.decided is None else one.decided.figure,
                "checks": [check._asdict() for check in one.checks],
            }
            for one in self.rungs
        ]
        return asdict(self) | {"rungs": rungs}

    def lines(self) -> list[str]:
        """The verdict and its ladder for a terminal."""
        marks = {"passed": "+", "failed": "x", "unknown": "?", "not asked": "-"}
        told = [f"  {marks[one.state]} {one.number} {one.title}: {one.text}" for one in self.rungs]
        return [f"{place(self.rung)}: {self.headline}", self.reason, *told]


def read_verdict(record: Mapping[str, Any]) -> Verdict:
    """The verdict that a record holds; raises KeyError or TypeError for a damaged one."""
    rungs = []
    for one in record["rungs"]:
        checks = tuple(Check(**check) for check in one["checks"])
        decided = Check("", None, "", one["text"], None, one.get("figure", ""))
        rungs.append(Rung(one["number"], one["title"], one["state"], decided, checks))
    return Verdict(record["rung"], record["headline"], record["reason"], record["sure"], tuple(rungs))


def place(rung: int) -> str:
    """A rung as headlines name it."""
    return f"rung {rung} of {RUNGS}"


def judge(facts: Facts, standing: Standing) -> Verdict:
    """The verdict on a run. Every rung is judged; the first that is not climbed decides."""
    checks = (
        rungs.earns(facts), rungs.skill(facts), rungs.luck(facts), rungs.sample(facts, standing),
        rungs.assumptions(facts), rungs.trials(standing), rungs.liquidation(facts), rungs.opening(standing),
        rungs.sealed(facts, standing),
    )  # fmt: skip
    ladder = tuple(_rung(number, list(found)) for number, found in enumerate(checks, 1))
    stopped = (_stop(one, ladder) for one in ladder)
    return next((one for one in stopped if one is not None), Verdict(RUNGS, PASSED, ladder[-1].text, True, ladder))


def judge_early(facts: Facts) -> Verdict | None:
    """The verdict on a run that stops at one of the rungs which it tells of by itself; None where it climbs them."""
    ladder = tuple(
        _rung(number, list(found)) for number, found in enumerate((rungs.earns(facts), rungs.skill(facts)), 1)
    )
    return next((stopped for stopped in (_stop(one, ladder) for one in ladder) if stopped is not None), None)


def _stop(one: Rung, ladder: tuple[Rung, ...]) -> Verdict | None:
    """The verdict on a run that comes to a rung, None where it climbs it."""
    number, sealed = min(one.number, RUNGS - 1), one.number >= RUNGS - 1
    if one.state == "failed" or (one.state == "unknown" and sealed):
        idle = one.decided is not None and one.decided.name == rungs.TRADED
        return Verdict(number, UNTRADED if idle else FAILED[one.number - 1], one.text, True, ladder)
    if one.state == "unknown":
        title = one.title[0].lower() + one.title[1:]
        return Verdict(number, f"It cannot be judged whether {title}.", one.text, False, ladder)
    return None


def _rung(number: int, checks: list[Check]) -> Rung:
    """A rung fails by its first check that is not met, and is not known where none fails but one is not known."""
    if not checks:
        told = Check("", None, "", "Its rule asks no forecast, so there is none to judge.", None)
        return Rung(number, TITLES[number - 1], "not asked", told, ())
    failed = next((one for one in checks if one.met is False), None)
    unknown = next((one for one in checks if one.met is None), None)
    decided = failed or unknown or checks[0]
    state: State = "failed" if failed else "unknown" if unknown else "passed"
    if state == "passed" and len(checks) > 1:
        decided = decided._replace(text=" ".join(one.text for one in checks))
    return Rung(number, TITLES[number - 1], state, decided, tuple(checks))
