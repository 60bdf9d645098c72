"""The report page: one self-contained HTML file about one run."""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from reports.document import PROMISE, Document
from reports.figures import LOW, LOW_NARROW, NARROW, WIDE
from reports.findings import Findings
from reports.images import render_svg
from reports.parts import Chart, Widget
from reports.payload import payload
from reports.templating import CHARTS, render

SCRIPTS = (
    CHARTS,
    *(f"scripts/{name}.js" for name in ("panel", "marks", "chart", "controls", "trades", "main")),
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


def render_page(findings: Findings, document: Document) -> str:
    """The HTML of the report: nothing from the network, equal findings give equal text."""
    return render(
        "report.html",
        draw=draw,
        title=document.title,
        document=document,
        promise=PROMISE,
        data=Markup(payload(findings).replace("<", "\\u003c")),
        scripts=SCRIPTS,
    )
