"""The runs that people start from: every script and every config in backtests/, end to end on tiny data."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from crossgate.config import load_config
from crossgate.job import run_job

TREE = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((TREE / "backtests" / "scripts").glob("*.py"))
CONFIGS = sorted((TREE / "backtests" / "configs").glob("*.toml"))
SMALL_WALK: dict[str, Any] = {"bars": 2000, "train": "60d", "test": "20d"}
TINY: dict[str, dict[str, Any]] = {
    "compare_thresholds": SMALL_WALK,
    "demo_backtest": SMALL_WALK,
    "own_data": {"train": "70d", "test": "30d", "start": "2022-01-01", "end": "2022-04-01"},
    "own_forecaster": {"bars": 1500},
    "tune_stop_loss": SMALL_WALK,
}
TINY_RUN = ["walk_forward.train=70d", "walk_forward.test=30d", "walk_forward.seeds=1", "model.steps=5"]
SHORT_DEMO = [*TINY_RUN, "market.bars=2400"]
TINY_RUNS = {
    "demo": SHORT_DEMO,
    "own_features": SHORT_DEMO,
    "headlines_1h": SHORT_DEMO,
    "breakout": ["market.bars=700"],
    "order_book_1s": TINY_RUN[2:],
}
TESTED_BARS = {"breakout": 700 - 47, "order_book_1s": 342 - 4 * 60}


def strange_imports(source: str) -> list[str]:
    """The modules that a script imports beside crossgate and the standard library."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
    allowed = {"crossgate", *sys.stdlib_module_names}
    return [name for name in names if name.split(".")[0] not in allowed or name.startswith("crossgate.")]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_needs_the_front_door_only(path: Path) -> None:
    """Scripts import crossgate and the standard library, nothing from inside the house."""
    assert strange_imports(path.read_text("utf-8")) == []


def test_an_import_from_inside_is_found() -> None:
    """The restriction on scripts sees rooms, submodules of crossgate and other packages."""
    source = (
        "import math\nimport crossgate as cg\nimport numpy\nfrom models import walk_forward\nimport crossgate.job\n"
    )
    assert strange_imports(source) == ["numpy", "models", "crossgate.job"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_runs(
    path: Path, small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each script runs to its end on a short market, and writes only below runs/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSGATE_DATA", str(small_store))
    runpy.run_path(str(path))["main"](**TINY[path.stem])
    assert capsys.readouterr().out.strip()
    assert {entry.name for entry in tmp_path.iterdir()} <= {"runs"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_runs(path: Path, small_store: Path, tmp_path: Path) -> None:
    """Each config runs to its report, on a short market and with a few training steps."""
    config = load_config(path, TINY_RUNS.get(path.stem, TINY_RUN))
    result, page = run_job(config, tmp_path / "run", small_store)
    assert page == tmp_path / "run" / "report.html"
    assert page.is_file()
    assert len(result.equity) == TESTED_BARS.get(path.stem, 2400 - 70 * 24)
