"""The decorator that compiles a trading rule, and the cache that cannot go stale."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import llvmlite.binding
import numba
from numba.core.event import register

from foundation.compilation_notice import CompilationNotice
from foundation.files import cache_home
from foundation.linking import RuleDispatcher

F = TypeVar("F", bound=Callable[..., Any])

_TREE = Path(__file__).resolve().parent.parent
# Our packages; a test holds this to crossgate/tree.py, which has to do without importing any of them.
ROOMS = ("foundation", "markets", "strategies", "models", "backtests", "reports", "witness", "crossgate")
_MARK = b"@rule"
_WORDS = re.compile(r"[\w.]+")
_IMPORTS = re.compile(r"^[ \t]*(?:from ([\w.]+) )?import (?:\(([^)]*)\)|(.*))", re.MULTILINE)


@overload
def rule(function: F) -> F: ...
@overload
def rule(*, makes_arrays: bool = ..., inline: bool = ..., contract: bool = ...) -> Callable[[F], F]: ...
def rule(
    function: F | None = None, *, makes_arrays: bool = False, inline: bool = False, contract: bool = False
) -> F | Callable[[F], F]:
    """A function compiled to machine code by numba, with numba's default error model; other threads run meanwhile.

    `makes_arrays`: for a rule that makes an array, or calls one that returns an array. All others are compiled
    without counting references to arrays, which would cost most of them more than what they do. `inline`: for a rule
    that is called at every step of the sweep kernel and hands on many arrays; it becomes a part of its callers.
    `contract`: a product and a sum may become one operation with one rounding; for networks, never for money.

    Compiled code is kept on disk in a folder that is named by a hash of the source of EVERY
    module of our packages that uses this decorator, and of all of ours that those import, because
    numba's own per-file cache notices no change in a function that a cached one calls, nor in a
    constant of another file, which it compiles in. Rules of other files have folders of their own,
    which hang on those files too.
    """
    if function is None:
        return partial(rule, makes_arrays=makes_arrays, inline=inline, contract=contract)
    if numba.config.DISABLE_JIT:
        return function
    options: dict[str, Any] = {"nopython": True, "nogil": True, "boundscheck": None}
    options |= {"_nrt": makes_arrays, "forceinline": inline} | ({"fastmath": {"contract"}} if contract else {})
    compiled = RuleDispatcher(function, options=options)
    compiled.keep_in(_folder_of(function.__code__.co_filename))
    return cast(F, compiled)


register("numba:compile", CompilationNotice())


@cache
def rules_fingerprint() -> str:
    """The fingerprint of the source of all our rules and of this numba: what they come to, on whatever processor."""
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=12)
    for path, source in sorted(_rule_sources().items()):
        digest.update(path.relative_to(_TREE).as_posix().encode() + b"\0" + source)
    return digest.hexdigest()


@cache
def compiled_folder(stranger: Path | None = None) -> Path:
    """The folder of compiled rules for this source, this numba and this processor; for the rules of a file that is
    in none of our packages also for its own source, and that of what it imports from its folder.
    """
    digest = hashlib.blake2b(digest_size=12)
    for part in (numba.__version__, platform.machine(), llvmlite.binding.get_host_cpu_name()):
        digest.update(part.encode() + b"\0")
    sources = _rule_sources() | ({} if stranger is None else _with_imports([stranger], stranger.parent))
    for path, source in sorted(sources.items()):
        name = path.relative_to(_TREE) if path.is_relative_to(_TREE) else path
        digest.update(name.as_posix().encode() + b"\0" + source)
    folder = cache_home() / "compiled" / digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _folder_of(name: str) -> str:
    """The folder of compiled rules of a file."""
    file = Path(name).resolve()
    ours = file.is_relative_to(_TREE) and file.relative_to(_TREE).parts[0] in ROOMS
    return str(compiled_folder(None if ours else file))


@cache
def _rule_sources() -> dict[Path, bytes]:
    """The files of our packages that use the decorator, and those that they import, with their text."""
    files = (path for room in ROOMS for path in (_TREE / room).rglob("*.py"))
    return _with_imports([path for path in files if _MARK in path.read_bytes()], _TREE)


def _with_imports(waiting: list[Path], home: Path) -> dict[Path, bytes]:
    """Files and all those of ours, or below `home`, that they import in the end, with their text."""
    found: dict[Path, bytes] = {}
    roots, seen = {home, _TREE}, set[str]()
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file():
            found[path] = path.read_bytes()
            new = _imported(found[path]) - seen
            seen |= new
            waiting += [_file_of(root, name) for root in roots for name in new]
    return found


def _file_of(root: Path, name: str) -> Path:
    """Where a module of some name, or of one relative to it, would stand below a folder."""
    return root / f"{name.lstrip('.').replace('.', '/')}.py"


def _imported(source: bytes) -> set[str]:
    """The modules that a file imports, at its head or inside a function, and names in them, and no fewer.

    Lines are looked at as they stand: to parse a hundred files takes longer than all that a small command does.
    """
    names = set[str]()
    for module, several, rest in _IMPORTS.findall(source.decode("utf-8")):
        words = _WORDS.findall(several or rest)
        names |= {module, *(f"{module}.{word}" for word in words)} if module else set(words)
    return names
