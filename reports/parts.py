"""Parts: what a page is made of, before anything decides whether it becomes HTML, Markdown or PDF."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from reports.palette import SWATCHES, look
from reports.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reports.figures import Sheet

# What a line in a legend looks like: its name, its colour in the palette, its dashes in SVG.
LegendLine = tuple[str, str, str]


class Part:
    """A part of a page; `part` says which kind."""

    part: ClassVar[str]


@dataclass(frozen=True)
class Paragraph(Part):
    """A paragraph of text; `strong` for a verdict, `aside` for small print."""

    part: ClassVar[str] = "paragraph"
    text: str
    kind: Literal["plain", "strong", "aside"] = "plain"


@dataclass(frozen=True)
class Points(Part):
    """A list of short sentences, set in columns where there is room."""

    part: ClassVar[str] = "points"
    items: Sequence[str]


@dataclass(frozen=True)
class Grid(Part):
    """A table with the room that it takes: `wide` fills the page, `style` names a class of the style sheet."""

    part: ClassVar[str] = "grid"
    table: Table
    wide: bool = False
    style: str = ""


@dataclass(frozen=True)
class Grids(Part):
    """Small tables set beside one another where there is room; `style` names a class of the style sheet."""

    part: ClassVar[str] = "grids"
    tables: Sequence[Table]
    style: str = "settings"


@dataclass(frozen=True)
class Chart(Part):
    """A figure, drawn when a page needs it and as large as that page needs it.

    `name`: unique on a page, letters and digits. `draw`: makes the same figure on any sheet. `description`: what is
    to be seen, for those who cannot see it. `low`: for a figure that needs little height. `file`: the picture beside
    the page that shows the same, where there is one.
    """

    part: ClassVar[str] = "chart"
    name: str
    draw: Callable[[Sheet], Figure]
    description: str
    caption: str = ""
    legend: Sequence[LegendLine] = ()
    low: bool = False
    file: str = ""


def legend(names: Iterable[str]) -> list[LegendLine]:
    """The legend of lines drawn in the order of their names."""
    return [(name, look(at)[0], SWATCHES[look(at)[1]]) for at, name in enumerate(names)]


@dataclass(frozen=True)
class Fold(Part):
    """Parts behind one line that opens them."""

    part: ClassVar[str] = "fold"
    summary: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Ladder(Part):
    """A verdict as a ladder.

    `steps`: of each rung its name, whether it was climbed, failed or neither, and that in words.
    `kind`: warned, evident or plain, as of a Banner.
    """

    part: ClassVar[str] = "ladder"
    headline: str
    text: str
    kind: str
    steps: Sequence[tuple[str, Literal["passed", "failed", "open"], str]]


@dataclass(frozen=True)
class Widget(Part):
    """A piece that only HTML has: a template with its values; where scripts run it stands in for `instead`."""

    part: ClassVar[str] = "widget"
    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    instead: Sequence[Part] = ()


@dataclass(frozen=True)
class Section:
    """A section of a page: `anchor` is its address, `label` its short name in the contents."""

    anchor: str
    label: str
    title: str
    parts: Sequence[Part]
