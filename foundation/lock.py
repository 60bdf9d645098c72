"""A lock on a folder that one process at a time holds, and that dies with its holder."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from foundation.errors import DataError

_PAUSE = 0.02


@contextmanager
def exclusive(path: Path, *, wait_seconds: float = 60.0) -> Iterator[None]:
    """The time in which this thread alone holds the lock file `path`, which is made where there is none.

    Waits for another holder; after `wait_seconds` raises DataError that says who it is. The kernel
    frees the lock when its holder ends, however it ends, so a lock is never left behind. Assumes a
    file system with advisory locks (flock), and that everyone who must keep out asks for the lock.
    """
    deadline = time.monotonic() + wait_seconds
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not _taken(handle):
            if time.monotonic() >= deadline:
                problem = f"is being written by {_holder(handle)}; waited {wait_seconds:g} s"
                raise DataError(path.parent, problem, fix="let it end, or end it, and try again")
            time.sleep(_PAUSE)
        _sign(handle)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(handle: int) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()} since {since} UTC".encode(), 0)


def _holder(handle: int) -> str:
    return os.pread(handle, 200, 0).decode("utf-8", "replace") or "another process"
