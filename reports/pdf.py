"""PDF: the report on A4 pages, drawn by matplotlib, the same to the last byte every time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D

from reports.document import PROMISE, Document
from reports.figures import Sheet
from reports.palette import DASHES, LIGHT, look
from reports.parts import Chart, Fold, Grid, Grids, Ladder, Paragraph, Part, Points, Widget
from reports.tables import Table, with_meanings

WIDTH, HEIGHT = 595.0, 842.0
MARGIN = 48.0
_HIGH, _LOW = 235.0, 150.0
# What a chart needs beside its height: its legend, and the first lines of its caption.
_BESIDE = 40.0
# A column of words is folded where that leaves it this wide at least.
_FOLDED = 150.0
TEXT, SMALL, LEADING = 9.0, 7.5, 1.4


def write_pdf(document: Document) -> bytes:
    """The document as PDF; equal documents give equal bytes on one set of libraries."""
    # Text stays text that can be searched and copied.
    with matplotlib.rc_context({"pdf.fonttype": 42, "pdf.compression": 6}):
        return _set_document(document)


def _set_document(document: Document) -> bytes:
    pages = Pages(document.title)
    pages.write(document.title + (f" ({document.badge})" if document.badge else ""), 18.0, weight="bold")
    pages.write(document.subtitle, TEXT, colour="muted")
    _set_parts(pages, document.top)
    for banner in document.banners:
        pages.write(banner.headline, TEXT, weight="bold", above=8.0)
        pages.write(banner.text, TEXT)
    for note in document.notes:
        pages.write(f"Note: {note}", TEXT, colour="warning")
    pages.write(document.lead, 10.0, above=8.0)
    figures = [[one.label, f"{one.value} {one.unit}".strip(), one.range] for one in document.tiles]
    pages.table("", ["", "This run", ""], figures, frozenset({0, 2}))
    for section in document.sections:
        pages.head(section.title, _first_height(section.parts))
        _set_parts(pages, section.parts)
    pages.head("Made from")
    for line in [*(f"{label}: {value}" for label, value in document.provenance), PROMISE]:
        pages.write(line, SMALL, colour="muted")
    return pages.finish()


def _first_height(parts: Sequence[Part]) -> float:
    """The height that a section's first part needs at least."""
    match parts[0] if parts else None:
        case Chart(low=low):
            return _BESIDE + (_LOW if low else _HIGH)
        case Widget(instead=instead):
            return _first_height(instead)
    return 60.0


def _set_parts(pages: Pages, parts: Sequence[Part]) -> None:
    for part in parts:
        match part:
            case Paragraph():
                style = {"strong": {"weight": "bold"}, "aside": {"colour": "muted"}}.get(part.kind, {})
                pages.write(part.text, SMALL if part.kind == "aside" else TEXT, above=3.0, **style)
            case Points():
                for item in part.items:
                    pages.write(f"•  {item}", TEXT)
            case Grid():
                _set_table(pages, part.table if part.wide else with_meanings(part.table))
            case Grids():
                for table in part.tables:
                    _set_table(pages, with_meanings(table))
            case Chart():
                pages.chart(part)
            case Fold():
                pages.write(part.summary, TEXT, weight="bold", above=4.0)
                _set_parts(pages, part.parts)
            case Ladder():
                pages.write(part.headline, 11.0, weight="bold", above=8.0)
                pages.write(part.text, TEXT)
            case Widget():
                _set_parts(pages, part.instead)
            case _:
                raise TypeError(f"PDF has no place for the part {part.part}")


def _set_table(pages: Pages, table: Table) -> None:
    rows = [[cell.text for cell in row] for row in table.rows]
    pages.table(table.caption, table.heads, rows, table.text_columns)


@dataclass(frozen=True)
class PageSheet(Sheet):
    """A sheet that is a part of a page: figures are drawn into it."""

    place: SubFigure | None = None

    def figure(self, title: str = "") -> Figure:
        """The part of the page."""
        return self.place  # type: ignore[return-value]


class Pages:
    """Pages that fill from the top; whatever does not fit goes on on the next one."""

    def __init__(self, title: str) -> None:
        self.file = io.BytesIO()
        self.title = title
        self.measure = RendererAgg(1, 1, 72)  # type: ignore[no-untyped-call]
        self.book = PdfPages(self.file, metadata={"CreationDate": None, "Title": title, "Producer": None})
        self.advances: dict[tuple[str, str], float] = {}
        self.number, self.y = 0, 0.0
        self._turn()

    def finish(self) -> bytes:
        """All pages as the bytes of a PDF."""
        self._keep()
        self.book.close()  # type: ignore[no-untyped-call]
        return self.file.getvalue()

    def head(self, text: str, below: float = 60.0) -> None:
        """The head of a section, which keeps room for what stands below it."""
        self._room(50.0 + below)
        self.y -= 16.0
        self._line(MARGIN, WIDTH - MARGIN, "rule")
        self.write(text, 12.5, weight="bold", above=8.0)

    def write(self, text: str, size: float, *, colour: str = "ink", weight: str = "normal", above: float = 0.0) -> None:
        """A paragraph, folded to the width of the page."""
        self.y -= above
        for line in self._fold(text, size, weight, WIDTH - 2 * MARGIN):
            self._room(size * LEADING)
            self.y -= size * LEADING
            self._text(MARGIN, line, size, colour, weight)

    def chart(self, chart: Chart) -> None:
        """A chart over the whole width, with its legend above and its caption below."""
        width, height = WIDTH - 2 * MARGIN, _LOW if chart.low else _HIGH
        self._room(height + _BESIDE)
        self.y -= 8.0
        if chart.legend:
            self._legend([name for name, _, _ in chart.legend])
        edges = (MARGIN, width, MARGIN), (HEIGHT - self.y, height, self.y - height)
        grid = GridSpec(3, 3, self.page, width_ratios=edges[0], height_ratios=edges[1], wspace=0, hspace=0)
        place = self.page.add_subfigure(grid[1, 1], facecolor="none")
        chart.draw(PageSheet(width, height, text=7.5, buckets=450, place=place))
        self.y -= height
        self.write(chart.caption, SMALL, colour="muted", above=2.0)

    def table(self, caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], words: frozenset[int]) -> None:
        """A table whose head is repeated on every page.

        Where it is too wide for the page the broadest column of words is folded, or all of it is set smaller.
        """
        size, folded = SMALL, -1
        widths = self._widths([heads, *rows], size)
        beyond = sum(widths) - (WIDTH - 2 * MARGIN)
        broad = max(words, key=widths.__getitem__, default=-1)
        if beyond > 0.0 and broad >= 0 and widths[broad] - beyond >= _FOLDED:
            folded, widths[broad] = broad, widths[broad] - beyond
        elif beyond > 0.0:
            size = max(4.5, size * (WIDTH - 2 * MARGIN) / sum(widths))
            widths = self._widths([heads, *rows], size)
        self._room(5 * size * LEADING)
        if caption:
            self.write(caption, SMALL, colour="muted", above=8.0)
        head = [[cell] for cell in heads]
        self._row(head, widths, words, size, "muted")
        for row in rows:
            cells = [
                self._fold(cell, size, "normal", widths[at] - 1.2 * size) or [""] if at == folded else [cell]
                for at, cell in enumerate(row)
            ]
            if self._room(max(map(len, cells)) * size * LEADING + 2.0):
                self._row(head, widths, words, size, "muted")
            self._row(cells, widths, words, size, "ink")
        self.y -= 4.0

    def _widths(self, rows: Sequence[Sequence[str]], size: float) -> list[float]:
        return [max(self._width(row[at], size) for row in rows) + 1.2 * size for at in range(len(rows[0]))]

    def _row(
        self, cells: Sequence[Sequence[str]], widths: Sequence[float], words: frozenset[int], size: float, tone: str
    ) -> None:
        """A row of cells, each of one line or more."""
        self.y -= size * LEADING + 2.0
        left, top = MARGIN, self.y
        for at, (lines, width) in enumerate(zip(cells, widths, strict=True)):
            for number, line in enumerate(lines):
                y = top - number * size * LEADING
                if at in words:
                    self._text(left, line, size, tone, y=y)
                else:
                    self._text(left + width - 1.2 * size, line, size, tone, align="right", y=y)
            left += width
        self.y = top - (max(map(len, cells)) - 1) * size * LEADING
        self._line(MARGIN, left - 1.2 * size, "rule", below=0.32 * size)

    def _legend(self, names: Sequence[str]) -> None:
        self.y -= SMALL * LEADING
        left = MARGIN
        for at, name in enumerate(names):
            colour, dashes = look(at)
            self._line(left, left + 20.0, colour, below=-0.3 * SMALL, style=DASHES[dashes], wide=1.3)
            self._text(left + 25.0, name, SMALL, "ink")
            left += 25.0 + self._width(name, SMALL) + 16.0

    def _fold(self, text: str, size: float, weight: str, width: float) -> list[str]:
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self._width(longer, size, weight) > width:
                lines.append(word)
            else:
                lines[-1] = longer
        return lines if text else []

    def _width(self, text: str, size: float, weight: str = "normal") -> float:
        """The width of a text, of letters set apart: kerning only makes it narrower."""
        return sum(self._advance(letter, weight) for letter in text) * size

    def _advance(self, letter: str, weight: str) -> float:
        if (letter, weight) not in self.advances:
            # Two letters less one, because a space alone has no ink.
            font = FontProperties(size=100.0, weight=weight)
            ends = [
                self.measure.get_text_width_height_descent(text, font, ismath=False)[0]  # type: ignore[no-untyped-call]
                for text in (f"|{letter}|", "||")
            ]
            self.advances[letter, weight] = float(ends[0] - ends[1]) / 100.0
        return self.advances[letter, weight]

    def _room(self, height: float) -> bool:
        """Turns the page where less than this is left of it; whether it did."""
        if self.y - height >= MARGIN:
            return False
        self._keep()
        self._turn()
        return True

    def _turn(self) -> None:
        self.page = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, facecolor="white")
        self.y = HEIGHT - MARGIN
        self.number += 1

    def _keep(self) -> None:
        self._text(MARGIN, self.title, 7.0, "muted", y=MARGIN / 2)
        self._text(WIDTH - MARGIN, str(self.number), 7.0, "muted", align="right", y=MARGIN / 2)
        self.book.savefig(self.page)  # type: ignore[no-untyped-call]

    def _text(
        self, x: float, text: str, size: float, colour: str, weight: str = "normal", *, align: Any = "left",
        y: float | None = None,
    ) -> None:  # fmt: skip
        self.page.text(
            x / WIDTH, (self.y if y is None else y) / HEIGHT, text, fontsize=size, color=LIGHT[colour],
            weight=weight, ha=align, va="baseline", parse_math=False,
        )  # fmt: skip

    def _line(
        self, left: float, right: float, colour: str, *, below: float = 0.0, style: Any = "solid", wide: float = 0.5
    ) -> None:
        ends, height = [left / WIDTH, right / WIDTH], (self.y - below) / HEIGHT
        line = Line2D(ends, [height, height], color=LIGHT[colour], linewidth=wide, linestyle=style)
        self.page.add_artist(line)
