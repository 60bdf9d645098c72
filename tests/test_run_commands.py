"""The commands about runs: what they say, in words and in JSON, and their exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from result_factory import make_market, make_result, make_trades

from backtests.run import solo
from crossgate.command_line import main
from markets.demo import demo_market
from reports.fingerprints import altered_files
from reports.report import check_folder, write_report

DEMO = str(Path(__file__).resolve().parent.parent / "backtests" / "configs" / "demo.toml")
SMALL = [
    "--set", "market.bars=2000", "--set", "walk_forward.train=60d", "--set", "walk_forward.test=20d",
    "--set", "walk_forward.seeds=1", "--set", "model.steps=5",
]  # fmt: skip


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code of `crossgate` with some words, and what it said on both outputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["crossgate", *map(str, words)])
        patch.setenv("COLUMNS", "200")
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs made in Python, and one by the command line."""
    base, market = tmp_path_factory.mktemp("runs"), make_market(bars=400)
    for name, every in (("slow", 40), ("fast", 20)):
        write_report(make_result(market, make_trades(400, every=every), name=name), base / name, baselines={})
    words = [sys.executable, "-m", "crossgate", "backtest", *SMALL, "--out", str(base / "demo"), "--json"]
    subprocess.run(words, capture_output=True, text=True, check=True)
    return base


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    """A copy of the runs."""
    return Path(shutil.copytree(written, tmp_path / "runs"))


def test_runs_are_listed_sorted_and_chosen(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table with the figures asked for; JSON holds them all."""
    code, said, _ = call("runs", root, "--sort", "trades", "--columns", "trades,sharpe", capsys=capsys)
    assert code == 0
    assert said.index("fast") < said.index("slow")
    assert "Trades" in said
    code, said, _ = call("runs", root, "--sort", "rung", capsys=capsys)
    assert said.splitlines()[1].split()[:5] == ["folder", "markets", "bar", "written", "Rung"]
    rung = json.loads((root / "demo" / "verdict.json").read_text("utf-8"))["verdict"]["rung"]
    code, said, _ = call("runs", root, "--where", f"rung={rung}", "--json", capsys=capsys)
    assert {run["folder"]: run["metrics"]["rung"] for run in json.loads(said)["runs"]}["demo"] == rung
    code, said, _ = call("runs", root, "--where", "trades>=19", "--where", "trades<=19", "--json", capsys=capsys)
    found = [run["folder"] for run in json.loads(said)["runs"]]
    assert "fast" in found
    assert "slow" not in found
    chosen = {"market=testusdt": {"fast", "slow"}, "markets=DEMO": {"demo"}, "market!=DEMO": {"fast", "slow"}}
    for condition, folders in chosen.items():
        code, said, _ = call("runs", root, "--where", condition, "--json", capsys=capsys)
        assert {run["folder"] for run in json.loads(said)["runs"]} == folders
    code, said, _ = call("runs", root, "--sort", "markets", "--columns", "market,trades", capsys=capsys)
    assert said.splitlines()[1].split() == ["folder", "markets", "Trades", "labels"]
    assert said.splitlines()[2].startswith("demo")
    code, _, error = call("runs", root, "--where", "market>DEMO", capsys=capsys)
    assert code == 2
    assert "market=BTC" in error
    code, _, error = call("runs", root, "--columns", "sharp", capsys=capsys)
    assert (code, error) == (2, "crossgate: columns = 'sharp': names no metric; did you mean \"sharpe\"?\n")
    code, _, error = call("runs", root / "none", capsys=capsys)
    assert code == 2
    assert "is no folder of runs" in error


def test_a_run_is_shown_with_its_labels(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tags and note come with the figures, and the odds against all trials."""
    code, said, _ = call("label", root / "slow", "--add", "keeper", "--note", "the calm one", capsys=capsys)
    assert (code, said) == (0, f"{root / 'slow'}: keeper; the calm one\n")
    code, said, _ = call("show", root / "slow", capsys=capsys)
    assert code == 0
    for word in ("[keeper] the calm one", "Sharpe", "odds of more than luck", "report.html"):
        assert word in said
    code, said, _ = call("show", root / "slow", "--json", capsys=capsys)
    assert json.loads(said)["name"] == "slow"
    code, _, error = call("show", root, capsys=capsys)
    assert code == 2
    assert "is no run folder" in error
    assert f"name one of the runs in it, such as {root / 'demo'}" in error
    code, said, _ = call("runs", root, "--tag", "keeper", capsys=capsys)
    assert said.splitlines()[0] == "1 of 3 runs"
    code, said, _ = call("runs", root, "--tag", "none", capsys=capsys)
    assert (code, said) == (0, "0 of 3 runs\n")


def test_a_difference_is_found_and_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first bar, the cause, both figures; and sameness where there is no difference."""
    code, said, _ = call("diff", root / "slow", root / "fast", capsys=capsys)
    assert code == 1
    assert said.startswith("they part at 2023-01-")
    code, said, _ = call("diff", root / "slow", root / "fast", "--json", capsys=capsys)
    assert code == 1
    assert json.loads(said)["parting"]["cause"] in ("fill", "size", "signal", "data")
    code, _, error = call("diff", root / "slow", root / "none", capsys=capsys)
    assert (code, error) == (2, f"crossgate: {root / 'none'}: does not exist; name a folder that a backtest wrote\n")
    code, said, _ = call("diff", root / "slow", root / "slow", capsys=capsys)
    assert (code, said) == (0, "the two runs are the same at every bar\ntheir settings are the same\n")


def test_a_run_is_reproduced_to_the_last_bit(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From its folder alone, moved elsewhere, the same fills come out."""
    code, said, _ = call("reproduce", root / "demo", capsys=capsys)
    fills = len(pd.read_parquet(root / "demo" / "fills.parquet"))
    assert fills > 0
    assert code == 0
    first, second = said.splitlines()
    assert first == f"{root / 'demo'}: every bar and all {fills:,} fills are the same"
    assert re.fullmatch(r"  forecasts: from the cache \(\d+ networks\); --retrain trains them again", second)
    code, said, _ = call("reproduce", root / "demo", "--retrain", capsys=capsys)
    assert (code, said.splitlines()[0]) == (0, first)
    assert re.fullmatch(r"  forecasts: trained again \((\d+) of \1 networks\)", said.splitlines()[1])


BESIDE = """
[run]
name = "beside"
[market]
contract = "binance_usdm:BTCUSDT"
candles = "hours.parquet"
[features]
columns = ["return:1", "half_return", "news.score"]
file = "mine.py"
[[exogenous]]
name = "news"
file = "./news.csv"
time = "time"
published_after = "0m"
text = "words"
scorer = "./mood.py:mood"
stale_after = "30d"
neutral = 0.0
[account]
missing_funding = "zero"
"""
MINE = """
import crossgate as cg

@cg.feature(warm_up=lambda: 0, memory=lambda: 1)
def half_return(inputs):
    return 0.5 * (inputs.close / inputs.open - 1.0)
"""


def test_a_run_with_files_beside_its_config_is_reproduced_without_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Own features, a series and its scorer lie in the folder with fingerprints; the data folder is remembered."""
    desk, data, run = tmp_path / "desk", tmp_path / "data", tmp_path / "runs" / "beside"
    for folder in (desk, data):
        folder.mkdir()
    candles = demo_market(bars=2000).candles.frame()
    candles.to_parquet(data / "hours.parquet", index=False)
    (desk / "c.toml").write_text(BESIDE)
    (desk / "mine.py").write_text(MINE)
    (desk / "mood.py").write_text("def mood(text):\n    return 1.0 if 'up' in text else -1.0\n")
    stamps = candles["timestamp"].iloc[::50].dt.strftime("%Y-%m-%d %H:%M:%S")
    words = ["up", "down"] * (len(stamps) // 2)
    pd.DataFrame({"time": stamps, "words": words}).to_csv(desk / "news.csv", index=False)
    given = ["backtest", desk / "c.toml", *SMALL[2:], "--set", "run.retraining=false"]
    given += ["--set", "run.interpretation=false", "--data", data, "--out", run]
    code, _, error = call(*given, capsys=capsys)
    assert code == 0, error
    left = {path.name: path.read_bytes() for path in (run / "inputs").iterdir()}
    assert left == {name: (desk / name).read_bytes() for name in ("mine.py", "mood.py", "news.csv")}
    assert json.loads((run / "run.json").read_text("utf-8"))["data"] == str(data)
    shutil.rmtree(desk)
    moved = Path(shutil.move(run, tmp_path / "moved"))
    code, said, _ = call("reproduce", moved, capsys=capsys)
    assert (code, "fills are the same" in said) == (0, True)
    assert altered_files(moved) == ()
    assert {path.name for path in (moved / "inputs").iterdir()} == set(left)
    (moved / "inputs" / "news.csv").write_bytes(left["news.csv"].replace(b"up", b"no"))
    code, said, _ = call("reproduce", moved, capsys=capsys)
    assert "altered after it was written: inputs/news.csv" in said
    assert "market BTCUSDT: " in said
    shutil.move(data, tmp_path / "elsewhere")
    code, said, _ = call("reproduce", moved, capsys=capsys)
    assert code == 2
    code, said, _ = call("reproduce", moved, "--data", tmp_path / "elsewhere", capsys=capsys)
    assert "altered after it was written: inputs/news.csv" in said


def changed_fill(folder: Path) -> Any:
    """The stamp of a fill whose price was changed in a run folder."""
    fills = pd.read_parquet(folder / "fills.parquet")
    fills.loc[1, "price"] *= 1.0 + 1e-12
    fills.to_parquet(folder / "fills.parquet", index=False)
    return fills["timestamp"].iloc[1]


def test_a_changed_fill_and_another_version_are_seen(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last digit of one price, and a library that is not the one of then, both come to light; exit code 1."""
    stamp = changed_fill(root / "demo")
    record = json.loads((root / "demo" / "run.json").read_text())
    assert len(record["versions"]["crossgate sources"]) == 32
    record["versions"] |= {"numpy": "1.0", "crossgate sources": "0" * 32}
    (root / "demo" / "run.json").write_text(json.dumps(record))
    code, said, _ = call("reproduce", root / "demo", capsys=capsys)
    assert code == 1
    assert f"different from {stamp:%Y-%m-%d %H:%M}" in said
    assert "numpy: 1.0 then, " in said
    assert f"crossgate sources: {'0' * 32} then, " in said
    assert "altered after it was written: fills.parquet, run.json" in said
    code, said, _ = call("reproduce", root / "demo", "--json", capsys=capsys)
    answer = json.loads(said)
    assert (code, answer["same"], answer["parting"]["cause"]) == (1, False, "price")


def test_a_run_is_verified_by_every_driver(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The certificate names drivers, fills, versions and fingerprints, stands in the folder and belongs there."""
    code, said, _ = call("verify", root / "demo", capsys=capsys)
    fills = len(pd.read_parquet(root / "demo" / "fills.parquet"))
    assert code == 0
    drivers = ("fast loop", "its own loop", "kernel", "plain-Python witness")
    for word in (*(f"{one}: the same" for one in drivers), f"{fills:,} fills", "numba"):
        assert word in said
    kept = json.loads((root / "demo" / "certificate.json").read_text("utf-8"))
    run = json.loads((root / "demo" / "run.json").read_text("utf-8"))
    assert kept["agreed"]
    assert [one["fills"] for one in kept["checks"]] == [fills] * 4
    assert max(one["equity_apart"] for one in kept["checks"]) <= kept["tolerance"] == 1e-9
    assert kept["made_from"]["markets"] == run["markets"]
    assert check_folder(root / "demo") == (root / "demo").resolve()


def test_a_driver_that_parts_is_named_with_the_first_bar(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel whose accounts begin with a coin too much: exit code 1, the bar, both figures; Backtrader agrees."""
    honest = solo.play_settings

    def faulty(*given: Any) -> int:
        return int(honest(*given[:3], given[3] + 1.0, *given[4:]))

    monkeypatch.setattr(solo, "play_settings", faulty)
    code, said, _ = call("verify", root / "demo", capsys=capsys)
    first = pd.read_parquet(root / "demo" / "equity.parquet")["timestamp"].iloc[0]
    assert code == 1
    assert f"kernel: parts at {first:%Y-%m-%d %H:%M} UTC, bar 1: equity 10000.0 and 10001.0" in said
    assert said.count("the same") == 3
    monkeypatch.undo()
    stamp = changed_fill(root / "demo")
    code, said, _ = call("verify", root / "demo", "--json", capsys=capsys)
    answer = json.loads(said)
    assert (code, answer["agreed"]) == (1, False)
    # The witness comes to 1e-9 of a price, not to its last digit.
    assert [one["parts_at"] for one in answer["checks"]] == [f"{stamp:%Y-%m-%d %H:%M}"] * 3 + [""]
    assert "fill 2: price" in answer["checks"][0]["parts"]
    code, _, error = call("verify", root / "slow", capsys=capsys)
    assert code == 2
    assert "was made in Python" in error


def test_a_run_made_in_python_says_that_it_cannot_be_reproduced(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its market stands in no file: one line says so and what to do instead."""
    code, said, error = call("reproduce", root / "slow", capsys=capsys)
    assert (code, said) == (2, "")
    assert "was made in Python" in error
    code, _, error = call("reproduce", root / "none", capsys=capsys)
    assert code == 2
    assert "is no run folder" in error


def test_a_sweep_prints_the_best_and_keeps_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best settings by plateau, what each value does alone, the trials, and every setting in a file."""
    words = ["sweep", DEMO, *SMALL, "--grid", "risk.leverage=1,2", "--grid", "risk.stop_loss=1%:3%:3"]
    code, said, _ = call(*words, "--out", tmp_path / "all", "--count", 2, capsys=capsys)
    assert code == 0
    for word in ("6 settings, the best by plateau", "risk.stop_loss", "trials on this data", "overfitting"):
        assert word in said
    assert len(pd.read_parquet(tmp_path / "all" / "settings.parquet")) == 6
    code, said, _ = call(*words, "--out", tmp_path / "all", "--by", "sharpe", "--json", capsys=capsys)
    answer = json.loads(said)
    # Sizes by risk do not reach the leverage here, so settings that differ in it alone are listed once.
    assert (answer["settings"], len(answer["best"])) == (6, 3)
    code, said, error = call(*words[:-1], "risk.stop_los=1%", capsys=capsys)
    assert (code, said) == (2, "")
    assert 'did you mean "stop_loss"' in error


def test_a_tuning_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The best trial, the report, the tables; asked for more trials, those that are there count."""
    words = [
        "tune",
        DEMO,
        *SMALL,
        "--over",
        "risk.stop_loss=1%:3%",
        "--over",
        "risk.leverage=1,2",
        "--out",
        tmp_path / "t",
    ]
    code, said, _ = call(*words, "--trials", 6, "--constraint", "trades>=1", capsys=capsys)
    assert code == 0
    for word in ("6 trials", "risk.stop_loss", "report: "):
        assert word in said
    kept = pd.read_parquet(tmp_path / "t" / "trials.parquet")
    code, said, _ = call(*words, "--trials", 8, "--constraint", "trades>=1", "--json", capsys=capsys)
    answer = json.loads(said)
    assert (answer["trials"], len(answer["best"])) == (8, 1)
    assert pd.read_parquet(tmp_path / "t" / "trials.parquet").iloc[:6].equals(kept)
    code, _, error = call(*words, "--objective", "sharp", capsys=capsys)
    assert code == 2
    assert 'did you mean "sharpe"' in error


def test_a_tuning_is_judged_on_what_follows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--walk-forward chooses on past folds, and says what became of the ratio afterwards."""
    words = ["tune", DEMO, *SMALL, "--over", "risk.stop_loss=1%:3%", "--out", tmp_path / "t", "--walk-forward", 2]
    code, said, _ = call(*words, "--trials", 4, capsys=capsys)
    assert code == 0
    assert "on what followed" in said
    assert "chosen on the past" in (tmp_path / "t" / "report.html").read_text()


@pytest.mark.parametrize("command", ["show", "verdict", "runs"])
def test_a_look_at_a_run_waits_for_no_pandas(command: str, written: Path) -> None:
    """What prints a run that is there reads its curve alone: pandas would take longer than all the rest."""
    asked = written if command == "runs" else written / "demo"
    words = f"import sys; sys.argv = ['crossgate', {command!r}, {str(asked)!r}]; sys.modules['pandas'] = None"
    code = f"{words}; from crossgate.command_line import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout or "rung" in done.stdout
