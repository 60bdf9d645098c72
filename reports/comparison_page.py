"""The page of a comparison: runs side by side in one self-contained HTML file."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from foundation.errors import ParameterError
from foundation.files import atomic_file
from reports.comparison import Comparison
from reports.comparison_payload import payload
from reports.page import draw
from reports.sections import comparison as sections
from reports.templating import CHARTS, render

SCRIPTS = (CHARTS, *(f"scripts/{name}.js" for name in ("panel", "curves", "controls", "compare")))

SECTIONS = (
    sections.curves,
    sections.metrics,
    sections.differences,
    sections.settings,
    sections.likeness,
)


def write_page(comparison: Comparison, out: Path) -> Path:
    """The path of the page, which is `out`, or comparison.html in it where it names no HTML file."""
    target = out.expanduser() if out.suffix.lower() in (".html", ".htm") else out.expanduser() / "comparison.html"
    if target.is_dir():
        raise ParameterError("out", "is a folder", value=str(out), fix="name an HTML file, such as comparison.html")
    names = list(comparison.runs)
    text = render(
        "comparison.html",
        draw=draw,
        title=f"Comparison of {len(names)} runs",
        names=names,
        played=comparison.played,
        synthetic=any(run.record["synthetic"] for run in comparison.runs.values()),
        warnings=comparison.warnings,
        sections=[make(comparison) for make in SECTIONS],
        data=Markup(payload(comparison).replace("<", "\\u003c")),
        scripts=SCRIPTS,
    )
    with atomic_file(target) as scratch:
        scratch.write_text(text, "utf-8")
    return target
