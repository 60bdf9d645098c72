"""Images: a figure as the bytes of a PNG, or as SVG text for a page that chooses the colours."""

from __future__ import annotations

import io
import re

import matplotlib
from matplotlib.figure import Figure

from reports.palette import LIGHT

# What a number has after its second decimal.
_SURPLUS = re.compile(r"(?<=\.\d\d)\d+")
_COLOUR = {value: name for name, value in LIGHT.items()}
_NAMELESS = ("Date", "Creator", "Format", "Type")
_HEX = re.compile("|".join(_COLOUR))


def render_png(figure: Figure, *, scale: float = 2.0) -> bytes:
    """The PNG of a figure on the light paper; equal figures give equal bytes on one set of libraries."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=72 * scale, facecolor=LIGHT["paper"], metadata={"Software": None})
    return file.getvalue()


def render_picture(figure: Figure) -> str:
    """The SVG of a figure as a file of its own, on the light paper; equal figures give equal text."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "crossgate", "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", facecolor=LIGHT["paper"], metadata=dict.fromkeys(_NAMELESS))
    return file.getvalue()


def render_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an <svg> element to stand inside an HTML page; equal figures give equal text.

    Colours become `var(--name)` of the page's palette, text stays text in the page's font, and ids
    begin with `name`, which must be unique on the page. `description` is what a screen reader says.
    """
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "path.simplify": False}):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(_NAMELESS))
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:xmlns|xmlns:xlink|width|height|version)="[^"]*"', "", text, count=5)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'( (?:d|x|y|transform)=")([^"]*)', lambda found: found[1] + _SURPLUS.sub("", found[2]), text)
    text = re.sub(r'id="|href="#|url\(#', lambda found: f"{found[0]}{name}-", text)
    text = re.sub(r"font-family: [^;\"]*;", "", re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text))
    text = _HEX.sub(lambda found: f"var(--{_COLOUR[found[0]]})", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{_escape(description)}" ', 1)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
