"""Resumed tunings: stopped, killed or cut at any moment they come to the same trials, each counted once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuning_cases import GOALS, OVER, STRATEGY, TRIALS

import backtests.searches.tuning as module
from backtests.searches.goals import read_goals
from backtests.searches.space import read_space
from backtests.searches.study import Study
from backtests.searches.tuning import BATCH, Tuned, tune
from foundation.errors import CrossgateError, DataError, ParameterError
from foundation.locks import sole_writer
from foundation.trials import TrialLedger


def stop_in_batch(number: int) -> Callable[..., Any]:
    """A player of batches that is interrupted in one of them."""
    honest, seen = module._play_batch, []

    def play(*words: Any) -> None:
        seen.append(1)
        if len(seen) == number:
            raise KeyboardInterrupt
        honest(*words)

    return play


@pytest.mark.parametrize("place", ["journal", "sqlite"])
def test_an_interrupted_tuning_comes_to_the_same_trials(
    tuning_scene: tuple[Any, Any],
    tuned: tuple[Tuned, TrialLedger],
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped within its second batch, then asked for again: the same values, metrics, front and count of trials."""
    storage = tmp_path / "study" if place == "journal" else f"sqlite:///{tmp_path}/study.db"
    words: dict[str, Any] = {**GOALS, "over": OVER, "trials": TRIALS, "seed": 3, "storage": storage}
    ledger = TrialLedger(tmp_path / "ledger")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_play_batch", stop_in_batch(2))
        with pytest.raises(KeyboardInterrupt):
            tune(*tuning_scene, STRATEGY, **words, ledger=ledger)
    found, (whole, _) = tune(*tuning_scene, STRATEGY, **words, ledger=ledger), tuned
    assert found.table.reset_index(drop=True).equals(whole.table.reset_index(drop=True))
    assert [found.values(number) for number in found.best] == [whole.values(number) for number in whole.best]
    assert found.trials == whole.trials
    longer = tune(*tuning_scene, STRATEGY, **{**words, "trials": TRIALS + 3}, ledger=ledger)
    assert len(longer) == TRIALS + 3
    assert longer.table.iloc[:TRIALS].equals(found.table)


def test_a_tuning_interrupted_while_it_tells_comes_to_the_same_trials(
    tuning_scene: tuple[Any, Any], tuned: tuple[Tuned, TrialLedger], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped when 7 of a batch were told: what was asked in the knowledge of 20 is not asked again knowing 27."""
    words: dict[str, Any] = {**GOALS, "over": OVER, "trials": TRIALS, "seed": 3, "storage": tmp_path / "study"}
    ledger, honest, told = TrialLedger(tmp_path / "ledger"), Study.tell, []

    def tell(*given: Any) -> None:
        told.append(1)
        if len(told) == BATCH + 8:
            raise KeyboardInterrupt
        honest(*given)

    with monkeypatch.context() as patch:
        patch.setattr(Study, "tell", tell)
        with pytest.raises(KeyboardInterrupt):
            tune(*tuning_scene, STRATEGY, **words, ledger=ledger)
    found, (whole, _) = tune(*tuning_scene, STRATEGY, **words, ledger=ledger), tuned
    assert found.table.equals(whole.table)
    assert found.trials == whole.trials


def test_an_interrupt_does_not_cut_the_telling_of_a_batch_in_a_database(tmp_path: Path) -> None:
    """None but this process could take up the rest of it, so all of it is told before the interrupt is raised."""
    space, goals = read_space({"risk.leverage": "1:5"}), read_goals(["sharpe"], [])
    study = Study("a", space, goals, f"sqlite:///{tmp_path}/study.db", 1)

    def told() -> None:
        with study.asking(2) as asked, study.telling():
            for one in asked:
                signal.raise_signal(signal.SIGINT)
                study.tell(one, {"sharpe": 1.0})

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            told()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(study) == 2


def test_a_tuning_killed_at_any_record_comes_to_the_same_trials(tuning_scene: tuple[Any, Any], tmp_path: Path) -> None:
    """As a journal ends when its process dies while it asks for a batch, tells the first or the last of it."""
    words: dict[str, Any] = {"over": OVER, "seed": 3, "trials": 22}
    words["ledger"] = TrialLedger(tmp_path / "ledger")
    first = tune(*tuning_scene, STRATEGY, storage=tmp_path / "whole", **words)
    lines = (tmp_path / "whole" / "journal.log").read_bytes().splitlines(keepends=True)
    mark = next(number for number, line in enumerate(lines) if b'"batch"' in line)
    for number, cut in enumerate((mark - 3, mark + 2, mark + 21, mark + 48, len(lines) - 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "journal.log").write_bytes(b"".join(lines[:cut]))
        found = tune(*tuning_scene, STRATEGY, storage=folder, **words)
        assert found.table.reset_index(drop=True).equals(first.table.reset_index(drop=True)), cut
        assert found.trials == 22


def played_out(folder: Path, trials: int = 8) -> Study:
    """A study of a formula in the place of a backtest, told in batches of 4, gone on with where its journal ends."""
    space = read_space({"risk.leverage": "1:5", "risk.stop_loss": "1%:5%"})
    study = Study("a", space, read_goals(["sharpe", "max_drawdown"], ["trades>=2"]), folder, 1)
    while len(study) < trials:
        with study.asking(min(4, trials - len(study))) as asked:
            for one in asked:
                far, wide = float(one.values["risk.leverage"]), float(one.values["risk.stop_loss"].rstrip("%"))
                refused = "too wide" if wide > 4.5 else ""
                study.tell(one, {} if refused else {"sharpe": far - wide, "max_drawdown": far, "trades": wide}, refused)
    return study


def test_a_study_killed_at_any_record_comes_to_the_same_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its journal cut within each of its lines: the same values, metrics and bounds, in the same order."""
    monkeypatch.setattr("backtests.searches.study.FIRST", 3)
    whole = played_out(tmp_path / "whole").table.reset_index(drop=True)
    lines = (tmp_path / "whole" / "journal.log").read_bytes().splitlines(keepends=True)
    for cut, line in enumerate(lines):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "journal.log").write_bytes(b"".join(lines[:cut]) + line[: len(line) // 2])
        assert played_out(folder).table.reset_index(drop=True).equals(whole), cut


def test_a_lock_that_a_killed_process_left_holds_nobody_up(tmp_path: Path) -> None:
    """The lock of a journal dies with its process: neither Optuna's own, left beside it, nor ours is waited for."""
    code = (
        "import os, sys; from pathlib import Path; from foundation.journals import open_journal; "
        "made = open_journal(Path(sys.argv[1])); made._backend._lock.acquire(); os._exit(9)"
    )
    journal = tmp_path / "journal.log"
    (tmp_path / "journal.log.lock").symlink_to(journal)
    assert subprocess.run([sys.executable, "-c", code, str(journal)], check=False).returncode == 9
    assert len(Study("a", read_space({"risk.leverage": "1:5"}), read_goals(["sharpe"], []), tmp_path, 1)) == 0
    # Whoever takes Optuna's lock removes this one after half a minute.
    assert (tmp_path / "journal.log.lock").is_symlink()


@pytest.mark.parametrize("cut", [1, 7, 200])
def test_a_journal_that_ends_in_half_a_line_goes_on(tuning_scene: tuple[Any, Any], cut: int, tmp_path: Path) -> None:
    """As a full disk leaves it: a whole record counts, half a one is as if never written, and so it stays."""
    words: dict[str, Any] = {"over": OVER, "seed": 3, "ledger": TrialLedger(tmp_path / "ledger")}
    first = tune(*tuning_scene, STRATEGY, trials=22, storage=tmp_path / "study", **words)
    journal = tmp_path / "study" / "journal.log"
    journal.write_bytes(journal.read_bytes()[:-cut])
    for trials in (22, 24):
        found = tune(*tuning_scene, STRATEGY, trials=trials, storage=tmp_path / "study", **words)
        assert len(found) == trials
        assert found.table.iloc[:20].equals(first.table.iloc[:20])
    journal.write_bytes(b"garbage\n" + journal.read_bytes())
    with pytest.raises(DataError, match=r"journal\.log: is not a journal of trials as it was written; put back"):
        tune(*tuning_scene, STRATEGY, trials=24, storage=tmp_path / "study", **words)


@pytest.mark.parametrize("place", ["journal", "sqlite"])
def test_trials_of_other_rules_are_not_gone_on_with(
    tuning_scene: tuple[Any, Any], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of the rules played the trials that are there: refused, and none is added."""
    storage = tmp_path / "study" if place == "journal" else f"sqlite:///{tmp_path}/study.db"
    words: dict[str, Any] = {"over": {"risk.leverage": "1:5"}, "storage": storage, "ledger": TrialLedger(tmp_path)}
    tune(*tuning_scene, STRATEGY, trials=3, **words)
    with monkeypatch.context() as patch:
        patch.setattr(module, "rules_fingerprint", lambda: "another")
        with pytest.raises(ParameterError, match=r"storage = .*: holds trials of this search that another ver"):
            tune(*tuning_scene, STRATEGY, trials=5, **words)
    assert len(tune(*tuning_scene, STRATEGY, trials=4, **words)) == 4


def test_trials_left_by_a_killed_process_are_taken_up(tmp_path: Path) -> None:
    """A journal that ends with a batch under way goes on with that batch, and asks for no other before."""
    space, goals = read_space({"risk.leverage": "1:5"}), read_goals(["sharpe"], [])
    first = Study("a", space, goals, tmp_path, 1)
    left = [(one.trial.number, one.values) for one in first.ask(3)]
    second = Study("a", space, goals, tmp_path, 1)
    assert len(second) == 0
    with second.asking(1) as asked:
        assert [(one.trial.number, one.values) for one in asked] == left
        for one in asked:
            second.tell(one, {"sharpe": 1.0})
    assert len(second) == 3
    with second.asking(1) as asked:
        assert [one.trial.number for one in asked] == [3]


def test_one_process_writes_to_a_journal_at_a_time(tuning_scene: tuple[Any, Any], tmp_path: Path) -> None:
    """A second tuning in the same folder is refused while the first one runs, and says who runs."""
    ledger = TrialLedger(tmp_path / "ledger")
    with (
        sole_writer(tmp_path / "study" / module.LOCK, "a tuning"),
        pytest.raises(CrossgateError, match=r"is being written by process \d+ \(a tuning\)"),
    ):
        tune(
            *tuning_scene, STRATEGY, over={"risk.leverage": "1:5"}, trials=5, storage=tmp_path / "study", ledger=ledger
        )
