"""The architecture: import contracts that bite, size limits that count, packages that are our own."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from size_limits import code_lines, find_too_long, too_long

TREE = Path(__file__).resolve().parent.parent
PACKAGES = ("foundation", "markets", "models", "strategies", "backtests", "reports", "witness", "crossgate")
FORBIDDEN_NAMES = {"signal", "types", "select", "random", "token", "code"}
PLANTED = {
    "models": ("import strategies", "Imports follow the data BROKEN"),
    "strategies": ("import torch", "Only models/ imports torch BROKEN"),
    "markets": ("import backtrader", "Only what stands under Backtrader imports it BROKEN"),
    "backtests": ("import matplotlib.figure", "Only reports/ imports matplotlib and jinja2 BROKEN"),
    "backtests/exchange": (
        "def f():\n    import backtests.run.engine",
        "The rooms of backtests/ are a row BROKEN",
    ),
    "witness": ("from markets import margin", "The witness shares nothing with what it checks BROKEN"),
    "reports": ("from witness import WitnessAccount", "Only the verification calls on the witness BROKEN"),
}


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """A copy of the packages and their contracts, to plant faults in."""
    for package in PACKAGES:
        shutil.copytree(TREE / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TREE / "setup.cfg", tmp_path)
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the packages in a folder."""
    command = "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports_command as run; run()"
    words = [sys.executable, "-c", command, "--no-logo", "--no-cache"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_the_contracts_hold(copied_tree: Path) -> None:
    """Imports follow the data, and each heavy library stays in its room."""
    answer = lint_imports(copied_tree)
    assert answer.returncode == 0, answer.stdout
    assert "0 broken" in answer.stdout


@pytest.mark.parametrize("room", PLANTED)
def test_a_planted_import_breaks_a_contract(room: str, copied_tree: Path) -> None:
    """Each contract sees an import that it is there to forbid."""
    line, broken = PLANTED[room]
    (copied_tree / room / "planted.py").write_text(f"{line}\n")
    answer = lint_imports(copied_tree)
    assert answer.returncode == 1, answer.stdout
    assert broken in answer.stdout


def groups_of(room: str) -> list[set[str]]:
    """The files of each group of a room, as docs/architecture.md lists them."""
    text = (TREE / "docs" / "architecture.md").read_text("utf-8")
    part = text.split(f"map of {room}: begin")[1].split(f"map of {room}: end")[0]
    found = [re.findall(r"`(\w+)`", row) for row in part.splitlines() if row.startswith("| **")]
    named = [name for group in found for name in group]
    assert len(named) == len(set(named)), "a file stands in two groups"
    return [set(group) for group in found]


def files_of(folder: Path) -> set[str]:
    """The names of the modules of a folder."""
    return {path.stem for path in folder.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("room", ["models", "reports"])
def test_a_map_names_every_file_of_its_room(room: str) -> None:
    """docs/architecture.md has each file in one group, and none that is not there."""
    assert set().union(*groups_of(room)) == files_of(TREE / room)


def test_the_map_of_backtests_has_a_row_for_each_of_its_rooms() -> None:
    """In the order of their layers, each with its files; what people start from stands beside, and nothing else."""
    contract = (TREE / "setup.cfg").read_text("utf-8").split("containers = backtests\nlayers =\n")[1]
    rooms = contract.split("\n\n")[0].split()[::-1]
    assert groups_of("backtests") == [files_of(TREE / "backtests" / room) for room in rooms]
    assert {path.parent.name for path in (TREE / "backtests").glob("*/*.py")} == {*rooms, "configs", "scripts"}
    assert not files_of(TREE / "backtests")


def test_an_installation_holds_every_package() -> None:
    """setup.cfg names every folder of modules; an editable installation would work without, and a wheel would not."""
    config = configparser.ConfigParser()
    config.read(TREE / "setup.cfg")
    inside = {path.parent.relative_to(TREE) for room in PACKAGES for path in (TREE / room).rglob("__init__.py")}
    assert set(config["options"]["packages"].split()) == {".".join(one.parts) for one in inside}


def test_the_witness_needs_the_standard_library_alone() -> None:
    """No library that the exchange is built on has a say in what it comes to."""
    for path in (TREE / "witness").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= {"witness", *sys.stdlib_module_names}, path.name


def test_no_module_takes_a_name_of_the_standard_library_that_others_import() -> None:
    """Flat packages never hold a module that would be taken for a standard one."""
    stems = {path.stem for package in PACKAGES for path in (TREE / package).rglob("*.py")}
    assert not stems & FORBIDDEN_NAMES


def test_files_and_functions_keep_their_size() -> None:
    """Files have at most 400 lines, functions at most 40 code lines."""
    assert find_too_long() == []


def test_code_lines_leave_out_blanks_comments_and_docstrings() -> None:
    """Only lines that hold code count; each line of a statement over several does."""
    source = 'def f():\n    """Says\n    a lot."""\n\n    # why\n    return g(\n        1,  # one\n    )\n'
    assert code_lines(source) == {1, 6, 7, 8}


@pytest.mark.parametrize(("lines", "breaches"), [(39, 0), (40, 1)])
def test_a_function_may_have_forty_code_lines(lines: int, breaches: int) -> None:
    """The line of `def` counts as one of the forty."""
    source = "def f(x):\n" + "    # a comment\n    x += 1\n\n" * lines
    assert len(list(too_long(source, "f.py"))) == breaches


@pytest.mark.parametrize(("lines", "breaches"), [(400, 0), (401, 1)])
def test_a_file_may_have_four_hundred_lines(lines: int, breaches: int) -> None:
    """Every line of a file counts, blank ones too."""
    assert len(list(too_long("\n" * lines, "f.py"))) == breaches


def test_a_stranger_among_the_packages_is_named(tmp_path: Path) -> None:
    """A package of another project that hides one of ours stops the import, with its place and the fix."""
    stranger = tmp_path / "models"
    stranger.mkdir()
    (stranger / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import crossgate"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    last = answer.stderr.splitlines()[-1]
    assert last.startswith("ImportError: crossgate needs its own package 'models' at ")
    assert str(stranger / "__init__.py") in last
    assert "remove or rename the stranger" in last


def test_every_public_thing_has_a_docstring_that_says_what_it_is() -> None:
    """Modules, classes and functions without an underscore are described, in one first line that is a sentence."""
    for package in PACKAGES:
        for path in sorted((TREE / package).rglob("*.py")):
            if path.parent.name in ("configs", "scripts"):
                continue
            tree = ast.parse(path.read_text("utf-8"))
            described = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef))]
            for node in described:
                marks = [ast.unparse(one) for one in getattr(node, "decorator_list", ())]
                if "overload" not in marks and not getattr(node, "name", "module").startswith("_"):
                    text = ast.get_docstring(node) or ""
                    assert text.split("\n\n")[0].rstrip().endswith((".", ":", "?", ")", "`")), f"{path}: {text[:60]!r}"
