"""Runs side by side."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from result_factory import make_market, make_result, make_trades

from backtests.run.result import Result
from foundation.errors import CrossgateError, DataError, ParameterError
from reports import comparison_tables
from reports.comparison import compare
from reports.comparison_text import comparison_summary
from reports.intervals import Interval
from reports.paired import Difference, Differences
from reports.report import write_report
from strategies.parameters import RiskParams


def run(name: str, every: int, leverage: float = 3.0, synthetic: bool = False) -> Result:
    """A small run that trades every so many bars."""
    market = make_market(bars=400, synthetic=synthetic)
    return make_result(market, make_trades(400, every=every), name=name, risk=RiskParams(leverage=leverage))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two run folders that differ in leverage."""
    base = tmp_path_factory.mktemp("runs")
    write_report(run("slow", 40), base / "one", baselines={})
    write_report(run("fast", 20, leverage=5.0), base / "two", baselines={})
    return base


@pytest.fixture
def folders(written: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Copies of the two run folders, to do with as a test likes."""
    one, two = (shutil.copytree(written / name, tmp_path / name) for name in ("one", "two"))
    return one, two


def test_folders_and_results_compare_alike(folders: tuple[Path, Path]) -> None:
    """A run folder gives the same metrics and settings as the Result that it was written from."""
    from_folders = compare(*folders)
    from_results = compare(run("slow", 40), run("fast", 20, leverage=5.0))
    pd.testing.assert_frame_equal(from_folders.table.drop("rung"), from_results.table.drop("rung"))
    pd.testing.assert_frame_equal(from_folders.differences, from_results.differences)
    assert list(from_folders.table.columns) == ["slow", "fast"]
    assert from_folders.table.T["trades"].to_list() == [9, 19]


def test_settings_that_differ_are_named(folders: tuple[Path, Path]) -> None:
    """Only the keys that differ appear, with the value of each run."""
    assert compare(*folders).differences.to_dict("index") == {"risk.leverage": {"slow": "3.0", "fast": "5.0"}}


def test_the_text_is_a_table(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """str() names the runs, the metrics, the settings that differ, and nothing is wider than its column."""
    monkeypatch.setenv("COLUMNS", "100")
    lines = str(compare(*folders)).splitlines()
    assert lines[0] == "TESTUSDT · 1 hour bars · 1 January 2023 to 17 January 2023 · 400 bars"
    assert lines[2] == "Metrics, money in USDT"
    assert lines[3].split() == ["slow", "fast"]
    assert any(line.split() == ["Trades", "9", "19"] for line in lines)
    assert any(line.split() == ["risk.leverage", "3.0", "5.0"] for line in lines)
    assert len({len(line) for line in lines if line.startswith(("Trades", "Total return", "Fees"))}) == 1


def test_verdict_calmar_and_both_streaks_are_compared(folders: tuple[Path, Path]) -> None:
    """The rung of the folder's verdict stands first, and every headline of a run has a row."""
    table = compare(*folders).table
    assert table.index[0] == "rung"
    rungs = [json.loads((one / "verdict.json").read_text("utf-8"))["verdict"]["rung"] for one in folders]
    assert table.loc["rung"].to_list() == rungs
    for name in ("calmar", "longest_winning_streak", "longest_losing_streak", "sharpe", "max_drawdown_bars"):
        assert table.loc[name].notna().all()


def test_differences_of_percentages_are_in_points(folders: tuple[Path, Path]) -> None:
    """Growth of 281.7 % against 153.7 % is 128 percentage points less, not 128 %; a ratio has no unit."""
    grown = Difference(-1.28, Interval(-2.5, -0.3))
    ratio = Difference(-0.5, Interval(-1.0, 0.2))
    found = comparison_tables.difference_table(
        SimpleNamespace(runs=compare(*folders).runs, paired={"fast": Differences(ratio, grown, grown)})  # type: ignore[arg-type]
    )
    assert found is not None
    cells = [cell.text for cell in found.rows[0]]
    assert cells[5:] == ["\N{MINUS SIGN}128.0 pp*", "\N{MINUS SIGN}250.0 pp to \N{MINUS SIGN}30.0 pp"]
    assert not any("%" in cell for cell in cells)
    assert "percentage points (pp)" in found.caption


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_ten_runs_fit_a_terminal(width: int) -> None:
    """No line is wider than the terminal; letters stand for long names, and every figure of every run is there."""
    runs = [run(f"the run that trades every {every} bars", every) for every in range(20, 40, 2)]
    comparison = compare(*runs)
    lines = str(comparison_summary(comparison, width)).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[lines.index("Runs") + 1] == "A  the run that trades every 20 bars"
    trades = [cell for line in lines if line.startswith("Trades") for cell in line.split()[1:]]
    assert trades == [str(one.metrics["trades"]) for one in comparison.runs.values()]
    heads = [line.split() for line in lines if line.split()[:1] == ["A"] and "B" in line.split()]
    assert heads
    assert sum(line.startswith("A  the run") for line in lines) >= 4


def test_a_comparison_says_what_was_played() -> None:
    """One line where all runs had the same market, bars and days, else one for each run; the page says it too."""
    one, other = run("slow", 40), run("fast", 20)
    same = "TESTUSDT · 1 hour bars · 1 January 2023 to 17 January 2023 · 400 bars"
    assert compare(one, other).played == (same,)
    shorter = make_result(make_market(bars=300), make_trades(300, every=20), name="shorter")
    assert compare(one, shorter).played == (
        f"slow: {same}",
        "shorter: TESTUSDT · 1 hour bars · 1 January 2023 to 13 January 2023 · 300 bars",
    )


def test_few_runs_keep_their_names(folders: tuple[Path, Path]) -> None:
    """Where names fit there are no letters."""
    lines = str(comparison_summary(compare(*folders), 100)).splitlines()
    assert "Runs" not in lines
    assert any(line.split()[:1] == ["slow"] and "█" in line for line in lines)


def test_the_curves_of_a_comparison_share_a_scale() -> None:
    """The run that earns most reaches the top of the scale, the one that lost stays below it. A rolling ratio of a
    few days is no curve."""
    one, other = run("slow", 40), run("fast", 20)
    lines = str(comparison_summary(compare(one, other), 120)).splitlines()
    drawn = lines[lines.index("Curves, each kind on one scale") + 2 :]
    ends = {line.split()[0]: line.split()[1] for line in drawn if line}
    highest = max((one, other), key=lambda result: result.equity["equity"].max()).name
    assert "█" in ends[highest] or "▇" in ends[highest]
    assert all(len(line.split()) == 4 for line in drawn[:2])


def test_equal_settings_are_said_to_be_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of the same settings say so, and runs of one name are told apart."""
    monkeypatch.setenv("COLUMNS", "100")
    text = str(compare(run("same", 40), run("same", 20)))
    assert "settings: the same" in text
    assert text.splitlines()[3].split() == ["same", "same", "#2"]


def test_names_that_meet_take_the_name_of_their_folder(tmp_path: Path) -> None:
    """Two folders of runs with one name are shown with the folder's name."""
    for name in ("first", "second"):
        write_report(run("same", 40), tmp_path / name, baselines={})
    table = compare(tmp_path / "first", tmp_path / "second").table
    assert list(table.columns) == ["same (first)", "same (second)"]


def test_runs_that_do_not_match_are_warned_about() -> None:
    """Other data, another span and a synthetic market are each said."""
    long = make_result(make_market(bars=600, seed=4), make_trades(600), name="long")
    text = str(compare(run("short", 40, synthetic=True), long))
    assert "note: The runs were played on different market data." in text
    assert "note: The runs cover different spans of time." in text
    assert "synthetic market" in text
    assert compare(run("a", 40), run("b", 20)).warnings == ()


def test_the_page_overlays_the_curves(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """`out` names an HTML file, or a folder for comparison.html; the page holds both curves and is reproducible."""
    found = compare(*folders, out=tmp_path / "page.html")
    assert found.path == tmp_path / "page.html"
    text = found.path.read_text("utf-8")
    assert "slow from" in text
    assert "fast from" in text
    assert "risk.leverage" in text
    again = compare(*folders, out=tmp_path / "somewhere")
    assert again.path == tmp_path / "somewhere" / "comparison.html"
    assert again.path.read_text("utf-8") == text


def test_without_out_nothing_is_written(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A comparison writes only where it is told to."""
    before = sorted(tmp_path.rglob("*"))
    assert compare(*folders).path is None
    assert sorted(tmp_path.rglob("*")) == before


def test_a_single_run_is_not_compared() -> None:
    """One run, or none, is an error that says what to do."""
    with pytest.raises(ParameterError, match="name two run folders or more"):
        compare(run("alone", 40))


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        ("missing", "does not exist"),
        ("file", "is no folder"),
        ("empty", r"is no run folder: config\.toml is missing"),
        ("json", r"metrics\.json: is damaged"),
        ("record", r"run\.json: is damaged"),
        ("toml", r"config\.toml: is damaged"),
        ("parquet", r"equity\.parquet: is damaged"),
        ("positions", r"positions\.parquet: is damaged"),
        ("columns", r"equity\.parquet: is damaged"),
        ("no bars", "holds no bars"),
    ],
)
def test_a_folder_that_is_no_run_is_named(
    defect: str, message: str, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """Every way in which a folder can fail to be a run is one line that names the file, and no page is written."""
    one, bad = folders
    match defect:
        case "missing":
            bad = tmp_path / "nowhere"
        case "file":
            bad = one / "metrics.json"
        case "empty":
            bad = tmp_path / "empty"
            bad.mkdir()
        case "json":
            (bad / "metrics.json").write_text("{")
        case "record":
            (bad / "run.json").write_text(json.dumps({"name": "x"}))
        case "toml":
            (bad / "config.toml").write_text("= 1")
        case "parquet":
            (bad / "equity.parquet").write_bytes(b"PAR1")
        case "positions":
            (bad / "positions.parquet").write_bytes(b"PAR1")
        case "columns":
            pd.DataFrame({"timestamp": [1]}).to_parquet(bad / "equity.parquet")
        case "no bars":
            pd.read_parquet(bad / "equity.parquet").iloc[:0].to_parquet(bad / "equity.parquet")
    with pytest.raises(CrossgateError, match=message) as caught:
        compare(one, bad, out=tmp_path / "page.html")
    assert isinstance(caught.value, DataError)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "page.html").exists()
