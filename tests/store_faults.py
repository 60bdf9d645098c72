"""Faults planted in the store, each in a process of its own: `python tests/store_faults.py` prints what became of them.

The promises are those of benchmarks/store_kills.py, which has to end with code 1 for every fault.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TREE), str(TREE / "benchmarks")]

import numpy as np  # noqa: E402
import store_kills  # noqa: E402

from foundation.fingerprint import fingerprint  # noqa: E402
from markets import manifest, series  # noqa: E402


def manifest_in_place() -> None:
    """The manifest is written where it stands, instead of renamed over the old one."""

    def write(home: Path, new: manifest.Manifest) -> None:
        record = asdict(new)
        text = json.dumps({"version": 1, "hash": fingerprint(record), "manifest": record})
        (home / "_manifest.json").write_text(text, "utf-8")

    series.write_manifest = write


def swept_too_early() -> None:
    """The parts that an append replaces are removed before its manifest counts."""
    write = series.write_manifest

    def swept(home: Path, new: manifest.Manifest) -> None:
        series._remove_strays(home, new)
        write(home, new)

    series.write_manifest = swept


def never_swept() -> None:
    """What dead writers left is never removed."""
    series._remove_strays = lambda *_: None


def lock_forgotten() -> None:
    """Writers do not take turns."""

    @contextmanager
    def nothing(*words: Any, **more: Any) -> Iterator[None]:
        yield

    series.sole_writer = nothing


def last_row_doubled() -> None:
    """A part is written with its last row twice."""
    write = series.write_part

    def doubled(home: Path, kind: Any, bar: Any, year: Any, rows: Any) -> manifest.Part:
        return write(home, kind, bar, year, {name: np.append(values, values[-1:]) for name, values in rows.items()})

    series.write_part = doubled


def folder_believed() -> None:
    """A reader takes every file in the folder, not those of the manifest."""
    read = series.read_manifest

    def believed(home: Path) -> manifest.Manifest | None:
        known = read(home)
        if known is None or "append" in sys._getframe(1).f_code.co_name:
            return known
        named = {part.file: part for part in known.parts}
        files = sorted(path.relative_to(home).as_posix() for path in home.rglob("part-*.parquet"))
        return replace(known, parts=tuple(named.get(file, known.parts[0]) for file in files))

    series.read_manifest = believed


def one_part_at_a_time() -> None:
    """An append of two years is two appends."""
    by_year, append = series._by_year, series.append_rows

    def separately(folder: Any, key: Any, columns: Any, **more: Any) -> series.Appended:
        done = series.Appended(0, 0, 0)
        for _, rows in by_year({**columns, "touched": np.zeros(len(columns["timestamp"]), dtype=np.bool_)}):
            done = append(folder, key, rows, **more)
        return done

    store_kills.append_rows = separately


FAULTS: tuple[Callable[[], None], ...] = (
    manifest_in_place, swept_too_early, never_swept, lock_forgotten, last_row_doubled, folder_believed,
    one_part_at_a_time,
)  # fmt: skip


def caught(fault: Callable[[], None] | None) -> bool:
    """Whether a store with a fault breaks a promise within a few kills."""
    pid = os.fork()
    if not pid:
        sys.stdout.flush()
        try:
            if fault is not None:
                fault()
            store_kills.main(["--kills", "20", "--blocks", "40"])
            os._exit(0)
        except SystemExit:
            sys.stdout.flush()
            os._exit(1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def main() -> None:
    """Prints, as the last line, which faults were caught; `none` stands for the store as it is."""
    chosen = [fault for fault in FAULTS if fault.__name__ in sys.argv[1:] or not sys.argv[1:]]
    found = {"none": caught(None)} if not sys.argv[1:] else {}
    found |= {fault.__name__: caught(fault) for fault in chosen}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
