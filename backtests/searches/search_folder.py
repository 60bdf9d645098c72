"""Search folder: whether a search may write to a folder, which is never one that holds something of its user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backtests.searches.piece_store import FOLDER, MANIFEST, PIECE, SETTINGS_FILE
from foundation.errors import ParameterError

_FIX = "name a new folder, such as runs/my-sweep"
SWEEP_FILES = ("config.toml", "sweep.json", "sweep.png", "report.html", SETTINGS_FILE, FOLDER, MANIFEST)


def check_folder(folder: str | Path, what: str, files: Sequence[str], beginnings: str | tuple[str, ...]) -> Path:
    """The folder to write to, which must be new, empty, or hold nothing but `files` and names with such `beginnings`.

    `what`: such as "sweep", for the error. Raises ParameterError.
    """
    target = Path(folder).expanduser().resolve()
    fix = f"name a new folder, such as runs/my-{what}"
    if target.exists() and not target.is_dir():
        raise ParameterError("out", "is a file, not a folder", value=str(folder), fix=fix)
    if target.is_dir():
        names = (path.name for path in target.iterdir())
        strange = sorted(name for name in names if name not in files and not name.startswith(beginnings))
        if strange:
            raise ParameterError("out", f"holds {strange[0]}, which is no part of a {what}", value=str(folder), fix=fix)
    return target


def check_sweep_folder(folder: str | Path) -> Path:
    """The folder to write a sweep to, which must be new, empty, or a sweep, finished or not."""
    target = check_folder(folder, "sweep", SWEEP_FILES, ".")
    pieces = target / FOLDER
    if pieces.exists() and not pieces.is_dir():
        raise ParameterError("out", f"holds {FOLDER}, which is no part of a sweep", value=str(folder), fix=_FIX)
    strange = sorted(path.name for path in pieces.glob("*") if not PIECE.match(path.name))
    if strange:
        problem = f"holds {FOLDER}/{strange[0]}, which is no part of a sweep"
        raise ParameterError("out", problem, value=str(folder), fix=_FIX)
    return target
