"""The list of runs: what `crossgate runs` prints, of ten thousand runs as quickly as of ten."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import typer

from foundation.errors import ParameterError, suggestion
from reports.catalogue import CATALOGUE
from reports.index import Entry


def runs_table(runs: Sequence[Entry], columns: Sequence[str]) -> Iterator[str]:
    """The lines of a table of runs with some of their metrics; raises ParameterError for what names none."""
    for name in columns:
        if name not in CATALOGUE:
            raise ParameterError("columns", "names no metric", value=name, fix=suggestion(name, CATALOGUE))
    entries = [(name, CATALOGUE[name]) for name in columns]
    rows = [["folder", "markets", *(entry.label for _, entry in entries), "labels"]]
    for run in runs:
        symbols = ", ".join(run.symbols) + (" (synthetic)" if run.synthetic else "")
        figures = [entry.write(run.metrics.get(name)) for name, entry in entries]
        said = " ".join([*(f"[{tag}]" for tag in run.labels.tags), run.labels.note]).strip()
        rows.append([run.folder, symbols, *figures, said])
    yield f"{len(runs):,} run{'' if len(runs) == 1 else 's'}"
    # Words stand at the left of their columns, figures at the right.
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    signs = ["<", "<", *[">"] * len(entries), "<"]
    pattern = "  ".join(f"{{:{sign}{width}}}" for sign, width in zip(signs, widths, strict=True))
    for number, row in enumerate(rows):
        line = pattern.format(*row).rstrip()
        yield typer.style(line, bold=True) if number == 0 else line


def runs_json(runs: Sequence[Entry]) -> Iterator[str]:
    """The lines of one JSON object with all runs, a line each."""
    yield '{"runs": ['
    last = len(runs) - 1
    for number, run in enumerate(runs):
        line = json.dumps({**vars(run), "labels": run.labels._asdict()}, allow_nan=False)
        yield line if number == last else f"{line},"
    yield "]}"
