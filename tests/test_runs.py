"""Runs on disk: listed from an index that heals itself, labelled, and chosen by their figures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from result_factory import make_market, make_result, make_trades

from crossgate.run_list import runs_table
from foundation.errors import DataError, ParameterError
from reports.choosing import choose_runs
from reports.fingerprints import TABLES
from reports.index import INDEX, MARKS, _marks, list_runs
from reports.labels import FILE, Labels, change_labels, read_labels
from reports.report import write_report
from reports.stored_verdict import VERDICT, keep_verdict

TREE = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, one of them a level deeper, beside folders that hold none."""
    base, market = tmp_path_factory.mktemp("runs"), make_market(bars=400)
    write_report(make_result(market, make_trades(400, every=40), name="slow"), base / "one", baselines={})
    write_report(make_result(market, make_trades(400, every=20), name="fast"), base / "sweep" / "two", baselines={})
    (base / "models").mkdir()
    (base / "models" / "weights.safetensors").write_text("")
    return base


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    """A copy of the runs, to do with as a test likes."""
    return Path(shutil.copytree(written, tmp_path / "runs"))


def test_every_run_is_listed_and_nothing_else(root: Path) -> None:
    """Runs one and two levels deep, by folder, with their names, contracts and figures."""
    found = list_runs(root)
    assert [run.folder for run in found] == ["one", "sweep/two"]
    assert [run.name for run in found] == ["slow", "fast"]
    assert [run.metrics["trades"] for run in found] == [9, 19]
    assert found[0].symbols == ("TESTUSDT",)
    assert list_runs(root) == found


DAMAGES = ["", "{", '{"version": 4, "metrics": [], "runs": {}}', '{"version": 0, "runs": {}}', "[]", "cut", "short"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_makes_itself_anew(root: Path, damage: str) -> None:
    """Whatever stands in the index file, the list is that of the folders, and the next one is sound."""
    found = list_runs(root)
    content = json.loads((root / INDEX).read_text())
    content["runs"]["one"] = content["runs"]["one"][:3]
    cut = (root / INDEX).read_text()[:-20]
    (root / INDEX).write_text({"cut": cut, "short": json.dumps(content)}.get(damage, damage))
    assert list_runs(root) == found
    assert len(json.loads((root / INDEX).read_text())["runs"]) == 2


def test_new_changed_and_removed_runs_show_at_once(root: Path) -> None:
    """The index never stands between the folders and the list."""
    list_runs(root)
    shutil.copytree(root / "one", root / "three")
    assert [run.folder for run in list_runs(root)] == ["one", "sweep/two", "three"]
    metrics = json.loads((root / "one" / "metrics.json").read_text())
    (root / "one" / "metrics.json").write_text(json.dumps({**metrics, "trades": 77}))
    assert list_runs(root)[0].metrics["trades"] == 77
    shutil.rmtree(root / "sweep")
    assert [run.folder for run in list_runs(root)] == ["one", "three"]


def test_the_rung_of_the_verdict_is_a_figure_like_others(root: Path) -> None:
    """It comes from the verdict that a folder keeps, is sorted and chosen by, follows a new one, and may be missing."""
    record = {"facts": {}, "verdict": {"rung": 6}, "examination": None}
    keep_verdict(root / "one", record)
    (root / "sweep" / "two" / VERDICT).unlink()
    assert [run.metrics["rung"] for run in list_runs(root)] == [6, None]
    assert [run.name for run in choose_runs(list_runs(root), ["rung>=4"])] == ["slow"]
    keep_verdict(root / "sweep" / "two", {**record, "verdict": {"rung": 8}})
    assert [run.name for run in choose_runs(list_runs(root), sort="rung")] == ["fast", "slow"]
    keep_verdict(root / "one", {**record, "verdict": {"rung": 9}})
    assert [run.name for run in choose_runs(list_runs(root), sort="rung")] == ["slow", "fast"]
    (root / "one" / VERDICT).write_text("{")
    assert list_runs(root)[0].metrics["rung"] is None


def test_half_a_run_is_no_run(root: Path) -> None:
    """A folder with damaged figures is left out, and comes back when it is whole."""
    whole = (root / "one" / "metrics.json").read_text()
    (root / "one" / "metrics.json").write_text(whole[:100])
    assert [run.folder for run in list_runs(root)] == ["sweep/two"]
    (root / "one" / "metrics.json").write_text(whole)
    assert len(list_runs(root)) == 2


def test_no_folder_is_no_list(tmp_path: Path) -> None:
    """A place that holds no folder says so."""
    with pytest.raises(DataError, match="no folder of runs"):
        list_runs(tmp_path / "none")


def test_only_what_changed_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second list opens no run."""
    found = list_runs(root)
    monkeypatch.setattr("reports.index._read_run", lambda *_: pytest.fail("read again"))
    assert list_runs(root) == found


def test_writers_at_once_lose_no_run(root: Path) -> None:
    """While processes add runs and others list, every run that is whole is in the next list."""
    code = (
        "import shutil, sys; from pathlib import Path; from reports.index import list_runs\n"
        "root, name = Path(sys.argv[1]), sys.argv[2]\n"
        "for number in range(8):\n"
        "    shutil.copytree(root / 'one', root / f'.{name}{number}'); "
        "(root / f'.{name}{number}').rename(root / f'{name}{number}'); list_runs(root)\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(root), name], cwd=TREE) for name in "abc"]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert len(list_runs(root)) == 2 + 24


def test_runs_are_chosen_by_figures_and_tags(root: Path) -> None:
    """Conditions on metrics, all of them; tags; and an order by a metric."""
    change_labels(root / "one", add=["good", "btc"])
    found = list_runs(root)
    assert [run.name for run in choose_runs(found, ["trades>10"])] == ["fast"]
    assert [run.name for run in choose_runs(found, ["trades>=9", "trades<10"])] == ["slow"]
    assert choose_runs(found, ["skill>0"]) == [run for run in found if (run.metrics["skill"] or 0) > 0]
    assert [run.name for run in choose_runs(found, tags=["good", "btc"])] == ["slow"]
    assert [run.name for run in choose_runs(found, sort="trades")] == ["fast", "slow"]
    assert [run.name for run in choose_runs(found, sort="-trades")] == ["slow", "fast"]
    assert choose_runs(found, ["max_drawdown<100%"]) == found


@pytest.mark.parametrize(
    ("condition", "problem"),
    [("sharp>1", 'did you mean "sharpe"'), ("sharpe", "is no condition"), ("sharpe>one", "is no condition")],
)
def test_a_condition_that_says_nothing_is_refused(root: Path, condition: str, problem: str) -> None:
    """One line that says what to write."""
    with pytest.raises(ParameterError, match=problem):
        choose_runs(list_runs(root), [condition])
    with pytest.raises(ParameterError, match="names no metric"):
        choose_runs(list_runs(root), sort="sharp")


def test_labels_are_kept_changed_and_survive_a_run_again(root: Path) -> None:
    """Tags are a set of words, a note is replaced, and writing the run again keeps both."""
    assert read_labels(root / "one") == Labels()
    assert change_labels(root / "one", add=["b", "a"], note="first try") == Labels(("a", "b"), "first try")
    assert change_labels(root / "one", add=["c"], remove=["a"]) == Labels(("b", "c"), "first try")
    write_report(make_result(make_market(bars=400), make_trades(400)), root / "one", baselines={})
    assert list_runs(root)[0].labels == Labels(("b", "c"), "first try")
    with pytest.raises(ParameterError, match="is not one word"):
        change_labels(root / "one", add=["two words"])
    (root / "one" / FILE).write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        read_labels(root / "one")


def test_labels_given_at_once_are_all_kept(root: Path) -> None:
    """Processes that tag one run at the same time lose no tag."""
    code = "import sys; from pathlib import Path; from reports.labels import change_labels\n"
    code += "for number in range(8): change_labels(Path(sys.argv[1]), add=[f'{sys.argv[2]}{number}'])"
    words = [sys.executable, "-c", code, str(root / "one")]
    workers = [subprocess.Popen([*words, name], cwd=TREE) for name in "abc"]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert len(read_labels(root / "one").tags) == 24


def test_ten_thousand_runs_are_listed_without_opening_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an index, a list of many runs costs a look at each folder and no more (the benchmark times it)."""
    for number in range(300):
        folder = root / f"run{number}"
        folder.mkdir()
        for name in ("metrics.json", "run.json"):
            os.link(root / "one" / name, folder / name)
    assert len(list_runs(root)) == 302
    monkeypatch.setattr("reports.index._read_run", lambda *_: pytest.fail("read again"))
    before = time.process_time()
    assert len(list_runs(root)) == 302
    assert time.process_time() - before < 5.0


def test_each_file_that_a_list_watches_changes_the_mark_of_its_run(root: Path) -> None:
    """Records, labels, verdict and tables: a byte more, and another time of the same bytes, is another mark."""
    folder = root / "one"
    change_labels(folder, add=["a"])
    for name in (*MARKS, *TABLES):
        before = _marks(str(folder))
        with (folder / name).open("ab") as file:
            file.write(b" ")
        longer = _marks(str(folder))
        os.utime(folder / name, (2_000_000_000,) * 2)
        assert len({marks[0] for marks in (before, longer, _marks(str(folder)))}) == 3, name
    assert _marks(str(folder)) == _marks(str(folder))


def test_runs_are_ordered_and_chosen_by_what_they_are(root: Path) -> None:
    """By name, by the length of a bar, by when they were written and what they cover, both ways round."""
    market = make_market(bars=100, bar=900_000_000_000, start=1_700_000_000_000_000_000)
    write_report(make_result(market, make_trades(100), name="brief"), root / "zero", baselines={})
    for number, name in enumerate(("sweep/two", "one", "zero")):
        os.utime(root / name / "run.json", (1_700_000_000 + 86_400 * number,) * 2)
    runs = list_runs(root)
    assert [run.name for run in choose_runs(runs, sort="name")] == ["brief", "fast", "slow"]
    assert [run.name for run in choose_runs(runs, sort="-name")] == ["slow", "fast", "brief"]
    assert choose_runs(runs, sort="bar")[0].name == "brief"
    assert [run.name for run in choose_runs(runs, sort="written")] == ["brief", "slow", "fast"]
    assert [run.name for run in choose_runs(runs, sort="-written")] == ["fast", "slow", "brief"]
    assert choose_runs(runs, sort="last")[0].name == "brief"
    assert [run.name for run in choose_runs(runs, ["bar=15m"])] == ["brief"]
    assert [run.name for run in choose_runs(runs, ["bar>15m", "written>=2023-11-15"])] == ["slow"]
    assert [run.name for run in choose_runs(runs, ["name!=slow", "written=2023-11-14"])] == ["fast"]
    assert (runs[-1].first, runs[-1].bar) == (int(market.candles.timestamp[0]), 900_000_000_000)
    with pytest.raises(ParameterError, match="should be a number with a unit"):
        choose_runs(runs, ["bar=one"])


def test_a_run_that_does_not_say_its_span_is_listed(root: Path) -> None:
    """A folder of before there was a span has a dash there, and comes last."""
    record = json.loads((root / "one" / "run.json").read_text())
    del record["first_bar"], record["last_bar"]
    (root / "one" / "run.json").write_text(json.dumps(record))
    runs = list_runs(root)
    assert [run.first is None for run in runs] == [True, False]
    assert [run.name for run in choose_runs(runs, sort="first")] == ["fast", "slow"]


def test_a_run_of_a_few_days_has_no_figures_of_a_year(root: Path) -> None:
    """The list says that it is too short for a Sharpe ratio, and it meets no condition on one and comes last."""
    bars = make_market(bars=1200)
    write_report(make_result(bars, make_trades(1200), name="long"), root / "zero", baselines={})
    runs = list_runs(root)
    lines = "\n".join(runs_table(runs, ["sharpe", "trades"], 3)).splitlines()
    assert [("too short" in line) for line in lines[2:]] == [True, True, False]
    assert choose_runs(runs, sort="sharpe")[0].name == "long"
    assert [run.name for run in choose_runs(runs, ["sharpe>-99"])] == ["long"]
    assert len(choose_runs(runs, ["trades>0"])) == 3
