"""The fast loop and Backtrader's own: the same fills, the same money at every bar, the same words to the strategy."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import SYMBOLS, Match, market, matches
from loop_cases import Random, Watched, difference, play

from backtests.run.engine import backtest
from backtests.run.result import Result
from backtests.under_backtrader.loop import StockLoopWarning
from backtests.under_backtrader.orders import BuyOrder
from foundation.errors import CrossgateError, ParameterError
from strategies.lstm_crossover import of_ends

TABLES = ("fills", "equity", "positions", "decisions", "orders", "funding")


@settings(max_examples=40)
@given(match=matches())
def test_a_backtest_leaves_the_same_record(match: Match) -> None:
    """Every table of a result is equal to the last bit, on random markets, forecasts and settings."""
    parts = match.markets, match.forecasts, match.strategy, match.risk, match.account, match.costs
    fast, stock = backtest(*parts), backtest(*parts, loop="stock")
    for name in TABLES:
        assert getattr(fast, name).equals(getattr(stock, name)), parting(fast, stock, name)
    assert (fast.totals, fast.notes, fast.ruined) == (stock.totals, stock.notes, stock.ruined)


def parting(fast: Result, stock: Result, name: str) -> str:
    """The first row at which a table parts."""
    ours, theirs = getattr(fast, name), getattr(stock, name)
    if len(ours) != len(theirs):
        return f"{name}: {len(ours)} and {len(theirs)} rows"
    apart = ~((ours == theirs) | (ours.isna() & theirs.isna())).all(axis=1).to_numpy()
    if not apart.any():
        return f"{name}: {ours.dtypes.to_dict()} and {theirs.dtypes.to_dict()}"
    row = int(np.argmax(apart))
    return f"{name}, row {row}:\n{ours.iloc[row]}\n{theirs.iloc[row]}"


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    symbols=st.sampled_from([1, 1, 2, 3, 5]),
    wild=st.sampled_from([0.3, 1.0, 3.0]),
    chance=st.sampled_from([0.03, 0.1, 0.4]),
    finer=st.sampled_from(["none", "none", "marked"]),
    inverse=st.booleans(),
    leverage=st.sampled_from([1.0, 5.0, 40.0]),
    broker=st.fixed_dictionaries(
        {
            "margin": st.sampled_from(["isolated", "isolated", "cross"]),
            "intrabar": st.sampled_from(["adverse", "favourable", "nearer_extreme"]),
            "limit_fill": st.sampled_from(["touch", "through"]),
        }
    ),
)
def test_any_orders_come_to_the_same(
    seed: int, symbols: int, wild: float, chance: float, finer: str, inverse: bool, leverage: float, broker: Any
) -> None:
    """A stream of orders of every kind: notifications, trades, values, positions and tables are all equal."""
    random = np.random.default_rng(seed)
    contract = {"kind": "inverse", "settlement": "COIN", "face": 10.0, "lot": 1.0} if inverse else {}
    markets = tuple(market(random, name, 150, wild, finer=finer, **contract) for name in SYMBOLS[:symbols])
    options = {"seed": seed, "chance": chance, "times": leverage, "cash": 20.0 if inverse else 5_000.0, **broker}
    assert difference(play(markets, Random, "fast", **options), play(markets, Random, "stock", **options)) == ""


@pytest.mark.parametrize("loop", ["fast", "stock"])
def test_the_random_stream_gives_every_kind_and_meets_every_end(loop: str) -> None:
    """Over a few seeds orders are filled, cancelled, refused and expire, and positions are liquidated."""
    ends, reasons = set(), set()
    for seed in range(6):
        over = (market(np.random.default_rng(seed), "ONE", 300, 3.0),)
        ran, cerebro = play(over, Random, loop, seed=seed, chance=0.3, times=40.0, cash=50.0 if seed < 2 else 5_000.0)
        ends |= {told[3] for told in ran.told if told[1] == "order"}
        reasons |= set(cerebro.broker.ledger.tables()[0]["reason"])
    assert ends >= {"Submitted", "Accepted", "Completed", "Canceled", "Expired", "Margin"}
    assert "liquidation" in reasons


class Ordinary(Watched):
    """A strategy with a bit of everything that Backtrader offers: timers, sizers, own lines, both starts."""

    lines: Any = ("mood",)

    def __init__(self) -> None:
        super().__init__()
        self.cross, self.rung = bt.ind.CrossOver(bt.ind.SMA(period=3), bt.ind.SMA(period=8)), []
        self.add_timer(dt.time(6, 0), repeat=dt.timedelta(hours=5))

    def notify_timer(self, timer: Any, when: Any, *arguments: Any, **options: Any) -> None:
        self.rung.append((len(self), when, self.broker.getvalue()))

    def nextstart(self) -> None:
        self.seen.append(("start", len(self)))
        self.next()

    def next(self) -> None:
        self.look()
        self.lines.mood[0] = self.lines.mood[-1] + 1 if len(self) > 9 else 0.0
        if self.cross > 0:
            self.buy()
        elif self.cross < 0 and self.position:
            self.close()


def equipped(cerebro: Any) -> None:
    """Observers, analyzers and a sizer."""
    for name in ("TradeAnalyzer", "DrawDown", "TimeReturn", "Transactions", "PyFolio", "SQN", "PositionsValue"):
        cerebro.addanalyzer(getattr(bt.analyzers, name), _name=name)
    for name in ("Broker", "Trades", "BuySell", "DrawDown", "TimeReturn", "Value"):
        cerebro.addobserver(getattr(bt.observers, name))
    cerebro.addsizer(bt.sizers.PercentSizer, percents=40)


def figures(ran: Any) -> list[Any]:
    """What timers, analyzers, observers and own lines say after a run."""
    observed = [[list(line.array) for line in one.lines] for one in ran.observers]
    found = [ran.analyzers.getbyname(name).get_analysis() for name in ran.analyzers.getnames()]
    lengths = [len(ran), len(ran.data), len(ran.cross), *(len(one) for one in ran.observers)]
    own = [list(line.array) for line in (*ran.lines, *ran.cross.lines, *ran.data.lines)]
    return [ran.rung, str(found), repr(observed), repr(own), lengths, ran.seen, ran.told]


def test_all_that_backtrader_calls_is_called_as_by_it() -> None:
    """Timers, sizers, observers, analyzers, own lines and both starts see the same in both loops."""
    over = (market(np.random.default_rng(3), "ONE", 120, 1.0),)
    fast, stock = (play(over, Ordinary, loop, equipped)[0] for loop in ("fast", "stock"))
    for ours, theirs in zip(figures(fast), figures(stock), strict=True):
        assert ours == theirs
    assert len(fast.rung) > 10
    assert any(told[1] == "trade" for told in fast.told)


@pytest.mark.parametrize("quiet", [True, False])
def test_orders_are_copied_only_for_those_who_listen(quiet: bool) -> None:
    """Trades come to the same where nobody wants to hear of orders; and the strategy keeps none of the copies."""

    class Plain(bt.Strategy):
        def __init__(self) -> None:
            self.cross, self.heard = bt.ind.CrossOver(bt.ind.SMA(period=2), bt.ind.SMA(period=5)), 0

        def next(self) -> None:
            if self.cross[0]:
                self.order_target_size(target=int(self.cross[0]))

    def notify_order(self: Any, order: Any) -> None:
        self.heard += 1

    if not quiet:
        Plain.notify_order = notify_order
    over = (market(np.random.default_rng(3), "ONE", 120, 1.0),)
    (fast, cerebro), (stock, _) = (play(over, Plain, loop) for loop in ("fast", "stock"))
    assert cerebro.broker.heard is not quiet
    assert fast.heard == stock.heard
    assert fast._orders == []
    kept = [[(one.pnl, one.pnlcomm, one.size, one.barlen) for one in run._trades[run.data][0]] for run in (fast, stock)]
    assert kept[0] == kept[1]
    assert len(kept[0]) > 5


def test_a_strategy_with_its_own_way_of_taking_news_hears_of_all_orders() -> None:
    """A SignalStrategy waits for its order to end; the first are too small, and are refused without a fill."""

    class Signals(bt.SignalStrategy):
        def __init__(self) -> None:
            averages = (bt.ind.SMA(period=period) for period in (2, 5))
            self.signal_add(bt.SIGNAL_LONG, bt.ind.CrossOver(*averages))

    class Small(bt.Sizer):
        def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
            return 1e-5 if len(data) < 40 else 1.0

    over, found = (market(np.random.default_rng(3), "ONE", 120, 1.0),), []
    for loop in ("fast", "stock"):
        ran = play(over, Signals, loop, lambda one: one.addsizer(Small))[0]
        found.append([len(table) for table in ran.broker.ledger.tables()])
    assert found[0] == found[1]
    assert min(found[0][0], found[0][2]) > 3


@pytest.mark.parametrize("marked", [True, False])
def test_a_strategy_that_takes_news_itself_is_given_all_of_them(marked: bool) -> None:
    """Of orders that were submitted, accepted and cancelled, too, without a `notify_order` or with a marked one."""

    class Takes(Random):
        notify_order = of_ends(lambda *_: None) if marked else bt.Strategy.notify_order

        def _addnotification(self, order: Any, quicknotify: bool = False) -> None:
            self.told.append((len(self), order.getstatusname()))
            super()._addnotification(order, quicknotify=quicknotify)

    over = (market(np.random.default_rng(3), "ONE", 120, 1.0),)
    fast, stock = (play(over, Takes, loop, seed=2, cash=2_000.0) for loop in ("fast", "stock"))
    assert difference(fast, stock) == ""
    assert {"Submitted", "Accepted", "Completed", "Canceled", "Expired"} <= {told[1] for told in fast[0].told}


def told_in_both_loops(mark: bool) -> list[Any]:
    """What a strategy is told of orders that have ended, and whether it may be told of these alone."""

    class Ends(Random):
        def notify_order(self, order: Any) -> None:
            if not order.alive():
                super().notify_order(order)

        notify_order = of_ends(notify_order) if mark else notify_order

    class All(Ends):
        def notify_order(self, order: Any) -> None:
            super().notify_order(order)
            self.told.append((len(self), order.getstatusname()))

    over, found = (market(np.random.default_rng(3), "ONE", 120, 1.0),), []
    for kind in (Ends, All):
        (fast, cerebro), (stock, _) = (play(over, kind, loop, seed=2, cash=2_000.0) for loop in ("fast", "stock"))
        assert {"Canceled", "Completed", "Expired"} <= {told[3] for told in fast.told if told[1] == "order"}
        found.append((fast.told == stock.told, cerebro.broker.heard))
    return found


def test_who_hears_of_ends_alone_is_told_of_all_of_them() -> None:
    """Marked so, a strategy hears the same; one derived from it that wants to hear of all orders hears of all."""
    assert told_in_both_loops(mark=True) == [(True, False), (True, True)]
    assert told_in_both_loops(mark=False) == [(True, True), (True, True)]


def test_a_mark_on_who_hears_of_more_than_ends_is_seen() -> None:
    """The fault that `of_ends` allows: Submitted and Accepted are not told in the fast loop."""

    class Wrong(Random):
        @of_ends
        def notify_order(self, order: Any) -> None:
            super().notify_order(order)

    over = (market(np.random.default_rng(3), "ONE", 120, 1.0),)
    fast, stock = (play(over, Wrong, loop, seed=2)[0] for loop in ("fast", "stock"))
    assert fast.told != stock.told


def test_two_strategies_share_an_account_in_both_loops() -> None:
    """They are called in turn, and each hears of its own orders."""
    over, told = (market(np.random.default_rng(5), "ONE", 100, 1.0),), []
    for loop in ("fast", "stock"):
        _, cerebro = play(over, Random, loop, lambda one: one.addstrategy(Ordinary), seed=4, cash=5_000.0)
        told.append([(one.seen, one.told) for one in cerebro.runningstrats])
        assert len(told[-1]) == 2
    assert told[0] == told[1]


def test_a_stopped_run_ends_there_in_both_loops() -> None:
    """`runstop` ends the run after the bar; later bars are nobody's."""

    class Stopped(Random):
        def next(self) -> None:
            super().next()
            if len(self) == 60:
                self.cerebro.runstop()

    over = (market(np.random.default_rng(6), "ONE", 100, 0.3),)
    fast, stock = (play(over, Stopped, loop, seed=1, chance=0.03) for loop in ("fast", "stock"))
    assert difference(fast, stock) == ""
    assert not fast[1].broker.history["equity"][60:].any()
    assert fast[1].broker.history["equity"][:60].all()


class Inner(Watched):
    """Follows an inner line of another indicator."""

    def __init__(self) -> None:
        super().__init__()
        self.late = bt.ind.SMA(bt.ind.RSI(self.data, period=3).lines[0](-1), period=2)
        self.inner = bt.ind.SMA(bt.ind.MACD(self.data).getindicators()[0], period=2)

    def next(self) -> None:
        self.seen.append((len(self), self.inner[0]))


def changed(**options: Any) -> Any:
    """What changes a Cerebro."""
    return lambda cerebro: [setattr(cerebro.p, name, value) for name, value in options.items()]


class Stepped(Random):
    """Counts what Backtrader calls after each bar."""

    def _oncepost(self, dt: float) -> None:
        super()._oncepost(dt)
        self.seen.append(("after", dt))


STOCK_ONLY: dict[str, tuple[Any, Any]] = {
    "writers": (Watched, lambda cerebro: cerebro.addwriter(bt.WriterFile, out=os.devnull)),
    "cheat_on_open": (Watched, changed(cheat_on_open=True, broker_coo=False)),
    "its own _next and _oncepost": (Stepped, None),
    "quicknotify": (Random, changed(quicknotify=True)),
    "lookahead": (Watched, changed(lookahead=3)),
    "runonce": (Random, changed(runonce=False)),
    "indicators that follow": (Inner, None),
    "timers that cheat": (Watched, lambda cerebro: cerebro.add_timer(dt.time(3), cheat=True)),
    "no FuturesBroker": (Watched, lambda cerebro: setattr(cerebro, "broker", bt.brokers.BackBroker())),
}


@pytest.mark.parametrize("what", STOCK_ONLY)
def test_what_the_fast_loop_does_not_do_runs_in_the_other_with_a_word(what: str) -> None:
    """A warning names the reason, and the run is Backtrader's own."""
    strategy, prepare = STOCK_ONLY[what]
    over = (market(np.random.default_rng(7), "ONE", 80, 1.0),)
    with pytest.warns(StockLoopWarning, match=what):
        fast = play(over, strategy, "fast", prepare)
    stock = play(over, strategy, "stock", prepare)
    assert (fast[0].seen, fast[0].told) == (stock[0].seen, stock[0].told)


def test_a_line_is_not_moved_by_hand_and_stands_by_itself_again_after_the_run() -> None:
    """During the run an error says what to do; afterwards a line has its place, class and length."""

    class Mover(bt.Strategy):
        def next(self) -> None:
            self.data.close.rewind()

    over = (market(np.random.default_rng(7), "ONE", 20, 1.0),)
    with pytest.raises(CrossgateError, match=r'cannot be moved by hand in the fast loop; use Cerebro\(loop="stock"\)'):
        play(over, Mover, "fast")
    ran = play(over, Watched, "fast")[0]
    assert type(ran.data.close) is bt.linebuffer.LineBuffer
    assert (len(ran.data), ran.data.close._idx, ran.data.close[0]) == (20, 19, over[0].candles.close[-1])


def test_a_line_inside_an_indicator_shows_no_later_bar() -> None:
    """It is not moved with the bars: Backtrader's loop shows its last value at every bar, the fast loop an error."""

    class Peeking(bt.Strategy):
        def __init__(self) -> None:
            self.average = bt.ind.SMA(period=3)

        def next(self) -> None:
            self.seen = self.average.getindicators()[0][0]

    over = (market(np.random.default_rng(7), "ONE", 20, 1.0),)
    assert play(over, Peeking, "stock")[0].seen > 0.0
    with pytest.raises(IndexError):
        play(over, Peeking, "fast")


def test_an_unknown_loop_is_refused() -> None:
    """The error names the two that there are."""
    with pytest.raises(ParameterError, match="loop = 'quick': is not known; allowed: fast, stock"):
        play((market(np.random.default_rng(7), "ONE", 20, 1.0),), Watched, "quick")


@pytest.mark.parametrize("listens", [True, False])
def test_the_history_of_trades_is_that_of_backtrader_s_loop(listens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trade keeps what opened, changed and closed it, with the order as it then was, whoever listens."""

    class Kept(Random):
        notify_order = Random.notify_order if listens else bt.Strategy.notify_order
        notify_cashvalue = bt.Strategy.notify_cashvalue

    def histories(loop: str) -> list[Any]:
        over = (market(np.random.default_rng(3), "ONE", 150, 1.0),)
        ran = play(over, Kept, loop, lambda one: setattr(one.p, "tradehistory", True), seed=2, cash=9_000.0)[0]
        trades = [trade for by_number in ran._trades[ran.data].values() for trade in by_number]
        return [[history_of(one) for one in trade.history] for trade in trades]

    fast, stock = histories("fast"), histories("stock")
    assert fast == stock
    assert sum(map(len, fast)) > 10
    if not listens:
        # A fault: nobody says which fills are new.
        monkeypatch.setattr(BuyOrder, "marked", lambda order: order)
        assert histories("fast") != stock


def history_of(entry: Any) -> tuple[Any, ...]:
    """What an entry of a trade's history says."""
    status, event = entry.status, entry.event
    own = event.order.executed
    order = (event.order.info.name, event.order.status, own.size, own.price, own.remsize, len(own.getpending()))
    return (status.status, status.size, status.price, status.pnl, status.barlen, event.size, event.price, *order)
