"""Tuning: trials that are backtests, counted before they are looked at, resumable to the same trials, replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuning_cases import GOALS, OVER, STRATEGY, TRIALS

import backtests.run.replay as replay
import backtests.searches.tuning as module
from backtests.run.engine import backtest
from backtests.run.tables import Tables
from backtests.searches.goals import UNDEFINED, read_goals
from backtests.searches.space import read_over, read_space
from backtests.searches.tuning import BATCH, Tuned, tune
from foundation.errors import CrossgateError, ParameterError
from foundation.seals import SealedError, seal
from foundation.trials import Span, TrialLedger
from reports.metrics import compute_metrics
from strategies.parameters import CrossoverParams


def test_trials_are_backtests_and_keep_to_the_space(
    tuning_scene: tuple[Any, Any], tuned: tuple[Tuned, TrialLedger]
) -> None:
    """What a trial came to is what a backtest with its values comes to; no value lies outside its range."""
    found, _ = tuned
    assert len(found) == TRIALS
    stops = found.table["risk.stop_loss"].str.rstrip("%").astype(float)
    assert stops.between(0.5, 5.0).all()
    assert set(found.table["risk.leverage"]) <= {1, 2.0, 5}
    assert found.table["strategy.slow"].between(2, 12).all()
    for number in found.best[:2]:
        tables = found.tables(number)
        result = backtest(*tuning_scene, tables.strategy, tables.risk, tables.account, tables.costs)
        metrics = compute_metrics(result, ())
        for name in ("sharpe", "max_drawdown", "trades", "fees"):
            assert found.table.loc[number, name] == pytest.approx(metrics[name], rel=1e-6)


def test_the_front_is_feasible_and_not_dominated(tuned: tuple[Tuned, TrialLedger]) -> None:
    """No feasible trial is better in one goal and not worse in the other; bounds are kept; refused trials stay out."""
    found, _ = tuned
    table = found.table
    kept = table[(table["max_drawdown"] <= 0.05) & (table["trades"] >= 20)].dropna(subset=["sharpe"])
    assert kept.index.tolist() == table[table["feasible"]].index.tolist()
    front = []
    for number, row in kept.iterrows():
        better = (kept["sharpe"] >= row["sharpe"]) & (kept["max_drawdown"] <= row["max_drawdown"])
        strictly = (kept["sharpe"] > row["sharpe"]) | (kept["max_drawdown"] < row["max_drawdown"])
        if not (better & strictly).any():
            front.append(number)
    assert set(found.best) <= set(front)
    pairs = {tuple(kept.loc[number, ["sharpe", "max_drawdown"]]) for number in front}
    assert len(found.best) == len(pairs)
    ratios = [float(table.loc[number, "sharpe"]) for number in found.best]
    assert ratios == sorted(ratios, reverse=True)
    assert set(found.replayed) == set(found.best)
    refused = table[table["strategy.slow"] <= 2]
    assert len(refused) > 0
    assert refused["sharpe"].isna().all()


def test_every_trial_is_in_the_ledger(tuned: tuple[Tuned, TrialLedger]) -> None:
    """One record a batch, with all trials that were asked for; the block sums of those that were played are kept."""
    found, ledger = tuned
    assert int(found.table["trades"].isna().sum()) > 0
    batches = ledger.batches()
    assert [one.kind for one in batches] == ["tune"] * 2
    assert sum(one.trials for one in batches) == found.trials == TRIALS
    blocks = ledger.blocks(batches[0].content)
    assert blocks is not None
    assert blocks.shape == (int(found.table["trades"].iloc[:BATCH].notna().sum()), 2, 16)


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@127.0.0.1:bad/db", "nothing://u:secret@h/db", "postgresql+nodriver://u:secret@h/db"]
)
def test_a_database_out_of_reach_is_said_without_its_password(
    tuning_scene: tuple[Any, Any], url: str, tmp_path: Path
) -> None:
    """One line for a wrong address or driver."""
    words: dict[str, Any] = {"over": {"risk.leverage": "1:5"}, "trials": 3, "ledger": TrialLedger(tmp_path)}
    with pytest.raises(ParameterError, match="cannot be opened") as told:
        tune(*tuning_scene, STRATEGY, storage=url, **words)
    assert "secret" not in str(told.value)
    assert "u:***@" in str(told.value)


def test_workers_change_nothing(
    tuning_scene: tuple[Any, Any], tuned: tuple[Tuned, TrialLedger], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch spread over processes gives the same trials."""
    monkeypatch.setattr(module, "SMALL", 0)
    words: dict[str, Any] = {**GOALS, "over": OVER, "trials": BATCH, "seed": 3, "workers": 2}
    found = tune(*tuning_scene, STRATEGY, **words, ledger=TrialLedger(tmp_path))
    assert found.table.equals(tuned[0].table.iloc[:BATCH])


def test_it_learns(tuning_scene: tuple[Any, Any], tmp_path: Path) -> None:
    """Later trials are better than those by chance, and the best is at least as good as the base setting."""
    over = {"risk.stop_loss": "0.3%:10%:log", "risk.take_profit": "0.3%:10%:log"}
    found = tune(*tuning_scene, STRATEGY, over=over, trials=100, seed=1, ledger=TrialLedger(tmp_path))
    ratios = found.table["sharpe"].to_numpy()
    assert np.median(ratios[60:]) > np.median(ratios[:20])
    assert found.best == (int(found.table["sharpe"].idxmax()),)
    assert set(found.importance["sharpe"]) == set(over)
    assert sum(found.importance["sharpe"].values()) == pytest.approx(1.0)


def test_the_best_is_replayed_and_a_difference_stops_everything(
    tuning_scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A kernel that ends elsewhere than Backtrader is reported."""
    honest = replay.play_solo

    def shifted(*words: Any) -> Any:
        solo = honest(*words)
        solo.fills.loc[0, "price"] += 0.01
        return solo

    monkeypatch.setattr(replay, "play_solo", shifted)
    with pytest.raises(CrossgateError, match=r"trial \d+: kernel and Backtrader part, .* UTC, fill 1: price"):
        tune(*tuning_scene, STRATEGY, over={"risk.leverage": "1:5"}, trials=5, ledger=TrialLedger(tmp_path))


def test_the_kernel_is_compiled_before_workers_start(
    tuning_scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A search that is large enough for worker processes has the kernel compiled first; a small one needs none."""
    import backtests.searches.tuning as module

    order: list[str] = []
    honest, compiled = module.Crew, module.compile_kernel
    monkeypatch.setattr(module, "Crew", lambda shared, _: order.append("workers") or honest(shared, 1))
    monkeypatch.setattr(module, "compile_kernel", lambda *words: order.append("compiled") or compiled(*words))
    for small in (10**9, 0):
        monkeypatch.setattr(module, "SMALL", small)
        tune(
            *tuning_scene, STRATEGY, over={"risk.leverage": "1:5"}, trials=3, ledger=TrialLedger(tmp_path / str(small))
        )
    assert order == ["workers", "compiled", "workers"]


def test_a_sealed_stretch_is_not_read(tuning_scene: tuple[Any, Any], tmp_path: Path) -> None:
    """Neither tuning nor sweep plays into data that is sealed."""
    from backtests.searches.sweeps import sweep

    ledger, stamps = TrialLedger(tmp_path), tuning_scene[0].candles.timestamp
    seal(ledger, Span(tuning_scene[0].trial_key, int(stamps[-50]), int(stamps[-1])))
    with pytest.raises(SealedError, match="its last stretch is sealed"):
        tune(*tuning_scene, STRATEGY, over={"risk.leverage": "1:5"}, trials=5, ledger=ledger)
    with pytest.raises(SealedError, match="its last stretch is sealed"):
        sweep(*tuning_scene, STRATEGY, over={"risk.leverage": [1, 2]}, ledger=ledger)
    open_part = tuning_scene[0].rows(0, 250)
    assert tune(open_part, tuning_scene[1], STRATEGY, over={"risk.leverage": "1:5"}, trials=3, ledger=ledger).best


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        ({}, "varies nothing"),
        ({"risk.leverage": [2], "risk.stop_loss": "2%"}, "varies nothing: each parameter has one value"),
        ({"risk.stop_los": "1%:2%"}, 'did you mean "stop_loss"'),
        ({"model.hidden": "4:8"}, "crossgate tune-model, which judges it before the first test: --space model.hidden"),
        ({"risk.stop_loss": "1%:2atr"}, "should have one unit"),
        ({"risk.leverage": "5:1"}, "should rise"),
        ({"risk.leverage": "0:5:log"}, "risk.leverage"),
        ({"risk.leverage": "1:5000"}, "risk.leverage = 5000"),
        ({"risk.leverage": []}, "has no value"),
        ({"strategy.average": "ema,foo"}, "strategy.average"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(over: dict[str, Any], problem: str) -> None:
    """One line, before anything is played."""
    with pytest.raises(ParameterError, match=problem):
        read_space(over)


@pytest.mark.parametrize(
    ("objectives", "constraints", "problem"),
    [
        ([], [], "is missing"),
        (["sharp"], [], 'did you mean "sharpe"'),
        (["trades"], [], "is neither better high nor better low"),
        (["sharpe", "sharpe:min"], [], "is named twice"),
        (["sharpe"], ["drawdown<=0.3"], "max_drawdown"),
        (["sharpe"], ["max_drawdown<0.3"], "should read metric<=number"),
    ],
)
def test_goals_that_make_no_sense_are_refused(objectives: list[str], constraints: list[str], problem: str) -> None:
    """One line that says what can be written."""
    with pytest.raises(ParameterError, match=problem):
        read_goals(objectives, constraints)


def test_goals_and_space_are_read_from_text() -> None:
    """Percent, both relations, ranges with units, whole numbers where the parameter takes no others."""
    goals = read_goals(["sharpe", "max_drawdown", "trades:max"], ["max_drawdown <= 30%", "trades>=50"])
    assert [one.direction for one in goals.objectives] == ["maximize", "minimize", "maximize"]
    drawdown, trades = goals.constraints
    assert drawdown.broken_by({"max_drawdown": 0.4}) == pytest.approx(0.1)
    assert drawdown.broken_by({"max_drawdown": float("nan")}) == UNDEFINED
    assert trades.broken_by({"trades": 60.0}) == -10.0
    over = read_over(
        ["strategy.fast=5:50", "risk.leverage=1:5", "risk.stop_loss=0.5%:5%:log", "risk.sizing=risk,kelly"]
    )
    fast, leverage, stop, sizing = read_space(over)
    assert (fast.whole, leverage.whole) == (True, False)
    assert (stop.low, stop.high, stop.unit, stop.log) == (0.5, 5.0, "%", True)
    assert sizing.choices == ("risk", "kelly")
    for wrong in ("risk.leverage", "risk.leverage="):
        with pytest.raises(ParameterError):
            read_over([wrong])


def test_settings_that_share_signals_are_told_apart_by_habits_alone() -> None:
    """What is done about a signal does not change it."""
    from backtests.exchange.parameters import AccountParams, CostParams
    from strategies.parameters import RiskParams

    base = Tables(CrossoverParams(), RiskParams(), AccountParams(), CostParams())
    same = base.changed({"strategy.direction": "long", "strategy.on_opposite": "close", "risk.leverage": 1.0})
    assert base.signals == same.signals
    assert base.signals != base.changed({"risk.atr_bars": 7}).signals
