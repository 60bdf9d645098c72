"""Index: the runs below a folder, listed quickly, from an index file that makes itself anew."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import DataError
from foundation.files import atomic_file
from reports.catalogue import CATALOGUE
from reports.fingerprints import TABLES, touched_files
from reports.labels import FILE as LABELS
from reports.labels import Labels, read_labels
from reports.stored_verdict import VERDICT, stored_record

INDEX = ".runs.json"
# The order of what a line of the index keeps of a run, with a value for each metric that the index names; a change here
# makes old index files useless, and so does another number.
VERSION = 4
LINE = (
    "marks", "name", "symbols", "synthetic", "settlement", "bar", "first", "last", "altered", "values", "tags", "note",
)  # fmt: skip
MARKS = ("metrics.json", "run.json", LABELS, VERDICT)
Marks = list[int]
_DAYS = list(CATALOGUE).index("days")


@dataclass(frozen=True)
class Entry:
    """One run in a list: its folder below the root, its name, what it was made from, its figures and labels.

    `bar`: its length, `first`, `last`: the opens of the first and last bar, `written`: when the run was; nanoseconds,
    UTC; None for a run that does not say. `altered`: files that are not as they were written. `values`: of the metrics
    in the order of the catalogue; "rung" is that of the verdict that the folder keeps.
    """

    folder: str
    name: str
    symbols: tuple[str, ...]
    synthetic: bool
    settlement: str
    bar: int | None
    first: int | None
    last: int | None
    written: int
    altered: tuple[str, ...]
    values: tuple[float | int | bool | None, ...]
    labels: Labels

    @property
    def days(self) -> float | None:
        """How long it played; None where that is not known."""
        return self.values[_DAYS]

    @property
    def metrics(self) -> dict[str, float | int | bool | None]:
        """The metrics by their names in the catalogue."""
        return dict(zip(CATALOGUE, self.values, strict=True))


def list_runs(root: Path) -> list[Entry]:
    """Every run below a folder, one or two levels deep, in the order of their folders' names.

    Only runs that are new or changed are read; what the index file knows of the others counts. A change is seen of
    their records and of the tables that their figures come from; other files are held to their fingerprints when a run
    is read, and by whatever looks at one run. The index is
    rebuilt from the folders whenever it is missing, damaged or old, so losing it loses nothing. A folder
    that is being written is not there yet, one that is damaged is left out. Raises DataError where there is no folder.
    """
    if not root.is_dir():
        raise DataError(root, "is no folder of runs", fix="run a backtest first, or name the folder")
    with undisturbed():
        known = _read_index(root)
        current, changed = {}, False
        for key, marks in _run_folders(os.fspath(root)):
            line = known.get(key)
            if line is None or line[0] != marks:
                line, changed = _read_run(root / key, marks), True
            if line is not None:
                current[key] = line
        if changed or len(current) != len(known):
            _write_index(root, current)
        return [_entry(key, *line) for key, line in sorted(current.items())]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Many small objects that all stay are made here: looking for those to drop takes longer than making them."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _run_folders(root: str) -> Iterator[tuple[str, Marks]]:
    """Folders that hold a run, and those one level below folders that do not, with their marks.

    Scratch folders begin with a dot.
    """
    for name in _folders(root):
        marks = _marks(f"{root}/{name}")
        if marks:
            yield name, marks
            continue
        for below in _folders(f"{root}/{name}"):
            marks = _marks(f"{root}/{name}/{below}")
            if marks:
                yield f"{name}/{below}", marks


def _folders(root: str) -> list[str]:
    with os.scandir(root) as found:
        return [one.name for one in found if one.is_dir(follow_symlinks=False) and not one.name.startswith(".")]


def _marks(folder: str) -> Marks:
    """What changes when a file of the folder is written, and when its run.json was; [] for a folder without a run.

    The first is one number for inode, size and time of change of what a list reads, and for size and time of the tables
    that it only watches: many numbers a run would take longer to read than the files take to be looked at.
    """
    seen: list[int] = []
    written = 0
    for name in MARKS:
        try:
            found = os.stat(f"{folder}/{name}")  # noqa: PTH116
        except OSError:
            if not seen:
                return []
            seen.append(0)
            continue
        seen += (found.st_ino, found.st_size, found.st_mtime_ns)
        if name == "run.json":
            written = found.st_mtime_ns
    for name in TABLES:
        try:
            found = os.stat(f"{folder}/{name}")  # noqa: PTH116
        except OSError:
            seen.append(0)
            continue
        seen += (found.st_size, found.st_mtime_ns)
    # The hash of whole numbers is the same in every process.
    return [hash(tuple(seen)), written]


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
            *(record.get(name) for name in ("bar_nanoseconds", "first_bar", "last_bar")),
            touched_files(folder),
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
    key: str, marks: Marks, name: str, symbols: Any, synthetic: bool, settlement: str,
    bar: int | None, first: int | None, last: int | None, altered: Any, values: Any, tags: Any, note: str,
) -> Entry:  # fmt: skip
    written = marks[1]
    return Entry(
        key, name, tuple(symbols), synthetic, settlement, bar, first, last, written, tuple(altered), tuple(values),
        Labels(tuple(tags), note),
    )  # fmt: skip


def _read_index(root: Path) -> dict[str, list[Any]]:
    """The lines of the index file by folder; none where it is missing, damaged, or of other metrics."""
    try:
        content = json.loads((root / INDEX).read_text("utf-8"))
        known: dict[str, list[Any]] = content["runs"] if content["version"] == VERSION else {}
        at = LINE.index("values")
        sound = content["metrics"] == list(CATALOGUE) and all(
            len(line) == len(LINE) and len(line[at]) == len(CATALOGUE) for line in known.values()
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
