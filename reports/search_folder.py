"""The folder of a search: whether one may be written to, and how its files get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from foundation.errors import ParameterError
from foundation.files import atomic_file
from reports.settings import without_none


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


def write_files(target: Path, files: Mapping[str, bytes | str], config: Mapping[str, Any] | None) -> None:
    """Files by name, and the config as config.toml where there is one; each is written whole or not at all."""
    made = dict(files)
    if config is not None:
        made["config.toml"] = tomli_w.dumps(without_none(config))
    for file, content in made.items():
        with atomic_file(target / file) as scratch:
            scratch.write_bytes(content if isinstance(content, bytes) else content.encode())
