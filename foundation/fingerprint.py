"""Content fingerprints: equal content, equal name, on every machine."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from foundation.files import atomic_file, cache_home

_FINGERPRINT = re.compile("[0-9a-f]{32}")


def fingerprint(*parts: Any) -> str:
    """A 32-digit hexadecimal name of some content.

    Arrays count by type, shape and bytes; everything else by its JSON with sorted keys.
    Raises TypeError for what JSON cannot hold.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            header = f"array {part.dtype.str} {part.shape}"
            digest.update(header.encode() + b"\0" + np.ascontiguousarray(part).tobytes())
        else:
            text = json.dumps(part, sort_keys=True, separators=(",", ":"), allow_nan=True)
            digest.update(b"json " + text.encode() + b"\0")
    return digest.hexdigest()


def source_fingerprint(folder: Path, modules: Iterable[str] | None = None) -> str:
    """The fingerprint of what the Python files below a folder do: all, or those of some `modules` (without `.py`).

    Paths count, and what Python parses; comments, docstrings and layout change nothing. Raises FileNotFoundError.
    Parsing takes longer than many a command, so the answer is kept in the cache, by the files' text and this Python.
    """
    files = sorted(folder.rglob("*.py")) if modules is None else [folder / f"{name}.py" for name in sorted(modules)]
    texts = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in files}
    key = fingerprint(texts, Path(__file__).read_text("utf-8"), sys.version)
    path = cache_home() / "sources" / key
    known = _read(path)
    if known is None:
        known = fingerprint({name: _meaning(text) for name, text in texts.items()})
        _keep(path, known)
    return known


def tree_fingerprint(folders: Iterable[Path], suffixes: tuple[str, ...]) -> str:
    """The fingerprint of the text of all files below some folders whose names end so: quicker than what they mean.

    Names, paths below their folder and every character count; how lines end changes nothing.
    """
    return fingerprint(
        {
            f"{folder.name}/{path.relative_to(folder).as_posix()}": path.read_text("utf-8")
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.suffix in suffixes and path.is_file()
        }
    )


def _read(path: Path) -> str | None:
    """The fingerprint that a file keeps; None where it is absent or damaged."""
    try:
        text = path.read_text("ascii")
    except (OSError, ValueError):
        return None
    return text if _FINGERPRINT.fullmatch(text) else None


def _keep(path: Path, known: str) -> None:
    """Keeps a fingerprint where there is room for it; elsewhere it is worked out again, which costs time alone."""
    with suppress(OSError), atomic_file(path) as scratch:
        scratch.write_text(known, "ascii")


def _meaning(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = node.body if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            del body[0]
    return ast.dump(tree)
