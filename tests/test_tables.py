"""The four tables of a run: how functions take them, and what is said of one in another's place."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from simple_market import market, walk

import crossgate as cg
from backtests.run.tables import Tables, on_tables
from foundation.errors import ParameterError
from markets.market import Market

FUNCTIONS = (cg.backtest, cg.sweep, cg.tune, cg.tune_forward)


@on_tables
def seen(markets: list[Market], forecasts: str, tables: Tables, *, over: int = 0) -> tuple[Any, ...]:
    """What a function is given."""
    return markets, forecasts, tables, over


def test_one_market_or_several_and_any_of_the_tables() -> None:
    """What is left out has its defaults; what follows the tables comes through."""
    one, risk = market(walk(9, 1)), cg.RiskParams(leverage=3.0)
    markets, forecasts, tables, over = seen(one, "none", risk=risk, over=4)
    assert (markets, forecasts, over) == ([one], "none", 4)
    assert tables == Tables(cg.CrossoverParams(), risk, cg.AccountParams(), cg.CostParams())
    assert seen((one, one), "none", None, risk)[0] == [one, one]
    assert seen((one, one), "none", None, risk)[2] == tables


@pytest.mark.parametrize("function", FUNCTIONS)
def test_help_names_the_tables(function: Any) -> None:
    """Every function on tables has the same six words first, and its own after them."""
    parameters = inspect.signature(function).parameters
    assert list(parameters)[:6] == ["market", "forecasts", "strategy", "risk", "account", "costs"]
    assert all(parameters[name].default is None for name in ("strategy", "risk", "account", "costs"))
    assert all(parameters[name].annotation for name in parameters)
    assert not {"markets", "base", "tables", "args"} & set(parameters)
    assert len(parameters) > 7
    assert inspect.getdoc(function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_table_in_another_ones_place_is_named(function: Any) -> None:
    """So is what is no table, and what is no market."""
    one, over = market(walk(9, 1)), {} if function is cg.backtest else {"over": {}}
    with pytest.raises(ParameterError, match="strategy = 'RiskParams': should be CrossoverParams; hand it in as risk="):
        function(one, None, cg.RiskParams(), **over)
    with pytest.raises(ParameterError, match=r"costs = 'dict': should be CostParams; costs=CostParams\(\.\.\.\)"):
        function(one, None, costs={"impact": 1.0}, **over)
    for wrong in (None, [], "BTCUSDT", [one, None]):
        with pytest.raises(ParameterError, match=r"market = .*: should be a Market, or several"):
            function(wrong, None, **over)
