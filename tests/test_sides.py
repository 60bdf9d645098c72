"""Sides and steps: worked out at once they are those that the strategy comes to bar by bar."""

from __future__ import annotations

import numpy as np
import pytest
from result_factory import make_market

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.engine import backtest
from models.forecasts import Forecasts, ForecastSeries
from strategies.parameters import CrossoverParams, RiskParams
from strategies.sides import wanted_sides
from strategies.steps import (
    BARRED,
    CLOSE_AND_ENTER,
    CLOSE_FOR_SIGNAL,
    COOLING,
    ENTER,
    LEAVE,
    NOTHING,
    WAITS,
    habits_record,
    new_memory,
    next_step,
    remember_entry,
    remember_exit,
)


@pytest.mark.parametrize(
    "strategy",
    [
        CrossoverParams(threshold="1bps"),
        CrossoverParams(threshold="0.5bps", average="sma", confirmation="cross", cross_bars=5),
        CrossoverParams(threshold="0.05sigma", fast=5, slow=12, minimum_sigma="40bps", maximum_sigma="70bps"),
        CrossoverParams(threshold="1bps", rule="forecast", direction="long"),
        CrossoverParams(rule="crossover", fast=3, slow=9),
        CrossoverParams(rule="buy_and_hold"),
    ],
    ids=lambda one: f"{one.rule} {one.threshold} {one.confirmation}",
)
def test_sides_are_those_of_the_strategy(strategy: CrossoverParams) -> None:
    """The series worked out at once equals the signal column of a backtest at every bar that was played."""
    market, random = make_market(bars=900, seed=4), np.random.default_rng(2)
    stamps = market.candles.timestamp[30:]
    mean, sigma = random.normal(0.0, 2e-4, len(stamps)), random.uniform(0.003, 0.009, len(stamps))
    series = ForecastSeries(stamps, mean, sigma, stamps - 1, np.zeros(len(stamps)))
    forecasts, account = Forecasts({market.symbol: series}, "noise"), AccountParams(missing_funding="zero")
    result = backtest(market, forecasts, strategy, RiskParams(), account, CostParams(slippage_bps=1.0))
    first = int(np.searchsorted(market.candles.timestamp, result.start))
    cost_rate = market.contract.taker_fee + 1e-4
    found = wanted_sides(market, forecasts, strategy, cost_rate, first)
    assert np.array_equal(found[first:], result.decisions["signal"].to_numpy())
    assert not found[:first].any()
    assert strategy.rule == "buy_and_hold" or {-1, 1} <= set(found[first:].tolist())


def step(
    wanted: int, held: int = 0, *, waiting: bool = False, bars: int = 100, barred: int = 0, entered: int = 100,
    left: int | None = None, strategy: CrossoverParams | None = None, risk: RiskParams | None = None,
) -> tuple[int, int]:  # fmt: skip
    """What is done in a situation, and the side that is barred afterwards."""
    memory, habits = new_memory(1), habits_record(strategy or CrossoverParams(), risk or RiskParams())
    memory["barred"], memory["entered"] = barred, entered
    if left is not None:
        memory["left"] = left
    return next_step(memory[0], habits[0], wanted, held, waiting, bars), int(memory["barred"][0])


@pytest.mark.parametrize("side", [1, -1])
def test_each_step_in_its_situation(side: int) -> None:
    """What a wanted side leads to, long and short."""
    close = CrossoverParams(on_opposite="close")
    other = CrossoverParams(direction="short" if side > 0 else "long")
    assert step(side) == (ENTER, 0)
    assert step(side, side) == (NOTHING, 0)
    assert step(0, side) == (NOTHING, 0)
    assert step(-side, side) == (CLOSE_AND_ENTER, 0)
    assert step(-side, side, strategy=close) == (CLOSE_FOR_SIGNAL, -side)
    assert step(side, -side, strategy=other) == (CLOSE_FOR_SIGNAL, side)
    assert step(side, strategy=other) == (NOTHING, 0)
    assert step(side, waiting=True) == (WAITS, 0)
    assert step(side, barred=side) == (BARRED, side)
    assert step(-side, barred=side) == (ENTER, 0)
    assert step(0, barred=side) == (NOTHING, 0)
    assert step(0, barred=side, waiting=True) == (WAITS, 0)


def test_time_and_cooldown_count_bars() -> None:
    """A position is left at its longest time, not a bar before; an entry waits for the whole cooldown."""
    timed, cooled = RiskParams(maximum_bars=5), RiskParams(cooldown_bars=3)
    assert step(0, 1, bars=103, entered=100, risk=timed) == (NOTHING, 0)
    assert step(0, 1, bars=104, entered=100, risk=timed) == (LEAVE, 0)
    assert step(-1, 1, bars=104, entered=100, risk=timed) == (CLOSE_AND_ENTER, 0)
    assert step(1, bars=102, left=100, risk=cooled) == (COOLING, 0)
    assert step(1, bars=103, left=100, risk=cooled) == (ENTER, 0)


def test_an_exit_bars_its_side_only_if_no_signal_asked_for_it() -> None:
    """Stops, targets, liquidations and time bar the side that was held; a signal does not."""
    memory = new_memory(1)
    remember_entry(memory[0], 7)
    remember_exit(memory[0], 9, 1, True)
    assert memory[0].tolist() == (0, 7, 9)
    remember_exit(memory[0], 11, -1, False)
    assert memory[0].tolist() == (-1, 7, 11)
