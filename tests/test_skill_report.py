"""Skill in front of people: the table in the run folder, the section of the page, the command, and their agreement."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from result_factory import make_forecasts, make_market, make_result, make_trades
from test_public_names import loaded_after

from backtests.run.result import Result
from crossgate.command_line import main
from foundation.errors import DataError
from models.calibration import with_intervals
from models.evidence import forecast_evidence
from models.forecasts import Forecasts, Retraining
from reports.metrics import measure_evidence
from reports.report import write_report
from reports.skill_path import forecast_bands
from reports.skill_tables import paired_table, skill_record, skill_tables
from reports.tracks import forecast_table, read_retrainings, read_tracks, result_tracks
from strategies.parameters import CrossoverParams

MARKETS = [make_market(bars=900, synthetic=True, predictability=0.1), make_market(bars=900, symbol="OTHERUSDT")]


def rich_forecasts(weight: float = 1.0) -> Forecasts:
    """Forecasts of both markets from bar 200 on, with all that forecasts of the first may say besides."""
    made = with_intervals(make_forecasts(MARKETS, from_row=200, weight=weight), MARKETS)
    series = dict(made.series)
    one = series["TESTUSDT"]
    extras: dict[str, Any] = {field.name: getattr(one, field.name) for field in fields(one)}
    extras["members"] = np.column_stack([one.mean - 1e-4, one.mean + 1e-4])
    extras["degrees_of_freedom"] = np.full(700, 5.0)
    extras["position"] = np.tanh(100 * one.mean)
    stamps = [int(stamp) for stamp in one.timestamp[[100, 300]]]
    alarms = (
        Retraining("TESTUSDT", stamps[0], "likelihood", 0.31, 0.52, 1),
        Retraining("TESTUSDT", stamps[1], "rsi:14", 0.4, 0.25, -1),
    )
    return Forecasts({**series, "TESTUSDT": type(one)(**extras)}, "rich", retrainings=alarms)


def run(weight: float = 1.0, **changes: Any) -> Result:
    """A run of both markets."""
    return make_result(MARKETS, make_trades(900, every=30), forecasts=rich_forecasts(weight), **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, beside that of another one with weaker forecasts."""
    where = tmp_path_factory.mktemp("runs")
    write_report(run(0.2), where / "weak", baselines={})
    return write_report(run(), where / "strong", baselines={}).parent


def test_tracks_come_back_as_they_were(folder: Path) -> None:
    """The table of a run folder holds every candle and all that the forecasts said, market by market."""
    before, after = result_tracks(run()), read_tracks(folder)
    assert list(after) == ["TESTUSDT", "OTHERUSDT"]
    for one in before:
        for field in fields(one):
            expected, found = getattr(one, field.name), getattr(after[one.symbol], field.name)
            if isinstance(expected, np.ndarray):
                np.testing.assert_array_equal(found, expected, err_msg=field.name)
            else:
                assert found == expected, field.name
    assert len(pd.read_parquet(folder / "forecasts.parquet")) == 1800


def test_the_folder_tells_the_same_as_the_run(folder: Path) -> None:
    """metrics.json holds the evidence by symbol, and measuring the folder again comes to the same."""
    metrics = json.loads((folder / "metrics.json").read_text())
    again = {symbol: skill_record(forecast_evidence(track)) for symbol, track in read_tracks(folder).items()}
    assert metrics["forecasts"] == json.loads(json.dumps(again))
    held = metrics["forecasts"]["TESTUSDT"]
    assert held["skill"]["skill_p"] < 0.05
    assert [seed["label"] for seed in held["seeds"]] == ["seed 1", "seed 2"]
    assert metrics["forecasts"]["OTHERUSDT"]["seeds"] == []
    assert metrics["skill"] == pytest.approx(np.mean([one["skill"]["skill"] for one in metrics["forecasts"].values()]))


def test_the_page_has_the_section(folder: Path) -> None:
    """Verdicts, naive forecasts, parts, echoes, intervals and the band stand in the report."""
    page = (folder / "report.html").read_text("utf-8")
    for words in (
        "TESTUSDT: Skill: squared error", "ridge on lags", "Is it yesterday&#39;s price?", "TESTUSDT: by model",
        "by volatility when they were made", "by the seed of the network", "Interval: held, of 90% wanted",
        "with the 90% interval that was issued one bar before", "Diebold-Mariano",
    ):  # fmt: skip
        assert words in page, words


def test_alarms_of_drift(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every alarm stands in run.json, on the page and in what the command says, with what it led to."""
    assert read_retrainings(folder) == list(rich_forecasts().retrainings)
    page = (folder / "report.html").read_text()
    monkeypatch.setenv("COLUMNS", "160")
    assert command(monkeypatch, folder) == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in (" ".join(page.split()), said):
        assert "Likelihood fell: mean rank" in text
        assert "rsi:14 moved: stability index" in text
        assert "model 2" in text
        assert "none: no more were allowed" in text
    assert command(monkeypatch, folder, "--json") == 0
    assert [one["model"] for one in json.loads(capsys.readouterr().out)["retrainings"]] == [1, -1]
    (folder.parent / "old").mkdir()
    (folder.parent / "old" / "run.json").write_text("{}")
    assert read_retrainings(folder.parent / "old") == []
    (folder.parent / "old" / "run.json").write_text('{"retrainings": [{"bar": 1}]}')
    with pytest.raises(DataError, match="is damaged"):
        read_retrainings(folder.parent / "old")


def test_a_rule_without_forecasts_has_no_section(tmp_path: Path) -> None:
    """Buy and hold asks no forecast: no evidence, no tables, no band."""
    result = run(strategy=CrossoverParams(rule="buy_and_hold"))
    assert measure_evidence(result) == []
    assert skill_tables([]) == []
    assert forecast_bands(result) == []
    page = write_report(result, tmp_path / "run", baselines={}).read_text("utf-8")
    assert "asks no forecast, so there is no skill to measure" in page


def test_bands_stand_at_the_bar_they_speak_of() -> None:
    """The interval issued at a bar is drawn at the next one, whose return it was issued for."""
    band = forecast_bands(run())[0]
    track = result_tracks(run())[0]
    assert band.timestamp[-1] == track.timestamp[-1]
    assert band.outcome[-1] == pytest.approx(np.log(track.close[-1] / track.close[-2]))
    assert track.quantiles is not None
    assert [band.lower[-1], band.upper[-1]] == track.quantiles[-2].tolist()
    assert 0.8 < band.coverage < 1.0


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """The exit code of `crossgate skill` with some words."""
    monkeypatch.setattr(sys, "argv", ["crossgate", "skill", *map(str, words)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`crossgate skill RUN` prints verdict and tables; with --json one object, the content of metrics.json."""
    monkeypatch.setenv("COLUMNS", "160")
    assert command(monkeypatch, folder) == 0
    shown = capsys.readouterr().out
    assert "TESTUSDT: Skill: squared error" in shown
    assert "OTHERUSDT: No evident skill" in shown
    assert "Root mean square error" in shown
    assert command(monkeypatch, folder, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["markets"] == json.loads((folder / "metrics.json").read_text())["forecasts"]
    assert "compared" not in record


def test_the_command_compares(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several runs are set against each other on the bars that all of them forecast."""
    assert command(monkeypatch, folder.parent / "weak", folder, "--json") == 0
    gain = json.loads(capsys.readouterr().out)["compared"]["TESTUSDT"]["gains"][0]
    assert (gain["first"], gain["second"], gain["clear"]) == ("weak", "strong", True)
    assert 0.0 < gain["lower"] < gain["gain"] < gain["upper"]
    assert command(monkeypatch, folder.parent / "weak", folder) == 0
    assert "TESTUSDT: strong was" in capsys.readouterr().out


def test_folders_that_hold_no_forecasts(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing folder, one of an older run and a damaged table are one line each, exit code 2."""
    for name, problem in ((tmp_path / "none", "does not exist"), (tmp_path, "holds no forecasts.parquet")):
        assert command(monkeypatch, name) == 2
        assert problem in capsys.readouterr().err
    (tmp_path / "run.json").write_bytes((folder / "run.json").read_bytes())
    (tmp_path / "forecasts.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"forecasts.parquet: is damaged"):
        read_tracks(tmp_path)
    forecast_table(run()).drop(columns="sigma").to_parquet(tmp_path / "forecasts.parquet")
    with pytest.raises(DataError, match="is damaged"):
        read_tracks(tmp_path)


def test_runs_of_other_markets(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Runs that share no market cannot be compared."""
    other = make_market(bars=900, symbol="THIRDUSDT")
    write_report(make_result(other), tmp_path / "third", baselines={})
    assert command(monkeypatch, folder, tmp_path / "third") == 2
    assert "have no market in common" in capsys.readouterr().err


def test_measuring_loads_no_statistics_library(folder: Path) -> None:
    """The section is made without the libraries that its functions are held to, and without torch."""
    code = (
        "from crossgate.skill_command import runs_record\nfrom pathlib import Path\n"
        f"runs_record([Path({str(folder)!r}), Path({str(folder.parent / 'weak')!r})])"
    )
    assert loaded_after(code, "statsmodels scoringrules arch torch matplotlib scipy.stats") == []


def test_the_paired_table() -> None:
    """A row for each contender and each gain, with its range and a word."""
    from models.paired import compare_tracks

    tracks = {"strong": result_tracks(run())[0], "weak": result_tracks(run(0.2))[0]}
    table = paired_table(compare_tracks(tracks))
    assert [row[0].text for row in table.rows] == ["strong, skill", "weak, skill", "weak over strong"]
    assert table.rows[-1][-1].text == "more than luck"
    assert "699 bars" in table.caption
