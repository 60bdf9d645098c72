"""Round trips rebuilt from fills."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_factory import FEE_RATE, HOUR, START, Trade, make_market, make_result, make_trades

from backtests.run.result import Result
from reports.tables import breakdown_table
from reports.trades import COLUMNS, list_trades

RISING = [100.0, 100.0, 110.0, 120.0, 130.0, 140.0]


def at(row: int) -> pd.Timestamp:
    """The open of a bar."""
    return pd.Timestamp(START + row * HOUR, tz="UTC")


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_round_trip_is_one_trade(side: float) -> None:
    """In at 100 and out at 120: one trade, its profit net of both fees, its rate a fraction of the entry's notional."""
    table = list_trades(make_result(make_market(RISING), [Trade(1, side * 2.0), Trade(4, -side * 2.0, "signal")]))
    trade = table.iloc[0]
    fees = FEE_RATE * 2 * (100 + 120)
    assert len(table) == 1
    assert (trade["side"], trade["exit_reason"]) == ("long" if side > 0 else "short", "signal")
    assert (trade["opened"], trade["closed"], trade["bars_held"]) == (at(1), at(4), 3)
    assert (trade["quantity"], trade["entry_price"], trade["exit_price"]) == (2.0, 100.0, 120.0)
    assert trade["fees"] == pytest.approx(fees)
    assert trade["profit"] == pytest.approx(side * 40 - fees)
    assert trade["rate"] == pytest.approx(trade["profit"] / 200)


def test_a_flip_ends_one_trade_and_begins_the_next() -> None:
    """One fill from +1 to -2 closes the long and opens the short; its fee is shared by quantity."""
    orders = [Trade(1, 1.0), Trade(3, -3.0, "signal"), Trade(4, 2.0, "stop_loss")]
    first, second = (row for _, row in list_trades(make_result(make_market(RISING), orders)).iterrows())
    assert (first["side"], second["side"]) == ("long", "short")
    assert first["closed"] == second["opened"] == at(3)
    assert first["profit"] == pytest.approx(10 - FEE_RATE * (100 + 110))
    assert second["profit"] == pytest.approx(-20 - FEE_RATE * 2 * (110 + 120))
    assert second["exit_reason"] == "stop_loss"


def test_adding_and_reducing_average_the_prices() -> None:
    """Bought 1 at 100 and 1 at 110, sold 1 at 120 and 1 at 130: one trade, in at 105, out at 125."""
    orders = [Trade(1, 1.0), Trade(3, 1.0), Trade(4, -1.0, "take_profit"), Trade(5, -1.0, "signal")]
    table = list_trades(make_result(make_market(RISING), orders))
    assert len(table) == 1
    assert table[["quantity", "entry_price", "exit_price"]].to_numpy().tolist() == [[2.0, 105.0, 125.0]]
    assert table.loc[0, "profit"] == pytest.approx(40 - FEE_RATE * 460)


def test_in_and_out_within_one_bar_is_held_for_no_bar() -> None:
    """A stop hit on the entry bar is a trade of 0 bars."""
    table = list_trades(make_result(make_market(RISING), [Trade(2, 1.0), Trade(2, -1.0, "stop_loss")]))
    assert table["bars_held"].tolist() == [0]


def test_an_open_trade_has_no_end_and_counts_its_unrealised_profit() -> None:
    """A position held at the end is marked at the last bar and has neither a close nor an exit price."""
    trade = list_trades(make_result(make_market(RISING), [Trade(1, 1.0)])).iloc[0]
    assert pd.isna(trade["closed"])
    assert pd.isna(trade["exit_price"])
    assert trade["exit_reason"] == "open"
    assert trade["profit"] == pytest.approx(40 - FEE_RATE * 100)
    assert trade["bars_held"] == 4


def test_a_position_that_is_held_to_the_end_has_its_row() -> None:
    """The groups of trades end with what is still open, at its last mark; it is neither won nor lost."""
    trades = list_trades(make_result(make_market(RISING), [Trade(1, 1.0), Trade(3, -1.0, "signal"), Trade(4, 2.0)]))
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in breakdown_table(trades).rows}
    assert rows["All closed trades"][0] == "1"
    assert rows["Still open"][:2] == ["1", "–"]  # noqa: RUF001
    assert rows["Still open"][2] == f"+{trades['profit'].iloc[1]:,.2f}"
    assert "Still open" not in {row[0].text for row in breakdown_table(trades.iloc[:1]).rows}


def test_a_liquidation_charge_lowers_the_profit() -> None:
    """The clearance charge of a liquidation is taken off the trade's profit and shown apart."""
    orders = [Trade(1, 1.0), Trade(3, -1.0, "liquidation", charge=2.5)]
    trade = list_trades(make_result(make_market(RISING), orders)).iloc[0]
    assert trade["liquidation_charges"] == 2.5
    assert trade["profit"] == pytest.approx(10 - FEE_RATE * 210 - 2.5)


def test_funding_goes_to_the_trade_that_carried_the_position() -> None:
    """On the bar of a flip the payment is the old trade's: funding is due before orders fill."""
    orders = [Trade(1, 1.0), Trade(3, -2.0, "signal"), Trade(5, 1.0, "signal")]
    table = list_trades(make_result(make_market(RISING), orders, funding=[(2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0)]))
    assert table["funding"].tolist() == [3.0, 12.0]


def test_no_fill_gives_an_empty_table_with_all_columns() -> None:
    """A run without a fill has no trades, and the table still has its columns."""
    table = list_trades(make_result())
    assert len(table) == 0
    assert tuple(table.columns) == COLUMNS


def test_symbols_are_kept_apart() -> None:
    """Trades of two symbols that overlap in time are two trades, in the order of their opening."""
    markets = [make_market(RISING, symbol="AUSDT"), make_market(RISING[::-1], symbol="BUSDT")]
    orders = [Trade(1, 1.0, symbol="BUSDT"), Trade(2, 1.0, symbol="AUSDT")]
    orders += [Trade(4, -1.0, "signal", symbol="BUSDT"), Trade(5, -1.0, "signal", symbol="AUSDT")]
    table = list_trades(make_result(markets, orders))
    assert table["symbol"].tolist() == ["BUSDT", "AUSDT"]
    assert (table["profit"] > 0).tolist() == [False, True]


def closes(result: Result) -> None:
    """The sum over trades is the change of equity."""
    table = list_trades(result)
    change = float(result.equity["equity"].iloc[-1]) - result.account.cash
    assert float(table["profit"].sum() - table["funding"].sum()) == pytest.approx(change, abs=1e-6)
    assert float(table["fees"].sum()) == pytest.approx(result.totals.fees)
    assert float(table["funding"].sum()) == pytest.approx(result.totals.funding)


def test_trades_add_up_to_the_change_of_equity() -> None:
    """Profits less funding are the change of equity, over many trades of all exits."""
    closes(make_result(make_market(bars=300), make_trades(300), funding=[(row, 0.7) for row in range(3, 300, 8)]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 39), st.integers(-3, 3).filter(bool)), max_size=25))
def test_any_sequence_of_fills_adds_up(orders: list[tuple[int, int]]) -> None:
    """However fills add, reduce, flip and close, fees, funding and profits all find their trade."""
    market = make_market(bars=40)
    trades = [Trade(row, float(quantity)) for row, quantity in sorted(orders)]
    closes(make_result(market, trades, funding=[(row, 0.3) for row in range(0, 40, 5)]))
