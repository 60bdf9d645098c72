"""Compiled rules: a change in one file reaches what another file compiled, in the next process."""

import ast
import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TREE = Path(__file__).resolve().parent.parent
CALLEE = "from foundation.compilation import rule\n\n\n@rule\ndef fee(notional):\n    return notional * 0.5\n"
CALLER = """from foundation.compilation import rule
from markets.constants import BASE
from markets.fees import fee


@rule
def cost(notional):
    return BASE + fee(notional)
"""
ASK = """
import sys
from foundation.compilation import compiled_folder
from backtests.costs import cost
print(cost(100.0), sum(cost.stats.cache_hits.values()) if hasattr(cost, "stats") else 0, compiled_folder().name)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the foundation; a rule in one room, its caller in another, a constant in a file without rules."""
    shutil.copytree(TREE / "foundation", tmp_path / "foundation", ignore=shutil.ignore_patterns("__pycache__"))
    for room in ("markets", "backtests", "backtests/inner"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    (tmp_path / "markets" / "fees.py").write_text(CALLEE)
    (tmp_path / "markets" / "constants.py").write_text("BASE = 1.0\n")
    (tmp_path / "markets" / "unrelated.py").write_text("OTHER = 1.0\n")
    (tmp_path / "backtests" / "costs.py").write_text(CALLER)
    return tmp_path


def answer(tree: Path, question: str) -> list[str]:
    """The words that a new process prints."""
    path = os.pathsep.join([str(tree), str(tree / "own")])
    variables = {**os.environ, "PYTHONPATH": path, "CROSSGATE_CACHE": str(tree / "cache"), "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", question], cwd=tree, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def ask(tree: Path) -> tuple[float, int, str]:
    """The cost of 100 in a new process, how often it came from disk, and the folder of compiled code."""
    value, hits, folder = answer(tree, ASK)
    return float(value), int(hits), folder


def test_a_changed_callee_reaches_its_caller_in_another_file(tree: Path) -> None:
    """Unchanged source is loaded from disk; an edited rule or constant in another file changes the caller's result."""
    value, hits, folder = ask(tree)
    assert (value, hits) == (51.0, 0)
    (tree / "markets" / "unrelated.py").write_text("OTHER = 2.0\n")
    assert ask(tree) == (51.0, 1, folder)
    (tree / "markets" / "fees.py").write_text(CALLEE.replace("0.5", "0.7"))
    value, hits, later = ask(tree)
    assert (value, hits) == (pytest.approx(71.0), 0)
    (tree / "markets" / "constants.py").write_text("BASE = 5.0\n")
    value, hits, last = ask(tree)
    assert (value, hits) == (pytest.approx(75.0), 0)
    assert len({folder, later, last}) == 3


def test_rules_count_in_every_package_of_ours_and_nowhere_else(tree: Path) -> None:
    """A rule in a package inside a package makes another folder; one in a test or a benchmark does not."""
    where = "from foundation.compilation import compiled_folder\nprint(compiled_folder().name)"
    before = answer(tree, where)
    for name in ("tests", "benchmarks"):
        (tree / name).mkdir()
        (tree / name / "rules.py").write_text(CALLEE)
    assert answer(tree, where) == before
    (tree / "backtests" / "inner" / "rules.py").write_text(CALLEE)
    assert answer(tree, where) != before


OWN = """from foundation.compilation import rule
from markets.fees import fee
from shares import share


@rule
def due(notional):
    return share(notional) + fee(notional)
"""
SHARE = """from foundation.compilation import rule


@rule
def share(notional):
    return notional * 0.25
"""
DUE = "from own_rules import due\nprint(due(100.0), sum(due.stats.cache_hits.values()))"


def test_rules_of_other_files_hang_on_those_files_and_on_ours(tree: Path) -> None:
    """They are kept on disk too; an edit of what they call beside them, or among ours, changes their result."""
    (tree / "own").mkdir()
    (tree / "own" / "own_rules.py").write_text(OWN)
    (tree / "own" / "shares.py").write_text(SHARE)
    assert answer(tree, DUE) == ["75.0", "0"]
    assert answer(tree, DUE) == ["75.0", "1"]
    (tree / "own" / "shares.py").write_text(SHARE.replace("0.25", "0.125"))
    assert answer(tree, DUE) == ["62.5", "0"]
    (tree / "markets" / "fees.py").write_text(CALLEE.replace("0.5", "0.75"))
    assert answer(tree, DUE) == ["87.5", "0"]


@pytest.mark.parametrize("words", ["from .shares import share", "from . import shares\n\nshare = shares.share"])
def test_rules_of_a_package_hang_on_what_they_import_relative_to_it(tree: Path, words: str) -> None:
    """An edit of a file beside them changes their result."""
    (tree / "own" / "mine").mkdir(parents=True)
    (tree / "own" / "mine" / "__init__.py").touch()
    own = OWN.replace("from shares import share", words)
    assert own != OWN
    (tree / "own" / "mine" / "own_rules.py").write_text(own)
    question = DUE.replace("from own_rules", "from mine.own_rules")
    for share, value in (("0.25", "75.0"), ("0.125", "62.5")):
        (tree / "own" / "mine" / "shares.py").write_text(SHARE.replace("0.25", share))
        assert answer(tree, question) == [value, "0"]


def test_our_packages_are_those_of_the_tree() -> None:
    """The rooms whose rules count are the packages that setup.cfg names, and those that are checked at import."""
    from crossgate.tree import ROOMS as CHECKED
    from foundation.compilation import ROOMS

    config = configparser.ConfigParser()
    config.read(TREE / "setup.cfg")
    packages = {name.split(".")[0] for name in config["options"]["packages"].split()}
    assert packages == set(ROOMS) == {*CHECKED, "crossgate"}


def written() -> list[Path]:
    """The files of our packages."""
    from foundation.compilation import ROOMS

    return [path for room in ROOMS for path in sorted((TREE / room).rglob("*.py"))]


def test_imports_are_found_without_parsing() -> None:
    """In every file of the tree, the files that its syntax tree names are among those that are said to be imported."""
    from foundation.compilation import _file_of, _imported

    for path in written():
        source, names = path.read_bytes(), []
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
        files = {TREE.joinpath(*name.split(".")).with_suffix(".py") for name in names}
        found = {_file_of(TREE, name) for name in _imported(source)}
        assert found >= {one for one in files if one.is_file()}, path


def test_a_rule_computes_what_its_python_says() -> None:
    """A compiled rule gives the value of the function that was written, and raises where Python does."""
    from foundation.compilation import rule

    @rule
    def ratio(a: float, b: float) -> float:
        return a / b

    assert ratio(1.0, 4.0) == 0.25
    with pytest.raises(ZeroDivisionError):
        ratio(1.0, 0.0)


MAKERS = {"zeros", "empty", "full", "ones", "array", "arange", "copy"}


def rules() -> dict[str, tuple[ast.FunctionDef, bool]]:
    """Every compiled rule of the tree by name, and whether it says that it makes arrays."""
    found = {}
    for path in written():
        source = path.read_text("utf-8")
        for node in ast.parse(source).body if "@rule" in source else ():
            for mark in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
                if ast.unparse(mark).split("(")[0] == "rule":
                    found[f"{path.relative_to(TREE)}: {node.name}"] = node, "makes_arrays" in ast.unparse(mark)
    return found


def test_a_rule_that_handles_new_arrays_says_so() -> None:
    """Elsewhere references are not counted: an array that came out of such a rule would be freed under its reader."""
    makers = {node.name for node, makes in rules().values() if makes and ast.unparse(node.returns or node) != "int"}
    assert {"new_desks", "new_book", "side_series"} <= makers
    for name, (node, makes) in rules().items():
        called = {one.func for one in ast.walk(node) if isinstance(one, ast.Call)}
        named = {one.id if isinstance(one, ast.Name) else getattr(one, "attr", "") for one in called}
        returned = ast.unparse(node.returns) if node.returns else ""
        assert makes or not (named & (makers | MAKERS) or returned in ("Records", "Desk") or "Array" in returned), name


def test_a_rule_is_compiled_once_for_all_constants() -> None:
    """Two constants and a narrow integer handed in by other compiled code make one version of a rule."""
    from foundation.compilation import rule

    @rule
    def doubled(value: int) -> int:
        return 2 * value

    @rule
    def asked(numbers: np.ndarray) -> int:
        return doubled(3) + doubled(4) + doubled(numbers[0])

    assert asked(np.array([5], dtype=np.int8)) == 24
    assert len(doubled.lowered) == 1  # type: ignore[attr-defined]


def test_the_first_compilation_says_what_it_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """One line on standard error where compiling takes longer than people's patience; nothing where it does not."""
    from foundation import compilation_notice

    def compile_twice() -> str:
        notice = compilation_notice.CompilationNotice()
        for _ in range(2):
            notice.on_start(None)
            notice.on_start(None)
            notice.on_end(None)
            notice.on_end(None)
        return capsys.readouterr().err

    assert compile_twice() == ""
    monkeypatch.setattr(compilation_notice, "PATIENCE", 0.0)
    assert compile_twice() == "Compiling the trading rules, once for this version and processor ...\n"
