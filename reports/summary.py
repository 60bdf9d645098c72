"""Summary: what a run came to in a few lines of text, the same for `print(result)` and for the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backtests.run.result import Result
from foundation.spark import spark_line
from markets.candles import utc
from models.level import LEAST_FORECASTS
from reports import formats
from reports.catalogue import CATALOGUE, TOO_SHORT, figure
from reports.certainty import weighed_in
from reports.fingerprints import alteration
from reports.folders import Run, read_run
from reports.stored_verdict import stored_facts, stored_record
from reports.verdict import RUNGS, judge_early, place

if TYPE_CHECKING:
    from reports.facts import Skilled

# A bootstrap of more bars than this would keep people waiting; the report has it.
MOST_DRAWN = 200_000
RANGED = ("sharpe", "cagr", "max_drawdown")
# How many rungs can be judged by the run alone, without playing others beside it.
EARLY = 2


class Line(NamedTuple):
    """One line; `kind`: good, bad, open (a verdict), reason, title, equity, spark, figure, head or note."""

    kind: str
    text: str


@dataclass(frozen=True)
class Summary:
    """A run in lines, the verdict first; `str()` is their text."""

    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return "\n".join(line.text for line in self.lines)


def summary_of(source: Result | Path) -> Summary:
    """The summary of a run folder, or of a Result; raises DataError for a folder that holds no run.

    A Result is judged as far as it tells by itself, which is to the second rung of the ladder: what luck, assumptions
    and the ledger say takes hundreds of runs beside it, which `write_report` plays. Ranges hold 95 times in 100, by the
    stationary bootstrap.
    """
    return _of_result(source) if isinstance(source, Result) else _of_folder(source)


def _of_result(result: Result) -> Summary:
    from reports.bootstrap import bootstrap_intervals
    from reports.facts import facts_of
    from reports.metrics import measure_skill

    run = read_run(result)
    facts = facts_of(result, run.curve, run.metrics["trades"], measure_skill(result), "It was not played again.")
    early = judge_early(facts)
    found = None
    if len(result.fills) and len(run.curve.returns) <= MOST_DRAWN:
        found = bootstrap_intervals(run.curve.returns, run.curve.bars_per_year)
    ranges = {} if found is None else {name: getattr(found, name) for name in RANGED}
    ladder = verdict_lines(early.record()) if early is not None else _past(run.name, asks=facts.asks)
    return Summary((*ladder, *_body(run, ranges, facts.skills)))


def _of_folder(folder: Path) -> Summary:
    run, kept, facts = read_run(folder), stored_record(folder), stored_facts(folder)
    certainty: Mapping[str, Any] = run.metrics.get("certainty") or {}
    ladder = [] if kept is None else verdict_lines(kept["verdict"])
    body = _body(run, certainty.get("intervals") or {}, () if facts is None else facts.skills)
    if run.altered:
        ladder = [Line("bad", alteration(run.altered)), *ladder]
    weighed = weighed_in(folder)
    if weighed is None:
        return Summary((*ladder, *body))
    trials = f"{weighed.trials:,} trial{'' if weighed.trials == 1 else 's'} on this data when it was written"
    odds = f"deflated Sharpe ratio: odds of more than luck {formats.percent(weighed.deflated)}"
    last = len(body) - len(run.record["notes"])
    return Summary((*ladder, *body[:last], Line("figure", f"{odds}, among {trials}"), *body[last:]))


def verdict_lines(record: Mapping[str, Any]) -> list[Line]:
    """The verdict that a record holds: its rung and headline, and the figure that decided it."""
    kind = "open" if not record["sure"] else "good" if record["rung"] >= RUNGS - 1 else "bad"
    headline = Line(kind, f"Verdict, {place(record['rung'])}: {record['headline']}")
    return [headline, Line("reason", record["reason"])]


def _past(name: str, *, asks: bool) -> list[Line]:
    """What is said of a Result that climbs the rungs which it can be judged on by itself."""
    skilled = "its forecasts have skill" if asks else "asks no forecast"
    headline = f"Verdict, past rung {EARLY} of {RUNGS}: It earns after costs, and {skilled}."
    return [
        Line("open", headline),
        Line("reason", f'Luck, assumptions and all that was tried are judged by write_report(result, "runs/{name}").'),
    ]


def _body(run: Run, ranges: Mapping[str, Sequence[float]], skills: Sequence[Skilled]) -> list[Line]:
    """The lines that rest on the run alone."""
    curve, record, metrics = run.curve, run.record, run.metrics
    first, last = utc(int(curve.timestamp[0])), utc(int(curve.timestamp[-1]))
    badge = " (synthetic market)" if record["synthetic"] else ""
    markets = ", ".join(record["markets"])
    before, after = formats.money(curve.cash), formats.money(float(curve.equity[-1]))
    change = formats.percent(curve.total_return, signed=True)
    return [
        Line("title", f"{run.name}{badge}: {markets}, bars of {formats.span(curve.bar)}"),
        Line("equity", f"{first} to {last} UTC, {len(curve.equity):,} bars"),
        Line("equity", f"equity {before} -> {after} {record['settlement']} ({change})"),
        Line("spark", spark_line(curve.equity.tolist())),
        *(Line("figure", text) for text in _aligned(_figures(metrics, ranges, skills))),
        Line("figure", _costs(metrics, str(record["settlement"]))),
        *(Line("note", f"note: {note}") for note in record["notes"]),
    ]


def _figures(
    metrics: Mapping[str, Any], ranges: Mapping[str, Sequence[float]], skills: Sequence[Skilled]
) -> list[tuple[str, str, str]]:
    """The headline figures: what each is called, its value, and what tells how far to trust it."""
    rows = []
    for name in RANGED:
        entry, ends = CATALOGUE[name], ranges.get(name)
        value = figure(metrics, name)
        known = "" if ends is None or value == TOO_SHORT else f"{entry.write(ends[0])} to {entry.write(ends[1])}"
        said = f"95 % range {known}" if known else ""
        rows.append((entry.label, value, said))
    made = metrics.get("trades") or 0
    sides = f"{formats.count(metrics.get('long_trades'))} long, {formats.count(metrics.get('short_trades'))} short"
    won = f"win rate {formats.percent(metrics.get('win_rate'))}"
    factor = f"profit factor {formats.ratio(metrics.get('profit_factor'))}"
    rows.append(
        (CATALOGUE["trades"].label, formats.count(metrics.get("trades")), f"{sides}; {won}, {factor}" if made else "")
    )
    if metrics.get("skill") is not None:
        entry = CATALOGUE["skill"]
        tested = " and ".join(f"p {formats.probability(one.p)} on {one.symbol}" for one in skills[:3])
        more = f" and {len(skills) - 3} more" if len(skills) > 3 else ""
        short = any(one.count is not None and one.count < LEAST_FORECASTS for one in skills)
        value = TOO_SHORT if short else figure(metrics, "skill")
        said = f"normed Clark-West {tested}{more}" if tested and value != TOO_SHORT else ""
        rows.append((entry.label, value, said))
    return rows


def _costs(metrics: Mapping[str, Any], currency: str) -> str:
    paid = ", ".join(f"{name} {formats.money(metrics.get(name))}" for name in ("fees", "funding", "slippage"))
    counts = ", ".join(
        f"{label} {formats.count(metrics.get(name))}"
        for name, label in (("liquidations", "liquidations"), ("refusals", "refused orders"))
    )
    return f"paid in {currency}: {paid}; {counts}"


def _aligned(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Names at the left of their column, values at the right of theirs."""
    widths = [max(len(row[at]) for row in rows) for at in (0, 1)]
    return [f"{name:<{widths[0]}}  {value:>{widths[1]}}  {said}".rstrip() for name, value, said in rows]
