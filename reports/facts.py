"""Facts: the figures of one run that its verdict rests on, as its folder keeps them."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from foundation.trials import Span
from reports.certainty import content_of, span_of
from reports.curves import EquityCurve
from reports.evidence import SharpeMoments, sharpe_moments
from reports.plain import plain
from reports.stability import Fall, Sampled, Stability, Stretch, sampled, stability_of
from reports.untraded import explain_no_trade

if TYPE_CHECKING:
    from backtests.doubts.examination import Examination
    from backtests.run.result import Result
    from models.skill import Skill

# A change of what facts hold makes those of older folders useless.
VERSION = 3


@dataclass(frozen=True)
class Skilled:
    """What is known of one market's forecasts: skill against the expanding mean and zero, and its p-value.

    `p`: `Skill.skill_p`, NaN where the forecasts never vary. `outdone`: the naive forecasts that do better, each with
    how much larger this error is, as a share of its own. `count`: of the forecasts with a known outcome; None where a
    folder does not say. `accuracy`: of direction; `suspect`: whether figures are so good that they are to be doubted.
    `models`, `zero_models`: how many fitted models there are, and how many of them forecast exactly zero.
    """

    symbol: str
    skill: float
    against_zero: float
    p: float
    outdone: tuple[tuple[str, float], ...] = ()
    count: int | None = None
    accuracy: float = math.nan
    suspect: bool = False
    models: int = 0
    zero_models: int = 0


@dataclass(frozen=True)
class Played:
    """What the run came to when it was played again, see `backtests.doubts.examination`; returns over the whole run.

    `p_random`, `p_permuted`: the chance that luck does as well (None: asks no forecast). `p_since`: that of random
    entries over what follows each of some `moments` (closes of the bars that open then), NaN near the end. `adverse`:
    the return under the adverse order inside bars; `delayed`: with signals a bar late; `doubled`: at twice the costs.
    `depending`: trades that hang on the order. `break_even`: the multiple of the costs at which nothing is left, None
    for more than 64. `liquidated`: the odds of a liquidation within `horizon` bars at the run's own `leverage`, as the
    share of `paths` (0: not known how many); `halved`: of a fall by half. `beyond`: the share of entries whose stop lay
    beyond liquidation; None without stops or on cross margin. Of a strategy written by hand `leverage` is NaN, because
    its orders have their own, and random entries are its positions `turned` in time.
    """

    p_random: float
    runs: int
    place: float
    p_permuted: float | None
    permutations: int
    moments: tuple[int, ...]
    p_since: tuple[float, ...]
    adverse: float
    delayed: float
    doubled: float
    depending: int
    break_even: float | None
    liquidated: float
    halved: float
    horizon: int
    leverage: float
    beyond: float | None
    paths: int = 0
    turned: bool = False

    def luck_since(self, first: int) -> float | None:
        """The chance that random entries do as well from the bar that opens at `first` on, or from soon after.

        None where too short a time is left.
        """
        at = bisect_left(self.moments, first)
        return self.p_since[at] if at < len(self.moments) and math.isfinite(self.p_since[at]) else None


@dataclass(frozen=True)
class Facts:
    """All that is judged of a run apart from what the ledger says at the time.

    `spans`, `content`: as it stands in the ledger of trials. `asks`: whether its rule asks forecasts, of which `skills`
    tell, `confirmed`: whether the averages have to agree with them, and `sampled` of their training. `stability`: how
    evenly it earned. `moments`: of its bar returns, None where they do not vary. `played`: None where it could not be
    played again, and `unplayed` says why. `untraded`: why it made no trade, as far as it is known.
    """

    spans: tuple[Span, ...]
    content: str
    total_return: float
    trades: int
    liquidations: int
    asks: bool
    skills: tuple[Skilled, ...]
    sampled: Sampled
    stability: Stability
    moments: SharpeMoments | None
    bars_per_year: float
    played: Played | None
    unplayed: str = ""
    confirmed: bool = False
    untraded: str = ""

    def record(self) -> dict[str, Any]:
        """The facts as JSON can hold them: what is not finite is null."""
        kept: dict[str, Any] = plain(asdict(self))
        return kept | {"version": VERSION, "spans": [list(span) for span in self.spans]}


def read_facts(record: Mapping[str, Any]) -> Facts:
    """The facts that a record holds; raises ValueError, KeyError or TypeError for another version or a damaged one."""
    if record["version"] != VERSION:
        raise ValueError("another version")
    kept = {"confirmed": False} | {field.name: record[field.name] for field in fields(Facts) if field.name in record}
    skills = [_skilled(one) for one in kept["skills"]]
    return Facts(
        **kept
        | {
            "spans": tuple(map(Span.read, kept["spans"])),
            "skills": tuple(skills),
            "moments": None if kept["moments"] is None else SharpeMoments(**kept["moments"]),
            "sampled": Sampled(**kept["sampled"]),
            "stability": _stability(kept["stability"]),
            "played": None if kept["played"] is None else _played(kept["played"]),
        }
    )


def facts_of(
    result: Result, curve: EquityCurve, trades: int, skills: Sequence[Skill], examination: Examination | str
) -> Facts:
    """The facts of a result; `examination`: or why there is none."""
    told = isinstance(examination, str)
    return Facts(
        spans=tuple(span_of(market, result) for market in result.markets),
        content=content_of(result),
        total_return=curve.total_return,
        trades=trades,
        liquidations=result.totals.liquidations,
        asks=result.strategy.rule in ("confirmed", "forecast"),
        skills=tuple(skilled(one) for one in skills),
        sampled=sampled(result.forecasts.series.values(), int(curve.timestamp[0]), int(curve.timestamp[-1])),
        stability=stability_of(curve),
        moments=sharpe_moments(curve.returns) if len(result.fills) else None,
        bars_per_year=curve.bars_per_year,
        played=None if isinstance(examination, str) else played_of(examination),
        unplayed=str(examination) if told else "",
        confirmed=result.strategy.rule == "confirmed",
        untraded="" if trades else explain_no_trade(result.decisions, result.orders),
    )


def skilled(skill: Skill) -> Skilled:
    """What a verdict needs of a skill."""
    outdone = tuple((one.name, -one.skill) for one in skill.against if one.skill < 0.0)
    return Skilled(
        skill.symbol, skill.skill, skill.skill_against_zero, skill.skill_p, outdone, skill.count,
        skill.directional_accuracy, skill.suspect, skill.models, skill.zero_models,
    )  # fmt: skip


def played_of(found: Examination) -> Played:
    """What a verdict needs of an examination."""
    controls, sensitivity, own = found.controls, found.sensitivity, found.odds.own
    return Played(
        p_random=controls.random.p,
        runs=controls.random.draws,
        place=controls.random.place,
        p_permuted=None if controls.permuted is None else controls.permuted.p,
        permutations=0 if controls.permuted is None else controls.permuted.draws,
        moments=tuple(controls.random.fan.timestamp.tolist()),
        p_since=tuple(controls.random.since.tolist()),
        adverse=sensitivity.intrabar["adverse"].total_return,
        delayed=sensitivity.delayed.total_return,
        doubled=sensitivity.costs[2.0].total_return,
        depending=sensitivity.depending,
        break_even=sensitivity.break_even if math.isfinite(sensitivity.break_even) else None,
        liquidated=own.liquidation,
        halved=own.fall,
        horizon=found.odds.bars,
        leverage=own.leverage,
        beyond=None if found.stops is None else found.stops.beyond,
        paths=own.paths,
        turned=controls.random.counted is not None,
    )


def _skilled(record: Mapping[str, Any]) -> Skilled:
    outdone = tuple((str(name), float(gain)) for name, gain in record.get("outdone", ()))
    numbers = {name: _number(value) for name, value in record.items()}
    return Skilled(**{**numbers, "outdone": outdone, "count": record.get("count")})


def _played(record: Mapping[str, Any]) -> Played:
    since = tuple(_number(value) for value in record["p_since"])
    known = {**record, "moments": tuple(record["moments"]), "p_since": since, "leverage": _number(record["leverage"])}
    return Played(**known)


def _stability(record: Mapping[str, Any]) -> Stability:
    halves = {name: Stretch(**record[name]) for name in ("earlier", "later")}
    fall = None if record["fall"] is None else Fall(*record["fall"])
    return Stability(**halves, fall=fall, without_best=float(record["without_best"]))


def _number(value: Any) -> Any:
    return math.nan if value is None else value
