"""Templates: HTML with every value escaped, unless it is an image drawn here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.palette import DARK, LIGHT, declarations

_FOLDER = Path(__file__).with_name("templates")


def render(template: str, **values: Any) -> str:
    """The text of a template; raises jinja2.UndefinedError for a value that it lacks."""
    page = _environment().get_template(template)
    return page.render(light=declarations(LIGHT), dark=declarations(DARK), **values)


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(_FOLDER, encoding="utf-8")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
