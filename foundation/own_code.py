"""Own code: a user's Python file and the files that it imports, run as a module, and known by their content."""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from foundation.fingerprint import fingerprint

# Packages of this tree, which nobody's file stands in for.
_OURS = frozenset({"backtests", "crossgate", "foundation", "markets", "models", "reports", "strategies", "witness"})


class _Fresh(SourceFileLoader):
    """Compiles a file each time: nothing is left beside it, and nothing stale is read there."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


class _FreshFinder:
    """Finds the modules of one user's file where its text says they are, and no others."""

    def __init__(self, modules: dict[str, Path]) -> None:
        self.modules = modules

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module of the file; None for any other."""
        file = self.modules.get(name)
        if file is None:
            return None
        inside = [str(file.parent)] if file.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name, file, loader=_Fresh(name, str(file)), submodule_search_locations=inside
        )


def run_file(file: Path, name: str) -> ModuleType:
    """The module in a Python file, run under a name; raises ImportError for another file, and whatever it raises.

    The user's own modules that the file imports (`own_modules`) are run anew for it alone: another file, such as a copy
    in the folder of a run, has others of the same name.
    """
    spec = importlib.util.spec_from_file_location(name, file, loader=_Fresh(name, str(file)))
    if file.suffix != ".py" or spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _only(own_modules(file)):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _only(modules: dict[str, Path]) -> Iterator[None]:
    """Imports of these names find these files; afterwards they find again what they found before."""
    hidden = {name: sys.modules.pop(name) for name in modules if name in sys.modules}
    finder = _FreshFinder(modules)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in modules:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def own_modules(file: Path) -> dict[str, Path]:
    """The user's own modules that a file imports, and those that these import, by name; packages with their parents.

    Own are those beside the file and on the Python path, but for what is installed, Python's library and this tree.
    A file that Python cannot parse imports nothing.
    """
    found: dict[str, Path] = {}
    waiting = [(file, "")]
    while waiting:
        path, package = waiting.pop()
        for name in _imported(path, package):
            for part in _parents(name):
                if part in found or part.partition(".")[0] in _taken():
                    continue
                place = _place(part, file.parent)
                if place is not None and place != file:
                    found[part] = place
                    waiting.append((place, part if place.name == "__init__.py" else part.rpartition(".")[0]))
    return dict(sorted(found.items()))


def own_fingerprint(file: Path) -> str:
    """The fingerprint of a file and of the user's own modules that it imports; raises OSError, UnicodeDecodeError."""
    text, modules = file.read_text("utf-8"), own_modules(file)
    if not modules:
        return fingerprint(text)
    return fingerprint(text, {name: path.read_text("utf-8") for name, path in modules.items()})


def _imported(path: Path, package: str) -> list[str]:
    """The full names that a file may import, in their order; of `from a import b` both a and a.b."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (SyntaxError, ValueError, OSError):
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
    return names


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _place(name: str, folder: Path) -> Path | None:
    """The file of a module; None for what is installed, and where there is none."""
    if PathFinder.find_spec(name.partition(".")[0], list(_installed())) is not None:
        return None
    for root in (folder, *(Path(one or ".") for one in sys.path)):
        place = root.resolve()
        if str(place) in _installed():
            continue
        below = place.joinpath(*name.split("."))
        for file in (below / "__init__.py", below.with_suffix(".py")):
            if file.is_file():
                return file
    return None


def _taken() -> frozenset[str]:
    return _OURS | frozenset(sys.stdlib_module_names)


@cache
def _installed() -> tuple[str, ...]:
    return tuple({str(Path(one).resolve()): None for one in sysconfig.get_paths().values()})
