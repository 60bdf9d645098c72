"""Certainty: every run counts as a trial, and its report says what that does to its figures."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from result_factory import make_market, make_result, make_trades

from backtests.run.result import Result
from crossgate.job import check_ledger
from foundation.chain import Head
from foundation.errors import DataError, ParameterError
from foundation.trials import Span, TrialLedger, batch_of
from reports.certainty import assess, content_of, span_of
from reports.certainty_table import as_of, certainty_table, explain_certainty
from reports.curves import equity_curve
from reports.evidence import probabilistic_sharpe, sharpe_moments
from reports.metrics import compute_metrics
from reports.report import write_report
from strategies.parameters import RiskParams


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    """A ledger without any trial."""
    return TrialLedger(tmp_path / "ledger")


@pytest.fixture
def result() -> Result:
    """A run with some trades on a real-looking market."""
    return make_result(make_market(), make_trades(500))


def search(ledger: TrialLedger, result: Result, count: int) -> None:
    """Puts a search of many settings on the run's own data into a ledger; their ratios are noise."""
    ratios = np.random.default_rng(3).normal(0.0, 0.02, count)
    ledger.record(batch_of("sweep", [span_of(result.markets[0], result)], {}, "search", ratios))


def test_a_run_alone_is_one_trial(ledger: TrialLedger, result: Result) -> None:
    """Without other trials nothing is deflated: the odds are those of the run alone."""
    found = assess(result, ledger)
    moments = sharpe_moments(equity_curve(result).returns)
    assert moments is not None
    assert found.trials == 1
    assert found.lucky == 0.0
    assert found.deflated == found.probabilistic == probabilistic_sharpe(moments)
    assert ledger.holds(found.head)


def test_the_same_run_counts_once_and_another_setting_again(ledger: TrialLedger, result: Result) -> None:
    """Playing a run again, under any name, adds no trial; another stop does."""
    assert assess(result, ledger).trials == 1
    assert assess(replace(result, name="again"), ledger).trials == 1
    assert assess(replace(result, risk=RiskParams(stop_loss="3%")), ledger).trials == 2


def test_what_was_tried_before_deflates_a_run(ledger: TrialLedger, result: Result) -> None:
    """After a search over the same data the odds fall, the more was tried the further."""
    alone = assess(result, ledger).deflated
    search(ledger, result, 100)
    after = assess(result, ledger)
    assert after.trials == 101
    assert alone is not None
    assert after.deflated is not None
    assert after.deflated < alone
    assert after.lucky is not None
    assert after.lucky > 0.0


def test_trials_on_other_data_deflate_nothing(ledger: TrialLedger, result: Result) -> None:
    """A search on another contract, or before the run began, is no trial of this data."""
    own = span_of(result.markets[0], result)
    for span in (own._replace(contract="elsewhere:X"), Span(own.contract, own.first - 100, own.first - 1)):
        ledger.record(batch_of("sweep", [span], {}, str(span), np.full(50, 0.1)))
    assert assess(result, ledger).trials == 1


def test_each_synthetic_market_is_a_contract_of_its_own() -> None:
    """Two seeds of the demo market share no trial; two spans of a real contract do."""
    one, other = (make_result(make_market(seed=seed, synthetic=True), make_trades(500)) for seed in (1, 2))
    assert span_of(one.markets[0], one).contract != span_of(other.markets[0], other).contract
    real, again = (make_result(make_market(seed=seed), make_trades(500)) for seed in (1, 2))
    assert span_of(real.markets[0], real).contract == span_of(again.markets[0], again).contract
    assert content_of(real) != content_of(again)


def test_a_run_that_never_traded_is_a_trial_with_nothing_to_be_sure_of(ledger: TrialLedger) -> None:
    """It counts, has no ratio, and its table is written without figures."""
    idle = make_result(make_market(), [])
    found = assess(idle, ledger)
    assert (found.trials, found.probabilistic, found.deflated, found.intervals) == (1, None, None, None)
    table = certainty_table(found, compute_metrics(idle), equity_curve(idle))
    assert table.rows[0][2].text == "–"  # noqa: RUF001
    assert "nothing to be sure of" in explain_certainty(found)


def test_trials_are_counted_as_of_a_time(ledger: TrialLedger, result: Result) -> None:
    """Beside the count stands the record at which the ledger ended, and its time; both are kept with the run."""
    before = datetime.now(UTC).replace(microsecond=0)
    found = assess(result, ledger)
    written = datetime.strptime(found.head.written, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert before <= written <= datetime.now(UTC)
    stamp = f"as of {found.head.written[:16]} UTC (record 1 of the ledger)"
    assert certainty_table(found, compute_metrics(result), equity_curve(result)).caption.endswith(stamp)
    assert stamp in explain_certainty(found)
    assert found.trial_record()["ledger_written"] == found.head.written
    assert assess(result, ledger).head == found.head
    assert ledger.holds(found.head)


def test_a_ledger_from_before_times_were_kept_is_told_once(ledger: TrialLedger, result: Result) -> None:
    """Without a time the record stands in the sentence alone, in plain words, not over the table as well."""
    old = replace(assess(result, ledger), head=Head(18, "digest"))
    caption = certainty_table(old, compute_metrics(result), equity_curve(result)).caption
    assert caption == "Ranges that hold the figure 95 times in 100, and the odds of luck"
    assert explain_certainty(old).count("record 18, which is from before times were kept") == 1
    assert "unknown" not in explain_certainty(old) + as_of(old.head)


def test_the_sentence_says_what_the_odds_say(ledger: TrialLedger, result: Result) -> None:
    """More than luck, more than luck only when taken alone, and not told from luck."""
    found = assess(result, ledger)
    sure, naive = replace(found, deflated=0.96, probabilistic=0.99), replace(found, deflated=0.5, probabilistic=0.99)
    assert "higher than luck" in explain_certainty(sure)
    assert "as the best of all tried it does not" in explain_certainty(naive)
    assert "cannot be told from luck" in explain_certainty(replace(found, deflated=0.1, probabilistic=0.3))
    assert "2 other trials" in explain_certainty(replace(sure, trials=3))


def test_the_run_folder_keeps_the_head_so_that_a_shortened_ledger_shows(
    tmp_path: Path, ledger: TrialLedger, result: Result
) -> None:
    """trials.json names the head, so cutting the ledger is seen; metrics.json knows nothing of other trials."""
    search(ledger, result, 40)
    folder = write_report(result, tmp_path / "run", baselines={}, ledger=ledger).parent
    kept = json.loads((folder / "trials.json").read_text())
    head = Head(kept["ledger_records"], kept["ledger_digest"])
    assert kept["trials"] == 41
    assert ledger.holds(head)
    ledger.path.write_text(ledger.path.read_text().splitlines()[0] + "\n")
    assert not ledger.holds(head)
    before = (folder / "metrics.json").read_bytes()
    write_report(result, tmp_path / "run", baselines={}, ledger=TrialLedger(tmp_path / "other"))
    assert (folder / "metrics.json").read_bytes() == before


def test_a_ledger_that_cannot_be_trusted_stops_a_run_before_it_trains(tmp_path: Path, ledger: TrialLedger) -> None:
    """A broken chain, and a place that cannot be written to, are found at the start."""
    ledger.record(batch_of("sweep", [Span("a:b", 1, 2)], {}, "x", [0.1, 0.2]))
    check_ledger(ledger)
    ledger.path.write_text(ledger.path.read_text().replace('"trials": 2', '"trials": 1'))
    with pytest.raises(DataError, match="not as it was written"):
        check_ledger(ledger)
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="cannot be written to"):
        check_ledger(TrialLedger(tmp_path / "file" / "below"))
