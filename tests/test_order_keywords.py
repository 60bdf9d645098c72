"""Orders that cannot be played: each is refused in one line that says what, where, what is allowed and the fix."""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt
import pytest
from simple_market import flat, market
from test_broker import fills, run

from backtests import FuturesBroker
from foundation.errors import CrossgateError, ParameterError

NAN = float("nan")
LIMIT, STOP, STOP_LIMIT, TRAIL = bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit, bt.Order.StopTrail
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"leverage": -5}, "leverage = -5: should be a number above 0", "leave it out"),
    ({"leverage": "5x"}, "leverage = '5x': should be a number above 0", "leave it out"),
    ({"reason": "stop_los"}, "reason = 'stop_los': is not a reason of a fill", 'did you mean "stop_loss"?'),
    ({"reduce_only": "yes"}, "reduce_only = 'yes': should be True or False", "True: it never opens"),
    ({"offset": 2.0}, "offset = 2.0: cannot be used here", "the exits of a bracket may take 0 or more"),
    ({"leverge": 5}, "leverge = 5: is not a keyword", 'did you mean "leverage"?'),
    ({"trail_amount": 5}, "trail_amount = 5: is not a keyword", 'did you mean "trailamount"?'),
    ({"size": NAN}, "size = nan: should be a number above 0", "a fraction of a contract is allowed"),
    ({"price": NAN, "exectype": LIMIT}, "price = nan: should be a number above 0", "wait until it is known"),
    ({"price": -1.0, "exectype": STOP}, "price = -1.0: should be a number above 0", "leave it out"),
    (
        {"plimit": 99.0, "exectype": LIMIT},
        "plimit = 99.0: is the limit of a StopLimit",
        "of a Limit order is its price",
    ),
    ({"trailamount": 1.0}, "trailamount = 1.0: is the distance of a StopTrail or StopTrailLimit", "use one of these"),
    ({"exectype": TRAIL}, "trailamount, trailpercent = 'none': one of them should be given", "a fraction"),
    ({"exectype": TRAIL, "trailamount": 1.0, "trailpercent": 0.1}, "one of them should be given", "a fraction"),
    ({"exectype": TRAIL, "trailpercent": 2.0}, "trailpercent = 2.0: should be below 1", "0.02 is 2 %"),
    ({"valid": 0, "exectype": LIMIT}, "valid = 0: is a day number that is not later than the bar", "bt.Order.DAY"),
    ({"valid": 5.0, "exectype": LIMIT}, "valid = 5.0: is a day number that is not later than the bar", "timedelta"),
    ({"valid": "monday", "exectype": LIMIT}, "valid = 'monday': is no time", "bt.date2num"),
    ({"valid": dt.timedelta(hours=-1), "exectype": LIMIT}, "lies in the past", "a timedelta above 0"),
    ({"oco": 7, "exectype": LIMIT}, "oco = 7: should be an order", "hand in what buy or sell returned"),
    ({"parent": "entry", "exectype": LIMIT}, "parent = 'entry': should be an order", "hand in what buy or sell"),
]


@pytest.mark.parametrize(("keywords", "problem", "fix"), REFUSED, ids=range(len(REFUSED)))
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_keyword_that_cannot_be_played_stops_the_run(
    side: str, keywords: dict[str, Any], problem: str, fix: str
) -> None:
    """The line names the keyword and its value, the order and its bar, and what to write instead."""
    with pytest.raises(ParameterError) as caught:
        run(market(flat(3)), {0: lambda s: getattr(s, side)(**({"size": 1} | keywords))})
    text = str(caught.value)
    assert problem in text
    assert fix in text
    assert f"to {side} TEST given at 2024-01-01 00:00 UTC" in text
    assert "\n" not in text


def test_the_exit_of_a_bracket_waits_for_a_level() -> None:
    """A market order cannot be the exit of a bracket: it has no level to wait for."""
    with pytest.raises(ParameterError, match=r"exectype = 'Market': cannot be the exit of a bracket"):
        run(market(flat(3)), {0: lambda s: s.sell(size=1, parent=s.buy(size=1, transmit=False))})


def test_a_trail_longer_than_the_price_is_refused() -> None:
    """A stop 150 below a price of 100 would stand below zero."""
    with pytest.raises(ParameterError, match=r"trailamount = 150\.0: puts the stop at or below zero"):
        run(market(flat(3)), {0: lambda s: s.sell(size=1, exectype=TRAIL, trailamount=150.0)})


def test_an_exit_that_comes_after_its_bracket_is_rejected_and_recorded() -> None:
    """Its entry is over: the strategy hears Rejected, the ledger holds it with the account of that moment."""
    entries: list[Any] = []
    orders = {
        0: lambda s: entries.append(s.buy(size=2)),
        2: lambda s: s.sell(size=2, exectype=STOP, price=90.0, parent=entries[0]),
    }
    strategy = run(market(flat(5)), orders)
    assert strategy.told[-1][:2] == (3, "Rejected")
    row = strategy.broker.ledger.tables()[2].iloc[-1]
    assert (row["status"], row["reason"], row["kind"], row["price"]) == ("refused", "entry not filled", "stop", 90.0)
    assert (row["position"], row["cash"]) == (2.0, 10_000.0)


def test_other_keywords_are_kept_as_the_order_s_info() -> None:
    """What a strategy writes on its orders comes back with them."""
    seen: list[str] = []
    orders = {0: lambda s: s.buy(size=1, note="breakout"), 2: lambda s: seen.append(s.kept)}
    strategy = run(market(flat(4)), {0: lambda s: setattr(s, "kept", s.buy(size=1, note="breakout")), 2: orders[2]})
    assert seen[0].info.note == "breakout"
    assert fills(strategy) == [("buy", 1.0, 100.0, "order")]


@pytest.mark.parametrize(
    "name",
    [
        "setcommission", "addcommissioninfo", "set_coc", "set_coo", "set_slippage_perc", "set_slippage_fixed",
        "set_filler", "add_cash", "add_order_history", "set_fund_history",
    ],
)  # fmt: skip
def test_settings_of_backtrader_s_broker_that_would_not_count_are_refused(name: str) -> None:
    """Nothing that would change fills or money in Backtrader's own broker is taken and forgotten here."""
    with pytest.raises(CrossgateError) as caught:
        getattr(FuturesBroker(), name)(1)
    assert len(str(caught.value)) > 40
