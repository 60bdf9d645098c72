"""Sealed runs: data that is sealed is kept from runs, opened once by name, and tells the last two rungs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from null_markets import ACCOUNT, ALONE, RISK, known_market
from typer.testing import CliRunner

from backtests.run.engine import backtest
from backtests.run.result import Result
from crossgate.command_line import app
from foundation.errors import ParameterError
from foundation.seals import SealedError, openings, seal
from foundation.trials import Span, TrialLedger
from reports.certainty import span_of
from reports.report import write_report
from reports.stored_verdict import stored_record

CONFIG = '[run]\nname = "sealed"\n[market]\ndemo = true\nbars = 2000\n'


@pytest.fixture(scope="module")
def result() -> Result:
    """A run whose forecasts know something."""
    market, forecasts = known_market(3, 0.6)
    return backtest(market, forecasts, ALONE, RISK, ACCOUNT, name="ours")


def sealed(result: Result, ledger: TrialLedger, bars: int = 60) -> Span:
    """The span of the run, after its last bars were sealed."""
    span = span_of(result.markets[0], result)
    seal(ledger, span._replace(first=span.last + 1 - bars * result.markets[0].candles.bar))
    return span


def test_a_run_into_sealed_data_is_kept_out(result: Result, tmp_path: Path) -> None:
    """It writes nothing and counts as no trial; the error says from when on and what to do."""
    ledger = TrialLedger(tmp_path / "ledger")
    sealed(result, ledger)
    with pytest.raises(SealedError, match=r"is sealed, from 20.* UTC on; (end before it|play fewer bars)"):
        write_report(result, tmp_path / "run", baselines={}, ledger=ledger)
    assert not (tmp_path / "run").exists()
    assert ledger.batches() == []


def test_the_first_to_open_a_seal_climbs_and_others_do_not(result: Result, tmp_path: Path) -> None:
    """The run that opens it is judged by its return there; the same run comes back freely; another one is late."""
    ledger = TrialLedger(tmp_path / "ledger")
    span = sealed(result, ledger)
    page = write_report(result, tmp_path / "run", baselines={}, ledger=ledger, open_seal=True)
    assert [one.name for one in openings(ledger, span.contract)] == ["ours"]
    kept = stored_record(page.parent)
    assert kept is not None
    assert kept["verdict"]["rungs"][7]["state"] == "passed"
    last = kept["verdict"]["rungs"][8]
    equity = result.equity["equity"].to_numpy()
    earned = equity[-1] / equity[-61] - 1.0
    assert last["checks"][0]["value"] == pytest.approx(earned)
    assert last["checks"][0]["met"] is bool(earned > 0.0)
    assert [one["name"] for one in last["checks"][1:]] == [
        "Sharpe when sealed", "p of random entries, the sealed bars",
    ]  # fmt: skip
    write_report(result, tmp_path / "again", baselines={}, ledger=ledger)
    assert len(openings(ledger, span.contract)) == 1
    other = backtest(result.markets[0], result.forecasts, ALONE.replaced(threshold="6bps"), RISK, ACCOUNT, name="other")
    with pytest.raises(SealedError):
        write_report(other, tmp_path / "other", baselines={}, ledger=ledger)
    page = write_report(other, tmp_path / "other", baselines={}, ledger=ledger, open_seal=True)
    late = stored_record(page.parent)
    assert late is not None
    assert late["verdict"]["rungs"][7]["checks"][0]["met"] is False


def test_there_has_to_be_something_to_open(result: Result, tmp_path: Path) -> None:
    """Opening where nothing is sealed is a mistake, and is said to be one."""
    with pytest.raises(ParameterError, match="reaches into nothing that is sealed"):
        write_report(result, tmp_path / "run", baselines={}, ledger=TrialLedger(tmp_path / "l"), open_seal=True)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`seal` seals and tells; `backtest` and `train` refuse before any model trains; nothing is sealed from earlier."""
    monkeypatch.setenv("CROSSGATE_LEDGER", str(tmp_path / "ledger"))
    config, runner = tmp_path / "config.toml", CliRunner()
    config.write_text(CONFIG, "utf-8")
    assert "nothing is sealed" in runner.invoke(app, ["seal", str(config)]).stdout
    told = json.loads(runner.invoke(app, ["seal", str(config), "--last", "5d", "--json"]).stdout)
    assert told["seals"][0]["opened_by"] == []
    assert "unbroken" in runner.invoke(app, ["seal", str(config)]).stdout
    short = ["--set", "walk_forward.train=50d", "--set", "walk_forward.test=5d"]
    refused = runner.invoke(app, ["backtest", str(config), "--out", str(tmp_path / "run"), *short])
    assert isinstance(refused.exception, SealedError)
    assert "market.bars" in str(refused.exception)
    assert not (tmp_path / "run").exists()
    model = tmp_path / "model.safetensors"
    trained = runner.invoke(app, ["train", str(config), "--out", str(model)])
    assert isinstance(trained.exception, SealedError)
    assert not model.exists()
    for wrong, text in (
        ("10d", "has been seen"),
        ("1h", "never moved on inside"),
        ("900d", "leaves no bar"),
        ("much", "should be a number"),
    ):
        found = runner.invoke(app, ["seal", str(config), "--last", wrong])
        assert text in str(found.exception), wrong
