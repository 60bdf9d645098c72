"""Sweeps: every setting as a backtest of its own has it, counted in the ledger, refused where it makes no sense."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import forecasts, market

import backtests.run.replay as replay
import backtests.searches.sweeps as module
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.engine import backtest
from backtests.run.tables import Tables
from backtests.searches.grids import Grid, read_axis
from backtests.searches.landscape import plateau
from backtests.searches.sweeps import Sweep, sweep
from foundation.errors import CrossgateError, ParameterError
from foundation.trials import TrialLedger
from reports.curves import equity_curve
from reports.evidence import backtest_overfitting
from reports.metrics import compute_metrics
from reports.sections.search import told_idle
from strategies.parameters import CrossoverParams, RiskParams

STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
OVER: dict[str, list[Any]] = {
    "risk.stop_loss": ["1%", "2%", "2atr"],
    "strategy.threshold": ["0.5bps", "1cost"],
    "risk.leverage": [1, 3.0],
    "account.intrabar": ["adverse", "favourable"],
}


@pytest.fixture(scope="module")
def scene() -> tuple[Any, Any]:
    """A market and forecasts on it."""
    random = np.random.default_rng(5)
    markets = (market(random, "ONE", 400, 1.0),)
    return markets[0], forecasts(random, markets, 40)


@pytest.fixture(scope="module")
def swept(scene: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, TrialLedger]:
    """A sweep over signals, risk and account at once, and the ledger it is put down in."""
    ledger = TrialLedger(tmp_path_factory.mktemp("ledger"))
    return sweep(*scene, STRATEGY, RiskParams(), over=OVER, ledger=ledger), ledger


def test_each_setting_is_a_backtest(scene: tuple[Any, Any], swept: tuple[Sweep, TrialLedger]) -> None:
    """Every row has the metrics of a backtest with its values, and the block sums are those of its bar returns."""
    found, _ = swept
    assert len(found.table) == 24
    for row in (0, 7, 13, 23):
        values = found.table.iloc[row]
        risk = RiskParams(stop_loss=values["risk.stop_loss"], leverage=float(values["risk.leverage"]))
        strategy = STRATEGY.replaced(threshold=values["strategy.threshold"])
        account = AccountParams(intrabar=values["account.intrabar"])
        result = backtest(*scene, strategy, risk, account)
        metrics, returns = compute_metrics(result, ()), equity_curve(result).returns
        for name in ("sharpe", "total_return", "max_drawdown", "trades", "win_rate", "fees", "funding", "exposure"):
            assert values[name] == pytest.approx(metrics[name], rel=1e-6), name
        edges = np.arange(1, 17) * len(returns) // 16
        for power in (1, 2):
            sums = [(part**power).sum() for part in np.split(returns, edges[:-1])]
            assert found.blocks[row, power - 1] == pytest.approx(sums, abs=1e-12)


def test_the_ledger_counts_every_setting_once(scene: tuple[Any, Any], swept: tuple[Sweep, TrialLedger]) -> None:
    """24 trials; the same sweep again adds none, one more value adds a sweep of its own."""
    found, ledger = swept
    assert found.trials == 24
    assert sweep(*scene, STRATEGY, RiskParams(), over=OVER, ledger=ledger).trials == 24
    wider = sweep(*scene, STRATEGY, RiskParams(), over={"risk.leverage": [1, 2, 3]}, ledger=ledger)
    assert wider.trials == 27
    kept = ledger.blocks(ledger.batches()[0].content)
    assert kept is not None
    assert np.array_equal(kept, found.blocks)
    assert 0.0 <= backtest_overfitting(kept) <= 1.0


def test_threads_change_nothing(scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small pieces with several sets of signals, played by threads, give the same bits as one after the other."""
    over = {**OVER, "strategy.threshold": ["0.5cost", "1cost", "2bps"], "strategy.slow": [6, 9]}
    alone = sweep(*scene, STRATEGY, over=over, workers=1, ledger=TrialLedger(tmp_path))
    monkeypatch.setattr(module, "PIECE", 5)
    monkeypatch.setattr("foundation.threads.processors", lambda: 4)
    spread = sweep(*scene, STRATEGY, over=over, ledger=TrialLedger(tmp_path))
    assert len(list(alone.grid.signals)) >= 6
    assert alone.table.equals(spread.table)
    assert np.array_equal(alone.blocks, spread.blocks)


def test_workers_change_nothing(scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pieces spread over processes give the same bits as one process."""
    alone = sweep(*scene, STRATEGY, over=OVER, workers=1, ledger=TrialLedger(tmp_path))
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "PIECE", 5)
    spread = sweep(*scene, STRATEGY, over=OVER, workers=2, ledger=TrialLedger(tmp_path))
    assert alone.table.equals(spread.table)
    assert np.array_equal(alone.blocks, spread.blocks)


def test_a_plateau_is_the_worst_of_the_neighbourhood() -> None:
    """On a 3 x 4 grid each cell has the smallest value among itself and up to eight around it."""
    values = np.array([[5.0, 1, 7, 7], [6, 6, 7, np.nan], [6, 6, 8, 9]])
    expected = [[1, 1, np.nan, np.nan], [1, 1, np.nan, np.nan], [6, 6, np.nan, np.nan]]
    assert np.array_equal(plateau(values.ravel(), (3, 4)), np.ravel(expected), equal_nan=True)


def test_the_best_is_replayed_and_a_difference_stops_everything(
    scene: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A kernel that ends elsewhere than Backtrader is reported, and the ledger counts what was played."""
    honest = replay.play_solo
    monkeypatch.setattr(replay, "play_solo", lambda *words: _shifted(honest(*words)))
    with pytest.raises(CrossgateError, match=r"kernel and Backtrader part, .* UTC, fill 1: price"):
        sweep(*scene, STRATEGY, over={"risk.leverage": [1, 2]}, ledger=TrialLedger(tmp_path))
    assert TrialLedger(tmp_path).head().records == 1


def _shifted(solo: Any) -> Any:
    solo.fills.loc[0, "price"] += 0.01
    return solo


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        ({}, "varies nothing"),
        ({"risk.stop_los": ["1%"]}, 'did you mean "stop_loss"'),
        ({"model.hidden": [8]}, "crossgate tune-model, which judges it before the first test: --space model.hidden"),
        ({"costs.taker_fee": [0.001]}, "cannot be varied"),
        ({"risk.leverage": []}, "has no value"),
        ({"risk.leverage": [1, 1]}, "has a value twice"),
        ({"risk.stop_loss": ["1%", "1x"]}, "risk.stop_loss"),
        ({"risk.leverage": [1, 500.0]}, "is above the maximum"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(scene: tuple[Any, Any], over: Any, problem: str, tmp_path: Path) -> None:
    """One line, and nothing in the ledger."""
    with pytest.raises(ParameterError, match=problem):
        sweep(*scene, STRATEGY, over=over, ledger=TrialLedger(tmp_path))
    assert TrialLedger(tmp_path).head().records == 0


def test_axes_are_read_from_text() -> None:
    """Lists and evenly spaced ranges, with units."""
    assert read_axis("risk.leverage=1,2.5") == ("risk.leverage", [1, 2.5])
    assert read_axis("risk.stop_loss=1%, 2atr") == ("risk.stop_loss", ["1%", "2atr"])
    assert read_axis("risk.stop_loss=0.5%:2%:4") == ("risk.stop_loss", ["0.5%", "1%", "1.5%", "2%"])
    assert read_axis("risk.leverage=1:3:3") == ("risk.leverage", [1, 2, 3])
    for wrong in ("risk.leverage", "risk.leverage=", "risk.stop_loss=1%:2atr:3", "risk.stop_loss=1%:2%:1"):
        with pytest.raises(ParameterError):
            read_axis(wrong)


@pytest.mark.parametrize("range_", ["1%:5%", "1%:5%:x", "1%:5%:3:sqrt", "1%,2%:5%:3"])
def test_a_range_that_lacks_something_says_what_a_range_is(range_: str) -> None:
    """And does not speak of a distance that has no unit."""
    with pytest.raises(
        ParameterError, match=r"is no range; first, last and how many, such as risk.stop_loss=0.5%:5%:10"
    ):
        read_axis(f"risk.stop_loss={range_}")


def test_a_parameter_that_changes_nothing_is_named_and_listed_once(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """Leverage, where the risk of a trade makes its size: every setting is listed with its first value."""
    over = {"risk.leverage": [4, 5, 6], "risk.stop_loss": ["1%", "2%"], "risk.take_profit": ["2%"]}
    sizes = RiskParams(sizing="risk", risk_per_trade=0.001)
    found = sweep(*scene, STRATEGY, sizes, over=over, ledger=TrialLedger(tmp_path))
    assert found.idle == ["risk.leverage"]
    assert found.best(count=10)["risk.leverage"].tolist() == [4, 4]
    assert sorted(found.best(count=10)["risk.stop_loss"]) == ["1%", "2%"]
    assert len(found.table) == 6
    (said,) = told_idle(found)
    assert said.startswith("Leverage changed nothing")
    own = found.sharpe + np.arange(6.0)
    moved = replace(found, sharpe=own, table=found.table.assign(sharpe=own))
    assert moved.idle == []
    assert told_idle(moved) == []
    assert len(moved.best(count=10)) == 6


def test_signals_vary_slowest() -> None:
    """What settings share is worked out once: the axes of signals come first, in whatever order they are written."""
    grid = Grid(Tables(STRATEGY, RiskParams(), AccountParams(), CostParams()), OVER)
    assert list(grid.axes) == ["strategy.threshold", "risk.stop_loss", "risk.leverage", "account.intrabar"]
    assert grid.shape == (2, 3, 2, 2)
    assert len(grid) == 24


def test_what_is_printed_holds_the_best(swept: tuple[Sweep, TrialLedger]) -> None:
    """The best settings first, how many trials there were, and what each value does on its own."""
    found, _ = swept
    said = str(found)
    assert "24 settings; 24 trials" in said
    best = found.best(count=1).iloc[0]
    assert best["sharpe"] == found.table["sharpe"].max()
    assert len(found.effects) == 9
    with pytest.raises(ParameterError, match='did you mean "sharpe"'):
        found.best("sharp")
