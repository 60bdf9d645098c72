"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A disk without room, of which the system names no file.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cache_home() -> Path:
    """The folder for what can be made again: `$CROSSGATE_CACHE`, else the user's cache folder."""
    named = os.environ.get("CROSSGATE_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "crossgate"


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A scratch folder that takes the place of `target` when the block ends without an error.

    An existing `target` is replaced as a whole; after an error it is as it was before.
    Assumes that `target` lies on one file system with its parent.
    """
    with _told_of(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with _told_of(target, scratch):
            scratch.chmod(0o755)
            yield scratch
            _replace_folder(scratch, target)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """A scratch path whose file takes the place of `target` when the block ends without an error.

    The file has reached the disk before it takes that place, and so has the place when the block has ended.
    """
    with _told_of(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
        os.close(handle)
    scratch = Path(name)
    try:
        with _told_of(target, scratch):
            scratch.chmod(0o644)
            yield scratch
            sync(scratch)
            scratch.replace(target)
            sync(target.parent)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


@contextmanager
def _told_of(target: Path, scratch: Path | None = None) -> Iterator[None]:
    """Names `target` in an error of the system about its scratch, or a full disk: a person knows no other name."""
    try:
        yield
    except OSError as error:
        named = error.filename
        ours = scratch is None or (isinstance(named, str | Path) and Path(named).is_relative_to(scratch))
        if ours or (named is None and error.errno in FULL):
            error.filename = str(target)
        raise


def sync(path: Path) -> None:
    """Returns when what was written to a file, or the names in a folder, would outlast a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace_folder(scratch: Path, target: Path) -> None:
    if not target.exists():
        scratch.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    target.rename(old / "was")
    try:
        scratch.rename(target)
    except BaseException:
        (old / "was").rename(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
