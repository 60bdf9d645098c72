"""The decorator that compiles a trading rule, and the cache that cannot go stale."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding
import numba

from foundation.files import cache_home

F = TypeVar("F", bound=Callable[..., Any])

_TREE = Path(__file__).resolve().parent.parent
_MARK = b"@rule"


def rule(function: F) -> F:
    """A function compiled to machine code by numba, with numba's default error model.

    Compiled code is kept on disk in a folder that is named by a hash of the source of EVERY
    module that uses this decorator, because numba's own per-file cache does not notice a
    change in a function that a cached one calls.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(compiled_folder())
    try:
        return cast(F, numba.njit(cache=True)(function))
    finally:
        numba.config.CACHE_DIR = before


@cache
def compiled_folder() -> Path:
    """The folder of compiled rules for this source, this numba and this processor."""
    digest = hashlib.blake2b(digest_size=12)
    for part in (numba.__version__, platform.machine(), llvmlite.binding.get_host_cpu_name()):
        digest.update(part.encode() + b"\0")
    for path in sorted(_TREE.glob("*/*.py")):
        source = path.read_bytes()
        if _MARK in source:
            digest.update(path.relative_to(_TREE).as_posix().encode() + b"\0" + source)
    folder = cache_home() / "compiled" / digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
