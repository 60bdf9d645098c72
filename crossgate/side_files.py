"""Side files: the small files beside a config that its run depends on, and their copies in the folder of the run."""

from __future__ import annotations

import importlib.util
import json
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backtests.run.own_strategy import OwnParams, module_files
from crossgate.config import Config
from models.storage import model_file
from reports.settings import INPUTS

# A larger file stays where it is: a run folder is no place for data.
LARGEST = 16 * 2**20


@dataclass(frozen=True)
class SideFiles:
    """The `record` of a config in which copies stand for its side files, and the `content` of these by their names."""

    record: dict[str, Any]
    content: dict[str, bytes] = field(default_factory=dict)

    def copy_code(self, path: Path) -> str | None:
        """The same of a Python file, with the user's own modules that it imports, which lie beside the copy."""
        modules = module_files(path)
        if not modules:
            return self.copy(path)
        try:
            texts = {name: file.read_bytes() for name, file in {path.name: path, **modules}.items()}
        except OSError:
            return None
        for number in range(1, len(self.content) + 2):
            folder = INPUTS if number == 1 else f"{INPUTS}/{number}"
            placed = {f"{folder}/{name}": text for name, text in texts.items()}
            if all(self.content.get(name, text) == text for name, text in placed.items()):
                self.content.update(placed)
                return f"{folder}/{path.name}"
        raise AssertionError("there is always a free folder")

    def copy(self, path: Path) -> str | None:
        """The name that a file has in the run folder, where its content is taken now; None where it is to stay."""
        try:
            if path.stat().st_size > LARGEST:
                return None
            content = path.read_bytes()
        except OSError:
            return None
        for number in range(1, len(self.content) + 2):
            name = f"{INPUTS}/{path.stem}{f'-{number}' if number > 1 else ''}{path.suffix}"
            if self.content.setdefault(name, content) == content:
                return name
        raise AssertionError("there is always a free name")


def side_files(config: Config) -> SideFiles:
    """The side files of a config as they are now: an own strategy, own features, a saved model, series and scorers.

    Of a Python file the user's own modules that it imports come along. Files below the data folder are data, and stay
    there; so does a file above LARGEST.
    """
    found = SideFiles(config.record())
    features, model = found.record.get("features", {}), found.record.get("model", {})
    if "file" in features:
        features["file"] = found.copy_code(Path(features["file"])) or features["file"]
    if "load" in model:
        name = found.copy(model_file(model["load"]))
        model["load"] = f"./{name}" if name else model["load"]
    if isinstance(config.strategy, OwnParams) and config.strategy.path is not None:
        name = found.copy_code(config.strategy.path)
        if name is not None:
            found.record["strategy"]["file"] = f"./{name}:{config.strategy.name}"
    for table in found.record.get("exogenous", ()):
        path = Path(table["file"]).expanduser()
        if path.is_absolute() and (name := found.copy(path)):
            table["file"] = f"./{name}"
        scorer, _, function = table.get("scorer", "").rpartition(":")
        source = _own_module(scorer) if scorer else None
        if source is not None and (name := found.copy_code(source)):
            table["scorer"] = f"./{name}:{function}"
    return found


def _own_module(name: str) -> Path | None:
    """The file of a module or file that holds a scorer; None for what is installed, or is a package."""
    if name.endswith(".py"):
        return Path(name)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        # Whoever asks the scorer says so in one line.
        return None
    if spec is None or spec.origin is None or spec.submodule_search_locations is not None:
        return None
    path = Path(spec.origin).resolve()
    installed = {Path(one).resolve() for one in sysconfig.get_paths().values()}
    return None if path.suffix != ".py" or installed & set(path.parents) else path


def data_folder(run: Path, data: Path | None) -> Path | None:
    """The data folder for a run that is played again: `data`, else the one of the run, where it is still there."""
    if data is not None:
        return data
    try:
        kept = json.loads((run / "run.json").read_text("utf-8")).get("data")
    except (OSError, ValueError, AttributeError):
        return None
    return Path(kept) if isinstance(kept, str) and Path(kept).is_dir() else None
