"""The futures broker under a plain Backtrader Cerebro: orders, notifications, trades, analyzers."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest
from simple_market import flat, market, walk

from backtests import CandleFeed, FuturesBroker
from foundation.errors import CrossgateError, DataError, ParameterError


class Scripted(bt.Strategy):
    """Calls `orders[bar](self)` at the close of that bar (counted from 0), and keeps what it is told."""

    params = (("orders", {}),)

    def __init__(self) -> None:
        self.told: list[tuple[int, str, str]] = []
        self.trades: list[Any] = []
        self.equity: list[float] = []

    def next(self) -> None:
        self.equity.append(self.broker.getvalue())
        step = self.p.orders.get(len(self) - 1)
        if step:
            step(self)

    def notify_order(self, order: Any) -> None:
        self.told.append((len(self.datas[0]) - 1, order.getstatusname(), str(order.info.get("reason", ""))))

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.trades.append(trade)


def run(over: Any, orders: dict[int, Any], runonce: bool = True, **broker: Any) -> Any:
    """The strategy after a run of scripted orders over one or several markets."""
    cerebro = bt.Cerebro(stdstats=False)
    for one in over if isinstance(over, list) else [over]:
        cerebro.adddata(CandleFeed(dataname=one))
    cerebro.broker = FuturesBroker(**broker)
    cerebro.addstrategy(Scripted, orders=orders)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    cerebro.addanalyzer(bt.analyzers.DrawDown, _name="drawdown")
    return cerebro.run(runonce=runonce, preload=runonce)[0]


def fills(strategy: Any) -> list[tuple[Any, ...]]:
    """Side, quantity, price and reason of every fill."""
    table = strategy.broker.ledger.tables()[0]
    return list(table[["side", "quantity", "price", "reason"]].itertuples(index=False, name=None))


ENTRY_BAR_STOP = [(100, 100, 100, 100), (100, 101, 94, 100), (100, 100, 100, 100)]


def bracket(strategy: Any) -> None:
    """Long 1 at the open, stop 95, target 110."""
    strategy.buy_bracket(
        size=1, exectype=bt.Order.Market, stopprice=95.0, limitprice=110.0,
        stopargs={"reason": "stop_loss"}, limitargs={"reason": "take_profit"},
    )  # fmt: skip


def short_bracket(strategy: Any) -> None:
    """Short 1 at the open, stop 105, target 90."""
    strategy.sell_bracket(
        size=1, exectype=bt.Order.Market, stopprice=105.0, limitprice=90.0,
        stopargs={"reason": "stop_loss"}, limitargs={"reason": "take_profit"},
    )  # fmt: skip


@pytest.mark.parametrize("runonce", [True, False])
def test_a_market_order_fills_at_the_next_open(runonce: bool) -> None:
    """Bought at the close of bar 0, filled at the open of bar 1, in both of Backtrader's modes."""
    rows = [(100, 100, 100, 100), (102, 103, 101, 103), (103, 103, 103, 103)]
    strategy = run(market(rows), {0: lambda s: s.buy(size=2)}, runonce=runonce)
    assert fills(strategy) == [("buy", 2.0, 102.0, "order")]
    assert strategy.equity == [10_000.0, 10_002.0, 10_002.0]
    assert strategy.getposition().size == 2.0


@pytest.mark.parametrize(
    ("give", "rows", "exit_price"),
    [
        (bracket, [(100, 100, 100, 100), (100, 101, 94, 100), (100, 100, 100, 100)], 95.0),
        (short_bracket, [(100, 100, 100, 100), (100, 106, 99, 100), (100, 100, 100, 100)], 105.0),
    ],
)
def test_the_exits_of_a_bracket_live_on_the_entry_bar(give: Any, rows: Any, exit_price: float) -> None:
    """A bar that opens, then falls (rises) through the stop ends the position on the bar that entered it."""
    strategy = run(market(rows), {0: give})
    assert [row[1:] for row in fills(strategy)] == [(1.0, 100.0, "order"), (1.0, exit_price, "stop_loss")]
    assert strategy.getposition().size == 0.0
    assert [trade.pnl for trade in strategy.trades] == [pytest.approx(-5.0)]


@pytest.mark.parametrize(
    ("give", "last", "exit_price", "reason"),
    [
        (bracket, (110, 115, 109, 112), 110.0, "take_profit"), (bracket, (112, 115, 111, 113), 110.0, "take_profit"),
        (bracket, (93, 94, 92, 93), 93.0, "stop_loss"), (short_bracket, (88, 89, 85, 86), 90.0, "take_profit"),
        (short_bracket, (107, 108, 106, 107), 107.0, "stop_loss"), (bracket, (100, 111, 94, 100), 95.0, "stop_loss"),
        (short_bracket, (100, 106, 89, 100), 105.0, "stop_loss"),
    ],
)  # fmt: skip
def test_stops_gap_to_the_open_targets_do_not_and_the_stop_comes_first(
    give: Any, last: Any, exit_price: float, reason: str
) -> None:
    """A gapped stop fills at the open, a gapped target at its limit; with both in the bar the stop acts."""
    strategy = run(market([*flat(3), last]), {0: give})
    assert fills(strategy)[-1][1:] == (1.0, exit_price, reason)


def test_an_exit_given_as_a_distance_is_measured_from_the_fill() -> None:
    """Decided at 100, filled at 102: a stop 5 % away stands at 96.9, not at 95; the target 4 above at 106."""
    rows = [(100, 100, 100, 100), (102, 102, 102, 102), (102, 102, 96.9, 97)]

    def give(strategy: Any) -> None:
        entry = strategy.buy(size=1, transmit=False)
        strategy.sell(
            size=1, exectype=bt.Order.Stop, parent=entry, transmit=False, offset_rate=0.05, reason="stop_loss"
        )
        strategy.sell(size=1, exectype=bt.Order.Limit, parent=entry, offset=4.0, reason="take_profit")

    strategy = run(market(rows), {0: give})
    assert fills(strategy)[-1] == ("sell", 1.0, pytest.approx(96.9), "stop_loss")
    strategy = run(market([*rows[:2], (102, 106, 101, 105)]), {0: give})
    assert fills(strategy)[-1] == ("sell", 1.0, pytest.approx(106.0), "take_profit")


def test_notifications_follow_backtrader_s_order() -> None:
    """Submitted, accepted, completed; the other exit of a bracket is cancelled when one fills."""
    strategy = run(market(ENTRY_BAR_STOP), {0: bracket})
    states = [state for _, state, _ in strategy.told]
    assert states[:6] == ["Submitted"] * 3 + ["Accepted"] * 3 or states[:2] == ["Submitted", "Submitted"]
    assert (1, "Completed", "") in strategy.told
    assert (1, "Completed", "stop_loss") in strategy.told
    assert (1, "Canceled", "take_profit") in strategy.told


def test_trades_observers_and_analyzers_see_every_fill() -> None:
    """A reversal closes one trade and opens another; fees reach the trade; the analyzers agree with the ledger."""
    rows = [
        (100, 100, 100, 100),
        (100, 100, 100, 100),
        (110, 110, 110, 110),
        (105, 105, 105, 105),
        (105, 105, 105, 105),
    ]
    orders = {0: lambda s: s.buy(size=1), 1: lambda s: s.sell(size=3), 2: lambda s: s.close()}
    strategy = run(market(rows, taker_fee=0.001), orders)
    assert fills(strategy) == [
        ("buy", 1.0, 100.0, "order"),
        ("sell", 1.0, 110.0, "order"),
        ("sell", 2.0, 110.0, "order"),
        ("buy", 2.0, 105.0, "order"),
    ]
    assert [trade.pnl for trade in strategy.trades] == [pytest.approx(10.0), pytest.approx(10.0)]
    assert [trade.commission for trade in strategy.trades] == [pytest.approx(0.21), pytest.approx(0.43)]
    analysis = strategy.analyzers.trades.get_analysis()
    assert analysis.total.closed == 2
    assert analysis.pnl.net.total == pytest.approx(strategy.broker.getvalue() - 10_000.0)


def test_a_liquidation_is_an_order_the_strategy_hears_of_and_costs_no_more_than_the_margin() -> None:
    """20x long at 100: mark 95 liquidates at 96.0, last at 80 is far beyond; the loss is the margin of 5."""
    rows = [*flat(3), (100, 100, 80, 80), (80, 80, 80, 80)]
    mark = [*flat(3), (100, 100, 95, 95), (95, 95, 95, 95)]
    strategy = run(
        market(rows, mark, taker_fee=0.0005, liquidation_fee=0.02), {0: lambda s: s.buy(size=1, leverage=20)}
    )
    reason, price = fills(strategy)[-1][3], fills(strategy)[-1][2]
    assert reason == "liquidation"
    assert price == pytest.approx((5.0 - 100.0) / (0.01 - 1.0))
    assert (3, "Completed", "liquidation") in strategy.told
    entry_fee = 100 * 0.0005
    assert 10_000.0 - strategy.broker.getvalue() <= 5.0 + entry_fee + 1e-12
    assert strategy.broker.ledger.totals().liquidation_charges > 0


def test_the_mark_liquidates_and_the_last_price_does_not() -> None:
    """A spike of the last price below the liquidation price leaves the position; one of the mark ends it."""
    spike, calm = (100, 100, 80, 100), (100, 100, 100, 100)
    kept = run(market([*flat(2), spike, calm], [*flat(2), calm, calm]), {0: lambda s: s.buy(size=1, leverage=20)})
    ended = run(market([*flat(2), calm, calm], [*flat(2), spike, calm]), {0: lambda s: s.buy(size=1, leverage=20)})
    assert [row[3] for row in fills(kept)] == ["order"]
    assert [row[3] for row in fills(ended)] == ["order", "liquidation"]


def test_a_ruined_account_never_trades_again() -> None:
    """After the whole cash is lost as margin every later order is refused and equity stays at zero."""
    rows = [*flat(2), (100, 100, 50, 50), (50, 500, 50, 500), (500, 500, 500, 500)]
    orders = {0: lambda s: s.buy(size=10_000, leverage=10), 2: lambda s: s.buy(size=1), 3: lambda s: s.buy(size=1)}
    strategy = run(market(rows, liquidation_fee=0.5), orders, cash=1000.0)
    assert [row[3] for row in fills(strategy)] == ["order", "liquidation"]
    assert strategy.equity[2:] == [pytest.approx(0.0, abs=1e-9)] * 3
    assert "Margin" in [state for bar, state, _ in strategy.told if bar >= 2]
    refused = strategy.broker.ledger.tables()[2]
    assert refused["reason"].tolist() == ["shrunk to the free margin", "account ruined", "account ruined"]


def test_an_order_beyond_the_free_margin_is_shrunk_and_one_below_a_lot_refused() -> None:
    """With 100 of cash at 10x and 1 % fee, 9.09 units at 100 are affordable; 0.0001 is below a lot of 0.001."""
    orders = {
        0: lambda s: s.buy(size=50, leverage=10),
        1: lambda s: s.buy(size=0.0001),
        2: lambda s: s.buy(size=1, leverage=200),
    }
    strategy = run(market(flat(5), taker_fee=0.01), orders, cash=100.0)
    assert fills(strategy) == [("buy", pytest.approx(9.09), 100.0, "order")]
    table = strategy.broker.ledger.tables()[2]
    assert table["status"].tolist() == ["shrunk", "refused", "refused"]
    assert table["reason"].tolist()[1:] == ["below one lot", "leverage above the contract's maximum"]


def test_an_opening_beyond_its_bracket_or_the_largest_market_order_is_shrunk_to_it() -> None:
    """At 20x 1,000 may be held, at 10x 2,000 and beyond that nothing; 8 units are the most that fill at the market."""
    brackets = [
        {"floor": 0.0, "cap": 1000.0, "rate": 0.01, "leverage": 20.0},
        {"floor": 1000.0, "cap": 2000.0, "rate": 0.02, "leverage": 10.0},
    ]
    orders = {
        0: lambda s: s.buy(size=50, leverage=20),
        1: lambda s: s.buy(size=5, leverage=20),
        2: lambda s: s.buy(size=5, leverage=20),
        3: lambda s: s.buy(size=99, leverage=10, exectype=bt.Order.Limit, price=100.0),
        4: lambda s: s.buy(size=1, leverage=1),
    }
    strategy = run(market(flat(7), tiers=brackets, maximum_leverage=20, maximum_market_quantity=8.0), orders)
    assert [fill[1] for fill in fills(strategy)] == [8.0, 2.0, 10.0]
    table = strategy.broker.ledger.tables()[2]
    assert list(zip(table["status"], table["reason"], strict=True)) == [
        ("shrunk", "shrunk to the largest market order"),
        ("shrunk", "shrunk to what the brackets allow at this leverage"),
        ("refused", "above what the brackets allow at this leverage"),
        ("shrunk", "shrunk to what the brackets allow at this leverage"),
        ("refused", "above what the brackets allow at this leverage"),
    ]


def test_the_size_of_a_position_is_the_exchange_s_own() -> None:
    """Ten times 0.1 is 1.0 in whole lots, and 0.9999999999999999 as a sum: a strategy sees the lots, and trades end."""
    seen: list[tuple[float, float]] = []

    def look(strategy: Any) -> None:
        seen.append((strategy.position.size, float(strategy.broker.playing.positions["quantity"][0])))
        strategy.buy(size=0.1)

    rows = dict.fromkeys(range(10), look) | {10: lambda s: s.close()}
    strategy = run(market(flat(13), lot=0.1), rows)
    assert [ours for ours, _ in seen] == [theirs for _, theirs in seen]
    assert fills(strategy)[-1][1] == 1.0
    assert strategy.position.size == 0.0
    assert len(strategy.trades) == 1


def test_a_liquidation_cancels_orders_that_wait_for_a_close_but_no_market_order() -> None:
    """At 10x a fall to 80 liquidates: what waits for the end of the day goes with the limits, and opens nothing."""
    orders = {
        0: lambda s: s.buy(size=1, leverage=10),
        1: lambda s: (s.sell(size=3, exectype=bt.Order.Close), s.buy(size=1, price=50.0, exectype=bt.Order.Limit)),
        2: lambda s: s.buy(size=2, leverage=1),
    }
    rows = [*flat(3), (80, 80, 80, 80), *flat(24, 80.0)]
    strategy = run(market(rows), orders)
    assert [(side, quantity, reason) for side, quantity, _, reason in fills(strategy)] == [
        ("buy", 1.0, "order"),
        ("sell", 1.0, "liquidation"),
        ("buy", 2.0, "order"),
    ]
    assert strategy.broker.ledger.tables()[2]["reason"].tolist() == ["position liquidated"] * 2


def test_funding_is_paid_at_the_mark_by_the_position_carried_into_the_stamp() -> None:
    """Long 10 at a mark of 100: 1 % at bar 2 costs 10; the entry at the open of bar 1 pays nothing there."""
    strategy = run(market(flat(4), funding={1: 0.01, 2: 0.01}), {0: lambda s: s.buy(size=10)})
    payments = strategy.broker.ledger.tables()[1]
    assert payments["payment"].tolist() == [pytest.approx(10.0)]
    assert strategy.broker.getvalue() == pytest.approx(9_990.0)
    short = run(market(flat(4), funding={2: 0.01}), {0: lambda s: s.sell(size=10)})
    assert short.broker.getvalue() == pytest.approx(10_010.0)


def test_an_order_can_be_cancelled_and_its_exits_go_with_it() -> None:
    """A resting bracket that is withdrawn leaves nothing behind."""
    kept: list[Any] = []

    def give(strategy: Any) -> None:
        kept.extend(strategy.buy_bracket(size=1, price=90.0, exectype=bt.Order.Limit, stopprice=80.0, limitprice=100.0))

    rows = [*flat(3), (100, 100, 85, 85), (85, 85, 79, 79)]
    strategy = run(market(rows), {0: give, 1: lambda s: s.cancel(kept[0])})
    assert fills(strategy) == []
    assert [state for _, state, _ in strategy.told].count("Canceled") == 3


def test_two_feeds_share_one_account() -> None:
    """Margins of two contracts come out of the same cash, and each has its own position."""
    pair = [market(flat(4), symbol="ONE"), market(flat(4, 50.0), symbol="TWO")]
    strategy = run(pair, {0: lambda s: (s.buy(data=s.datas[0], size=1), s.sell(data=s.datas[1], size=2))}, leverage=2.0)
    assert [s.size for s in (strategy.getposition(strategy.datas[0]), strategy.getposition(strategy.datas[1]))] == [
        1.0,
        -2.0,
    ]
    assert strategy.broker.getcash() == pytest.approx(10_000.0 - 50.0 - 50.0)
    assert strategy.broker.getvalue() == pytest.approx(10_000.0)


def test_what_the_broker_cannot_play_is_refused_in_one_line() -> None:
    """Recorded orders, other feeds, differing bars and commission settings say what to do instead."""
    with pytest.raises(
        ParameterError, match=r"exectype = 'Historical': is not a kind .*; allowed: Market, Close, Limit"
    ):
        run(market(flat(3)), {0: lambda s: s.sell(size=1, exectype=bt.Order.Historical)})
    with pytest.raises(CrossgateError, match=r"contract\.replaced"):
        FuturesBroker().setcommission(commission=0.001)
    with pytest.raises(DataError, match="other bars"):
        run([market(flat(3), symbol="ONE"), market(flat(4), symbol="TWO")], {})
    with pytest.raises(ParameterError, match="should be a Market"):
        CandleFeed(dataname="btc.csv")


@pytest.mark.parametrize("seed", range(3))
def test_backtrader_s_own_position_and_profit_agree_with_the_exchange(seed: int) -> None:
    """Through random trades on fractional sizes Backtrader's positions and trades equal the account's."""
    import numpy as np

    rng = np.random.default_rng(seed)
    sizes = rng.normal(0, 3, 80).round(3)
    orders = {
        bar: (lambda s, size=size: s.buy(size=size) if size > 0 else s.sell(size=-size))
        for bar, size in enumerate(sizes)
        if abs(size) > 0.5
    }
    strategy = run(market(walk(90, seed), taker_fee=0.0005), orders | {85: lambda s: s.close()}, slippage_bps=2.0)
    assert strategy.getposition().size == 0.0
    assert float(strategy.broker.playing.positions["quantity"][0]) == 0.0
    net = sum(trade.pnlcomm for trade in strategy.trades)
    assert net == pytest.approx(strategy.broker.getvalue() - 10_000.0, abs=1e-6)


@pytest.mark.parametrize(
    ("enter", "leave", "stop", "target", "worst"),
    [("buy", "sell", 95.0, 105.0, (100, 106, 94, 100)), ("sell", "buy", 105.0, 95.0, (100, 106, 94, 100))],
)
def test_a_plain_limit_that_closes_takes_its_turn_after_the_stop(
    enter: str, leave: str, stop: float, target: float, worst: Any
) -> None:
    """Exits given by hand are played like those of a bracket: with both in the bar the stop acts, or liquidation."""

    def give(strategy: Any) -> None:
        getattr(strategy, enter)(size=1)
        getattr(strategy, leave)(size=1, exectype=bt.Order.Stop, price=stop, reduce_only=True)

    def take(strategy: Any) -> None:
        getattr(strategy, leave)(size=1, exectype=bt.Order.Limit, price=target)

    strategy = run(market([*flat(3), worst, *flat(2)]), {0: give, 1: take})
    assert [row[2] for row in fills(strategy)] == [100.0, stop]
    deep = (100, 130, 70, 100)
    liquidated = run(market([*flat(3), deep, *flat(2)]), {0: lambda s: getattr(s, enter)(size=1, leverage=20), 1: take})
    assert fills(liquidated)[1][3] == "liquidation"


def test_what_is_left_of_a_plain_order_opens_from_the_next_bar_on() -> None:
    """A sell limit of 3 against a long of 1 closes it, and opens a short of 2 only when a later bar reaches it."""
    rows = [*flat(3), (100, 106, 100, 100), (100, 104, 100, 100), (100, 106, 100, 100)]
    strategy = run(
        market(rows), {0: lambda s: s.buy(size=1), 1: lambda s: s.sell(size=3, exectype=bt.Order.Limit, price=105)}
    )
    assert fills(strategy) == [
        ("buy", 1.0, 100.0, "order"),
        ("sell", 1.0, 105.0, "order"),
        ("sell", 2.0, 105.0, "order"),
    ]
    assert [stamp.hour for stamp in strategy.broker.ledger.tables()[0]["timestamp"]] == [1, 3, 5]
    assert strategy.getposition().size == -2.0


@pytest.mark.parametrize("wrong", [{"cash": -5.0}, {"leverage": 0.0}, {"intrabar": "worst"}, {"slippage_bps": -1.0}])
def test_an_account_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    """The broker checks its own settings as a config would."""
    with pytest.raises(ParameterError):
        FuturesBroker(**wrong)
