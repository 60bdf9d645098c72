"""Fingerprints: what shows that a file of a run folder was altered after the run was written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from foundation.files import atomic_file

FILE = "fingerprints.json"
# The tables that the figures of a run come from.
TABLES = tuple(f"{name}.parquet" for name in ("equity", "fills", "trades", "positions"))


def write_fingerprints(folder: Path, names: Iterable[str]) -> None:
    """Puts down the size and the fingerprint of some files of a run folder, the last thing when it is written."""
    known = {name: _print(folder / name) for name in sorted(names)}
    (folder / FILE).write_text(_text(known), "utf-8")


def renew_fingerprint(folder: Path, name: str) -> None:
    """Puts down one file anew that crossgate itself has written; a folder without fingerprints stays without."""
    known = _read(folder)
    if known is not None:
        # Its time stays that of the run, so that what was written after that is looked at.
        stat = (folder / FILE).stat()
        with atomic_file(folder / FILE) as scratch:
            scratch.write_text(_text({**known, name: _print(folder / name)}), "utf-8")
            os.utime(scratch, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def altered_files(folder: Path) -> tuple[str, ...] | None:
    """The files of a run folder that are not as they were written, or are gone; None where no fingerprints are kept.

    Files that came later (labels, a certificate, a PDF made of the folder) do not count. This shows a slip or a
    careless hand: whoever alters a file and its fingerprint is not seen.
    """
    known = _read(folder)
    return None if known is None else tuple(name for name, kept in known.items() if _print(folder / name) != kept)


def as_written(folder: Path, name: str) -> bool | None:
    """Whether one file of a run folder is as it was written with the run; None where no fingerprint of it is kept."""
    known = _read(folder)
    return None if known is None or name not in known else _print(folder / name) == known[name]


def touched_files(folder: Path) -> tuple[str, ...]:
    """The same where only files of another size, or later than the fingerprints, are read: quick for many runs.

    An altered file that was copied in such an order that it looks older is missed here.
    """
    known, found = _read(folder), []
    if known is None:
        return ()
    written = (folder / FILE).stat().st_mtime_ns
    for name, kept in known.items():
        path = folder / name
        try:
            stat = path.stat()
        except OSError:
            found.append(name)
            continue
        if stat.st_size != kept[0] or (stat.st_mtime_ns > written and _print(path) != kept):
            found.append(name)
    return tuple(found)


def alteration(names: Iterable[str]) -> str:
    """What is said of a run folder with altered files."""
    return f"Altered after it was written: {', '.join(names)}. What is said here may not be what the run came to."


def _print(path: Path) -> list[Any]:
    """The size and the digest of a file; [] where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return []
    return [len(content), hashlib.blake2b(content, digest_size=16).hexdigest()]


def _read(folder: Path) -> dict[str, list[Any]] | None:
    """What was put down of the files of a folder, None where nothing was; a damaged record is an altered file."""
    try:
        known = json.loads((folder / FILE).read_text("utf-8"))
        return {str(name): list(kept) for name, kept in known.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError):
        return {FILE: [-1]}


def _text(known: Mapping[str, list[Any]]) -> str:
    return json.dumps(known, indent=2, sort_keys=True) + "\n"
