"""The document: a report before it takes a format, the same for HTML, Markdown and PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from reports import formats
from reports.catalogue import CATALOGUE, TOO_SHORT, figure
from reports.findings import Findings
from reports.intervals import Intervals
from reports.layout import lay_out, top_parts
from reports.metrics import Metrics
from reports.parts import Part, Section
from reports.sentences import Banner, lead, short_banner, skill_banner
from reports.settings import provenance

HEADLINES = ("total_return", "final_equity", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "exposure")
PROMISE = "A backtest says how a rule would have fared on this record under the assumptions above. It is no promise."


class Tile(NamedTuple):
    """A headline figure: its range holds it 95 times in 100, where one is known."""

    label: str
    meaning: str
    value: str
    unit: str
    range: str


@dataclass(frozen=True)
class Document:
    """What a report says, from its title to where it came from, in the order of the page.

    `badge`: empty or a word of warning. `top`: the verdict, which comes before anything else. `banners`: what the
    forecasts are worth, and ruin. `notes`: what the data lacked.
    """

    title: str
    badge: str
    subtitle: str
    top: Sequence[Part]
    banners: Sequence[Banner]
    notes: Sequence[str]
    lead: str
    tiles: Sequence[Tile]
    sections: Sequence[Section]
    provenance: Sequence[tuple[str, str]]


def document_of(findings: Findings) -> Document:
    """The document about a run."""
    result = findings.result
    return Document(
        title=result.name,
        badge="synthetic market" if result.synthetic else "",
        subtitle=_subtitle(findings),
        top=top_parts(findings),
        banners=_banners(findings),
        notes=result.notes,
        lead=lead(result, findings.metrics, findings.baseline_metrics),
        tiles=tiles_of(findings.metrics, findings.result.settlement, findings.certainty.intervals),
        sections=lay_out(findings),
        provenance=_provenance(findings),
    )


def _subtitle(findings: Findings) -> str:
    run = findings.curve
    markets = ", ".join(f"{market.contract.key} perpetual" for market in findings.result.markets)
    first, last = (formats.day(pd.Timestamp(run.timestamp[row])) for row in (0, -1))
    return f"{markets} · {formats.span(run.bar)} bars · {first} to {last} · {formats.count(len(run.equity))} bars"


def _banners(findings: Findings) -> list[Banner]:
    banners = [skill_banner(findings.skills, synthetic=findings.result.synthetic)]
    banners += short_banner(findings.metrics["days"])
    if findings.result.ruined:
        banners.append(
            Banner("warned", "The account was ruined.", "Equity reached zero; an account never comes back from there.")
        )
    return banners


def tiles_of(metrics: Metrics, settlement: str, intervals: Intervals | None) -> list[Tile]:
    """The headline figures of a run, with the ranges that are known."""
    tiles, units = [], {"final_equity": settlement}
    if metrics["open_trades"]:
        units["trades"] = f"({metrics['open_trades']} still open)"
    for name in HEADLINES:
        entry, ends, value = CATALOGUE[name], getattr(intervals, name, None), figure(metrics, name)
        span = "" if ends is None else f"95 % range {entry.write(ends[0])} to {entry.write(ends[1])}"
        if value == TOO_SHORT:
            span = "to be annualised"
        tiles.append(Tile(entry.label, entry.meaning, value, units.get(name, ""), span))
    return tiles


def _provenance(findings: Findings) -> list[tuple[str, str]]:
    record = provenance(findings.result)
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    prints = [(f"Market {symbol}", value) for symbol, value in record["markets"].items()]
    return [*prints, ("Forecasts", f"{record['forecasts_name']} {record['forecasts']}"), ("Made with", versions)]
