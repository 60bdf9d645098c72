"""Search sizes, axes and edges: a slip starts nothing, neighbours are neighbours by value, ends are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import forecasts, market
from typer.testing import CliRunner

import backtests.searches.sweeps as module
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.tables import Tables
from backtests.searches.axes import sort_axis
from backtests.searches.grids import Grid, read_axis
from backtests.searches.landscape import at_edges, best_numbers, grid_plateau
from backtests.searches.search_size import MOST_SETTINGS, check_settings, check_trials
from backtests.searches.search_text import column_type
from backtests.searches.sweeps import read_ranking, sweep
from backtests.searches.tuning import tune
from crossgate.command_line import app
from foundation.errors import ParameterError
from foundation.trials import TrialLedger
from reports.search_sentences import few_trades
from strategies.parameters import CrossoverParams, RiskParams

STRATEGY = CrossoverParams(fast=2, slow=6, threshold="0.5bps")
BASE = Tables(STRATEGY, RiskParams(), AccountParams(), CostParams())


@pytest.fixture(scope="module")
def scene() -> tuple[Any, Any]:
    """A market and forecasts on it."""
    random = np.random.default_rng(5)
    markets = (market(random, "ONE", 300, 1.0),)
    return markets[0], forecasts(random, markets, 40)


def test_a_slip_of_a_grid_is_told_before_anything_starts() -> None:
    """Count, sizes, time, memory, disk and the way on, in one line; one setting less than the bound is played."""
    over = {"risk.stop_loss": range(1000), "risk.leverage": range(1000), "risk.take_profit": range(100)}
    with pytest.raises(ParameterError) as caught:
        check_settings(over, 10_000, MOST_SETTINGS)
    said = str(caught.value)
    for part in (
        "100,000,000 settings (risk.stop_loss 1,000 x risk.leverage 1,000 x risk.take_profit 100)", "7 hours",
        "11.0 GB of memory", "45.0 GB of disk", "--yes", "most=100000000", "crossgate tune",
    ):  # fmt: skip
        assert part in said, part
    assert "\n" not in said
    check_settings(over, 10_000, None)
    check_settings({"risk.leverage": range(MOST_SETTINGS)}, 10, MOST_SETTINGS)


def test_values_that_contradict_each_other_are_told_of_the_grid() -> None:
    """A grid plays all combinations, so averages that cross are refused with the way on; of one axis alone not."""
    axes = {"strategy.fast": [2, 9], "strategy.slow": [5, 12]}
    said = r"grid: strategy.slow = 5: should be above strategy.fast = 9; all combinations .*crossgate tune passes over"
    with pytest.raises(ParameterError, match=said):
        Grid(BASE, axes)
    with pytest.raises(ParameterError, match=r"^strategy.slow = 6: should be above strategy.fast = 9$"):
        Grid(BASE, {"strategy.fast": [2, 9], "risk.leverage": [1]})


def test_numbers_stay_numbers_in_a_table() -> None:
    """A column of numbers holds numbers, one with a word or a distance text; yes and no are no numbers."""
    for values, kind in (([1, 2], int), ([1, 2.5], float), ([1, "off"], str), (["1%", "2%"], str), ([True, 1], str)):
        assert column_type(values) is kind


def test_a_million_settings_need_no_word() -> None:
    """What the promise on memory speaks of starts by itself."""
    check_settings(dict.fromkeys(("a", "b", "c"), range(100)), 10_000, MOST_SETTINGS)


def test_nothing_is_started_nor_written_beyond_the_bound(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """Neither a folder nor a record in the ledger; the same grid is played once it is asked for."""
    over: dict[str, Any] = {"risk.leverage": [1, 2, 3], "risk.stop_loss": ["1%", "2%"]}
    words: dict[str, Any] = {"over": over, "ledger": TrialLedger(tmp_path / "ledger"), "folder": tmp_path / "sweep"}
    with pytest.raises(ParameterError, match="holds 6 settings"):
        sweep(*scene, STRATEGY, most=5, **words)
    assert not any(tmp_path.iterdir())
    assert len(sweep(*scene, STRATEGY, most=6, **words)) == 6


def test_the_command_refuses_before_it_trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A grid of a hundred million settings on the demo market, and one axis of as many values."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("crossgate.sweeping.searched", lambda *_: pytest.fail("started"))
    config = str(Path(__file__).parent.parent / "backtests" / "configs" / "demo.toml")
    grids = ["risk.stop_loss=0.5%:5%:1000", "risk.leverage=1:50:1000", "risk.take_profit=1%:9%:100"]
    asked = CliRunner().invoke(app, ["sweep", config, *(f"--grid={one}" for one in grids)])
    assert "100,000,000 settings" in str(asked.exception)
    assert "17,520 bars" in str(asked.exception)
    ranged = CliRunner().invoke(app, ["sweep", config, "--grid=risk.stop_loss=0.5%:5%:100000000"])
    assert "asks for 100,000,000 values" in str(ranged.exception)
    ranked = CliRunner().invoke(app, ["sweep", config, "--grid=risk.leverage=1,2", "--by", "sharp"])
    assert 'did you mean "sharpe"' in str(ranked.exception)
    assert not any(tmp_path.iterdir())


def test_trials_are_counted_over_all_folds(scene: tuple[Any, Any]) -> None:
    """A tuning of too many trials in all is refused; 20,000 at once or 3,333 before each of five folds are not."""
    check_trials(20_000, 0, 20_000)
    check_trials(3_333, 5, 20_000)
    with pytest.raises(ParameterError, match=r"20,004 trials \(3,334 for each of 5 folds and once for all\)"):
        check_trials(3_334, 5, 20_000)
    with pytest.raises(ParameterError, match="21 trials, where 20 start"):
        tune(*scene, STRATEGY, over={"risk.leverage": [1, 2]}, trials=21, most=20)


@pytest.mark.parametrize(
    ("name", "written", "expected", "runs"),
    [
        ("risk.leverage", [5, 1, 3], [1, 3, 5], (3,)),
        ("risk.take_profit", ["off", "4%", "1%"], ["1%", "4%", "off"], (3,)),
        ("risk.stop_loss", ["2%", "1atr", "1%", "3atr"], ["1%", "2%", "1atr", "3atr"], (2, 2)),
        ("risk.take_profit", ["2%", "off", "1atr", "1%"], ["off", "1%", "2%", "1atr"], (1, 2, 1)),
        ("risk.maximum_bars", [0, 48, 24], [24, 48, 0], (3,)),
        ("risk.cooldown_bars", [8, 0, 4], [0, 4, 8], (3,)),
        ("strategy.minimum_sigma", ["20bps", "off", "10bps"], ["off", "10bps", "20bps"], (3,)),
        ("account.intrabar", ["favourable", "adverse"], ["favourable", "adverse"], (1, 1)),
    ],
)
def test_neighbours_are_neighbours_by_value(name: str, written: Any, expected: Any, runs: Any) -> None:
    """Whatever order they are named in; off stands where it acts, and units and words are kept apart."""
    grid = Grid(BASE, {name: written})
    assert [str(value) for value in grid.axes[name]] == [str(value) for value in expected]
    assert grid.runs[name] == runs
    assert [str(one) for one in grid.parsed[name]] == [str(one) for one in Grid(BASE, {name: expected}).parsed[name]], (
        "what is played goes with what is written"
    )


def test_the_order_on_the_command_line_changes_no_plateau(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """The same values in another order are the same sweep: one plateau a setting, and the ledger counts it once."""
    ledger = TrialLedger(tmp_path)
    rising: dict[str, Any] = {"risk.stop_loss": ["1%", "2%", "4%"], "risk.leverage": [1, 2, 3]}
    up = sweep(*scene, STRATEGY, over=rising, ledger=ledger)
    mixed: dict[str, Any] = {"risk.stop_loss": ["4%", "1%", "2%"], "risk.leverage": [3, 1, 2]}
    assert sweep(*scene, STRATEGY, over=mixed, ledger=ledger).table.equals(up.table)
    assert ledger.tried(up.ground.spans).trials == 9
    assert up.head == ledger.head()


def test_plateaus_end_where_a_unit_does() -> None:
    """A stop of 2 % and one of 1 ATR are not neighbours: neither lowers the other."""
    grid = Grid(BASE, {"risk.stop_loss": ["1%", "2%", "1atr", "2atr"]})
    assert grid_plateau(grid, np.array([5.0, 4.0, -1.0, 3.0])).tolist() == [4.0, 4.0, -1.0, -1.0]


def test_of_equal_plateaus_the_better_setting_is_chosen() -> None:
    """Neighbours share the worst of their neighbourhoods, so that ties are common."""
    level, own = np.array([4.0, 4.0, 4.0, np.nan]), np.array([4.0, 6.0, 5.0, 9.0])
    assert best_numbers(level, 4, own).tolist() == [1, 2, 0]
    assert best_numbers(level, 2, np.array([np.nan, np.nan, 1.0, 1.0])).tolist() == [2, 0]


def test_a_plateau_at_the_end_of_the_grid_is_named() -> None:
    """Only where the value beside it comes to something else, and off is no end that could be moved."""
    grid = Grid(
        BASE, {"risk.stop_loss": ["1%", "2%", "3%"], "risk.leverage": [1, 2], "risk.take_profit": ["4%", "off"]}
    )
    values = np.zeros(grid.shape)
    values[0], values[1] = 9.0, 8.0
    assert at_edges(grid, values.ravel(), 1) == ["risk.stop_loss"]
    assert at_edges(grid, values.ravel(), 5) == []
    values[0, :, 1] = 10.0
    assert at_edges(grid, values.ravel(), 0) == ["risk.stop_loss", "risk.take_profit"]
    assert at_edges(grid, values.ravel(), 1) == ["risk.stop_loss"]


def test_the_best_by_a_metric_that_is_better_low(scene: tuple[Any, Any], tmp_path: Path) -> None:
    """The shallowest drawdown first; what is neither better high nor low has to say which."""
    found = sweep(*scene, STRATEGY, over={"risk.stop_loss": ["1%", "2%", "3%"]}, ledger=TrialLedger(tmp_path))
    falls = found.best("max_drawdown")["max_drawdown"].tolist()
    assert falls == sorted(falls)
    assert falls[0] < falls[-1]
    assert found.best("max_drawdown:max")["max_drawdown"].tolist() == falls[::-1]
    with pytest.raises(ParameterError, match="write trades:max or trades:min"):
        found.best("trades")
    with pytest.raises(ParameterError, match="kept for the best settings only"):
        read_ranking("calmar", module.WHOLE + 1)


def test_an_axis_is_sorted_with_what_it_is_parsed_to() -> None:
    """Booleans are words, and what is written keeps its place beside what is parsed."""
    assert sort_axis("x.y", ["b", "a"], [True, False]) == (("b", "a"), (True, False), (1, 1))
    assert sort_axis("x.y", ["two", "one"], [2, 1]) == (("one", "two"), (1, 2), (2,))


def test_few_trades_are_told() -> None:
    """None, one and 29, but not 30."""
    assert [few_trades(count, "It")[0].text.split(";")[0] for count in (0, 1, 29)] == [
        "It made no trade", "It made 1 trade", "It made 29 trades",
    ]  # fmt: skip
    assert few_trades(30, "It") == []


def test_a_range_of_too_many_values_is_not_even_written_out() -> None:
    """Neither from the command line nor from Python."""
    with pytest.raises(ParameterError, match="asks for 1,000,000,000 values"):
        read_axis("risk.stop_loss=0.5%:5%:1000000000")
    with pytest.raises(ParameterError, match="asks for 10,001 values"):
        Grid(BASE, {"risk.leverage": range(1, 10_002)})
