"""Content fingerprints: equal content, equal name, on every machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np


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


def source_fingerprint(folder: Path) -> str:
    """The fingerprint of every Python file below a folder: its path and its text."""
    files = sorted(folder.rglob("*.py"))
    return fingerprint({path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in files})
