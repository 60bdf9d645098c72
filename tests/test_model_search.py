"""Model search: it finds what is planted, sees no test bar, resumes, counts every trial, and says what is selection."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted_faults import mutated
from planted_market import TINY, other_after, planted_market

import models.inner_folds
import models.model_search
import models.training
from backtests.searches.searched import check_name
from backtests.searches.space import read_space
from crossgate.command_line import main
from crossgate.config import build_config
from crossgate.tune_model_command import tune_model_job
from foundation.errors import ParameterError
from foundation.files import cache_home
from foundation.seals import SealedError, seal
from foundation.trials import Span, TrialLedger
from markets.market import Market
from models.inner_folds import make_ground
from models.model_search import ModelSearch, tune_model
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.samples import build_sample
from models.schedule import make_folds
from models.search_parameters import FIXED, SEARCHED, SearchParams, read_model_space
from models.selection import measure_lead

MODEL = TINY.replaced(volatility_bars=32, hidden=4, steps=10)
COLUMNS = FeatureParams(columns=("volume:24", "return:1"))
WALK = WalkForwardParams(train="40d", test="10d", seeds=1, embargo="1h")
SPACE = {"hidden": "2:6:log", "chunk": [16, 32], "learning_rate": "0.003:0.1:log", "dropout": "0:0.5"}
SEARCH = SearchParams(space=SPACE, columns=("week_sine:7",), folds=3)
SPACE_OF_ALL = {
    "hidden": "2:6", "layers": [1, 2], "head": ["linear", "coefficients"], "start": ["zero", "regression"],
    "dropout": "0:0.5", "steps": "2:6", "batch": [4, 8], "chunk": "16:32", "burn_in": "0:8",
    "learning_rate": "0.003:0.1:log", "weight_decay": "0:1", "averaging": [0.5, 0.9], "validation": "0.2:0.3",
    "check": [1, 2], "patience": "2:40", "replay": [128, 130],
}  # fmt: skip
MARKET = planted_market(1100, trend=0.5)
# Trials of a search that has learned from the first of them.
MANY = 15
# The first row of the first test.
TEST = 960


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts with an empty cache and ledger of its own."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CROSSGATE_LEDGER", str(tmp_path / "ledger"))
    return tmp_path


def search(market: Market = MARKET, trials: int = 6, **settings: Any) -> ModelSearch:
    """A small search in this process."""
    return tune_model(
        market, MODEL, COLUMNS, **{"walk": WALK, "search": SEARCH, "workers": 1, **settings}, trials=trials
    )


def test_the_informative_feature_is_kept() -> None:
    """The best setting shows the feature that tells of the next return, and loses less than one without it."""
    found = search(trials=7)
    assert "return:1" in found.features.columns
    table = found.table[found.table["state"] == "complete"]
    with_it = table["columns"].str.contains("return:1")
    assert table["loss"][with_it].min() < 0.9 * table["loss"][~with_it].min()
    assert found.table["loss"].min() == pytest.approx(found.table["loss"][found.table["state"] != "pruned"].min())
    assert len(found.table) == 8
    assert found.table["state"].iloc[0] == "as written"
    assert 2 <= found.model.hidden <= 6


def test_no_test_bar_is_seen() -> None:
    """All bars from the first test on changed, every trial and its loss stand; bars of the training do count."""
    first = search()
    assert search(other_after(MARKET, TEST - 1)).table.equals(first.table)
    assert not search(other_after(MARKET, TEST - 60)).table.equals(first.table)


def test_a_search_that_looks_at_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ground that reaches into the test is found by the same change."""
    faulty = mutated("models.inner_folds", "last = planned[0].train_last", "last = planned[0].test_last")
    monkeypatch.setattr(models.model_search, "make_ground", faulty.make_ground)
    first = search(trials=2)
    assert not search(other_after(MARKET, TEST - 1), trials=2).table.equals(first.table)


def test_the_ground_ends_with_the_first_training() -> None:
    """Inner folds follow each other to the end of the first training, each behind a gap, and none later."""
    sample = build_sample(MARKET, COLUMNS, MODEL)
    outer = make_folds(sample.timestamp, sample.bar, WALK, sample.memory)[0]
    ground = make_ground(MARKET, [MODEL], COLUMNS, WALK, 3)
    assert len(ground.sample) == outer.train_last == ground.folds[-1].last
    assert [one.last for one in ground.folds[:-1]] == [one.first for one in ground.folds[1:]]
    assert {one.first - one.train_last for one in ground.folds} == {ground.gap} == {outer.test_first - outer.train_last}


def test_workers_and_interruptions_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A search that is killed in its middle, and goes on, comes to the trials of one that was never stopped."""
    whole = search(trials=7)
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path / "another"))
    honest, calls = models.model_search.piece_losses, list[int]()

    def dying(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 21:
            raise KeyboardInterrupt
        return honest(*arguments)

    monkeypatch.setattr(models.model_search, "piece_losses", dying)
    with pytest.raises(KeyboardInterrupt):
        search(trials=7)
    again = search(trials=7)
    assert again.table.equals(whole.table)
    assert again.trials == whole.trials == 8


def journal_of_search() -> Path:
    """The journal of the only search in the cache."""
    (journal,) = (cache_home() / "searches").glob("*.journal")
    return journal


def test_a_search_killed_at_any_record_of_its_telling_comes_to_the_same_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its journal ends before a round's verdict, with it, after each trial that was told of, and in half a line.

    From the third round on what is asked for hangs on all that was told. Planted: a round that is told by half.
    """
    whole = search(trials=MANY)
    journal = journal_of_search()
    lines = journal.read_bytes().splitlines(keepends=True)
    marks = [number for number, line in enumerate(lines) if b'"round"' in line]
    assert len(marks) == 4
    for cut in (*range(marks[2] - 1, marks[2] + 7), *range(marks[3] - 1, len(lines))):
        journal.write_bytes(b"".join(lines[:cut]) + lines[cut][: len(lines[cut]) // 2])
        again = search(trials=MANY)
        assert again.table.equals(whole.table), cut
        assert again.trials == whole.trials == MANY + 1
    journal.write_bytes(b"".join(lines[: marks[2] + 3]))
    honest, calls = models.model_search.tell_rounds, list[int]()
    later = lambda study: calls.append(1) or (honest(study) if len(calls) > 1 else None)  # noqa: E731
    monkeypatch.setattr(models.model_search, "tell_rounds", later)
    assert not search(trials=MANY).table.equals(whole.table)


def test_more_trials_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """More trials keep those that were made; fewer train nothing and show the first of them."""
    whole = search(trials=5)
    monkeypatch.setattr("models.training.train_networks", None)
    few = search(trials=3)
    assert few.table.equals(whole.table.iloc[:4])


def test_every_trial_is_in_the_ledger() -> None:
    """Each trial counts once for whoever plays a strategy on these candles, pruned ones and the config included."""
    search(trials=5)
    found = search(trials=5)
    batches = TrialLedger().batches()
    assert len(batches) == sum(one.trials for one in batches) == 6 == found.trials
    assert {one.kind for one in batches} == {"model search"}
    assert set(batches[1].grid) == {"hidden", "chunk", "learning_rate", "dropout", "columns"}
    assert batches[0].spans[0].first == MARKET.candles.timestamp[0]
    assert batches[0].spans[0].last == MARKET.candles.timestamp[-1] + MARKET.candles.bar - 1


def test_every_trial_is_shown_a_feature() -> None:
    """Of two features one at least is shown: every trial that counts was trained, and some left out all but one."""
    found = search(trials=12, search=SearchParams(space={}, folds=2))
    rows = found.table.iloc[1:]
    assert len(rows) == 12
    assert (rows["folds"] >= 1).all()
    assert np.isfinite(rows["loss"]).all()
    assert set(rows["columns"]) == {"volume:24", "return:1", "volume:24 return:1"}
    assert models.model_search.ALONE in {name for one in studied() for name in one.params}


def studied() -> list[Any]:
    """The trials of the only search in the cache."""
    return models.model_search.finished(models.model_search.open_study(journal_of_search().stem))


def test_a_single_feature_is_always_shown() -> None:
    """With one feature nothing is there to leave out, and a search of nothing is refused."""
    one = FeatureParams(columns=("return:1",))
    found = tune_model(MARKET, MODEL, one, walk=WALK, search=SearchParams(space={"hidden": "2:6"}), workers=1, trials=4)
    assert set(found.table["columns"]) == {"return:1"}
    with pytest.raises(ParameterError, match=r"model_search\.space: varies nothing"):
        tune_model(MARKET, MODEL, one, walk=WALK, search=SearchParams(space={}), workers=1, trials=4)


def test_another_source_is_another_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """What trains, on which device, what judges, what draws and Optuna: with another one a search begins anew."""
    source = models.model_search.search_source
    before, honest = source("cpu"), models.model_search.version
    assert source("cuda") != before
    monkeypatch.setattr(models.model_search, "version", lambda name: "0" if name == "optuna" else honest(name))
    assert source("cpu") != before
    monkeypatch.undo()
    print_of = models.model_search.source_fingerprint
    for part in ("schedule", "dimensions"):
        other = lambda folder, names, part=part: "another" if part in names else print_of(folder, names)  # noqa: E731
        monkeypatch.setattr(models.model_search, "source_fingerprint", other)
        assert source("cpu") != before


def test_sealed_bars_are_not_searched() -> None:
    """A seal from within the inner folds stops a search."""
    stamps = MARKET.candles.timestamp
    seal(TrialLedger(), Span(MARKET.trial_key, int(stamps[TEST - 50]), int(stamps[-1])))
    with pytest.raises(SealedError):
        search(trials=1)


def test_a_seal_from_the_first_test_on_lets_a_search_be() -> None:
    """What is sealed begins where the search ends."""
    stamps = MARKET.candles.timestamp
    seal(TrialLedger(), Span(MARKET.trial_key, int(stamps[TEST]), int(stamps[-1])))
    assert len(search(trials=1).table) == 2


def test_what_is_pruned_is_not_the_best() -> None:
    """Trials that are given up keep the loss of the folds they were judged on, and are never chosen."""
    found = search(trials=12, search=SEARCH.replaced(space={**SPACE, "learning_rate": "0.0001:1:log"}))
    pruned = found.table[found.table["state"] == "pruned"]
    assert len(pruned) > 0
    assert (pruned["folds"] < 3).all()
    assert set(found.table["folds"][found.table["state"] == "complete"]) == {3}


def test_the_share_of_selection() -> None:
    """Among trials that differ by luck alone all of the lead is selection; of a lead that is everywhere, little is."""
    random = np.random.default_rng(0)
    luck = measure_lead(1.0 + 0.1 * random.standard_normal((50, 16)), 1.0 + 0.1 * random.standard_normal(16))
    assert luck.lead > 0.03
    assert luck.selection > 0.7
    better = 1.0 + 0.1 * random.standard_normal((50, 16))
    better[7] -= 0.5
    real = measure_lead(better, np.ones(16))
    assert real.lead == pytest.approx(0.5, abs=0.1)
    assert real.selection < 0.2
    assert "of the lead is selection" in str(real)
    worse = measure_lead(2.0 + np.zeros((3, 16)), np.ones(16))
    assert worse.lead == 0.0
    assert "Leave it as it is" in str(worse)
    assert measure_lead(np.empty((0, 16)), np.ones(16)).trials == 1


def test_selection_is_measured_where_nothing_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measure that looks at the half which chose would call luck a lead."""
    faulty = mutated(
        "models.selection", "elsewhere = ~inside @ ahead.T / (~inside)", "elsewhere = inside @ ahead.T / (inside)"
    )
    random = np.random.default_rng(0)
    luck = faulty.measure_lead(1.0 + 0.1 * random.standard_normal((50, 16)), np.ones(16))
    assert luck.selection < 0.1


def test_what_cannot_be() -> None:
    """Too few bars, limits that fall, values that no model takes and no trials are refused before anything trains."""
    with pytest.raises(ParameterError, match=r"walk_forward\.train = '30d': leaves .* inner training"):
        search(walk=WALK.replaced(train="30d"), search=SEARCH.replaced(space={**SPACE, "chunk": [100]}))
    for space, said in (
        ({"hidden": "9:3"}, r"space\.hidden = '9:3': should rise"),
        ({"learning_rate": "0.1:3"}, r"space\.learning_rate = 3\.0: .*above 0 up to 1"),
        ({"chunk": [1]}, r"space\.chunk = 1: .*from 2 to 4096"),
        ({"hidden": [2.5]}, r"space\.hidden = 2\.5: .*whole number"),
        ({"chunk": 64}, r"space\.chunk = 64: is neither a range nor a list"),
        ({"hiden": [4]}, r'space\.hiden: is no setting of the model; did you mean "hidden"'),
        ({"output": ["mean"]}, r"space\.output: changes what is learned .* cannot be compared; a run for each value"),
        ({"volatility_bars": "8:64"}, r"space\.volatility_bars: changes what is learned"),
    ):
        with pytest.raises(ParameterError, match=rf"^model_search\.{said}"):
            SearchParams(space=space)
    with pytest.raises(ParameterError, match=r"^model_search\.space: varies nothing"):
        SearchParams(space={}, features=False)
    with pytest.raises(ParameterError, match="trials = 0"):
        search(trials=0)


def test_a_slip_in_the_number_of_trials_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused with the networks and the time it would take, before anything is read; with another bound it starts."""
    monkeypatch.setattr(models.model_search, "_Task", None)
    said = r"asks for 1,001 trials, where 1,000 start .*: up to 3,003 networks, in the order of \d+ minutes of one core"
    with pytest.raises(ParameterError, match=said):
        search(trials=1001)
    for trials, most in ((1001, None), (1001, 1001), (1000, 1000)):
        with pytest.raises(TypeError):
            search(trials=trials, most=most)


def test_every_setting_can_be_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting that is no part of what is learned takes values and ranges, and what is drawn is what trains."""
    assert set(SEARCHED) | set(FIXED) == set(LSTMParams.model_fields)
    assert set(SPACE_OF_ALL) == set(SEARCHED)
    assert {"hidden", "layers", "chunk", "burn_in", "learning_rate", "dropout"} == set(SearchParams().space)
    seen: list[LSTMParams] = []
    honest = models.training.train_networks
    monkeypatch.setattr(models.training, "train_networks", lambda *call: seen.append(call[2]) or honest(*call))
    found = search(trials=6, search=SearchParams(space=SPACE_OF_ALL, features=False, folds=2))
    assert set(SPACE_OF_ALL) < set(found.table.columns)
    rows = found.table.iloc[1:]
    assert len(rows) == 6
    for name in SPACE_OF_ALL:
        drawn = {getattr(params, name) for params in seen} | ({4} if name == "replay" else set())
        assert set(rows[name]) <= drawn | set(rows[name] if name == "replay" else ()), name
        assert rows[name].nunique() > 1, name
    assert all(isinstance(value, int | np.integer) for name in ("steps", "burn_in") for value in rows[name])
    again = tomllib.loads(found.toml())
    assert set(again["model"]) == set(SPACE_OF_ALL)
    assert build_config({**again, "market": {"demo": True}}).model.lstm.burn_in == found.model.burn_in


def test_a_setting_that_never_reaches_training_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: values that are drawn and put into the table, and a model that is trained without them."""
    honest = models.inner_folds.inner_jobs
    monkeypatch.setattr(models.model_search, "inner_jobs", lambda *call: honest(*call[:4], MODEL, call[5]))
    with pytest.raises(AssertionError):
        test_every_setting_can_be_searched(monkeypatch)


def test_a_sweep_says_where_models_are_searched() -> None:
    """`sweep` and `tune` play trained forecasts: for what is trained they name the command that searches it."""
    for name, said in (
        ("model.hidden", "tune-model, .*: --space model.hidden"),
        ("features.columns", "tries each"),
    ):
        with pytest.raises(ParameterError, match=f"{name}.*is trained, and not searched .*{said}"):
            read_space({name: "4:64"})
        with pytest.raises(ParameterError, match="is trained"):
            check_name(name, "sweep")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`crossgate tune-model` prints table, lead and best settings, which a config takes; with --json the same."""
    config = tmp_path / "small.toml"
    config.write_text(
        "[market]\ndemo = true\nbars = 1300\n[model]\nhidden = 4\nsteps = 5\nbatch = 4\nchunk = 32\n"
        '[features]\ncolumns = ["return:1", "rsi:5"]\n[walk_forward]\ntrain = "45d"\nembargo = "1h"\nseeds = 1\n'
        '[model_search]\nspace = { chunk = [16, 32], hidden = "2:8" }\nfolds = 2\n'
    )

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["crossgate", "tune-model", str(config), "--trials", "3", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out

    said = run("--out", str(tmp_path / "best.toml"))
    assert "as written" in said
    assert "trials on this data in the ledger: 4" in said
    written = tomllib.loads((tmp_path / "best.toml").read_text())
    record = json.loads(run("--json"))
    assert written == tomllib.loads(record["toml"])
    assert build_config(written).model.hidden == record["best"]["model"]["hidden"]
    assert len(record["trials"]) == 4
    assert {"hidden", "chunk"} < set(record["trials"][0])
    asked: list[Any] = []
    monkeypatch.setattr("crossgate.tune_model", lambda *_, **words: asked.append(words["search"]))
    tune_model_job(config, 3, ["model.burn_in=0:8", "model.layers=1,2"])
    assert asked[0].space == {"burn_in": "0:8", "layers": "1,2"}
    assert asked[0].folds == 2
    with pytest.raises(ParameterError, match=r"--space = 'risk\.leverage': is no setting of the model"):
        read_model_space(["risk.leverage=1,2"])
