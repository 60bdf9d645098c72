"""Verdict: the first rung of a fixed ladder that a run does not climb, with the figure that decided it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from markets.candles import utc
from models.skill import SIGNIFICANCE
from reports import formats
from reports.facts import Facts
from reports.standing import Standing

# The thresholds of the ladder; docs/evidence.md says why each is what it is.
LEAST_RETURN = 0.0
MOST_LUCK = 0.05
MOST_OVERFITTING = 0.5
LEAST_DEFLATED = 0.95
MOST_LIQUIDATION = 0.05
MOST_BEYOND = 0.05

State = Literal["passed", "failed", "unknown", "not asked"]
TITLES = (
    "It earns more than its costs",
    "The forecasts have skill",
    "Luck does not do as well",
    "It works out of sample",
    "It does not hang on assumptions",
    "It survives all that was tried",
    "It keeps away from liquidation",
    "It passes the sealed stretch",
)
FAILED = (
    "It loses after costs.",
    "The forecasts have no skill.",
    "Luck does as well.",
    "It works in sample only.",
    "It hangs on assumptions.",
    "It does not survive all that was tried.",
    "It is too close to liquidation.",
    "It passes all but the sealed stretch.",
)
PASSED = "It passes the sealed stretch."


class Check(NamedTuple):
    """One figure of a rung, what it is held to, and both in words; `met`: None where that is not known."""

    name: str
    value: float | None
    threshold: str
    text: str
    met: bool | None


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
    """Where a run stops on the ladder: `rung` from 1 to 9, in one `headline`, with `reason` and the rungs before it.

    Rung 8 is for a run that passes all but a sealed stretch, 9 for one that passes that too. `sure`: False where the
    run stops at a rung that could not be judged.
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
                "checks": [check._asdict() for check in one.checks],
            }
            for one in self.rungs
        ]
        return asdict(self) | {"rungs": rungs}

    def lines(self) -> list[str]:
        """The verdict and its ladder for a terminal."""
        marks = {"passed": "+", "failed": "x", "unknown": "?", "not asked": "-"}
        told = [f"  {marks[one.state]} {one.number} {one.title}: {one.text}" for one in self.rungs]
        return [f"rung {self.rung} of 9: {self.headline}", self.reason, *told]


def judge(facts: Facts, standing: Standing) -> Verdict:
    """The verdict on a run. Every rung is judged; the first that is not climbed decides."""
    checks = (
        _earns(facts), _skill(facts), _luck(facts), _sample(standing), _assumptions(facts), _trials(standing),
        _liquidation(facts), _sealed(standing),
    )  # fmt: skip
    rungs = tuple(_rung(number, list(found)) for number, found in enumerate(checks, 1))
    for one in rungs:
        if one.state == "failed":
            return Verdict(one.number, FAILED[one.number - 1], one.text, True, rungs)
        if one.state == "unknown":
            sealed, title = one.number == len(rungs), one.title[0].lower() + one.title[1:]
            headline = FAILED[-1] if sealed else f"It cannot be judged whether {title}."
            return Verdict(one.number, headline, one.text, sealed, rungs)
    return Verdict(len(rungs) + 1, PASSED, rungs[-1].text, True, rungs)


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


def _earns(facts: Facts) -> Iterator[Check]:
    value = facts.total_return
    said = f"It {'earned' if value > 0.0 else 'lost'} {formats.percent(abs(value), decimals=2)} after all costs."
    text = "It made no trade." if facts.trades == 0 else "It ended where it began." if value == 0.0 else said
    yield Check("return after costs", value, "above 0", text, value > LEAST_RETURN)


def _skill(facts: Facts) -> Iterator[Check]:
    """With several markets the smallest p-value has to be smaller by their number (Bonferroni)."""
    if not facts.asks:
        return
    known = [one for one in facts.skills if math.isfinite(one.skill) and math.isfinite(one.p)]
    if not known:
        yield Check("Clark-West p", None, "", "Too few forecasts have a known outcome to test their skill.", None)
        return
    better = [one for one in known if one.skill > 0.0 and one.against_zero > 0.0]
    best, level = min(better or known, key=lambda one: one.p), SIGNIFICANCE / len(facts.skills)
    where = f" on {best.symbol}, the best of {len(facts.skills)} markets" if len(facts.skills) > 1 else ""
    text = (
        f"The Clark-West test of the forecasts against the mean of earlier returns has the p-value "
        f"{formats.probability(best.p)}{where}; their squared error is {formats.percent(abs(best.skill), decimals=3)} "
        f"{'smaller' if best.skill > 0.0 else 'larger'}."
    )
    if best.skill > 0.0 >= best.against_zero:
        text += " A forecast of zero does better."
    threshold = f"at most {level:.3g}, with a smaller error than the mean and than zero"
    yield Check("Clark-West p", best.p, threshold, text, bool(better) and best.p < level)


def _luck(facts: Facts) -> Iterator[Check]:
    played = facts.played
    if played is None:
        yield _unplayed(facts, "p of random entries")
        return
    for name, p, draws in (
        ("random entries", played.p_random, played.runs),
        ("permuted forecasts", played.p_permuted, played.permutations),
    ):
        if p is not None:
            reached = round(p * (draws + 1)) - 1
            text = f"{reached:,} of {draws:,} runs on {name} have as high a Sharpe ratio (p {formats.probability(p)})."
            yield Check(f"p of {name}", p, f"at most {MOST_LUCK:g}", text, p <= MOST_LUCK)


def _sample(standing: Standing) -> Iterator[Check]:
    """What no search has seen decides, else the search's overfitting; without a search the later half."""
    if standing.fresh is not None:
        fresh = standing.fresh
        text = (
            f"Settings were searched for on this data ({standing.searched:,} trials); on the {fresh.bars:,} bars from "
            f"{utc(fresh.first)[:10]} on, which no search saw, it {_made(fresh.total_return)}."
        )
        yield Check("return no search saw", fresh.total_return, "above 0", text, fresh.total_return > LEAST_RETURN)
    elif standing.searched:
        found = standing.overfitting
        text = f"All its bars lie in what {standing.searched:,} searched trials saw, "
        if found is None:
            yield Check("overfitting", None, "", f"{text}and they left nothing to tell overfitting by.", None)
            return
        text += f"whose probability of overfitting is {formats.percent(found, decimals=0)}."
        yield Check("overfitting", found, f"below {MOST_OVERFITTING:g}", text, found < MOST_OVERFITTING)
    else:
        early, late = standing.halves
        text = (
            f"Forecasts are made out of sample and no search on this data is known; the earlier half "
            f"{_made(early.total_return)}, the later one {_made(late.total_return)}."
        )
        yield Check("return of the later half", late.total_return, "above 0", text, late.total_return > LEAST_RETURN)


def _assumptions(facts: Facts) -> Iterator[Check]:
    played = facts.played
    if played is None:
        yield _unplayed(facts, "return under other assumptions")
        return
    for name, value in (
        ("the adverse order inside bars", played.adverse),
        ("signals a bar late", played.delayed),
        ("twice the costs", played.doubled),
    ):
        yield Check(f"return with {name}", value, "above 0", f"With {name} it {_made(value)}.", value > LEAST_RETURN)


def _trials(standing: Standing) -> Iterator[Check]:
    if standing.deflated is None:
        yield Check("deflated Sharpe", None, "", "Its equity never moved.", None)
        return
    value, others = standing.deflated, max(standing.trials - 1, 0)
    text = (
        f"The odds that its Sharpe ratio is more than the best of luck are {formats.percent(value)}, with "
        f"{others:,} other trial{'' if others == 1 else 's'} on this data (deflated Sharpe ratio)."
    )
    yield Check("deflated Sharpe", value, f"at least {LEAST_DEFLATED:g}", text, value >= LEAST_DEFLATED)


def _liquidation(facts: Facts) -> Iterator[Check]:
    count, played = facts.liquidations, facts.played
    text = (
        "No position was liquidated." if count == 0 else f"It was liquidated {count:,} time{'s' if count > 1 else ''}."
    )
    yield Check("liquidations", float(count), "0", text, count == 0)
    if played is None:
        yield _unplayed(facts, "odds of liquidation")
        return
    text = (
        f"On {formats.percent(played.liquidated)} of the paths drawn from its bars a position is liquidated within "
        f"{played.horizon:,} bars at its leverage of {played.leverage:g}."
    )
    met = played.liquidated <= MOST_LIQUIDATION
    yield Check("odds of liquidation", played.liquidated, f"at most {MOST_LIQUIDATION:g}", text, met)
    if played.beyond is not None:
        text = f"{formats.percent(played.beyond)} of the entries had their stop beyond liquidation."
        yield Check("stops beyond", played.beyond, f"at most {MOST_BEYOND:g}", text, played.beyond <= MOST_BEYOND)


def _sealed(standing: Standing) -> Iterator[Check]:
    seal = standing.seal
    if seal is None:
        text = "No stretch of this data is sealed, so nothing is left that could surprise it."
        yield Check("sealed stretch", None, "", text, None)
        return
    since = f"The data from {utc(seal.first)[:10]} on is sealed"
    if seal.reached is None or not seal.opened:
        yield Check("sealed stretch", None, "", f"{since}, and this run has not opened it.", None)
        return
    value, bars = seal.reached.total_return, seal.reached.bars
    text = f"On the {bars:,} bars from {utc(seal.first)[:10]} on, which were sealed, it {_made(value)}."
    yield Check("return when sealed", value, "above 0", text, value > LEAST_RETURN)
    first = "It was the first to open them." if seal.before == 0 else f"{seal.before:,} others opened them before it."
    yield Check("earlier openings", float(seal.before), "0", first, seal.before == 0)


def _made(value: float) -> str:
    if value == 0.0:
        return "made nothing"
    return f"{'earned' if value > 0.0 else 'lost'} {formats.percent(abs(value), decimals=2)}"


def _unplayed(facts: Facts, name: str) -> Check:
    return Check(name, None, "", f"It could not be played again: {facts.unplayed}.", None)
