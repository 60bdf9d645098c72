"""Markdown: the report as text that code hosts, editors and terminals show."""

from __future__ import annotations

from collections.abc import Sequence

from reports.document import PROMISE, Document
from reports.parts import Chart, Fold, Grid, Grids, Ladder, Paragraph, Part, Points, Widget
from reports.tables import Table, with_meanings

_SPECIAL = str.maketrans({one: f"\\{one}" for one in "\\`*_[]<>#|~"})


def write_markdown(document: Document) -> str:
    """The document as Markdown with tables.

    Of a chart it has the caption and the description, and shows it where it stands as a file beside report.md.
    """
    badge = f" ({document.badge})" if document.badge else ""
    blocks = [f"# {_plain(document.title + badge)}", _plain(document.subtitle)]
    blocks += _blocks(document.top)
    blocks += [f"**{_plain(one.headline)}** {_plain(one.text)}" for one in document.banners]
    blocks += [_points(document.notes)] if document.notes else []
    blocks += [_plain(document.lead), _tiles(document)]
    for section in document.sections:
        blocks += [f"## {_plain(section.title)}", *_blocks(section.parts)]
    blocks += ["---", _points([f"{label}: {value}" for label, value in document.provenance]), _plain(PROMISE)]
    return "\n\n".join(blocks) + "\n"


def _tiles(document: Document) -> str:
    rows = [
        [_plain(one.label), f"**{_plain(f'{one.value} {one.unit}'.strip())}**", _plain(one.range)]
        for one in document.tiles
    ]
    return _rows(["", "This run", ""], rows, frozenset({0, 2}))


def _blocks(parts: Sequence[Part]) -> list[str]:
    return [text for part in parts for text in _part(part)]


def _part(part: Part) -> list[str]:
    match part:
        case Paragraph():
            mark = {"strong": "**", "aside": "*"}.get(part.kind, "")
            return [f"{mark}{_plain(part.text)}{mark}"]
        case Points():
            return [_points(part.items)]
        case Grid():
            # A table that fills the page has no room for one more column of words.
            return _table(part.table if part.wide else with_meanings(part.table))
        case Grids():
            return [text for table in part.tables for text in _table(with_meanings(table))]
        case Chart():
            figure = (
                f"![{_plain(part.description)}]({part.file})" if part.file else f"*Figure: {_plain(part.description)}*"
            )
            return [figure, *([_plain(part.caption)] if part.caption else [])]
        case Fold():
            return [f"**{_plain(part.summary)}**", *_blocks(part.parts)]
        case Ladder():
            return [f"> **{_plain(part.headline)}** {_plain(part.text)}"]
        case Widget():
            return _blocks(part.instead)
    raise TypeError(f"Markdown has no word for the part {part.part}")


def _points(items: Sequence[str]) -> str:
    return "\n".join(f"- {_plain(item)}" for item in items)


def _table(table: Table) -> list[str]:
    rows = [[_plain(cell.text) for cell in row] for row in table.rows]
    return [f"**{_plain(table.caption)}**", _rows([_plain(head) for head in table.heads], rows, table.text_columns)]


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]], words: frozenset[int]) -> str:
    lines = [heads, [":--" if at in words else "--:" for at in range(len(heads))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """The text as Markdown that shows it as it is."""
    return " ".join(text.split()).translate(_SPECIAL)
