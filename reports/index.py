"""Index: the runs below a folder, listed quickly, from an index file that makes itself anew."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import DataError, ParameterError, suggestion
from foundation.files import atomic_file
from reports.catalogue import CATALOGUE
from reports.labels import FILE as LABELS
from reports.labels import Labels, read_labels
from reports.stored_verdict import VERDICT, stored_record

INDEX = ".runs.json"
# The order of what a line of the index keeps of a run, with a value for each metric that the index names; a change here
# makes old index files useless, and so does another number.
VERSION = 2
LINE = ("marks", "name", "symbols", "synthetic", "settlement", "values", "tags", "note")
MARKS = ("metrics.json", "run.json", LABELS, VERDICT)
Marks = list[list[int]]
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|!=|=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Entry:
    """One run in a list: its folder below the root, its name, what it was made from, its figures and labels.

    `metrics`: by their names in the catalogue; "rung" is that of the verdict that the folder keeps.
    """

    folder: str
    name: str
    symbols: tuple[str, ...]
    synthetic: bool
    settlement: str
    metrics: dict[str, float | int | bool | None]
    labels: Labels


def list_runs(root: Path) -> list[Entry]:
    """Every run below a folder, one or two levels deep, in the order of their folders' names.

    Only runs that are new or changed are read; what the index file knows of the others counts. The index is
    rebuilt from the folders whenever it is missing, damaged or old, so losing it loses nothing. A folder
    that is being written is not there yet, one that is damaged is left out. Raises DataError where there is no folder.
    """
    if not root.is_dir():
        raise DataError(root, "is no folder of runs", fix="run a backtest first, or name the folder")
    known = _read_index(root)
    current = {}
    for key, marks in _run_folders(os.fspath(root)):
        line = known.get(key)
        if line is None or line[0] != marks:
            line = _read_run(root / key, marks)
        if line is not None:
            current[key] = line
    if current != known:
        _write_index(root, current)
    return [_entry(key, *line[1:]) for key, line in sorted(current.items())]


def choose_runs(
    runs: Sequence[Entry], conditions: Sequence[str] = (), tags: Sequence[str] = (), sort: str | None = None
) -> list[Entry]:
    """The runs that meet every condition, such as "sharpe>1", and hold every tag; by a metric, the largest first.

    Undefined figures meet no condition and come last. Raises ParameterError for what names no metric.
    """
    tests = [_condition(text) for text in conditions]
    kept = [run for run in runs if set(tags) <= set(run.labels.tags) and all(test(run) for test in tests)]
    if sort is None:
        return kept
    falling = not sort.startswith("-")
    name = _metric(sort.lstrip("-"), "sort")
    defined = [run for run in kept if run.metrics.get(name) is not None]
    rest = [run for run in kept if run.metrics.get(name) is None]
    return sorted(defined, key=lambda run: run.metrics[name] or 0, reverse=falling) + rest


def _condition(text: str) -> Any:
    match = _CONDITION.fullmatch(text)
    try:
        name, sign, value = match.groups()  # type: ignore[union-attr]
        wanted = float(value.rstrip("%")) / (100.0 if value.endswith("%") else 1.0)
    except (AttributeError, ValueError):
        fix = 'write a metric, a sign and a number, such as "sharpe>1" or "max_drawdown<20%"'
        raise ParameterError("where", "is no condition", value=text, fix=fix) from None
    name = _metric(name, "where")

    def holds(run: Entry) -> bool:
        figure = run.metrics.get(name)
        if figure is None:
            return False
        signs = {"<": figure < wanted, ">": figure > wanted, "<=": figure <= wanted, ">=": figure >= wanted}
        return bool({**signs, "=": figure == wanted, "!=": figure != wanted}[sign])

    return holds


def _metric(name: str, key: str) -> str:
    if name not in CATALOGUE:
        raise ParameterError(key, "names no metric", value=name, fix=suggestion(name, CATALOGUE))
    return name


def _run_folders(root: str) -> Iterator[tuple[str, Marks]]:
    """Folders that hold a run, and those one level below folders that do not, with their marks.

    Scratch folders begin with a dot.
    """
    for name in _folders(root):
        marks = _marks(f"{root}/{name}")
        if marks[0]:
            yield name, marks
            continue
        for below in _folders(f"{root}/{name}"):
            marks = _marks(f"{root}/{name}/{below}")
            if marks[0]:
                yield f"{name}/{below}", marks


def _folders(root: str) -> list[str]:
    with os.scandir(root) as found:
        return [one.name for one in found if one.is_dir(follow_symlinks=False) and not one.name.startswith(".")]


def _marks(folder: str) -> Marks:
    """What changes when a file of the folder is written: its inode, size and time of change; [] for none."""
    marks: Marks = []
    for name in MARKS:
        try:
            found = os.stat(f"{folder}/{name}")  # noqa: PTH116
            marks.append([found.st_ino, found.st_size, found.st_mtime_ns])
        except OSError:
            marks.append([])
    return marks


def _read_run(folder: Path, marks: Marks) -> list[Any] | None:
    try:
        metrics = json.loads((folder / "metrics.json").read_text("utf-8")) | {"rung": _rung(folder)}
        record = json.loads((folder / "run.json").read_text("utf-8"))
        return [
            marks,
            str(record["name"]),
            sorted(record["markets"]),
            bool(record["synthetic"]),
            str(record["settlement"]),
            [metrics.get(name) for name in CATALOGUE],
            *read_labels(folder),
        ]
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None


def _rung(folder: Path) -> int | None:
    """The rung of the verdict that a folder keeps; None where it keeps none."""
    kept = stored_record(folder)
    return None if kept is None else int(kept["verdict"]["rung"])


def _entry(
    key: str,
    name: str,
    symbols: Sequence[str],
    synthetic: bool,
    settlement: str,
    values: Sequence[float | int | bool | None],
    tags: Sequence[str],
    note: str,
) -> Entry:
    metrics = dict(zip(CATALOGUE, values, strict=True))
    return Entry(key, name, tuple(symbols), synthetic, settlement, metrics, Labels(tuple(tags), note))


def _read_index(root: Path) -> dict[str, list[Any]]:
    """The lines of the index file by folder; none where it is missing, damaged, or of other metrics."""
    try:
        content = json.loads((root / INDEX).read_text("utf-8"))
        known: dict[str, list[Any]] = content["runs"] if content["version"] == VERSION else {}
        sound = content["metrics"] == list(CATALOGUE) and all(
            len(line) == len(LINE) and len(line[LINE.index("values")]) == len(CATALOGUE) for line in known.values()
        )
        return known if sound else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_index(root: Path, runs: dict[str, list[Any]]) -> None:
    """Writes the index whole; a folder that cannot be written to is listed without one."""
    content = {"version": VERSION, "metrics": list(CATALOGUE), "runs": runs}
    try:
        with atomic_file(root / INDEX) as scratch:
            scratch.write_text(json.dumps(content, separators=(",", ":")), "utf-8")
    except OSError:
        return
