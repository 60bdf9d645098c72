"""Judging: a run folder tells its verdict, alone where it has to, and what was kept is not worked out again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from null_markets import ACCOUNT, RISK, STRATEGY, known_market
from result_factory import make_market, make_result, make_trades
from typer.testing import CliRunner

from backtests.run.engine import backtest
from crossgate import gathering
from crossgate.command_line import app
from crossgate.config import load_config
from crossgate.job import load_markets
from crossgate.judging import judge_run
from foundation.errors import DataError
from foundation.trials import Span, TrialLedger, batch_of
from models.forecasts import Forecasts, ForecastSeries
from reports.report import write_report
from reports.stored_verdict import VERDICT, stored_facts
from reports.tracks import forecasts_of, read_tracks


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of a config on the demo market, with forecasts that nothing was trained for."""
    base = tmp_path_factory.mktemp("judged")
    (base / "config.toml").write_text('[run]\nname = "judged"\n[market]\ndemo = true\nbars = 900\n')
    config = load_config(base / "config.toml")
    markets = load_markets(config)
    rows = slice(400, None)
    stamps, oracle = markets[0].candles.timestamp[rows], markets[0].oracle
    assert oracle is not None
    none = pd.Series(0, index=range(len(stamps))).to_numpy()
    series = ForecastSeries(stamps, oracle[rows], none + 0.01, stamps - 1, none)
    result = backtest(
        markets, Forecasts({markets[0].symbol: series}, "oracle"), config.strategy, config.risk, config.account,
        config.costs, name="judged", config=config.record(),
    )  # fmt: skip
    return write_report(result, base / "run", baselines={}, ledger=TrialLedger(base / "ledger")).parent


@pytest.fixture
def ledger(made: Path) -> TrialLedger:
    """The ledger that the run was put down in."""
    return TrialLedger(made.parent / "ledger")


def test_a_folder_without_a_verdict_is_judged_as_it_was(made: Path, ledger: TrialLedger, tmp_path: Path) -> None:
    """From config and tables alone, without training, come the facts, the figures and the verdict of the day."""
    old = shutil.copytree(made, tmp_path / "old")
    kept = json.loads((old / VERDICT).read_text("utf-8"))
    (old / VERDICT).unlink()
    found = judge_run(old, ledger=ledger)
    again = json.loads((old / VERDICT).read_text("utf-8"))
    assert again["facts"] == kept["facts"]
    assert again["examination"] == kept["examination"]
    assert again["verdict"] == kept["verdict"] == json.loads(json.dumps(found.record()))


def test_what_is_kept_is_not_worked_out_again(made: Path, ledger: TrialLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its facts in the folder nothing is loaded or played."""
    monkeypatch.setattr(gathering, "gather", None)
    assert judge_run(made, ledger=ledger).rung >= 1


def test_the_verdict_follows_the_ledger(made: Path, ledger: TrialLedger, tmp_path: Path) -> None:
    """Trials that came later count: the odds of more than luck fall; what the folder keeps stays as it was written."""
    copied = shutil.copytree(made, tmp_path / "run")
    ours = TrialLedger(shutil.copytree(ledger.folder, tmp_path / "ledger"))
    before = judge_run(copied, ledger=ours).rungs[5].decided
    facts = stored_facts(copied)
    assert facts is not None
    ours.record(batch_of("sweep", [Span(*facts.spans[0])], {}, "more", [0.2, -0.2] * 500))
    after = judge_run(copied, ledger=ours)
    assert before is not None
    assert after.rungs[5].decided is not None
    assert (after.rungs[5].decided.value or 0.0) < (before.value or 0.0)
    assert (copied / VERDICT).read_bytes() == (made / VERDICT).read_bytes()


@pytest.mark.parametrize("cut", ["emptied", "rewritten"])
def test_a_ledger_that_was_cut_off_shows(cut: str, made: Path, ledger: TrialLedger, tmp_path: Path) -> None:
    """A ledger without the records that the run was weighed against makes nothing better, and is named."""
    copied = shutil.copytree(made, tmp_path / "run")
    ours = TrialLedger(shutil.copytree(ledger.folder, tmp_path / "ledger"))
    facts = stored_facts(copied)
    assert facts is not None
    span = Span(*facts.spans[0])
    head = ours.record(batch_of("sweep", [span], {}, "more", [0.2, -0.2] * 500))
    kept = json.loads((copied / "trials.json").read_text("utf-8"))
    kept |= {"trials": 1001, "deflated_sharpe": 0.25, "ledger_records": head.records, "ledger_digest": head.digest}
    (copied / "trials.json").write_text(json.dumps(kept), "utf-8")
    held = judge_run(copied, ledger=ours).rungs[5]
    torn = TrialLedger(tmp_path / "torn")
    if cut == "rewritten":
        for number in range(head.records):
            torn.record(batch_of("sweep", [span], {}, f"other {number}", [0.1]))
    found = judge_run(copied, ledger=torn).rungs[5]
    assert "lacks records" not in held.text
    assert "1,000 other trials" in found.text
    assert "the ledger here lacks records that the run was weighed against" in found.text
    assert found.state == "failed"
    assert found.decided is not None
    assert found.decided.value == 0.25


def test_forecasts_come_back_as_they_were_played(made: Path) -> None:
    """The forecasts of a folder have the fingerprint that the run was made of."""
    record = json.loads((made / "run.json").read_text("utf-8"))
    assert forecasts_of(read_tracks(made), "oracle").fingerprint == record["forecasts"]


def test_other_data_are_refused_in_words(made: Path, ledger: TrialLedger, tmp_path: Path) -> None:
    """A folder whose market comes out different is judged by what it holds, and says why the rest is not known."""
    old = shutil.copytree(made, tmp_path / "old")
    (old / VERDICT).unlink()
    config = (old / "config.toml").read_text("utf-8").replace("seed = 7", "seed = 8", 2)
    (old / "config.toml").write_text(config, "utf-8")
    found = judge_run(old, ledger=ledger)
    assert found.rungs[2].state == "unknown"
    assert "was played on other data" in found.rungs[2].text
    assert found.rungs[0].state != "unknown"


def test_a_run_made_in_python_keeps_its_verdict(tmp_path: Path) -> None:
    """Written where its market is at hand it has all figures; without verdict.json the folder says what is missing."""
    market, forecasts = known_market(1, 0.5)
    result = backtest(market, forecasts, STRATEGY, RISK, ACCOUNT)
    ledger = TrialLedger(tmp_path / "ledger")
    folder = write_report(result, tmp_path / "run", baselines={}, ledger=ledger).parent
    kept = stored_facts(folder)
    assert kept is not None
    assert kept.played is not None
    assert judge_run(folder, ledger=ledger).rungs[2].state in ("passed", "failed")
    (folder / VERDICT).unlink()
    assert "was made in Python" in judge_run(folder, ledger=ledger).rungs[2].text
    again = stored_facts(folder)
    assert again is not None
    assert (again.spans, again.content, again.skills) == (kept.spans, kept.content, kept.skills)


def test_a_result_that_the_kernel_does_not_play_is_said_to_be_so(tmp_path: Path) -> None:
    """Fills that no rule made are not explained by playing other ones."""
    result = make_result(make_market(bars=120), make_trades(120))
    folder = write_report(result, tmp_path / "run", baselines={}, ledger=TrialLedger(tmp_path)).parent
    facts = stored_facts(folder)
    assert facts is not None
    assert facts.played is None
    assert "cannot be played again" in facts.unplayed
    assert "could not be played again" in (folder / "report.html").read_text("utf-8")


def test_the_command_prints_the_ladder(made: Path, ledger: TrialLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """`crossgate verdict RUN` prints the rung and all rungs, `show` the headline; --json is one object."""
    monkeypatch.setenv("CROSSGATE_LEDGER", str(ledger.folder))
    runner = CliRunner()
    printed = runner.invoke(app, ["verdict", str(made)])
    assert printed.exit_code == 0, printed.output
    assert "of 9: " in printed.output
    assert "9 It passes the sealed stretch" in printed.output
    record = json.loads(runner.invoke(app, ["verdict", str(made), "--json"]).stdout)
    assert len(record["rungs"]) == 9
    assert record["headline"] in runner.invoke(app, ["show", str(made)]).output
    shown = json.loads(runner.invoke(app, ["show", str(made), "--json"]).stdout)
    assert (shown["verdict"]["rung"], shown["verdict"]["headline"]) == (record["rung"], record["headline"])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """A folder that no backtest wrote has no verdict."""
    with pytest.raises(DataError, match="is no run folder"):
        judge_run(tmp_path)
