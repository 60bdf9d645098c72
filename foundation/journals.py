"""Journals: files of one JSON record a line, which a writer may have left in the middle of one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from filelock import FileLock

from foundation.errors import DataError

if TYPE_CHECKING:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileSymlinkLock


def mend_tail(path: Path) -> None:
    """Cuts off the half line of a writer that was killed; a whole record that only lacks its line end gets one.

    Nobody else may write meanwhile.
    """
    text = path.read_bytes() if path.exists() else b""
    whole = text.rfind(b"\n") + 1
    if whole == len(text):
        return
    with path.open("r+b") as file:
        if is_record(text[whole:]):
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        else:
            file.truncate(whole)


def is_record(line: bytes) -> bool:
    """Whether a line is a JSON object; the beginning of one never is, so what is one was written to its end."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def open_journal(path: Path) -> JournalStorage:
    """Optuna's storage in a file, whose last line is mended first; raises DataError for a file that is none."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    with lock:
        mend_tail(path)
    try:
        # This lock dies with its process. Optuna's own stays, and holds the next process up for half a minute.
        return JournalStorage(JournalFileBackend(str(path), cast("JournalFileSymlinkLock", lock)))
    except (ValueError, KeyError, TypeError, AssertionError):
        fix = "put back a copy of it, or name another folder"
        raise DataError(path, "is not a journal of trials as it was written", fix=fix) from None
