"""The verdict: each rung fails by its own figure, in order, and says so; what is not known is not passed over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from planted_faults import mutated

from foundation.seals import open_seal, seal
from foundation.trials import Span, TrialLedger, batch_of
from reports import verdict
from reports.curves import EquityCurve
from reports.evidence import backtest_overfitting, sharpe_moments
from reports.facts import Facts, Played, Skilled, read_facts
from reports.promise import Promise
from reports.stability import Fall, Sampled, Stability, Stretch
from reports.standing import Forward, Seal, Standing, standing_of
from reports.untraded import explain_no_trade
from reports.verdict import FAILED, PASSED, RUNGS, TITLES, UNTRADED, judge, place

HOUR = 3_600_000_000_000
BARS = 1000
SPAN = Span("test:TEST", 0, (BARS - 1) * HOUR)
PLAYED = Played(
    p_random=0.002, runs=1000, place=0.99, p_permuted=0.005, permutations=200,
    moments=(0, 300 * HOUR, 500 * HOUR, 900 * HOUR, 990 * HOUR), p_since=(0.002, 0.01, 0.03, 0.04, float("nan")),
    adverse=0.4, delayed=0.3, doubled=0.2,
    depending=3, break_even=4.0, liquidated=0.01, halved=0.02, horizon=1000, leverage=3.0, beyond=0.0,
)  # fmt: skip
EVEN = Stability(Stretch(0, 500, 0.2, 2.0), Stretch(500 * HOUR, 500, 0.25, 2.1), Fall(0.1, -1.5, 1.7), 0.3)
GOOD = Facts(
    spans=(SPAN,), content="one", total_return=0.5, trades=80, liquidations=0, asks=True,
    skills=(Skilled("TEST", 0.01, 0.01, 0.001),), sampled=Sampled(1000, 0, 4), stability=EVEN, moments=None,
    bars_per_year=8760.0, played=PLAYED,
)  # fmt: skip
REACHED = Stretch(900 * HOUR, 100, 0.05, 2.2)
SEALED = Seal(900 * HOUR, 100, REACHED, True, 0)
PROMISE = Promise(bars=100, sharpe=2.0, low=-1.0, power=0.9, needed=80.0)
STANDING = Standing(
    trials=3, deflated=0.99, searched=0, fresh=None, overfitting=None, forward=None, seal=SEALED, promise=PROMISE
)
FRESH = Stretch(300 * HOUR, 700, 0.1, 1.9)
LOST, LOST_THERE = replace(EVEN.later, total_return=-0.01), replace(REACHED, total_return=-0.01)


def told(facts: dict[str, Any] | None = None, standing: dict[str, Any] | None = None, **played: Any) -> Any:
    """The verdict on a run that passes everything but for what is changed."""
    changed = replace(GOOD, **(facts or {}))
    if played:
        changed = replace(changed, played=replace(PLAYED, **played))
    return judge(changed, replace(STANDING, **(standing or {})))


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "a loss": (1, {"facts": {"total_return": -0.01}}),
    "nothing earned": (1, {"facts": {"total_return": 0.0}}),
    "a large p of skill": (2, {"facts": {"skills": (Skilled("TEST", 0.01, 0.01, 0.06),)}}),
    "an error above the mean's": (2, {"facts": {"skills": (Skilled("TEST", -0.01, -0.01, 0.001),)}}),
    "an error above zero's": (2, {"facts": {"skills": (Skilled("TEST", 0.01, -0.01, 0.001),)}}),
    "skill on one of two markets by chance": (
        2, {"facts": {"skills": (Skilled("A", 0.01, 0.01, 0.03), Skilled("B", -0.01, -0.01, 0.7))}},
    ),
    "random entries": (3, {"p_random": 0.051}),
    "permuted forecasts": (3, {"p_permuted": 0.2}),
    "a forecast inside its training": (4, {"facts": {"sampled": Sampled(1000, 1, 4)}}),
    "a later half that loses": (4, {"facts": {"stability": replace(EVEN, later=LOST)}}),
    "a later half as luck has it": (4, {"p_since": (0.002, 0.01, 0.11, 0.04, 0.5)}),
    "a later half that fell": (4, {"facts": {"stability": replace(EVEN, fall=Fall(-3.0, -5.0, -0.1))}}),
    "one stretch that earned all": (4, {"facts": {"stability": replace(EVEN, without_best=0.0)}}),
    "bars no search saw": (4, {"standing": {"searched": 50, "fresh": replace(FRESH, total_return=-0.01)}}),
    "an overfitted search": (4, {"standing": {"searched": 50, "overfitting": 0.6}}),
    "choices that do not hold": (
        4, {"standing": {"searched": 50, "overfitting": 0.2, "forward": Forward(5, -0.1, 2.0)}},
    ),
    "the adverse order": (5, {"adverse": -0.01}),
    "a bar of delay": (5, {"delayed": 0.0}),
    "twice the costs": (5, {"doubled": -0.2}),
    "too many trials": (6, {"standing": {"deflated": 0.94}}),
    "a liquidation": (7, {"facts": {"liquidations": 1}}),
    "odds of liquidation": (7, {"liquidated": 0.06}),
    "stops beyond liquidation": (7, {"beyond": 0.5}),
    "a seal broken before": (8, {"standing": {"seal": replace(SEALED, before=2)}}),
    "a sealed stretch that loses": (9, {"standing": {"seal": replace(SEALED, reached=LOST_THERE)}}),
    "less than was promised": (9, {"standing": {"promise": replace(PROMISE, low=2.3)}}),
    "sealed bars as luck has them": (9, {"p_since": (0.002, 0.01, 0.03, 0.06, 0.5)}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_rung_fails_by_its_own_figure(case: str) -> None:
    """One figure beyond its threshold stops the run at its rung, which names it; the rungs before are climbed."""
    rung, change = CASES[case]
    found = told(**change)
    assert (found.rung, found.sure) == (min(rung, 8), True)
    assert found.headline == FAILED[rung - 1]
    states = [one.state for one in found.rungs]
    assert states == ["passed"] * (rung - 1) + ["failed"] + ["passed"] * (RUNGS - rung)
    decided = found.rungs[rung - 1].decided
    assert decided is not None
    assert decided.met is False
    assert decided.value is not None
    assert decided.threshold
    assert found.reason == decided.text


@pytest.mark.parametrize("profit", [0.0, 0.1])
def test_a_run_without_a_trade_did_not_trade(profit: float) -> None:
    """The headline says so, and the reason why, whatever the equity did; nothing says that it lost."""
    found = told({"total_return": profit, "trades": 0, "untraded": "3 orders were refused."})
    assert (found.rung, found.headline, found.sure) == (1, UNTRADED, True)
    assert found.reason == "It made no trade. 3 orders were refused."


def test_why_nothing_was_traded_names_the_most_frequent_reason() -> None:
    """Refused orders first, then decisions that were all to hold, then signals that came to nothing."""
    held = pd.DataFrame({"signal": [0, 0, 0, 0], "reason": ["below threshold"] * 3 + ["no forecast"]})
    none = pd.DataFrame({"status": [], "reason": []})
    said = "The rule said hold at every bar, in 75.0% of them because: below threshold."
    assert explain_no_trade(held, none) == said
    wanted = held.assign(signal=[0, 1, 0, -1])
    assert "a signal on 2 bars" in explain_no_trade(wanted, none)
    refused = pd.DataFrame({"status": ["refused", "refused", "filled"], "reason": ["below one lot"] * 2 + [""]})
    assert explain_no_trade(wanted, refused) == "2 orders were refused, always because: below one lot."


def test_averages_that_carry_a_run_are_named() -> None:
    """Permuted forecasts do as well and random entries do not: so say the words, for a confirmed rule alone."""
    words = "the averages alone earn as much"
    assert words in told({"confirmed": True}, p_permuted=0.2).reason
    assert words not in told({"confirmed": False}, p_permuted=0.2).reason
    assert words not in told({"confirmed": True}, p_permuted=0.2, p_random=0.2).rungs[2].text
    assert words not in told({"confirmed": True}).rungs[2].text


def test_odds_of_liquidation_are_told_with_their_range() -> None:
    """None of 100 is not none: what so many paths leave open stands beside it, and where it spans the threshold."""
    none = told(liquidated=0.0, paths=100).rungs[6].text
    assert "On 0 of 100 paths" in none
    assert "its odds are below 3.0%." in none
    near = told(liquidated=0.04, paths=500).rungs[6]
    assert near.state == "passed"
    assert "On 20 of 500 paths" in near.text
    assert "from 2.7% to 5.8%. So many paths do not tell" in near.text
    assert "So many" not in told(liquidated=0.2, paths=500).rungs[6].text
    assert "On 1.0% of the paths" in told().rungs[6].text


def test_the_rung_of_skill_names_the_naive_forecasts_that_do_better() -> None:
    """The best of them first, with how much larger the error is; it decides nothing, and facts keep it."""
    outdone = (("AR", 0.0004), ("HAR", 0.0018))
    facts = replace(GOOD, skills=(Skilled("TEST", 0.01, 0.01, 0.001, outdone),))
    said = told({"skills": facts.skills}).rungs[1]
    assert said.state == "passed"
    assert said.text.endswith("Naive forecasts do better: against HAR the error is 0.180% larger, against AR 0.040%.")
    assert told().rungs[1].text.endswith("smaller.")
    alone = told({"skills": (Skilled("TEST", -0.01, -0.01, 0.4, (("zero", 0.01), ("ridge on lags", 0.02))),)})
    assert alone.rung == 2
    assert alone.reason.endswith("A naive forecast does better: against ridge on lags the error is 2.000% larger.")
    assert read_facts(json.loads(json.dumps(facts.record()))).skills == facts.skills
    old = facts.record()
    del old["skills"][0]["outdone"]
    assert read_facts(old).skills[0].outdone == ()


def test_a_run_that_passes_everything_stands_on_the_last_rung() -> None:
    """Nine of nine, with the words of the sealed stretch."""
    found = told()
    assert (found.rung, found.headline) == (9, PASSED)
    assert "sealed" in found.reason
    assert [one.state for one in found.rungs] == ["passed"] * 9
    assert found.lines()[0] == f"rung 9 of 9: {PASSED}"
    assert found.lines()[-1].startswith("  + 9 It passes the sealed stretch: ")
    assert place(found.rung) == "rung 9 of 9"


def test_too_short_a_sealed_stretch_tells_nothing() -> None:
    """Sealed bars that luck does as well on are no failure where an edge of that size would seldom show on them."""
    short = {"promise": replace(PROMISE, power=0.3, needed=400.0)}
    found = told(standing=short, p_since=(0.002, 0.01, 0.03, 0.3, 0.5))
    assert (found.rung, found.headline, found.rungs[8].state) == (8, FAILED[8], "unknown")
    assert "An edge of its size shows on 400 sealed bars with odds of 80%, on 100 with 30.0%." in found.reason
    assert told(standing=short).rung == 9
    unmeasured = told(standing={"seal": replace(SEALED, reached=replace(REACHED, first=990 * HOUR))})
    assert (unmeasured.rung, unmeasured.rungs[8].state) == (8, "unknown")


@pytest.mark.parametrize(("before", "said"), [(1, "1 other run opened"), (3, "3 other runs opened")])
def test_earlier_openings_are_counted_in_words(before: int, said: str) -> None:
    """Who opened a seal before is said in the singular, too."""
    found = told(standing={"seal": replace(SEALED, before=before)})
    assert f"{said} them before it." in found.reason


def test_what_no_search_saw_has_to_beat_luck_to_show_anything() -> None:
    """A profit there that luck makes too leaves the rung unknown; one that luck seldom makes climbs it."""
    searched = {"searched": 50, "fresh": FRESH}
    assert told(standing=searched).rung == 9
    found = told(standing=searched, p_since=(0.002, 0.2, 0.03, 0.04, 0.5))
    assert (found.rung, found.sure) == (4, False)


@pytest.mark.parametrize("seal_", [None, Seal(900 * HOUR, 100, None, False, 0), replace(SEALED, opened=False)])
def test_without_an_opened_seal_it_passes_all_but_that(seal_: Seal | None) -> None:
    """No seal, one that the run ends before, and one that others opened leave it on rung 8."""
    found = told(standing={"seal": seal_})
    assert (found.rung, found.headline, found.sure) == (8, FAILED[7], True)
    assert found.rungs[7].state == "unknown"
    assert "An edge of its size shows on 80 sealed bars" in found.reason


@pytest.mark.parametrize(
    ("rung", "change"),
    [
        (2, {"facts": {"skills": ()}}),
        (3, {"facts": {"played": None, "unplayed": "its market stands in no file"}}),
        (4, {"standing": {"searched": 40}}),
        (6, {"standing": {"deflated": None}}),
    ],
)
def test_what_is_not_known_is_said(rung: int, change: dict[str, Any]) -> None:
    """A rung without a figure stops the climb with a word, and is not called a failure."""
    found = told(**change)
    assert (found.rung, found.sure) == (rung, False)
    assert found.headline.startswith("It cannot be judged whether ")
    assert found.rungs[rung - 1].state == "unknown"
    if rung == 3:
        assert "its market stands in no file" in found.reason


def test_a_failure_is_told_though_a_figure_of_the_rung_is_missing() -> None:
    """A liquidated run that cannot be played again fails rung 7 all the same."""
    found = told({"played": None, "liquidations": 2})
    assert found.rungs[6].state == "failed"


def test_forecasts_that_never_vary_have_no_skill() -> None:
    """Where no test is possible for want of variation the rung is failed, and how many models say zero is told."""
    still = Skilled("TEST", 0.001, 0.0, float("nan"), (), 1000, models=4, zero_models=4)
    found = told({"skills": (still,)}).rungs[1]
    assert found.state == "failed"
    assert "there is no skill to test. 4 of 4 fitted models forecast a return of exactly zero" in found.text
    unknown = replace(still, skill=float("nan"))
    assert told({"skills": (unknown,)}).rungs[1].state == "unknown"


def test_skill_that_is_too_good_is_asked_after() -> None:
    """The rung is climbed, and its text says to look for a leak."""
    found = told({"skills": (Skilled("TEST", 0.1, 0.1, 0.001, (), 1000, 0.61, suspect=True),)}).rungs[1]
    assert found.state == "passed"
    assert "Check for leakage: 61.0% right directions and an out-of-sample R2 of 10.0%" in found.text


def test_a_rule_without_forecasts_climbs_by_luck_alone() -> None:
    """Rung 2 does not ask it, and permuted forecasts are not missed."""
    found = told({"asks": False, "skills": ()}, p_permuted=None)
    assert found.rungs[1].state == "not asked"
    assert found.rung == 9


def test_records_survive_a_folder() -> None:
    """Facts come back from JSON as they were, undefined figures included; a verdict is JSON too."""
    facts = replace(GOOD, moments=sharpe_moments(np.random.default_rng(0).normal(0, 1, 50)))
    facts = replace(facts, skills=(Skilled("TEST", float("nan"), float("nan"), float("nan")),))
    again = read_facts(json.loads(json.dumps(facts.record(), allow_nan=False)))
    assert repr(again) == repr(facts)
    old = facts.record()
    del old["confirmed"], old["played"]["paths"]
    assert repr(read_facts(json.loads(json.dumps(old)))) == repr(facts)
    json.dumps(judge(again, STANDING).record(), allow_nan=False)
    with pytest.raises(ValueError, match="another version"):
        read_facts(facts.record() | {"version": 0})


def curve(returns: np.ndarray) -> EquityCurve:
    """A curve of hourly bars from 0 on."""
    return EquityCurve(HOUR * np.arange(len(returns)), 1000.0 * np.cumprod(1.0 + returns), 1000.0, HOUR)


def test_the_standing_follows_the_ledger(tmp_path: Path) -> None:
    """Searches before the run shorten what is fresh; their overfitting counts where nothing is; trials add up."""
    random, ledger = np.random.default_rng(4), TrialLedger(tmp_path)
    returns = random.normal(0.001, 0.01, BARS)
    facts, run = replace(GOOD, moments=sharpe_moments(returns)), curve(returns)
    alone = standing_of(facts, run, ledger)
    assert (alone.searched, alone.fresh, alone.overfitting, alone.forward, alone.seal) == (0, None, None, None, None)
    early = Span("test:TEST", 0, 599 * HOUR)
    ledger.record(batch_of("sweep", [early], {}, "early", random.normal(0, 0.1, 30)))
    found = standing_of(facts, run, ledger)
    assert found.fresh is not None
    assert (found.searched, found.fresh.bars, found.fresh.first) == (30, 400, 600 * HOUR)
    assert found.fresh.total_return == pytest.approx(run.equity[-1] / run.equity[599] - 1.0)
    assert (found.deflated or 1.0) < (alone.deflated or 0.0)
    ledger.record(batch_of("tune", [SPAN], {}, "whole", random.normal(0, 0.1, 40)), random.normal(0, 1, (40, 16)))
    whole = standing_of(facts, run, ledger)
    assert (whole.searched, whole.fresh) == (70, None)
    assert whole.overfitting is not None
    same = np.tile(random.normal(0, 1, (1, 16)), (90, 1))
    ledger.record(batch_of("sweep", [SPAN], {}, "idle", np.full(90, 0.1)), same)
    idle = standing_of(facts, run, ledger)
    assert (idle.searched, idle.overfitting) == (160, whole.overfitting), "where nothing was chosen nothing overfits"
    elsewhere = Span("test:OTHER", 0, SPAN.last)
    ledger.record(batch_of("sweep", [elsewhere], {}, "other", random.normal(0, 0.1, 9)))
    assert standing_of(facts, run, ledger).searched == 160
    ledger.record(batch_of("tune", [SPAN], {"walk_forward": 3, "inside": 0.02}, "forward", [0.01]))
    forward = standing_of(facts, run, ledger).forward
    assert forward == Forward(3, pytest.approx(0.01 * 8760**0.5), pytest.approx(0.02 * 8760**0.5))


def test_the_batches_of_a_tuning_are_one_search(tmp_path: Path) -> None:
    """Its overfitting is that of all its batches, not that of the first random one; another study stands alone."""
    random, ledger = np.random.default_rng(5), TrialLedger(tmp_path)
    facts, run = replace(GOOD, moments=sharpe_moments(random.normal(0.001, 0.01, BARS))), curve(np.full(BARS, 0.001))
    parts = [random.normal(0.0, 1.0, (20, 16)) for _ in range(5)]
    for number, part in enumerate(parts):
        ledger.record(batch_of("tune", [SPAN], {"study": "ours"}, f"ours {number}", random.normal(0, 0.1, 20)), part)
    # The largest batch of all, and yet a smaller search.
    steady = np.arange(30.0)[:, None] + np.zeros(16)
    ledger.record(batch_of("tune", [SPAN], {"study": "theirs"}, "theirs", random.normal(0, 0.1, 30)), steady)
    found = standing_of(facts, run, ledger).overfitting
    assert found == backtest_overfitting(np.concatenate(parts))
    assert found not in (backtest_overfitting(parts[0]), backtest_overfitting(steady))


def test_the_standing_knows_seals_and_who_broke_them(tmp_path: Path) -> None:
    """A seal that a run reaches into counts as opened by that very run alone, and earlier openings are counted."""
    ledger, run = TrialLedger(tmp_path), curve(np.full(BARS, 0.001))
    seal(ledger, Span("test:TEST", 900 * HOUR, SPAN.last))
    found = standing_of(GOOD, run, ledger).seal
    assert found is not None
    assert (found.first, found.opened, found.before) == (900 * HOUR, False, 0)
    assert found.bars == 100
    assert found.reached == Stretch(900 * HOUR, 100, pytest.approx(1.001**100 - 1.0), None)
    open_seal(ledger, SPAN, "another", "theirs")
    open_seal(ledger, SPAN, GOOD.content, "ours")
    found = standing_of(GOOD, run, ledger).seal
    assert found is not None
    assert (found.opened, found.before) == (True, 1)
    short = EquityCurve(run.timestamp[:800], run.equity[:800], 1000.0, HOUR)
    ends_before = standing_of(replace(GOOD, spans=(Span("test:TEST", 0, 799 * HOUR),)), short, ledger).seal
    assert ends_before is not None
    assert (ends_before.reached, ends_before.bars) == (None, 100)
    two = replace(GOOD, spans=(SPAN, Span("test:OTHER", 0, SPAN.last)))
    assert standing_of(two, run, ledger).seal is None


FAULTS = {
    "luck that is never enough": ("p <= MOST_LUCK", "True"),
    "a later half that is never too lucky": ('"the later half", MOST_LUCK_LATER', '"the later half", 1.0'),
    "a sealed stretch without a promise": ("met = reached.sharpe >= promise.low", "met = True"),
    "a delay overlooked": ('late", played.delayed)', 'late", played.adverse)'),
    "what is unknown passed over": ('if one.state == "unknown":', "if False:"),
}


@pytest.mark.parametrize(("fault", "case"), [
    ("luck that is never enough", "random entries"),
    ("a delay overlooked", "a bar of delay"),
    ("a later half that is never too lucky", "a later half as luck has it"),
    ("a sealed stretch without a promise", "less than was promised"),
])  # fmt: skip
def test_a_planted_fault_climbs_too_far(fault: str, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case that is there to stop a run no longer does."""
    rung, change = CASES[case][0], dict(CASES[case][1])
    faulty, honest = mutated("reports.rungs", *FAULTS[fault]), verdict.rungs
    standing = replace(STANDING, **change.pop("standing", {}))
    facts = replace(GOOD, played=replace(PLAYED, **change))
    monkeypatch.setattr(verdict, "rungs", faulty)
    assert judge(facts, standing).rung > min(rung, 8)
    monkeypatch.setattr(verdict, "rungs", honest)
    assert judge(facts, standing).rung == min(rung, 8)


def test_a_ladder_that_passes_over_the_unknown_is_caught() -> None:
    """Without the stop at what is not known, a run without its market would stand before the last rung."""
    facts = replace(GOOD, played=None)
    assert mutated("reports.verdict", *FAULTS["what is unknown passed over"]).judge(facts, STANDING).rung == 8
    assert judge(facts, STANDING).rung == 3


def test_every_rung_has_its_words() -> None:
    """Nine titles and nine ways to fail, each a sentence."""
    assert len(TITLES) == len(FAILED) == RUNGS == 9
    assert all(text.endswith(".") for text in FAILED)
