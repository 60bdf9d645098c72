"""The list of runs: what `crossgate runs` prints, of ten thousand runs as quickly as of ten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import typer

from reports.catalogue import CATALOGUE, TOO_SHORT, left_out
from reports.choosing import FACTS, moment, named
from reports.index import Entry

SHOWN = ("name", "bar", "written", "rung", "total_return", "sharpe", "max_drawdown", "trades", "skill")
ALWAYS = ("folder", "markets")
# How many altered runs are named below the list.
MOST_NAMED = 5


def columns_of(runs: Sequence[Entry], asked: str | None) -> list[str]:
    """The columns that were asked for besides those that always stand there, else SHOWN; names only where one is not
    that of its folder.

    Raises ParameterError for what names none.
    """
    if asked is not None:
        names = [named(name.strip(), "columns") for name in asked.split(",") if name.strip()]
        return [name for name in names if name not in ALWAYS]
    plain = all(run.name == run.folder.rpartition("/")[2] for run in runs)
    return [name for name in SHOWN if name != "name" or not plain]


def runs_table(runs: Sequence[Entry], columns: Sequence[str], known: int) -> Iterator[str]:
    """The lines of a table of runs, of so many `known`, with some columns, and a line on each that was altered."""
    heads, writers, signs = zip(*map(_column, columns), strict=True) if columns else ((), (), ())
    rows = [[*ALWAYS, *heads, "labels"]]
    for run in runs:
        symbols = ", ".join(run.symbols) + (" (synthetic)" if run.synthetic else "")
        said = " ".join([*(f"[{tag}]" for tag in run.labels.tags), run.labels.note]).strip()
        rows.append([run.folder, symbols, *[write(run) for write in writers], said])
    yield f"{len(runs):,}{f' of {known:,}' if known > len(runs) else ''} run{'' if known == 1 else 's'}"
    if not runs:
        return
    # Words stand at the left of their columns, figures at the right.
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sides = ["<", "<", *signs, "<"]
    pattern = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    for number, row in enumerate(rows):
        line = pattern.format(*row).rstrip()
        yield typer.style(line, bold=True) if number == 0 else line
    altered = [run for run in runs if run.altered]
    for run in altered[:MOST_NAMED]:
        yield typer.style(f"{run.folder}: altered after it was written: {', '.join(run.altered)}", fg="red")
    if len(altered) > MOST_NAMED:
        yield typer.style(f"and {len(altered) - MOST_NAMED:,} more were altered; --json names them", fg="red")


def _column(name: str) -> tuple[str, Callable[[Entry], str], str]:
    """The head of a column, what writes its cells, and the side that they stand at."""
    if name in FACTS:
        fact = FACTS[name]
        return fact.label, lambda run: fact.write(fact.value(run)), "<"
    entry, (at, bars) = CATALOGUE[name], (list(CATALOGUE).index(one) for one in (name, "bars"))

    def written(run: Entry) -> str:
        value = run.values[at]
        return TOO_SHORT if left_out(name, value, run.days, run.values[bars]) else entry.write(value)

    return entry.label, written, ">"


def runs_json(runs: Sequence[Entry]) -> Iterator[str]:
    """The lines of one JSON object with all runs, a line each; times in UTC."""
    yield '{"runs": ['
    last, encode = len(runs) - 1, json.JSONEncoder(allow_nan=False).encode
    # Numbers hold no comma, so that the names of the metrics are set between them without a table for each run.
    metrics = ", ".join(f'"{name}": %s' for name in CATALOGUE)
    for number, run in enumerate(runs):
        record = vars(run) | {"labels": run.labels._asdict()}
        values = encode(record.pop("values"))[1:-1].split(", ")
        for name in ("first", "last", "written"):
            record[name] = None if record[name] is None else moment(record[name])
        line = f'{encode(record)[:-1]}, "metrics": {{{metrics % tuple(values)}}}}}'
        yield line if number == last else f"{line},"
    yield "]}"
