"""Own code: a user's Python file, run as a module."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType


class _Fresh(SourceFileLoader):
    """Compiles a file each time: nothing is left beside it, and nothing stale is read there."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def run_file(file: Path, name: str) -> ModuleType:
    """The module in a Python file, run under a name; raises ImportError for another file, and whatever it raises."""
    spec = importlib.util.spec_from_file_location(name, file, loader=_Fresh(name, str(file)))
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
