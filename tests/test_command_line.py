"""The command line: its answers, its exit codes, its silence on standard output, and its speed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest

from crossgate.command_line import main

TREE = Path(__file__).resolve().parent.parent
SMALL = [
    "--set", "market.bars=2000", "--set", "walk_forward.train=60d", "--set", "walk_forward.test=20d",
    "--set", "walk_forward.seeds=1", "--set", "model.steps=5",
]  # fmt: skip
BTC = str(TREE / "backtests" / "configs" / "btcusdt_1h.toml")
DEMO = str(TREE / "backtests" / "configs" / "demo.toml")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs in an empty folder, in which it can see everything that was written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROSSGATE_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "160")


def run(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of `crossgate` with some words."""
    monkeypatch.setattr(sys, "argv", ["crossgate", *map(str, words)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A small demo run in a folder, and the JSON that came with it."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    words = [sys.executable, "-m", "crossgate", "backtest", *SMALL, "--out", str(folder), "--json"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    return folder, json.loads(answer.stdout)


def test_json_is_all_there_is_on_standard_output(demo_run: tuple[Path, dict[str, Any]]) -> None:
    """With --json standard output is one object: the metrics, the notes and where the report is."""
    folder, record = demo_run
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {key: record[key] for key in metrics} == metrics
    assert record["report"] == str(folder / "report.html")
    assert record["synthetic"] is True
    assert any("synthetic" in note for note in record["notes"])


def test_metrics_hold_the_names_that_other_programs_read(demo_run: tuple[Path, dict[str, Any]]) -> None:
    """The names in metrics.json stay as they are."""
    named = {
        "total_return", "cagr", "sharpe", "sortino", "max_drawdown", "trades", "win_rate", "fees", "funding",
        "slippage", "liquidations", "final_equity", "bars", "skill",
    }  # fmt: skip
    assert named <= demo_run[1].keys()


def test_the_summary_says_verdict_metrics_notes_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --json the summary is for people, and the run lies in runs/ under its name."""
    assert run("backtest", DEMO, *SMALL, "--set", "run.name=first", monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Verdict, rung ")
    assert "95 % range" in shown
    assert "Forecast skill" in shown
    assert "Total return" in shown
    assert "buy and hold" in shown
    assert "synthetic" in shown
    assert str(tmp_path / "runs" / "first" / "report.html") in shown
    assert "\x1b[" not in shown


def test_a_kept_config_plays_the_same_run_again(
    demo_run: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config.toml of a run folder gives byte-identical metrics and fills."""
    folder, _ = demo_run
    assert run("backtest", folder / "config.toml", "--out", "again", monkeypatch=monkeypatch) == 0
    for name in ("metrics.json", "fills.parquet", "config.toml"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_check_reads_the_data_and_writes_nothing(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` says what a run would be played on, without training."""
    words = ["check", BTC, "--data", small_store, "--set", "walk_forward.train=70d"]
    assert run(*words, "--json", monkeypatch=monkeypatch) == 0
    market = json.loads(capsys.readouterr().out)["markets"][0]
    assert market["contract"] == "binance_usdm:BTCUSDT"
    assert (market["bars"], market["bars_tested"], market["funding_complete"]) == (2400, 720, True)
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert "2,400 bars of 60 minutes" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_trained_model_can_be_queried(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`train` saves a model of the bars before market.end; with model.load a later run trains nothing."""
    small = ["--data", small_store, "--set", "walk_forward.seeds=1", "--set", "model.steps=5"]
    words = ["train", BTC, *small, "--set", "market.end=2022-03-15", "--out", "saved", "--json"]
    assert run(*words, monkeypatch=monkeypatch) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["model"] == "saved/model.safetensors"
    assert record["symbols"]["BTCUSDT"] == {"bars": 73 * 24, "trained_through": "2022-03-15 00:00"}
    assert {path.name for path in tmp_path.iterdir()} == {"saved"}
    words = ["backtest", BTC, *small, "--set", "model.load=saved", "--out", "run", "--json"]
    assert run(*words, monkeypatch=monkeypatch) == 0
    answer = capsys.readouterr()
    assert json.loads(answer.out)["bars"] == 2400 - 73 * 24 - 1
    assert "Training" not in answer.err
    assert run(*words, "--set", "model.hidden=24", monkeypatch=monkeypatch) == 2
    expected = "crossgate: model.hidden = 24: is not what saved was trained with; write 16\n"
    assert capsys.readouterr().err == expected


def test_runs_are_compared(
    demo_run: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """`compare` sets runs side by side, names the settings that differ and writes one page."""
    folder, first = demo_run
    assert run("backtest", *SMALL, "--set", "risk.stop_loss=1%", "--out", "tight", monkeypatch=monkeypatch) == 0
    capsys.readouterr()
    assert run("compare", folder, "tight", "--out", "both.html", "--json", monkeypatch=monkeypatch) == 0
    record = json.loads(capsys.readouterr().out)
    assert next(iter(record["runs"].values()))["final_equity"] == first["final_equity"]
    assert list(record["differences"]) == ["risk.stop_loss"]
    assert (tmp_path / "both.html").read_text().lower().startswith("<!doctype html>")
    assert run("compare", folder, "tight", monkeypatch=monkeypatch) == 0
    assert "risk.stop_loss" in capsys.readouterr().out


WRONG: dict[str, tuple[list[str], str]] = {
    "a typo in a key": (["backtest", "--set", "risk.leverag=3"], 'risk.leverag = 3: is not a known key; did you mean'),
    "a value out of range": (["backtest", "--set", "risk.leverage=0"], "risk.leverage = 0: should be greater than 0"),
    "a value without its unit": (["backtest", "--set", "risk.stop_loss=2"], 'a number with a unit, such as "2%"'),
    "more leverage than granted": (["backtest", "--set", "risk.leverage=101"], "risk.leverage = 101.0: is above"),
    "an unknown table": (["check", DEMO, "--set", "walkforward.train=9d"], 'walkforward: is not a known table; did'),
    "a missing config": (["check", "none.toml"], "none.toml: there is no such config"),
    "a missing data file": (["check", BTC, "--data", "none"], "none/ohlcv/binance_um_BTCUSDT_1h.parquet"),
    "too few candles": (["backtest", "--set", "market.bars=600"], "walk_forward.train"),
    "too short a training": (["check", DEMO, "--set", "walk_forward.train=20d"], "walk_forward.train = '20d': holds"),
    "a GPU that is not there": (["check", DEMO, "--set", "model.device=cuda"], "model.device = 'cuda': "),
    "a drift window that no training holds": (
        ["check", DEMO, "--set", "walk_forward.retrain=drift", "--set", "walk_forward.drift_window=200d"],
        "walk_forward.drift_window = '200d': is 4,800 bars",
    ),
    "a drift wait below a bar": (
        ["check", DEMO, "--set", "walk_forward.retrain=drift", "--set", "walk_forward.drift_wait=5m"],
        "walk_forward.drift_wait = '5m': is shorter than one bar of 1h",
    ),
    "barriers out of reach": (
        ["check", DEMO, "--set", "model.output=barrier", "--set", "model.barrier_sigma=100"],
        "model.barrier_sigma = 100.0: lies so far off that 0 of ",
    ),
    "a folder that holds something else": (["backtest", "--out", str(TREE)], "out = "),
    "a run in a file": (["backtest", "--out", str(TREE / "LICENSE")], "out = "),
    "a saved model that is missing": (["backtest", "--set", "model.load=none"], "none"),
    "one run to compare": (["compare", "one"], "two"),
    "no format": (["show", "one", "--format", "txt"], "--format: 'txt' is not one of 'html', 'md', 'json'"),
    "a count of zero": (["sweep", DEMO, "--grid", "risk.leverage=1,2", "--count", "0"], "--count: input should be"),
    "an option that is missing": (["sweep", DEMO], "missing option '--grid'; crossgate sweep --help"),
    "a command that is none": (["swep"], "no such command 'swep'"),
    "folders that hold no run": (["compare", "one", "two"], "one: does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_one_line_and_exit_code_2(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names what is wrong; standard output stays empty, and nothing is written."""
    words, text = WRONG[case]
    # Tests of groups set it for their process: a GPU is not missing where its programs are interpreted.
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert run(*words, "--json", monkeypatch=monkeypatch) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("crossgate: ")
    assert text in answer.err
    assert list(tmp_path.iterdir()) == []


def replaced_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """What changes the bytes of a file."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def replaced_table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], object]:
    """What changes the table in a parquet file."""
    return lambda path: change(pd.read_parquet(path)).to_parquet(path, index=False)


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path.unlink(), "no such file"),
    "empty": (replaced_bytes(lambda _: b""), "is an empty file"),
    "cut off": (replaced_bytes(lambda whole: whole[: len(whole) // 2]), "parquet"),
    "text": (replaced_bytes(lambda _: b"timestamp,open\n1,2\n"), "parquet"),
    "a gap": (replaced_table(lambda table: table.drop(index=50)), "has a gap"),
    "a duplicate": (replaced_table(lambda table: table.loc[[*table.index, 50]].sort_index()), "duplicate"),
    "unsorted": (replaced_table(lambda table: table.iloc[::-1]), "not in time order"),
    "no close": (replaced_table(lambda table: table.drop(columns="close")), "close"),
    "a NaN": (replaced_table(lambda table: table.assign(open=table["open"].shift())), "finite"),
    "a high below the low": (replaced_table(lambda table: table.assign(high=table["low"] - 1.0)), "low"),
    "text for prices": (replaced_table(lambda table: table.assign(open="cheap")), "open"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_file_is_one_line_and_nothing_is_written(
    case: str, small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Candles that cannot be used stop a run before it has begun, with the file and the defect."""
    shutil.copytree(small_store, tmp_path / "data")
    path = tmp_path / "data" / "ohlcv" / "binance_um_BTCUSDT_1h.parquet"
    spoil, words = SPOILED[case]
    spoil(path)
    assert run("backtest", BTC, "--set", "walk_forward.train=70d", monkeypatch=monkeypatch) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("crossgate: data/ohlcv/binance_um_BTCUSDT_1h.parquet: ")
    assert words in answer.err
    assert {entry.name for entry in tmp_path.iterdir()} == {"data"}


def test_missing_funding_is_refused_before_training(
    small_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A market without funding is refused unless it is to be played as zero."""
    config = tmp_path / "bare.toml"
    lines = Path(BTC).read_text("utf-8").splitlines()
    config.write_text("\n".join(line for line in lines if not line.startswith("funding")), "utf-8")
    words = ["check", config, "--data", small_store, "--set", "walk_forward.train=70d"]
    assert run(*words, monkeypatch=monkeypatch) == 2
    answer = capsys.readouterr().err
    assert answer.startswith("crossgate: BTCUSDT funding: has no settlement from ")
    assert answer.endswith('or set account.missing_funding = "zero"\n')
    assert run(*words, "--set", "account.missing_funding=zero", monkeypatch=monkeypatch) == 0
    assert "played as zero" in capsys.readouterr().out


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only mistakes of the user are shortened: any other error is raised as it is."""
    monkeypatch.setattr("crossgate.config.load_config", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("check", DEMO, monkeypatch=monkeypatch)


def test_a_disk_without_room_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The system names no file then; another fault without one keeps its traceback."""
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        monkeypatch.setattr("crossgate.config.load_config", Mock(side_effect=OSError(number, os.strerror(number))))
        assert run("check", DEMO, monkeypatch=monkeypatch) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"crossgate: {os.strerror(number).lower()}; what is whole was kept; make room")
        assert said.count("\n") == 1
    monkeypatch.setattr("crossgate.config.load_config", Mock(side_effect=OSError(errno.EIO, "wrong")))
    with pytest.raises(OSError, match="wrong"):
        run("check", DEMO, monkeypatch=monkeypatch)


def test_help_names_the_commands() -> None:
    """`python -m crossgate --help` names every command with its own line, whole on a terminal of 80 columns."""
    for words in ([], ["data"]):
        asked = [sys.executable, "-m", "crossgate", *words, "--help"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"})
        lines = answer.stdout.partition("Commands:\n")[2].splitlines()
        assert {"backtest", "check", "train", "compare"} <= {line.split()[0] for line in lines} or words
        assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []


def test_help_loads_nothing_heavy() -> None:
    """The command line itself imports none of the libraries that do the work."""
    heavy = "{'torch', 'numba', 'numpy', 'pandas', 'matplotlib', 'backtrader', 'talib', 'pydantic', 'scipy', 'ccxt'}"
    code = f"import sys, crossgate.command_line; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert answer.stdout.strip() == "[]"


def test_a_command_has_the_collector_begin_late() -> None:
    """Python's collector looks at a command's objects seldom; a process that imports crossgate keeps its own habits."""
    code = "import gc, sys; sys.argv = ['crossgate', '--version']; before = gc.get_threshold(); import crossgate\n"
    code += "assert gc.get_threshold() == before\nfrom crossgate.command_line import main\n"
    code += "assert gc.get_threshold() == before\ntry: main()\nexcept SystemExit: print(gc.get_threshold()[0])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert int(answer.stdout.splitlines()[-1]) == 50_000
