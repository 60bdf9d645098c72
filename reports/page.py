"""The report page: one self-contained HTML file about one run."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from reports import formats
from reports.catalogue import CATALOGUE
from reports.figures import LOW, LOW_NARROW, NARROW, WIDE
from reports.findings import Findings
from reports.images import render_svg
from reports.layout import lay_out, top_parts
from reports.parts import Chart, Widget
from reports.payload import payload
from reports.sentences import Banner, lead, skill_banner
from reports.settings import provenance
from reports.templating import CHARTS, render

HEADLINES = ("total_return", "final_equity", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "exposure")
SCRIPTS = (
    CHARTS,
    *(f"scripts/{name}.js" for name in ("marks", "chart", "controls", "trades", "main")),
)


class Drawing(NamedTuple):
    """A chart as SVG: once for wide screens and paper, once for narrow screens."""

    wide: str
    narrow: str


def draw(part: Chart | Widget) -> Drawing | Markup:
    """What a page shows of a chart or a widget."""
    return _draw_chart(part) if isinstance(part, Chart) else Markup(render(part.template, **part.values))


def _draw_chart(chart: Chart) -> Drawing:
    sheets = (LOW, LOW_NARROW) if chart.low else (WIDE, NARROW)
    wide, narrow = (
        render_svg(chart.draw(sheet), f"{chart.name}-{size}", chart.description)
        for size, sheet in zip(("wide", "narrow"), sheets, strict=True)
    )
    return Drawing(wide, narrow)


def render_page(findings: Findings) -> str:
    """The HTML of the report: nothing from the network, equal findings give equal text."""
    return render(
        "report.html",
        draw=draw,
        top=top_parts(findings),
        sections=lay_out(findings),
        provenance=_provenance(findings),
        data=Markup(payload(findings).replace("<", "\\u003c")),
        scripts=SCRIPTS,
        **_heading(findings),
    )


def _heading(findings: Findings) -> dict[str, Any]:
    result, metrics, run = findings.result, findings.metrics, findings.curve
    banners: list[Banner] = [skill_banner(findings.skills, synthetic=result.synthetic)]
    if result.ruined:
        banners.append(
            Banner("warned", "The account was ruined.", "Equity reached zero; an account never comes back from there.")
        )
    return {
        "title": result.name,
        "synthetic": result.synthetic,
        "markets": [f"{market.contract.key} perpetual" for market in result.markets],
        "bar": formats.span(run.bar),
        "first": formats.day(pd.Timestamp(run.timestamp[0])),
        "last": formats.day(pd.Timestamp(run.timestamp[-1])),
        "bars": formats.count(len(run.equity)),
        "banners": banners,
        "notes": result.notes,
        "lead": lead(result, metrics, findings.baseline_metrics),
        "tiles": _tiles(findings),
    }


class Tile(NamedTuple):
    """A headline figure: its range holds it 95 times in 100, where one is known."""

    label: str
    meaning: str
    value: str
    unit: str
    range: str


def _tiles(findings: Findings) -> list[Tile]:
    metrics, tiles = findings.metrics, []
    units = {"final_equity": findings.result.settlement}
    if metrics["open_trades"]:
        units["trades"] = f"{metrics['open_trades']} still open"
    for name in HEADLINES:
        entry, ends = CATALOGUE[name], getattr(findings.certainty.intervals, name, None)
        span = "" if ends is None else f"95 % range {entry.write(ends[0])} to {entry.write(ends[1])}"
        tiles.append(Tile(entry.label, entry.meaning, entry.write(metrics[name]), units.get(name, ""), span))
    return tiles


def _provenance(findings: Findings) -> list[tuple[str, str]]:
    record = provenance(findings.result)
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    prints = [(f"Market {symbol}", value) for symbol, value in record["markets"].items()]
    return [*prints, ("Forecasts", f"{record['forecasts_name']} {record['forecasts']}"), ("Made with", versions)]
