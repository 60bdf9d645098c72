"""Metrics that a setting has not: they rank last, and terminal, page and record say of how many settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tuning_cases import STRATEGY, make_scene

from backtests.searches.search_text import undefined_text
from backtests.searches.sweeps import Sweep, sweep
from backtests.searches.tuning import Tuned, tune
from crossgate.sweep_command import _print_sweep
from foundation.trials import TrialLedger
from reports.sweep_report import write_sweep
from reports.tune_report import write_tuned

# No forecast reaches the second threshold; a few bars of quick trades lose in every trade, or in none.
OVER: dict[str, list[Any]] = {"strategy.threshold": ["0.5bps", "9000bps"], "risk.leverage": [1, 2, 3]}
SPACE: dict[str, Any] = {"strategy.threshold": ["0.5bps", "9000bps"], "strategy.slow": "2:6"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sweep, Path]:
    """A sweep of which half of the settings never trade, and its page."""
    place = tmp_path_factory.mktemp("sweep")
    ledger = TrialLedger(place / "ledger")
    found = sweep(*make_scene(), STRATEGY, over=OVER, ledger=ledger, workers=1, folder=place / "out")
    return found, write_sweep(found, place / "out", ledger=ledger)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tuned, Path]:
    """A tuning with trials that never trade and trials that contradict themselves, and its page."""
    place = tmp_path_factory.mktemp("tune")
    ledger, words = TrialLedger(place / "ledger"), {"objectives": ["profit_factor"], "constraints": ["sharpe>=-90"]}
    found = tune(*make_scene(), STRATEGY, over=SPACE, trials=20, seed=2, ledger=ledger, workers=1, **words)
    return found, write_tuned(found, place / "out", ledger=ledger)


def test_a_sweep_says_how_many_settings_rank_last(
    swept: tuple[Sweep, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three of six have no Sharpe ratio and no plateau, and stand behind all others whatever the table is sorted by."""
    found, page = swept
    assert found.undefined["sharpe"] == found.table["sharpe"].isna().sum() == 3
    assert found.undefined["plateau"] == found.table["plateau"].isna().sum() > 3
    assert "trades" not in found.undefined
    for metric in ("sharpe", "calmar"):
        ranked = found.best(metric, len(found))[metric].isna()
        assert ranked.is_monotonic_increasing
    said = f"of 6 settings: plateau in {found.undefined['plateau']}, sharpe in 3."
    assert said in str(found)
    assert f"of 6 settings: plateau in {found.undefined['plateau']}, Sharpe in 3." in page.read_text("utf-8")
    assert json.loads((page.parent / "sweep.json").read_text("utf-8"))["undefined"] == found.undefined
    _print_sweep(found, found.best("calmar"), "calmar", 0.5)
    assert (
        f"of 6 settings: calmar in 3, plateau in {found.undefined['plateau']}, sharpe in 3." in capsys.readouterr().out
    )


def test_a_tuning_says_how_many_trials_rank_last(tuned: tuple[Tuned, Path]) -> None:
    """Those that were refused are told apart from those that were played and have no value of a goal."""
    found, page = tuned
    trades = found.table["trades"]
    assert found.refused == trades.isna().sum() > 0
    assert found.undefined["sharpe"] == (trades == 0).sum() > 0
    assert found.undefined["profit_factor"] >= found.undefined["sharpe"]
    counts = [found.undefined[name] for name in ("profit_factor", "sharpe")]
    assert f"of 20 trials: profit_factor in {counts[0]}, sharpe in {counts[1]}." in str(found)
    assert f"{found.refused} trials were refused" in str(found)
    html = page.read_text("utf-8")
    assert f"of 20 trials: profit factor in {counts[0]}, Sharpe in {counts[1]}." in html
    assert f"{found.refused} trials had values that contradict each other" in html
    record = json.loads((page.parent / "tune.json").read_text("utf-8"))
    assert (record["refused"], record["undefined"]) == (found.refused, found.undefined)


def test_nothing_is_said_where_all_have_a_value(tmp_path: Path) -> None:
    """No sentence, no count; and where every trial is refused none is counted twice."""
    assert undefined_text({"sharpe": 0}, 6, "settings") == ""
    scene, ledger = make_scene(), TrialLedger(tmp_path)
    found = sweep(*scene, STRATEGY, over={"risk.leverage": [1, 2]}, ledger=ledger, workers=1)
    assert "sharpe" not in found.undefined
    assert "Not defined" not in str(found)
    wrong = {"strategy.slow": [2], "risk.leverage": "1:3"}
    goals: dict[str, Any] = {"constraints": ["max_drawdown<=5%"], "trials": 3}
    none = tune(*scene, STRATEGY, over=wrong, ledger=ledger, workers=1, **goals)
    assert (none.refused, none.undefined, none.best) == (3, {}, ())
    assert "max" in write_tuned(none, tmp_path / "out", ledger=ledger).read_text("utf-8")
