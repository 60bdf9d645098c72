"""The folder of a search: how its files get there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from foundation.files import atomic_file
from reports.settings import without_none


def write_files(target: Path, files: Mapping[str, bytes | str], config: Mapping[str, Any] | None) -> None:
    """Files by name, and the config as config.toml where there is one; each is written whole or not at all."""
    made = dict(files)
    if config is not None:
        made["config.toml"] = tomli_w.dumps(without_none(config))
    for file, content in made.items():
        with atomic_file(target / file) as scratch:
            scratch.write_bytes(content if isinstance(content, bytes) else content.encode())
