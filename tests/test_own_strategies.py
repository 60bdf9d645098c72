"""A strategy written by hand leaves the Result of any run, and is refused in one line where it cannot be believed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from simple_market import flat, forecasts, market, walk
from tiny_runs import CASH, NO_COSTS, level

import crossgate as cg
from backtests.doubts.own_examination import own_odds
from backtests.doubts.own_playback import measure_own_sensitivity
from backtests.doubts.resampling import resampled_market
from backtests.doubts.turned import exposure_of, measure_turned
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.agreement import first_difference
from backtests.run.own_run import OwnRun, run_strategy
from backtests.run.result import Result
from backtests.run.solo import account_of
from backtests.under_backtrader import feed
from foundation.errors import CrossgateError, LookAheadError, ParameterError
from markets.market import Market
from strategies.lstm_crossover import LSTMCrossover
from strategies.parameters import CrossoverParams, RiskParams

ACCOUNT = AccountParams(cash=CASH)
# A position of one unit bought at 100 and left at 110, and a bar that holds 97 and 103.
RISE = [*level(100.0, 3), (100.0, 104.0, 99.0, 104.0), *level(110.0, 4)]
BOTH = [*level(100.0, 3), (100.0, 103.0, 97.0, 100.0), *level(100.0, 3)]


class Script(bt.Strategy):
    """Gives market orders at the closes of some bars: signed sizes by row."""

    params = (("orders", {}),)

    def next(self) -> None:
        size = self.p.orders.get(len(self) - 1, 0.0)
        if size:
            (self.buy if size > 0 else self.sell)(size=abs(size))


class Bracket(bt.Strategy):
    """Buys one unit at the close of bar 1, with a stop at 98 and a target at 102."""

    def next(self) -> None:
        if len(self) == 2:
            entry = self.buy(size=1, transmit=False, reason="entry")
            self.sell(size=1, exectype=bt.Order.Stop, price=98.0, parent=entry, transmit=False)
            self.sell(size=1, exectype=bt.Order.Limit, price=102.0, parent=entry)


class Crossing(bt.Strategy):
    """Always long or short by two averages, on every feed."""

    params = (("fast", 5), ("slow", 20), ("share", 0.5))

    def __init__(self) -> None:
        self.above = [
            bt.indicators.SMA(data.close, period=self.p.fast) > bt.indicators.SMA(data.close, period=self.p.slow)
            for data in self.datas
        ]
        self.told: list[int] = []

    def notify_order(self, order: Any) -> None:
        self.told.append(order.status)

    def next(self) -> None:
        for data, above in zip(self.datas, self.above, strict=True):
            self.order_target_percent(data, self.p.share * (1.0 if above[0] else -1.0) / len(self.datas))


class Coins(bt.Strategy):
    """Long or short by a coin with a seed, for six bars at a time."""

    params = (("seed", 0),)

    def __init__(self) -> None:
        self.chance = random.Random(self.p.seed)

    def next(self) -> None:
        if len(self) % 6 == 1:
            self.order_target_percent(target=self.chance.choice((-0.5, 0.5)))


def play(over: Market, strategy: Any, parameters: dict[str, Any] | None = None, **words: Any) -> Result:
    """The result of a strategy without costs."""
    return run_strategy(strategy, over, parameters, ACCOUNT, words.pop("costs", NO_COSTS), **words)


def own(result: Result) -> OwnRun:
    """What a run was played by."""
    assert result.own is not None
    return result.own


def tables_of(result: Result) -> dict[str, pd.DataFrame]:
    """All tables of a result."""
    names = ("decisions", "orders", "fills", "equity", "positions", "funding")
    return {name: getattr(result, name) for name in names}


@pytest.mark.parametrize("side", [1, -1])
def test_a_bar_table_comes_to_what_can_be_worked_out_by_hand(side: int) -> None:
    """One unit, filled at the opens after the orders: at 100 and 110, ten of profit or of loss, in one trade."""
    result = play(market(RISE), Script, {"orders": {1: side, 4: -side}}, name="by-hand")
    fills = result.fills
    assert fills["price"].tolist() == [100.0, 110.0]
    assert fills["position"].tolist() == [side, 0.0]
    assert result.equity["equity"].tolist() == [1000.0] * 3 + [1000.0 + 4.0 * side] + [1000.0 + 10.0 * side] * 4
    assert (result.name, result.risk, result.decisions.empty, result.ruined) == ("by-hand", None, True, False)


@pytest.mark.parametrize("loop", ["fast", "stock"])
def test_the_strategy_of_the_project_given_by_hand_comes_to_the_very_same_run(loop: Any) -> None:
    """LSTMCrossover by run_strategy and by backtest: every table and every total, bit for bit."""
    over = market(walk(400, 3), taker_fee=0.0005)
    said = forecasts(over, np.sin(np.arange(400.0)) * 0.01, first=60)
    words = {"fast": 5, "slow": 20, "threshold": "5bps"}
    risk = {"leverage": 3.0, "stop_loss": "2atr", "trailing_stop": "3atr", "sizing": "risk"}
    expected = cg.backtest(over, said, CrossoverParams(**words), RiskParams(**risk), ACCOUNT, CostParams())
    tables = {**dict(CrossoverParams(**words)), **dict(RiskParams(**risk))}
    asked: dict[str, Any] = {"leverage": 3.0, "forecasts": said, "loop": loop, "check": loop == "fast"}
    found = run_strategy(LSTMCrossover, over, tables, ACCOUNT, CostParams(), **asked)
    assert len(expected.fills) > 20
    for name, table in tables_of(expected).items():
        pd.testing.assert_frame_equal(tables_of(found)[name], table, check_exact=True, obj=name)
    assert (found.totals, found.start, found.notes) == (expected.totals, expected.start, expected.notes)


def test_several_markets_listeners_and_analyzers_work_as_under_backtrader() -> None:
    """Two feeds share the account; notify_order is called, and what `prepare` adds is there after the run."""
    over = [market(walk(300, seed), symbol=f"M{seed}") for seed in (1, 2)]
    kept: list[Any] = []

    def prepare(cerebro: Any) -> None:
        cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
        kept.append(cerebro)

    result = run_strategy(Crossing, over, None, ACCOUNT, NO_COSTS, prepare=prepare)
    ran = kept[0].runstrats[0][0]
    assert set(result.fills["symbol"]) == {"M1", "M2"}
    assert result.start == over[0].candles.timestamp[19], "the first bar at which both averages are known"
    assert bt.Order.Completed in ran.told
    assert ran.analyzers.trades.get_analysis().total.total > 10
    assert account_of(result).fills.equals(result.fills)
    assert (
        first_difference(account_of(result), account_of(run_strategy(Crossing, over, None, ACCOUNT, NO_COSTS))) is None
    )


def peeking(look: Callable[[Any], bool]) -> Any:
    """A strategy that buys where a look at its feed says so, and leaves three bars later."""

    class Peeking(bt.Strategy):
        def next(self) -> None:
            if self.position:
                if len(self) % 3 == 0:
                    self.close()
            elif 3 < len(self) < 190 and look(self.data):
                self.buy(size=1)

    return Peeking


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (lambda data: data.close[1] > data.close[0], r"asked for the value at \[1\], a bar later than the last one"),
        (lambda data: data.close[-60] > 0.0, r"asked for the value at \[-60\], a bar before the first"),
        (lambda data: data.close.array[len(data)] > data.close[0], r"(gives other orders|does not get to the bar)"),
        (lambda data: np.mean(data.close.array) > data.close[0], "gives other orders up to the bar of"),
    ],
    ids=["a bar ahead", "round the end", "the array", "the whole array"],
)
def test_a_look_ahead_is_refused_in_one_line(look: Any, said: str) -> None:
    """Whether through an index, an index that runs round, or the array behind the line."""
    with pytest.raises(LookAheadError, match=said) as error:
        play(market(walk(200, 5)), peeking(look))
    assert "\n" not in str(error.value)
    assert "Peeking" in str(error.value)


def test_the_same_look_at_what_is_past_is_fine() -> None:
    """The check does not refuse what is honest."""
    assert len(play(market(walk(200, 5)), peeking(lambda data: data.close[-1] > data.close[0])).fills) > 10


def test_a_strategy_that_changes_from_run_to_run_is_refused_or_not_believed() -> None:
    """Chance without a seed: refused; with check=False the run stands, and its report says what could not be played."""

    class Chance(bt.Strategy):
        def next(self) -> None:
            self.order_target_size(target=random.choice((-1, 0, 1)))

    over = market(walk(200, 5))
    with pytest.raises(LookAheadError, match="changes from run to run"):
        play(over, Chance)
    from reports.findings import played_again

    result = play(over, Chance, check=False)
    others, said = played_again(result)
    assert "comes out different when the strategy is played again" in str(said)
    assert list(others) == ["buy and hold"]


def test_what_a_strategy_raises_is_one_line_with_bar_and_place() -> None:
    """The class of the error, its text, the bar, and the line of the file."""

    class Broken(bt.Strategy):
        def next(self) -> None:
            if len(self) == 5:
                raise ZeroDivisionError("division by zero")

    with pytest.raises(CrossgateError) as error:
        play(market(flat(20)), Broken)
    text = str(error.value)
    assert text.startswith("Broken stops at the bar of 2024-01-01 04:00 UTC (test_own_strategies.py, line ")
    assert text.endswith("ZeroDivisionError: division by zero")
    assert isinstance(error.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"parameters": {"fsat": 3}}, 'strategy.parameters.fsat: is no parameter of Crossing; did you mean "fast"?'),
        ({"forecasts": True}, "forecasts: are not asked by Crossing; give it a parameter"),
        ({"strategy": len}, "should be a class derived from bt.Strategy"),
        ({"strategy": Market}, "should be a class derived from bt.Strategy"),
        ({"leverage": 0.0}, "strategy.leverage = 0.0"),
    ],
)
def test_what_a_strategy_cannot_be_handed_is_refused(words: dict[str, Any], said: str) -> None:
    """A parameter it does not have, forecasts it does not take, what is no strategy."""
    over = market(walk(60, 1))
    if words.get("forecasts"):
        words = {"forecasts": forecasts(over, np.zeros(60))}
    asked = {"strategy": Crossing, "market": over, **words}
    with pytest.raises(ParameterError) as error:
        run_strategy(**asked)
    assert said in str(error.value)


def test_forecasts_are_handed_over_and_figures_start_with_them() -> None:
    """As the parameter `forecasts`, cut where the check cuts the market; the skill of them is asked for."""

    class Follows(bt.Strategy):
        params = (("forecasts", None),)

        def next(self) -> None:
            bar = type("Bar", (), {"symbol": self.data.symbol, "timestamp": self.data.open_time})
            said = self.p.forecasts.forecast(bar).mean
            self.order_target_size(target=0 if np.isnan(said) else int(np.sign(said)))

    over = market(walk(120, 2))
    said = forecasts(over, np.where(np.arange(120) % 8 < 4, 0.01, -0.01), first=30)
    result = play(over, Follows, forecasts=said)
    assert result.start == over.candles.timestamp[30]
    assert result.strategy.rule == "forecast"
    held = result.positions["position"].to_numpy()
    wanted = np.where(np.arange(30, 119) % 8 < 4, 1.0, -1.0)
    np.testing.assert_array_equal(np.sign(held[1:]), wanted)


def test_assumptions_are_played_by_the_strategy_itself() -> None:
    """A bar holds stop and target: two lost or two won by the order; late by a bar the entry misses that bar."""
    found = measure_own_sensitivity(play(market(BOTH), Bracket))
    assert [found.intrabar[word].profit for word in ("adverse", "favourable")] == pytest.approx([-2.0, 2.0])
    assert (found.trades, found.depending) == (1, 1)
    assert found.delayed.trades == 1
    rise = play(market(RISE, taker_fee=0.01), Script, {"orders": {1: 1.0, 4: -1.0}})
    costs = measure_own_sensitivity(rise)
    assert [costs.costs[multiple].profit for multiple in (0.0, 1.0, 2.0)] == pytest.approx([10.0, 7.9, 5.8])
    assert costs.break_even == pytest.approx(10.0 / 2.1, abs=0.01)


def test_a_bar_late_is_a_bar_late() -> None:
    """What is bought on the first close above 100 is bought one bar later; a feed that is not late is seen."""

    class Above(bt.Strategy):
        def next(self) -> None:
            if not self.position and self.data.close[0] > 100.0:
                self.buy(size=1)

    run = own(play(market(RISE), Above))
    assert run.again(late=True).ledger.tables()[0]["price"].tolist() == [110.0]
    rows = [run.again(late=late).given[0][0] for late in (False, True)]
    assert rows == [3, 4]
    assert feed.LateFeed(dataname=run.markets[0])._columns()["close"].tolist() == [
        100.0,
        *[row[3] for row in RISE[:-1]],
    ]


def test_positions_counted_by_the_bar_are_the_run_where_all_fills_are_at_opens() -> None:
    """Market orders only: the unturned positions earn what the account earned, costs and funding included."""
    over = market(walk(400, 7), funding=dict.fromkeys(range(0, 400, 8), 0.0003), taker_fee=0.0005)
    result = play(over, Crossing, costs=CostParams(slippage_bps=2.0))
    path = exposure_of(result, own(result))
    counted = CASH * np.cumprod(path.growth())
    assert len(result.fills) > 20
    np.testing.assert_allclose(counted, result.equity["equity"], rtol=2e-5)
    assert abs(counted[-1] / CASH - 1.0) > 0.001


def test_what_a_bar_itself_decides_is_no_part_of_the_positions_of_luck() -> None:
    """The stop inside a bar leaves the position counted to the end of that bar: its close, not its stop."""
    result = play(market([*BOTH[:3], (100.0, 100.0, 97.0, 97.5), *level(97.5, 3)]), Bracket)
    path = exposure_of(result, own(result))
    assert result.fills["price"].tolist() == [100.0, 98.0]
    np.testing.assert_allclose(CASH * np.cumprod(path.growth())[-1], CASH - 2.5, rtol=1e-9)
    assert (path.held[0] != 0.0).tolist() == [False, False, True, True, False, False, False]


def test_chance_is_told_from_knowledge() -> None:
    """Coins come out anywhere among their own positions at other times; who knows the next bars is out of reach."""
    ranks = []
    for seed in range(30):
        over = market(walk(300, 100 + seed))
        result = play(over, Coins, {"seed": seed}, check=False)
        ranks.append(measure_turned(result, own(result), runs=49, seed=seed).p)
    assert 0.35 < np.mean(ranks) < 0.65
    assert sum(p <= 0.1 for p in ranks) <= 8, "a binomial of 30 and 0.1 is above that once in two thousand times"
    over = market(walk(300, 1))
    ahead = np.sign(np.roll(over.candles.close, -6) - over.candles.close)
    knows = {row: float(2 * ahead[row] if row else ahead[row]) for row in range(0, 280, 6)}
    position, orders = 0.0, {}
    for row in knows:
        orders[row], position = float(ahead[row]) - position, float(ahead[row])
    result = play(over, Script, {"orders": orders}, check=False)
    assert measure_turned(result, own(result), runs=199, seed=1).p <= 0.01


def test_bars_in_their_own_order_are_the_market_itself() -> None:
    """A path that draws every bar in turn has the same prices, funding and stamps."""
    over = market(walk(100, 4), funding=dict.fromkeys(range(0, 100, 8), 0.0002))
    drawn = resampled_market(over, 10, np.arange(90))
    for name in ("timestamp", "open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(getattr(drawn.candles, name), getattr(over.candles, name), atol=1e-9)
    assert drawn.funding is not None
    np.testing.assert_array_equal(np.column_stack(drawn.funding_bars()), np.column_stack(over.funding_bars()))
    np.testing.assert_allclose(drawn.mark_bars()[0], over.mark_bars()[0], atol=1e-9)


def test_odds_of_ruin_are_those_of_the_strategy_on_other_paths() -> None:
    """At leverage 50 a position of all the account is liquidated on most paths, at leverage 1 on none."""

    class Holds(bt.Strategy):
        def next(self) -> None:
            if not self.position:
                self.buy(size=0.9 * self.broker.leverage_of * self.broker.getvalue() / self.data.close[0])

    over = market(walk(300, 8))
    for leverage, least, most in ((1.0, 0.0, 0.0), (50.0, 0.6, 1.0)):

        def prepare(cerebro: Any, leverage: float = leverage) -> None:
            cerebro.broker.leverage_of = leverage

        result = play(over, Holds, leverage=leverage, prepare=prepare, check=False)
        found = own_odds(own(result), paths=5)
        assert least <= found.own.liquidation <= most
        again = own_odds(own(result), paths=5)
        assert again.own._replace(leverage=0.0) == found.own._replace(leverage=0.0), "equal arguments, equal odds"
