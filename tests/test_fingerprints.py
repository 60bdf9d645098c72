"""Fingerprints of a run folder: whatever is altered after it was written is named in one line."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
from result_factory import make_market, make_result, make_trades

from crossgate.command_line import main
from foundation.trials import TrialLedger
from reports.comparison import compare
from reports.fingerprints import FILE, altered_files, touched_files
from reports.report import write_report
from reports.stored_verdict import keep_verdict, stored_record


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    base = tmp_path_factory.mktemp("runs")
    result = make_result(make_market(bars=400), make_trades(400), name="one")
    return write_report(result, base / "one", baselines={}, ledger=TrialLedger(base / "ledger")).parent


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to do with as a test likes."""
    return Path(shutil.copytree(written, tmp_path / "runs" / "one"))


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of `crossgate` with some words, and what it said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["crossgate", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, capsys.readouterr().out


def test_a_folder_is_as_it_was_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is altered, labels and a PDF that come later included, and no command says otherwise."""
    call("label", folder, "--add", "good", capsys=capsys)
    (folder / "report.pdf").write_bytes(b"later")
    assert altered_files(folder) == touched_files(folder) == ()
    for words in (["verdict", folder], ["show", folder], ["runs", folder.parent], ["diff", folder, folder]):
        code, said = call(*words, capsys=capsys)
        assert code == 0
        assert "ltered" not in said


@pytest.mark.parametrize("name", ["fills.parquet", "metrics.json", "config.toml"])
def test_every_file_is_watched(folder: Path, name: str) -> None:
    """A byte more, a byte less, another byte of the same length, and a file that is gone."""
    content = (folder / name).read_bytes()
    for changed in (content + b" ", content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
        (folder / name).write_bytes(changed)
        assert altered_files(folder) == touched_files(folder) == (name,)
    (folder / name).write_bytes(content)
    assert altered_files(folder) == touched_files(folder) == ()
    (folder / name).unlink()
    assert altered_files(folder) == touched_files(folder) == (name,)


def test_all_files_of_a_run_have_one(folder: Path) -> None:
    """Whatever `write_report` leaves is in the list, but the list itself."""
    known = json.loads((folder / FILE).read_text("utf-8"))
    assert set(known) == {path.name for path in folder.iterdir()} - {FILE}


def test_an_altered_table_is_told_by_every_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One clear line in verdict (exit code 1), show, runs, diff and compare, in words and in JSON."""
    equity = pd.read_parquet(folder / "equity.parquet")
    equity["equity"] *= 1.5
    equity.to_parquet(folder / "equity.parquet", index=False)
    line = "Altered after it was written: equity.parquet."
    code, said = call("verdict", folder, capsys=capsys)
    assert (code, said.splitlines()[0][: len(line)]) == (1, line)
    code, said = call("verdict", folder, "--json", capsys=capsys)
    assert (code, json.loads(said)["altered"]) == (1, ["equity.parquet"])
    assert line in call("show", folder, capsys=capsys)[1].splitlines()[0]
    assert line in call("diff", folder, folder, capsys=capsys)[1]
    assert "one: altered after it was written: equity.parquet" in call("runs", folder.parent, capsys=capsys)[1]
    assert json.loads(call("runs", folder.parent, "--json", capsys=capsys)[1])["runs"][0]["altered"] == [
        "equity.parquet"
    ]
    assert any(line in one for one in compare(folder, folder).warnings)


def test_the_list_of_runs_sees_what_changes_between_two_lists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that the index knows as sound is looked at again when a table of it is written, and when it is mended."""
    content = (folder / "trades.parquet").read_bytes()
    assert "altered" not in call("runs", folder.parent, capsys=capsys)[1]
    (folder / "trades.parquet").write_bytes(content[:-1] + b"X")
    assert "trades.parquet" in call("runs", folder.parent, capsys=capsys)[1]
    (folder / "trades.parquet").write_bytes(content)
    assert "altered" not in call("runs", folder.parent, capsys=capsys)[1]


def test_a_copy_is_no_alteration(folder: Path) -> None:
    """Other times of the files say nothing as long as they hold what they held."""
    for number, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (2_000_000_000 + number, 2_000_000_000 + number))
    assert altered_files(folder) == touched_files(folder) == ()


def test_a_folder_without_fingerprints_says_that_it_cannot_be_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Taken away, they prove nothing, and the verdict says so; a damaged list is an altered file."""
    (folder / FILE).unlink()
    assert altered_files(folder) is None
    code, said = call("verdict", folder, capsys=capsys)
    assert code == 0
    assert "cannot be told" in said
    (folder / FILE).write_text("{")
    assert altered_files(folder) == (FILE,)


def test_the_verdict_that_crossgate_keeps_is_no_alteration(folder: Path) -> None:
    """What the command itself writes has its fingerprint put down."""
    record = stored_record(folder)
    assert record is not None
    keep_verdict(folder, {**record, "examination": None})
    assert altered_files(folder) == ()


def test_the_verdict_of_a_day_alters_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for its verdict a folder stays as it is, to the last byte."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert call("verdict", folder, capsys=capsys)[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
