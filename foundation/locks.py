"""Locks: one writer at a time, across threads and processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.errors import CrossgateError

# How long a writer waits for another one before it says who holds the place, in seconds.
PATIENCE = 60.0


@contextmanager
def sole_writer(path: Path, purpose: str, *, patience: float = PATIENCE) -> Iterator[None]:
    """The right to be the only writer at a place, held until the block ends or the process dies.

    `path`: the lock file, beside what it guards; it stays there, empty of meaning, when nobody writes.
    `purpose`: what is done meanwhile, for whoever has to wait. Readers take no lock. Raises CrossgateError
    that names the holder when the lock is not free within `patience` seconds, and where nothing can be written.
    """
    from filelock import FileLock, Timeout

    lock, note = FileLock(path), path.with_name(path.name + ".holder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=patience)
    except Timeout:
        fix = "wait until it has ended, or end it"
        raise CrossgateError(f"{path.parent}: is being written by {_holder(note)}; {fix}") from None
    except OSError as error:
        fix = "name a place you may write to"
        raise CrossgateError(f"{path.parent}: cannot be written to ({error.strerror}); {fix}") from None
    try:
        note.write_text(f"process {os.getpid()} ({purpose})", "utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(note: Path) -> str:
    try:
        return note.read_text("utf-8") or "another process"
    except OSError:
        return "another process"
