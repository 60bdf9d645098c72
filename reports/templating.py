"""Templates: HTML with every value escaped, unless it is an image drawn here or a script that stands beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.palette import DARK, LIGHT, declarations

_FOLDER = Path(__file__).with_name("templates")
# What every page runs before its body is drawn; what a page runs besides, at its end.
FIRST = ("scripts/unpack.js", "scripts/theme.js")
CHARTS = "vendor/lightweight-charts.standalone.production.js"


def render(template: str, *, scripts: Sequence[str] = (), **values: Any) -> str:
    """The text of a template; raises jinja2.UndefinedError for a value that it lacks.

    `scripts`: the files that a page runs. The page allows these and no others, by the hashes of their texts.
    """
    page = _environment().get_template(template)
    allowed = " ".join(f"'sha256-{_digest(name)}'" for name in (*FIRST, *scripts))
    return page.render(
        light=declarations(LIGHT), dark=declarations(DARK), opening=FIRST, scripts=scripts, script=_script,
        allowed=Markup(allowed), **values,
    )  # fmt: skip


@cache
def _script(name: str) -> Markup:
    return Markup((_FOLDER / name).read_text("utf-8"))


@cache
def _digest(name: str) -> str:
    return base64.b64encode(hashlib.sha256(_script(name).encode("utf-8")).digest()).decode("ascii")


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(_FOLDER, encoding="utf-8")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
