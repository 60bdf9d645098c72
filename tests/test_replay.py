"""Replay: what a search reports of its winners is what Backtrader comes to, whoever played them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import forecasts, market

import backtests.searches.sweeps as sweeps
import backtests.searches.tuning as tuning
from backtests.run.engine import backtest
from backtests.run.recount import first_apart, recount
from backtests.searches.forward import tune_forward
from backtests.searches.piece_store import PieceStore
from backtests.searches.sweeps import sweep
from backtests.searches.tuning import tune
from foundation.errors import CrossgateError
from foundation.trials import TrialLedger
from strategies.parameters import CrossoverParams, RiskParams

STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
OVER = {"risk.stop_loss": ["1%", "2%"]}


@pytest.fixture(scope="module")
def scene() -> tuple[Any, Any]:
    """A market and forecasts on it."""
    random = np.random.default_rng(5)
    markets = (market(random, "ONE", 300, 1.0),)
    return markets[0], forecasts(random, markets, 40)


def faulty(honest: Callable[..., Any], field: str, factor: float = 1.00001) -> Callable[..., Any]:
    """A player whose tallies are wrong in one sum, by a hundred-thousandth of it."""

    def play(*words: Any) -> Any:
        tallies = honest(*words)
        tallies[field] *= factor
        return tallies

    return play


@pytest.mark.parametrize(
    ("field", "metric"),
    [("fees", "fees"), ("returns", "sharpe"), ("won", "profit_factor")],
)
def test_a_sweep_whose_players_are_wrong_reports_nothing(
    field: str, metric: str, scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is reported is held to Backtrader, not what is played again for the purpose; the ledger counts it."""
    monkeypatch.setattr(sweeps, "play_range", faulty(sweeps.play_range, field))
    ledger = TrialLedger(tmp_path)
    with pytest.raises(CrossgateError, match=rf"setting \d: what was reported is not .* comes to, {metric} "):
        sweep(*scene, STRATEGY, RiskParams(), over=OVER, ledger=ledger)
    assert ledger.head().records == 1


def test_the_ranking_of_a_large_sweep_is_played_again(
    scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its table is played here; where the players came to another Sharpe ratio for any row of it, nothing is said."""
    monkeypatch.setattr(sweeps, "WHOLE", 1)
    honest = sweeps.play_range

    def play(*words: Any) -> Any:
        tallies = honest(*words)
        tallies["returns"][np.argmin(tallies["returns"])] *= 0.99
        return tallies

    assert len(sweep(*scene, STRATEGY, over=OVER, ledger=TrialLedger(tmp_path / "sound")).replayed) == 1
    monkeypatch.setattr(sweeps, "play_range", play)
    with pytest.raises(CrossgateError, match=r"setting \d: was ranked by a Sharpe ratio of .*, and comes to "):
        sweep(*scene, STRATEGY, over=OVER, ledger=TrialLedger(tmp_path))


def test_a_sweep_goes_on_with_no_wrong_piece(
    scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pieces on disk that another program wrote are noticed by what Backtrader comes to."""
    honest = PieceStore.read

    def read(store: PieceStore, begin: int, end: int) -> Any:
        tallies = honest(store, begin, end)
        return tallies if tallies is None else faulty(lambda: tallies, "fees")()

    words: dict[str, Any] = {"over": OVER, "ledger": TrialLedger(tmp_path / "ledger"), "folder": tmp_path / "out"}
    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "_finished", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sweep(*scene, STRATEGY, **words)
    monkeypatch.setattr(PieceStore, "read", read)
    with pytest.raises(CrossgateError, match=r"comes to, fees .*; search again in a new folder"):
        sweep(*scene, STRATEGY, **words)


def test_a_tuning_whose_players_are_wrong_reports_nothing(
    scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At once, and walk-forward for what was chosen on the past."""
    monkeypatch.setattr(tuning, "_tallies", faulty(tuning._tallies, "fees"))
    words: dict[str, Any] = {"over": {"risk.leverage": "1:5"}, "trials": 3, "ledger": TrialLedger(tmp_path)}
    with pytest.raises(CrossgateError, match=r"trial \d: what was reported is not .* comes to, fees "):
        tune(*scene, STRATEGY, **words)
    with pytest.raises(CrossgateError, match=r"trial \d before row \d+: what was reported is not .* comes to, fees "):
        tune_forward(*scene, STRATEGY, folds=1, **words)


def test_every_metric_is_held(scene: tuple[Any, Any]) -> None:
    """Each that is wrong by a hundred-thousandth, or not there, is named; None is as good as NaN."""
    result = backtest(*scene, STRATEGY, RiskParams(stop_loss="1%", take_profit="2%"))
    told = recount(result)
    assert first_apart(told, result) == ""
    for name, value in told.items():
        wrong = 1e-3 if value == 0.0 else value * 1.00001
        assert first_apart({**told, name: wrong}, result).startswith(f"{name} "), name
        assert first_apart({**told, name: float("nan")}, result).startswith(f"{name} nan and "), name
    idle = backtest(*scene, STRATEGY.replaced(threshold="5000bps"))
    undefined = {name: None if np.isnan(value) else value for name, value in recount(idle).items()}
    assert undefined["sharpe"] is None
    assert first_apart(undefined, idle) == ""
