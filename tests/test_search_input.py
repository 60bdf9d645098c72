"""What people hand to a search in Python: taken where it makes sense, else refused in one line, and nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kernel_cases import forecasts, market

from backtests.searches.grids import read_axes
from backtests.searches.piece_store import PieceStore
from backtests.searches.space import read_space
from backtests.searches.sweeps import sweep
from backtests.searches.tuning import tune
from crossgate.job import check_reach
from foundation.errors import ParameterError
from foundation.parallel import Crew, run_all
from foundation.trials import TrialLedger
from strategies.parameters import CrossoverParams

STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
OVER = {"risk.leverage": [1, 2]}


@pytest.fixture(scope="module")
def scene() -> tuple[Any, Any]:
    """A market and forecasts on it."""
    random = np.random.default_rng(5)
    markets = (market(random, "ONE", 300, 1.0),)
    return markets[0], forecasts(random, markets, 40)


@pytest.mark.parametrize("name", ["pieces/thesis.tex", "thesis.tex", "pieces"])
def test_a_folder_that_holds_something_else_is_left_as_it_is(scene: tuple[Any, Any], name: str, tmp_path: Path) -> None:
    """A sweep in Python looks at the folder as the command does: what is there stays, and no trial is counted."""
    mine, ledger = tmp_path / "out" / name, TrialLedger(tmp_path / "ledger")
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    with pytest.raises(ParameterError, match=r"out = .*: holds .*, which is no part of a sweep; name a new folder"):
        sweep(*scene, STRATEGY, over=OVER, folder=tmp_path / "out", ledger=ledger)
    assert mine.read_text() == "years of work"
    assert ledger.head().records == 0


def test_only_pieces_are_removed(tmp_path: Path) -> None:
    """Neither where a sweep begins nor where it ends does a file go that it did not write."""
    store, mine = PieceStore(tmp_path, {"content": "a"}), tmp_path / "pieces" / "thesis.tex"
    mine.parent.mkdir()
    mine.write_text("years of work")
    (tmp_path / "pieces" / "000000000020.npy").touch()
    with store.opened():
        assert sorted(path.name for path in mine.parent.iterdir()) == ["thesis.tex"]
        store.finish()
    assert mine.read_text() == "years of work"


def test_folders_may_be_text(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """The folder of a sweep, and that of a ledger, for a sweep and a tuning."""
    folder, ledger = str(tmp_path / "out"), str(tmp_path / "ledger")
    found = sweep(*scene, STRATEGY, over=OVER, folder=folder, ledger=ledger)
    assert (tmp_path / "out" / "settings.parquet").is_file()
    tune(*scene, STRATEGY, over={"risk.leverage": "1:5"}, trials=3, ledger=ledger)
    assert found.trials == 2
    assert TrialLedger(tmp_path / "ledger").tried(found.ground.spans).trials == 5
    with pytest.raises(ParameterError, match="ledger = 5: should be a TrialLedger, or the folder of one"):
        sweep(*scene, STRATEGY, over=OVER, ledger=5)  # type: ignore[arg-type]


def test_values_may_come_as_numbers_of_numpy(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """Arrays, series, ranges and lists of them are as good as plain lists; a text is read as on the command line."""
    plain = sweep(*scene, STRATEGY, over={"risk.leverage": [1, 2], "risk.maximum_bars": [0, 3]}, ledger=tmp_path / "a")
    for leverage, bars in (
        (np.arange(1, 3), range(0, 4, 3)),
        (pd.Series([1, 2]), np.array([0, 3])),
        ([np.int64(1), np.float64(2.0)], "0,3"),
    ):
        over = {"risk.leverage": leverage, "risk.maximum_bars": bars}
        found = sweep(*scene, STRATEGY, over=over, ledger=tmp_path / "b", folder=tmp_path / "out")
        assert np.array_equal(found.sharpe, plain.sharpe)
    assert read_axes({"risk.stop_loss": "1%:2%:3"}) == {"risk.stop_loss": ["1%", "1.5%", "2%"]}
    words: dict[str, Any] = {"over": {"risk.leverage": list(np.arange(1, 4))}, "trials": 3}
    tuned = tune(*scene, STRATEGY, storage=tmp_path / "study", ledger=tmp_path / "c", objectives="sharpe", **words)
    assert set(tuned.table["risk.leverage"]) <= {1, 2, 3}
    assert read_space({"risk.leverage": np.linspace(1.0, 2.0, 3)})[0].choices == (1.0, 1.5, 2.0)


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        ({"risk.leverage": 3}, r"grid risk\.leverage = 3: should be a list of values; such as"),
        ({"risk.leverage": np.ones((2, 2))}, r"grid risk\.leverage = .*: should be a list of values"),
        ({"risk.leverage": {1: 2}}, "should be a list of values"),
        ([("risk.leverage", [1])], "should name values by table"),
    ],
)
def test_values_that_are_none_are_refused(scene: tuple[Any, Any], over: Any, problem: str, tmp_path: Path) -> None:
    """One line, which says how to write it."""
    with pytest.raises(ParameterError, match=problem):
        sweep(*scene, STRATEGY, over=over, ledger=TrialLedger(tmp_path))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"trials": 5.5}, r"trials = 5\.5: should be a whole number, 1 or more"),
        ({"trials": 0}, "trials = 0: should be a whole number, 1 or more"),
        ({"trials": True}, "trials = True: should be a whole number"),
        ({"seed": "x"}, "seed = 'x': should be a whole number, 0 or more"),
        ({"workers": 0}, "workers = 0: should be a whole number, 1 or more; 1 works in this process"),
        ({"over": 3}, "space = 3: should name ranges or values by table"),
    ],
)
def test_words_of_a_tuning_that_make_no_sense_are_refused(
    scene: tuple[Any, Any], words: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    """Before anything is played."""
    with pytest.raises(ParameterError, match=problem):
        tune(*scene, STRATEGY, **{"over": {"risk.leverage": "1:5"}, "ledger": TrialLedger(tmp_path), **words})


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_no_number_of_workers_is_refused(scene: tuple[Any, Any], workers: Any, tmp_path: Path) -> None:
    """None at all is not all there are."""
    with pytest.raises(ParameterError, match="should be a whole number, 1 or more"):
        sweep(*scene, STRATEGY, over=OVER, workers=workers, ledger=TrialLedger(tmp_path))
    with pytest.raises(ParameterError, match="should be a whole number, 1 or more"):
        run_all(abs, [(1,)], "", workers)
    with pytest.raises(ParameterError, match="should be a whole number, 1 or more"):
        Crew((), workers)


def test_trials_that_contradict_themselves_are_counted(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """Sizing by risk needs a stop: such a trial was asked for, and a choice among fewer is no better for it."""
    ledger = TrialLedger(tmp_path)
    found = tune(*scene, STRATEGY, over={"risk.stop_loss": ["off", "1%", "2%"]}, trials=25, ledger=ledger)
    assert 0 < int(found.table["sharpe"].isna().sum()) < 25
    assert found.trials == sum(one.trials for one in ledger.batches()) == 25
    none = tune(*scene, STRATEGY, over={"risk.stop_loss": ["off"], "risk.leverage": [1, 2]}, trials=5, ledger=ledger)
    assert (none.best, none.trials) == ((), 30)


def test_a_folder_that_cannot_be_written_to_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, and so is its parent; only the folder itself is closed."""
    honest = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path / "out" and honest(path, mode))
    check_reach(tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(ParameterError, match=r"out = .*: is a folder that cannot be written to; name a place you may"):
        check_reach(tmp_path / "out")


def test_a_database_out_of_reach_is_said_before_anything_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command opens it first."""
    from crossgate import tuning
    from crossgate.tuning import TuneJob, tune_job

    monkeypatch.setattr(tuning, "searched", lambda *_: pytest.fail("it trains"))
    config = Path(__file__).resolve().parent.parent / "backtests" / "configs" / "demo.toml"
    job = TuneJob(config, ("risk.leverage=1:5",), 3, ("sharpe",), (), 0, "postgresql://u:secret@127.0.0.1:bad/db")
    with pytest.raises(
        ParameterError, match=r"--storage = 'postgresql://u:\*\*\*@127\.0\.0\.1:bad/db': cannot be opened"
    ):
        tune_job(job, out=tmp_path / "out")
