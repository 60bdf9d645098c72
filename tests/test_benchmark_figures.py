"""Benchmarks say what was met, missed and not measured, and their exit code says the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.figures import Figure, NotMeasured, Tally

TREE = Path(__file__).resolve().parent.parent
MET, MISSED, SKIPPED = Figure("a", 1.0, ">=", 1.0), Figure("b", 1.1, "<=", 1.0, "note"), NotMeasured("c", "no device")
NONE = Figure("d", float("nan"), "<=", 1.0)


@pytest.mark.parametrize(
    ("figures", "said", "codes"),
    [
        ([MET], "1 met, 0 missed, 0 not measured", (0, 0)),
        ([MET, SKIPPED], "1 met, 0 missed, 1 not measured", (0, 1)),
        ([MET, MISSED, SKIPPED], "1 met, 1 missed, 1 not measured", (1, 1)),
        ([NONE], "0 met, 1 missed, 0 not measured", (1, 1)),
    ],
)
def test_a_tally_is_what_was_printed(
    figures: list[Figure | NotMeasured], said: str, codes: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every figure is counted once, a NaN is a miss, and what was not measured fails where all is required."""
    tally = Tally()
    tally.report(figures)
    assert str(tally) == said
    assert (tally.exit_code(False), tally.exit_code(True)) == codes
    assert len(capsys.readouterr().out.splitlines()) == len(figures)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print('coverage 90% target 89% met'); print('met    x: 1 <= 2')", "2 met, 0 missed, 0 not measured"),
        ("print('worst 80%  MISSED'); raise SystemExit(1)", "0 met, 1 missed, 0 not measured"),
        ("print('NOT MEASURED folds: no CUDA device')", "0 met, 0 missed, 1 not measured"),
        ("raise SystemExit(3)", "0 met, 1 missed, 0 not measured"),
        ("print('metres are no figures')", "0 met, 0 missed, 0 not measured"),
    ],
)
def test_scripts_are_counted_by_their_lines(script: str, said: str, tmp_path: Path) -> None:
    """Figures of a script count like any; one that breaks off without a miss is one."""
    (tmp_path / "script.py").write_text(script)
    tally = Tally()
    tally.run(str(tmp_path / "script.py"))
    assert str(tally) == said


def test_a_gpu_that_is_not_there_is_named_figure_by_figure() -> None:
    """Without a CUDA device each target of the GPU is named as not measured; that fails only where all is required."""
    command = [sys.executable, "benchmarks/forecast.py", "gpu", "--require-all"]
    own = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    ran = subprocess.run(command, cwd=TREE, env=own, capture_output=True, text=True, check=False)
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here, and benchmarks measure it")
    lines = ran.stdout.splitlines()
    named = [line for line in lines if line.startswith("NOT MEASURED")]
    assert [line.split(":")[0] for line in named] == [
        "NOT MEASURED 1,000 folds x 100 steps, at most 5 seconds",
        "NOT MEASURED 256 networks",
        "NOT MEASURED skill of a group and of the CPU, at most 0.001 apart",
    ]
    assert all("no CUDA device" in line for line in named)
    assert lines[-1] == "0 met, 0 missed, 3 not measured"
    assert ran.returncode == 1
