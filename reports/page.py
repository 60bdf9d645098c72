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
from reports.metrics import Metrics
from reports.parts import Chart, Widget
from reports.sentences import Banner, lead, skill_banner
from reports.settings import provenance
from reports.templating import render


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
        "tiles": _tiles(metrics, result.settlement),
    }


def _tiles(metrics: Metrics, currency: str) -> list[tuple[str, str, str]]:
    names = ("total_return", "final_equity", "cagr", "sharpe", "max_drawdown", "trades", "win_rate", "exposure")
    small = {"final_equity": currency}
    if metrics["open_trades"]:
        small["trades"] = f"{metrics['open_trades']} still open"
    return [(CATALOGUE[name].label, CATALOGUE[name].write(metrics[name]), small.get(name, "")) for name in names]


def _provenance(findings: Findings) -> list[tuple[str, str]]:
    record = provenance(findings.result)
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    prints = [(f"Market {symbol}", value) for symbol, value in record["markets"].items()]
    return [*prints, ("Forecasts", f"{record['forecasts_name']} {record['forecasts']}"), ("Made with", versions)]
