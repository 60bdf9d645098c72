"""Compiled rules: a change in one file reaches what another file compiled, in the next process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parent.parent
CALLEE = "from foundation.compilation import rule\n\n\n@rule\ndef fee(notional):\n    return notional * 0.5\n"
CALLER = """from foundation.compilation import rule
from lower.constants import BASE
from lower.fees import fee


@rule
def cost(notional):
    return BASE + fee(notional)
"""
ASK = """
import sys
from foundation.compilation import compiled_folder
from upper.costs import cost
print(cost(100.0), sum(cost.stats.cache_hits.values()) if hasattr(cost, "stats") else 0, compiled_folder().name)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the foundation; a rule in one room, its caller in another, a constant in a file without rules."""
    shutil.copytree(TREE / "foundation", tmp_path / "foundation", ignore=shutil.ignore_patterns("__pycache__"))
    for room in ("lower", "upper"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    (tmp_path / "lower" / "fees.py").write_text(CALLEE)
    (tmp_path / "lower" / "constants.py").write_text("BASE = 1.0\n")
    (tmp_path / "lower" / "unrelated.py").write_text("OTHER = 1.0\n")
    (tmp_path / "upper" / "costs.py").write_text(CALLER)
    return tmp_path


def ask(tree: Path) -> tuple[float, int, str]:
    """The cost of 100 in a new process, how often it came from disk, and the folder of compiled code."""
    variables = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "CROSSGATE_CACHE": str(tree / "cache"),
        "NUMBA_DISABLE_JIT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tree, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    value, hits, folder = done.stdout.split()
    return float(value), int(hits), folder


def test_a_changed_callee_reaches_its_caller_in_another_file(tree: Path) -> None:
    """Unchanged source is loaded from disk; an edited rule or constant in another file changes the caller's result."""
    value, hits, folder = ask(tree)
    assert (value, hits) == (51.0, 0)
    (tree / "lower" / "unrelated.py").write_text("OTHER = 2.0\n")
    assert ask(tree) == (51.0, 1, folder)
    (tree / "lower" / "fees.py").write_text(CALLEE.replace("0.5", "0.7"))
    value, hits, later = ask(tree)
    assert (value, hits) == (pytest.approx(71.0), 0)
    (tree / "lower" / "constants.py").write_text("BASE = 5.0\n")
    value, hits, last = ask(tree)
    assert (value, hits) == (pytest.approx(75.0), 0)
    assert len({folder, later, last}) == 3


def test_a_rule_computes_what_its_python_says() -> None:
    """A compiled rule gives the value of the function that was written, and raises where Python does."""
    from foundation.compilation import rule

    @rule
    def ratio(a: float, b: float) -> float:
        return a / b

    assert ratio(1.0, 4.0) == 0.25
    with pytest.raises(ZeroDivisionError):
        ratio(1.0, 0.0)
