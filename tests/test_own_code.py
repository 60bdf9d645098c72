"""A user's own files come along with a run, with what they import, and are run apart from one another."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from test_run_commands import SMALL, call

from backtests.doubts import own_examination
from crossgate.config import build_config, load_config
from crossgate.reproduction import reproduce_run
from crossgate.side_files import side_files
from foundation.errors import CrossgateError, ParameterError
from foundation.own_code import own_fingerprint, own_modules, run_file
from models import features as registry
from reports.fingerprints import altered_files

STRATEGY = '''"""Buys above its average."""

import backtrader as bt

from levels import least
from tools.sizes import size_of


class Above(bt.Strategy):
    params = (("bars", 20),)

    def __init__(self):
        self.average = bt.indicators.SMA(self.data.close, period=self.p.bars)

    def next(self):
        print("a word of its own")
        above = self.data.close[0] > least(self.average[0])
        self.order_target_percent(target=size_of() if above else 0.0)
'''
HELPERS = {
    "levels.py": "def least(average):\n    return 1.001 * average\n",
    "tools/__init__.py": "",
    "tools/sizes.py": "from . import shares\n\n\ndef size_of():\n    return shares.SHARE\n",
    "tools/shares.py": "import numpy\n\nSHARE = 0.5\n",
}
FEATURES = """
import crossgate as cg
from factors import FACTOR


@cg.feature(warm_up=lambda: 0, memory=lambda: 1)
def scaled_body(inputs):
    return FACTOR * (inputs.close / inputs.open - 1.0)
"""


def lay(folder: Path, **more: str) -> Path:
    """A folder with the strategy, and the modules that it imports."""
    for name, text in {"above.py": STRATEGY, **HELPERS, **more}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "above.py"


def test_own_modules_are_those_beside_a_file_and_what_they_import(tmp_path: Path) -> None:
    """With packages and relative imports; numpy, the library, our own packages and what is not there are none."""
    file = lay(tmp_path)
    assert list(own_modules(file)) == ["levels", "tools", "tools.shares", "tools.sizes"]
    for text in ("import numpy\nimport json\nimport models.features\nimport nowhere\n", "def ("):
        (tmp_path / "plain.py").write_text(text)
        assert own_modules(tmp_path / "plain.py") == {}
    (tmp_path / "json.py").write_text("")
    (tmp_path / "loop.py").write_text("import loop, json")
    assert own_modules(tmp_path / "loop.py") == {}


def test_a_module_that_changes_changes_the_fingerprint(tmp_path: Path) -> None:
    """And the same text in another folder has the same one."""
    file, other = lay(tmp_path / "a"), lay(tmp_path / "b")
    assert own_fingerprint(file) == own_fingerprint(other)
    (other.parent / "tools" / "shares.py").write_text("SHARE = 0.25\n")
    assert own_fingerprint(file) != own_fingerprint(other)


def test_files_that_import_modules_of_one_name_get_their_own(tmp_path: Path) -> None:
    """Each file is run with the modules beside it, and the program keeps what it had imported itself."""
    shares = []
    for number, share in enumerate((0.5, 0.25, 0.5)):
        folder = tmp_path / str(number)
        lay(folder, **{"tools/shares.py": f"SHARE = {share}\n"})
        (folder / "ask.py").write_text("from tools.sizes import size_of\n")
        shares.append(run_file(folder / "ask.py", f"ask_{number}").size_of())
    assert shares == [0.5, 0.25, 0.5]
    assert not {"tools", "tools.sizes", "tools.shares"} & sys.modules.keys()


def few_paths(patch: pytest.MonkeyPatch) -> None:
    """Ruin is told by four paths, which is enough for a test."""
    patch.setattr(own_examination, "own_odds", partial(own_examination.own_odds, paths=4))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the strategy in a file, with the file in a folder beside it."""
    base = tmp_path_factory.mktemp("own")
    file = lay(base / "desk")
    with pytest.MonkeyPatch.context() as patch:
        few_paths(patch)
        patch.setattr(sys, "argv", ["crossgate", "backtest", f"{file}:Above", "--set", "market.bars=900"])
        patch.setattr(sys, "argv", [*sys.argv, "--set", "strategy.parameters.bars=24", "--out", str(base / "run")])
        from crossgate.command_line import main

        with suppress(SystemExit):
            main()
    assert (base / "run" / "report.html").is_file()
    return base


def test_a_strategy_in_a_file_leaves_a_whole_run_folder(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its source and what it imports lie in the folder; show, verdict, compare and verify know the run."""
    run = Path(shutil.copytree(written / "run", tmp_path / "run"))
    kept = {path.relative_to(run / "inputs").as_posix() for path in (run / "inputs").rglob("*.py")}
    assert kept == {"above.py", *HELPERS}
    assert load_config(run / "config.toml").strategy.parameters == {"bars": 24}
    report = (run / "report.md").read_text("utf-8")
    assert "turned round in time" in report
    assert "The run could not be played again" not in report
    for words, said in (
        (("show", run), "Verdict, rung"),
        (("verdict", run), "turned positions"),
        (("compare", run, written / "run"), "max_drawdown"),
        (("verify", run), "plain-Python witness, given the strategy's orders: the same"),
    ):
        code, out, error = call(*words, capsys=capsys)
        assert code == 0, error
        assert said in out or words[0] == "compare"
    assert "Backtrader, its own loop: the same" in out
    assert "kernel: not held to it, the strategy is written by hand" in out
    (run / "verdict.json").unlink()
    few_paths(monkeypatch)
    code, out, error = call("verdict", run, capsys=capsys)
    assert (code, "turned positions" in out) == (0, True), error


def test_a_strategy_in_a_file_is_reproduced_after_the_file_has_changed(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the copies alone; a copy that was changed is told of."""
    run = Path(shutil.copytree(written / "run", tmp_path / "moved"))
    lay(written / "desk", **{"tools/shares.py": "SHARE = 0.1\n"})
    code, said, error = call("reproduce", run, capsys=capsys)
    assert (code, "fills are the same" in said, "strategy:" in said) == (0, True, False), error
    assert "a word of its own" in said, "what a strategy prints is shown, once"
    assert altered_files(run) == ()
    (run / "inputs" / "tools" / "shares.py").write_text("SHARE = 0.25\n")
    code, said, _ = call("reproduce", run, capsys=capsys)
    assert code == 1
    assert "altered after it was written: inputs/tools/shares.py" in said
    assert "strategy: " in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["above.py:Abov"], 'holds no such strategy; did you mean "Above"?'),
        (["above.py"], "holds no such strategy; known: Above"),
        (["nowhere.py:Above"], "strategy.file"),
        (["above.py:Above", "--set", "strategy.parameters.bras=3"], 'is no parameter of Above; did you mean "bars"?'),
        (["above.py:Above", "--set", "risk.leverage=3"], "risk: is not asked by the strategy Above; leave it out"),
        (["above.py:Above", "--set", "model.hidden=3"], "or write strategy.forecasts = true"),
        (["above.py:Above", "--set", "strategy.forecasts=true"], "forecasts: are not asked by Above"),
        (["above.py:Above", "--set", "strategy.fast=3"], "strategy.fast"),
        (["broken.py:Above"], "does not run: ZeroDivisionError: division by zero"),
        (["stops.py:Stops"], "Stops stops at the bar of 2022-01-01 02:00 UTC (stops.py, line 7): IndexError: list"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not there, does not run, is not asked, or stops on its way."""
    lay(tmp_path)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    stops = "import backtrader as bt\n\n\nclass Stops(bt.Strategy):\n    def next(self):\n"
    (tmp_path / "stops.py").write_text(f"{stops}        if len(self) == 3:\n            [][0]\n")
    file, *more = words
    code, _, error = call(
        "backtest", tmp_path / file, "--set", "market.bars=600", *more, "--out", tmp_path / "run", capsys=capsys
    )
    assert code == 2
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", [["sweep", "--grid", "risk.leverage=1,2"], ["tune", "--over", "risk.leverage=1,2"]])
def test_searches_know_the_rules_of_the_project_alone(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A strategy written by hand is refused before anything is loaded."""
    name, *more = command
    code, _, error = call(name, f"{lay(tmp_path)}:Above", *more, "--out", tmp_path / "found", capsys=capsys)
    assert (code, "is written by hand, and this command knows the rules" in error) == (2, True), error


def test_features_and_their_modules_are_reproduced_in_the_process_that_has_the_edited_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's own copy is run apart: the same forecasts; afterwards the edited features stand as before."""
    desk, run = tmp_path / "desk", tmp_path / "run"
    desk.mkdir()
    (desk / "mine.py").write_text(FEATURES)
    (desk / "factors.py").write_text("FACTOR = 0.5\n")
    (desk / "c.toml").write_text('[market]\ndemo = true\n[features]\nfile = "mine.py"\ncolumns = ["scaled_body"]\n')
    before = registry.known_kinds()
    quick = ["--set", "run.retraining=false", "--set", "run.interpretation=false"]
    code, _, error = call("backtest", desk / "c.toml", *SMALL, *quick, "--out", run, capsys=capsys)
    assert code == 0, error
    assert sorted(path.name for path in (run / "inputs").iterdir()) == ["factors.py", "mine.py"]
    (desk / "factors.py").write_text("FACTOR = 2.0\n")
    load_config(desk / "c.toml")
    edited = registry.known_kinds()["scaled_body"]
    assert reproduce_run(run).same
    assert registry.known_kinds()["scaled_body"] is edited
    (desk / "mine.py").write_text(FEATURES.replace("* (", "* 2.0 * ("))
    load_config(desk / "c.toml")
    assert reproduce_run(run, retrain=True).same
    with pytest.raises(ParameterError, match="takes the name scaled_body"):
        load_config(run / "config.toml")
    registry.replace_kinds(before)


def test_a_model_trained_elsewhere_comes_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It lies among the inputs, and the run is reproduced when the model itself is gone."""
    bars = ["--set", "market.bars=1500", "--set", "model.steps=5", "--set", "walk_forward.seeds=1"]
    code, _, error = call("train", _demo(tmp_path), *bars, "--out", tmp_path / "model", capsys=capsys)
    assert code == 0, error
    named = ["--set", f"model.load={tmp_path / 'model'}", "--set", "market.bars=2500"]
    quick = ["--set", "run.interpretation=false"]
    run = tmp_path / "run"
    code, _, error = call("backtest", _demo(tmp_path), *bars[2:], *named, *quick, "--out", run, capsys=capsys)
    assert code == 0, error
    assert [path.name for path in (run / "inputs").iterdir()] == ["model.safetensors"]
    shutil.rmtree(tmp_path / "model")
    moved = Path(shutil.move(run, tmp_path / "moved"))
    found = reproduce_run(moved)
    assert (found.same, found.altered) == (True, ())
    record = json.loads((moved / "fingerprints.json").read_text("utf-8"))
    assert "inputs/model.safetensors" in str(record)
    assert len(pd.read_parquet(moved / "equity.parquet")) > 900


def _demo(folder: Path) -> Path:
    (folder / "demo.toml").write_text("[market]\ndemo = true\n")
    return folder / "demo.toml"


def test_modules_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    """A strategy and features that each import another `levels` are copied so that each finds its own."""
    strategy = lay(tmp_path / "a")
    other = lay(tmp_path / "b", **{"levels.py": "def least(average):\n    return average\n"})
    (tmp_path / "b" / "mine.py").write_text("from levels import least\n")
    tables = {
        "strategy": {"file": f"{strategy}:Above"},
        "exogenous": {
            "name": "news",
            "file": "news.csv",
            "time": "t",
            "published_after": "0m",
            "text": "w",
            "stale_after": "1d",
        },
    }
    tables["exogenous"] |= {"scorer": f"{tmp_path / 'b' / 'mine.py'}:least"}
    found = side_files(build_config(tables))
    assert found.content["inputs/levels.py"] == HELPERS["levels.py"].encode()
    assert found.content["inputs/2/levels.py"] == (other.parent / "levels.py").read_bytes()
    assert found.record["strategy"]["file"] == "./inputs/above.py:Above"
    assert {table["scorer"] for table in found.record["exogenous"]} == {"./inputs/2/mine.py:least"}


def test_an_error_of_a_strategy_that_was_refused_names_the_file(tmp_path: Path) -> None:
    """What is no Python file is said to be none."""
    with pytest.raises(CrossgateError, match="names no strategy in a Python file"):
        build_config({"strategy": {"file": str(tmp_path / "above.txt:Above")}})
