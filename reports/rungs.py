"""Rungs: the checks of each step of the ladder, one figure each, with its threshold and both in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markets.candles import utc
from models.level import LEAST_FORECASTS, SIGNIFICANCE, leakage_words, zero_models_words
from reports import formats
from reports.catalogue import too_short
from reports.facts import Facts, Played, Skilled
from reports.intervals import binomial_range, odds_words
from reports.promise import LEAST_POWER, Promise
from reports.stability import PIECES, Stretch
from reports.standing import Standing

# The thresholds of the ladder; docs/evidence.md says why each is what it is.
LEAST_RETURN = 0.0
# The check of the first rung that a run without a trade fails by.
TRADED = "trades"
CLARK_WEST = "normed Clark-West p"
MOST_LUCK = 0.05
# Of half of the bars: the level of the whole run would ask more of the half than of the whole.
MOST_LUCK_LATER = 0.1
MOST_OVERFITTING = 0.5
LEAST_DEFLATED = 0.95
MOST_LIQUIDATION = 0.05
MOST_BEYOND = 0.05
# Permuted forecasts keep the averages, random entries lose them.
_AVERAGES = (
    " Random entries seldom do. Permuted forecasts keep the confirmation by the averages: the averages alone earn as "
    "much, and what the forecasts add cannot be told from chance."
)


class Check(NamedTuple):
    """One figure of a rung, what it is held to, and both in words; `met`: None where that is not known.

    `figure`: the value in a word or two, for a ladder that has no room for `text`; empty where there is none.
    """

    name: str
    value: float | None
    threshold: str
    text: str
    met: bool | None
    figure: str = ""


def earns(facts: Facts) -> Iterator[Check]:
    """At least one trade, and a profit after all costs."""
    value = facts.total_return
    if facts.trades == 0:
        text = f"It made no trade. {facts.untraded}".rstrip()
        yield Check(TRADED, 0.0, "1 or more", text, False, "no trade")
        return
    said = f"It {'earned' if value > 0.0 else 'lost'} {formats.percent(abs(value), decimals=2)} after all costs."
    text = "It ended where it began." if value == 0.0 else said
    yield Check("return after costs", value, "above 0", text, value > LEAST_RETURN, _percent(value))


def skill(facts: Facts) -> Iterator[Check]:
    """With several markets the smallest p-value has to be smaller by their number (Bonferroni)."""
    if not facts.asks:
        return
    told = [one for one in facts.skills if _counted(one, facts) >= LEAST_FORECASTS]
    if facts.skills and not told:
        most = max(_counted(one, facts) for one in facts.skills)
        text = f"Too short to tell: {most:,} forecasts; it takes {LEAST_FORECASTS} with a known outcome."
        yield Check("forecasts", float(most), f"at least {LEAST_FORECASTS}", text, None, f"{most:,} forecasts")
        return
    known = [one for one in told if math.isfinite(one.skill) and math.isfinite(one.p)]
    if not known:
        yield _untested(told)
        return
    better = [one for one in known if one.skill > 0.0 and one.against_zero > 0.0]
    best, level = min(better or known, key=lambda one: one.p), SIGNIFICANCE / len(facts.skills)
    where = f" on {best.symbol}, the best of {len(facts.skills)} markets" if len(facts.skills) > 1 else ""
    text = (
        f"The normed Clark-West tests of the forecasts, against the mean of earlier returns and against zero, have the "
        f"larger p-value {formats.probability(best.p)}{where}; their squared error is "
        f"{formats.percent(abs(best.skill), decimals=3)} {'smaller' if best.skill > 0.0 else 'larger'}."
    )
    if best.skill > 0.0 >= best.against_zero:
        text += " A forecast of zero does better."
    text += f"{_outdone(best)}{_idle(best)}"
    text += f" {leakage_words(best.skill, best.accuracy)}." if best.suspect else ""
    threshold = f"at most {level:.3g}, with a smaller error than the mean and than zero"
    yield Check(CLARK_WEST, best.p, threshold, text, bool(better) and best.p < level, _chance(best.p))


def _untested(told: Sequence[Skilled]) -> Check:
    """What is said where no test is possible: forecasts that never vary show no skill, others leave it open."""
    still = next((one for one in told if math.isfinite(one.skill)), None)
    if still is None:
        return Check(CLARK_WEST, None, "", "Too few forecasts have a known outcome to test their skill.", None)
    text = "The forecasts never differ from one value, from zero, or from the mean: there is no skill to test."
    return Check(CLARK_WEST, None, "", f"{text}{_idle(still)}", False, "no variation")


def _idle(one: Skilled) -> str:
    """That most models say zero, as the end of a text."""
    words = zero_models_words(one.models, one.zero_models)
    return f" {words}." if words else ""


def _counted(one: Skilled, facts: Facts) -> int:
    """How many forecasts have a known outcome; where that was not kept, how many there are, which is no fewer."""
    return facts.sampled.forecasts if one.count is None else one.count


def _outdone(one: Skilled) -> str:
    """Which naive forecasts do better, the best first, as the end of a text; zero and the mean have words above."""
    told = ("zero", "expanding mean")
    better = sorted(((more, name) for name, more in one.outdone if name not in told), reverse=True)
    if not better:
        return ""
    (most, best), *others = better
    first = f"against {best} the error is {formats.percent(most, decimals=3)} larger"
    more = "".join(f", against {name} {formats.percent(size, decimals=3)}" for size, name in others)
    return f" {'Naive forecasts do' if others else 'A naive forecast does'} better: {first}{more}."


def luck(facts: Facts) -> Iterator[Check]:
    """A Sharpe ratio that random entries and permuted forecasts seldom reach."""
    played = facts.played
    if played is None:
        yield _unplayed(facts, "p of random entries")
        return
    for name, p, draws in (
        ("turned positions" if played.turned else "random entries", played.p_random, played.runs),
        ("permuted forecasts", played.p_permuted, played.permutations),
    ):
        if p is not None:
            reached = round(p * (draws + 1)) - 1
            text = f"{reached:,} of {draws:,} runs on {name} have as high a Sharpe ratio (p {formats.probability(p)})."
            if facts.confirmed and name == "permuted forecasts" and played.p_random <= MOST_LUCK < p:
                text += _AVERAGES
            yield Check(f"p of {name}", p, f"at most {MOST_LUCK:g}", text, p <= MOST_LUCK, _chance(p))


def sample(facts: Facts, standing: Standing) -> Iterator[Check]:
    """No bar that a model was trained on; what no search has seen; then whether the run earned throughout."""
    seen = facts.sampled
    if facts.asks:
        by = f", by {formats.counted(seen.models, 'trained model')}" if seen.models else ""
        text = (
            f"{seen.inside:,} of {seen.forecasts:,} forecasts were made on bars that their own model was trained on."
            if seen.inside
            else f"All {seen.forecasts:,} forecasts are out of sample{by}."
        )
        figure = f"{seen.inside:,} forecasts seen in training"
        yield Check("forecasts inside training", float(seen.inside), "0", text, seen.inside == 0, figure)
    if standing.searched:
        yield from _searched(facts, standing)
    yield from _stability(facts)


def _searched(facts: Facts, standing: Standing) -> Iterator[Check]:
    """What no search has seen decides, else the overfitting of the largest search; and the walk-forward curve."""
    known = f"Settings were searched for on this data ({standing.searched:,} trials)"
    if standing.fresh is not None:
        fresh = standing.fresh
        where = f"the {fresh.bars:,} bars from {utc(fresh.first)[:10]} on, which no search saw"
        text = f"{known}; on {where}, it {_made(fresh.total_return)}."
        met, figure = fresh.total_return > LEAST_RETURN, f"{_percent(fresh.total_return)} unsearched"
        yield Check("return unsearched", fresh.total_return, "above 0", text, met, figure)
        # A short stretch that does not beat luck is no sign of a fault, but it shows nothing either.
        lucky = _lucky(facts, fresh, "the bars no search saw", MOST_LUCK_LATER)
        yield lucky._replace(met=lucky.met or None)
    elif standing.overfitting is None:
        text = f"{known}, and none kept what its overfitting could be told by; no bars are left that none saw."
        yield Check("overfitting", None, "", text, None)
    else:
        found = standing.overfitting
        text = f"{known} and saw all of it; the probability that the search overfitted is {formats.percent(found)}."
        figure = f"{formats.percent(found)} overfitted"
        yield Check("overfitting", found, f"below {MOST_OVERFITTING:g}", text, found < MOST_OVERFITTING, figure)
    if standing.forward is not None:
        one = standing.forward
        past = "" if one.inside is None else f", {formats.ratio(one.inside)} on the bars it was chosen by"
        text = (
            f"Chosen on the past alone and judged on what followed, {one.folds:,} times, it has the Sharpe ratio "
            f"{formats.ratio(one.sharpe)}{past}."
        )
        figure = f"walk-forward Sharpe {formats.ratio(one.sharpe)}"
        yield Check("walk-forward Sharpe", one.sharpe, "above 0", text, one.sharpe > LEAST_RETURN, figure)


def _stability(facts: Facts) -> Iterator[Check]:
    """The later half by itself, against luck and against the earlier half; and the run without its best stretch."""
    found, later = facts.stability, facts.stability.later
    text = f"The earlier half {_made(found.earlier.total_return)}, the later one {_made(later.total_return)}."
    met, figure = later.total_return > LEAST_RETURN, f"{_percent(later.total_return)} in the later half"
    yield Check("return of the later half", later.total_return, "above 0", text, met, figure)
    yield _lucky(facts, later, "the later half", MOST_LUCK_LATER)
    if found.fall is not None:
        one = found.fall
        went, caveat = "fell" if one.value < 0.0 else "rose", _caveat(later, facts)
        text = (
            f"Its Sharpe ratio {went} by {formats.ratio(abs(one.value))} from the earlier half to the later; that "
            f"change is from {formats.ratio(one.low)} to {formats.ratio(one.high)}, 19 times in 20{caveat}."
        )
        figure = f"Sharpe {formats.decimal(one.value, digits=2, signed=True)}{caveat}"
        yield Check("change of Sharpe, upper end", one.high, "at least 0", text, one.high >= 0.0, figure)
    text = f"Without the best {_share(PIECES)} of its time it {_made(found.without_best)}."
    met, figure = found.without_best > LEAST_RETURN, f"{_percent(found.without_best)} without its best part"
    yield Check("return without the best part", found.without_best, "above 0", text, met, figure)


def _lucky(facts: Facts, stretch: Stretch, where: str, most: float) -> Check:
    """The chance that random entries do as well over the end of a run."""
    drawn = "turned positions" if facts.played is not None and facts.played.turned else "random entries"
    name, p = f"p of {drawn}, {where}", None
    if facts.played is None:
        return _unplayed(facts, name)
    p = facts.played.luck_since(stretch.first)
    if p is None:
        return Check(name, None, "", f"{where[0].upper()}{where[1:]} is too short to be held against luck.", None)
    reached = round(p * (facts.played.runs + 1)) - 1
    runs, chance = facts.played.runs, formats.probability(p)
    text = f"On {where} {reached:,} of {runs:,} runs on {drawn} do as well (p {chance})."
    return Check(name, p, f"at most {most:g}", text, p <= most, _chance(p))


def _share(parts: int) -> str:
    return {8: "eighth"}.get(parts, f"part of {parts}")


def assumptions(facts: Facts) -> Iterator[Check]:
    """A profit under the adverse order inside bars, a bar later, and at twice the costs."""
    played = facts.played
    if played is None:
        yield _unplayed(facts, "return under other assumptions")
        return
    for name, brief, value in (
        ("the adverse order inside bars", "the adverse order", played.adverse),
        ("signals a bar late", "signals a bar late", played.delayed),
        ("twice the costs", "twice the costs", played.doubled),
    ):
        met, figure = value > LEAST_RETURN, f"{_percent(value)} with {brief}"
        yield Check(f"return with {name}", value, "above 0", f"With {name} it {_made(value)}.", met, figure)


def trials(standing: Standing) -> Iterator[Check]:
    """A Sharpe ratio above what the best of all trials would show by luck."""
    if standing.deflated is None:
        yield Check("deflated Sharpe", None, "", "Its equity never moved.", None)
        return
    value, others = standing.deflated, max(standing.trials - 1, 0)
    when = f" as of {standing.head.written[:16]} UTC" if standing.head is not None and standing.head.written else ""
    text = (
        f"The odds that its Sharpe ratio is more than the best of luck are {formats.percent(value)}, with "
        f"{others:,} other trial{'' if others == 1 else 's'} on this data{when} (deflated Sharpe ratio)."
    )
    if standing.torn:
        text += (
            " What counted when the run was written counts: the ledger here lacks records that the run was weighed "
            "against (CROSSGATE_LEDGER names another)."
        )
    figure = f"deflated Sharpe {formats.percent(value)}, {standing.trials:,} trial{'' if standing.trials == 1 else 's'}"
    yield Check("deflated Sharpe", value, f"at least {LEAST_DEFLATED:g}", text, value >= LEAST_DEFLATED, figure)


def liquidation(facts: Facts) -> Iterator[Check]:
    """No liquidation, none likely, and stops that come before one."""
    count, played = facts.liquidations, facts.played
    text = (
        "No position was liquidated." if count == 0 else f"It was liquidated {count:,} time{'s' if count > 1 else ''}."
    )
    figure = f"{count:,} liquidation{'' if count == 1 else 's'}"
    yield Check("liquidations", float(count), "0", text, count == 0, figure)
    if played is None:
        yield _unplayed(facts, "odds of liquidation")
        return
    drawn, known, open_ = _drawn(played)
    text = (
        f"On {drawn} drawn from its bars a position is liquidated within {played.horizon:,} bars at its leverage"
        f"{'' if math.isnan(played.leverage) else f' of {played.leverage:g}'}{known}.{open_}"
    )
    met, figure = played.liquidated <= MOST_LIQUIDATION, f"odds {formats.percent(played.liquidated)}"
    yield Check("odds of liquidation", played.liquidated, f"at most {MOST_LIQUIDATION:g}", text, met, figure)
    if played.beyond is not None:
        text = f"{formats.percent(played.beyond)} of the entries had their stop beyond liquidation."
        met, figure = played.beyond <= MOST_BEYOND, f"{formats.percent(played.beyond)} of stops beyond"
        yield Check("stops beyond", played.beyond, f"at most {MOST_BEYOND:g}", text, met, figure)


def _drawn(played: Played) -> tuple[str, str, str]:
    """How many paths end in liquidation, the range of its odds, and whether they could lie beyond the threshold."""
    if not played.paths:
        return f"{formats.percent(played.liquidated)} of the paths", "", ""
    count = round(played.liquidated * played.paths)
    low, high = binomial_range(count, played.paths)
    open_ = " So many paths do not tell on which side of 5% its odds lie." if low < MOST_LIQUIDATION < high else ""
    return f"{count:,} of {played.paths:,} paths", f"; its odds are {odds_words(count, played.paths)}", open_


def opening(standing: Standing) -> Iterator[Check]:
    """A stretch was sealed, and this run was the first to open it."""
    seal, promise = standing.seal, standing.promise
    if seal is None:
        text = "No stretch of this data is sealed, so nothing is left that could surprise it."
        yield Check("sealed stretch", None, "", f"{text}{_takes(promise)}", None)
        return
    since = f"The data from {utc(seal.first)[:10]} on is sealed"
    if seal.reached is None or not seal.opened:
        yield Check("sealed stretch", None, "", f"{since}, and this run has not opened it.{_takes(promise)}", None)
        return
    others = f"{seal.before:,} other run{'' if seal.before == 1 else 's'}"
    first = "It was the first to open them." if seal.before == 0 else f"{others} opened them before it."
    text = f"The {seal.bars:,} bars from {utc(seal.first)[:10]} on were sealed. {first}"
    figure = f"{seal.before:,} opened it before"
    yield Check("earlier openings", float(seal.before), "0", text, seal.before == 0, figure)


def sealed(facts: Facts, standing: Standing) -> Iterator[Check]:
    """What the opened stretch came to: a profit, no less than the open bars promised, and more than luck there."""
    seal, promise = standing.seal, standing.promise
    if seal is None or seal.reached is None or not seal.opened:
        yield Check("return when sealed", None, "", "It has opened no sealed stretch.", None)
        return
    reached = seal.reached
    text = f"On the {reached.bars:,} bars that were sealed it {_made(reached.total_return)}."
    met, figure = reached.total_return > LEAST_RETURN, f"{_percent(reached.total_return)} when sealed"
    yield Check("return when sealed", reached.total_return, "above 0", text, met, figure)
    if reached.sharpe is None or promise is None or promise.low is None:
        yield Check("Sharpe when sealed", None, "", "They are too few, or move too little, for a Sharpe ratio.", None)
        return
    text = (
        f"Its Sharpe ratio there is {formats.ratio(reached.sharpe)}{_caveat(reached, facts)}; the open bars, whose "
        f"ratio is {formats.ratio(promise.sharpe)}, promise {formats.ratio(promise.low)} or more to 19 of 20 stretches "
        "as long."
    )
    met = reached.sharpe >= promise.low
    figure = f"Sharpe {formats.ratio(reached.sharpe)}"
    yield Check("Sharpe when sealed", reached.sharpe, f"at least {promise.low:.3g}", text, met, figure)
    lucky = _lucky(facts, reached, "the sealed bars", MOST_LUCK)
    if lucky.met is False and promise.power < LEAST_POWER:
        lucky = lucky._replace(met=None)
    yield lucky._replace(text=f"{lucky.text}{_takes(promise)}")


def _takes(promise: Promise | None) -> str:
    """How long a sealed stretch has to be to tell anything, as the end of a text."""
    if promise is None or not math.isfinite(promise.needed):
        return ""
    shown = f" An edge of its size shows on {math.ceil(promise.needed):,} sealed bars with odds of {LEAST_POWER:.0%}"
    return f"{shown}." if not promise.bars else f"{shown}, on {promise.bars:,} with {formats.percent(promise.power)}."


def _caveat(one: Stretch, facts: Facts) -> str:
    """That a ratio of a year over a stretch says nothing of a year, where it is so short."""
    return " (too short to annualise)" if too_short(365.0 * one.bars / facts.bars_per_year) else ""


def _percent(value: float) -> str:
    return formats.percent(value, signed=True, decimals=2 if abs(value) < 0.1 else 1)


def _chance(p: float) -> str:
    return f"p {formats.probability(p)}"


def _made(value: float) -> str:
    if value == 0.0:
        return "made nothing"
    return f"{'earned' if value > 0.0 else 'lost'} {formats.percent(abs(value), decimals=2)}"


def _unplayed(facts: Facts, name: str) -> Check:
    return Check(name, None, "", f"It could not be played again: {facts.unplayed}.", None)
