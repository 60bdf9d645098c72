"""Records of many settings at once are those of their tables, made one by one and checked one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.tables import Tables
from backtests.searches.grid_records import grid_settings
from backtests.searches.grids import Grid
from backtests.searches.ground import settings_of
from foundation.errors import ParameterError
from strategies.parameters import CrossoverParams, RiskParams

LADDER = [{"distance": "1%", "share": 0.5}, {"distance": "30%margin", "share": 0.25}]
DISTANCES = ["off", "1%", "2.5%", "12%margin", "1.5atr", "2sigma", "150%margin"]
VALUES: dict[str, list[Any]] = {
    "risk.sizing": ["leverage", "risk", "fraction", "kelly"],
    "risk.leverage": [1, 2.5, 7.0, 11],
    "risk.risk_per_trade": [0.01, 0.02],
    "risk.stop_loss": DISTANCES,
    "risk.take_profit": DISTANCES,
    "risk.trailing_stop": DISTANCES,
    "risk.trailing_after": DISTANCES[:4],
    "risk.break_even": DISTANCES[:4],
    "risk.targets": [[], LADDER[:1], LADDER],
    "risk.maximum_bars": [0, 24],
    "risk.cooldown_bars": [0, 3],
    "risk.atr_bars": [7, 14],
    "strategy.fast": [5, 20],
    "strategy.slow": [20, 50],
    "strategy.on_opposite": ["reverse", "close"],
    "strategy.direction": ["both", "long", "short"],
    "account.intrabar": ["adverse", "favourable"],
    "account.limit_fill": ["touch", "through"],
    "costs.slippage_bps": [0.0, 2.0],
    "costs.half_spread": ["off", "1tick"],
}
BASES = (RiskParams(), RiskParams(stop_loss="10%margin", leverage=4.0, trailing_stop="1%", break_even="2%"))


def make(over: dict[str, list[Any]], risk: RiskParams = BASES[0]) -> Grid:
    """A grid over some values around the defaults."""
    return Grid(Tables(CrossoverParams(), risk, AccountParams(), CostParams()), over)


def refused(grid: Grid) -> str:
    """The first error among the settings of a grid, made one by one."""
    for point in grid.points():
        try:
            grid.base.changed(point)
        except ParameterError as error:
            return str(error)
    return ""


@st.composite
def axes(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Two to four axes with one to three values each."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=2, max_size=4, unique=True))
    picks = {name: st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=3, unique_by=str) for name in names}
    return {name: draw(pick) for name, pick in picks.items()}


@given(over=axes(), risk=st.sampled_from(BASES))
@settings(max_examples=150, deadline=None)
def test_a_grid_is_its_settings(over: dict[str, list[Any]], risk: RiskParams) -> None:
    """Either the records of all settings are the same to the last bit, or grid and settings refuse one and the same."""
    base = Tables(CrossoverParams(), risk, AccountParams(), CostParams())
    try:
        grid = Grid(base, over)
    except ParameterError:
        lax = object.__new__(Grid)
        object.__setattr__(lax, "base", base)
        object.__setattr__(lax, "axes", {name: tuple(values) for name, values in over.items()})
        assert refused(lax)
        return
    assert not refused(grid)
    for first in range(0, len(grid), grid.fast):
        numbers = np.arange(first, first + grid.fast)
        made = grid_settings(grid, grid.tables(first), numbers)
        one_by_one = settings_of([grid.tables(int(number)) for number in numbers])
        for ours, theirs in zip(made, one_by_one, strict=True):
            assert ours.tobytes() == theirs.tobytes()


def test_settings_keep_their_numbers() -> None:
    """The number of a setting gives its values; those that share signals follow one another."""
    grid = make({"risk.leverage": [1, 2, 3], "strategy.fast": [5, 10]})
    assert list(grid.axes) == ["strategy.fast", "risk.leverage"]
    assert grid.fast == 3
    for number, point in enumerate(grid.points()):
        assert grid.point(number) == point
        assert grid.tables(number) == grid.base.changed(point)


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        ({"risk.stop_loss": ["off", "1%"], "risk.leverage": [1, 2]}, 'is needed by risk.sizing = "risk"'),
        ({"strategy.fast": [10, 60], "strategy.slow": [50, 70]}, "should be above strategy.fast = 60"),
        ({"risk.trailing_after": ["1%"], "risk.trailing_stop": ["off", "2%"]}, "needs a trailing_stop"),
        ({"risk.leverage": [1, 1.0]}, "has a value twice"),
        ({"risk.stop_loss": ["1%", "100%"]}, "should be below 100%"),
    ],
)
def test_values_that_contradict_each_other_are_refused(over: dict[str, list[Any]], problem: str) -> None:
    """One line names the two, however large the grid."""
    wide = {**over, "risk.risk_per_trade": [0.0001 * k for k in range(1, 1001)]}
    with pytest.raises(ParameterError, match=problem):
        make(wide)
