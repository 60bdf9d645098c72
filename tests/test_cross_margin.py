"""Cross margin in bar tables, on the exchange and on the witness alike; every long case is mirrored for short.

Maintenance is 1 %, there are no costs: 10 units at 100 with a wallet of 500 behind them are lost at
(500 - 1000) / (0.1 - 10) = 50.51 if long and at (500 + 1000) / (0.1 + 10) = 148.51 if short.
"""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from exchange_desk import ExchangeDesk
from market_cases import ORDER_KINDS, Weather, grow
from simple_market import flat, market
from test_against_witness import first_difference
from test_broker import run
from witness_cases import account_of

from backtests.exchange import records
from foundation.errors import DataError, ParameterError
from witness import WitnessBar, WitnessContract, WitnessOrder
from witness.cross import CrossAccount

PLAIN = WitnessContract(tick=0.01, lot=0.1)
Row = tuple[float, float, float, float]
approx: Any = pytest.approx
both = pytest.mark.parametrize("account_kind", ["witness", "exchange"])
sides = pytest.mark.parametrize("side", [1, -1])


def bar(row: Row, **more: float) -> WitnessBar:
    """A bar whose mark is its last price."""
    return WitnessBar(*row, *row, **more)


def flat_bar(price: float = 100.0, **more: float) -> WitnessBar:
    """A bar that does not move."""
    return bar((price,) * 4, **more)


def dip(side: int, depth: float) -> WitnessBar:
    """A bar that opens and closes at 100 and goes against a side by a depth."""
    return bar((100.0, max(100.0, 100.0 - side * depth), min(100.0, 100.0 - side * depth), 100.0))


def entry(number: int, symbol: int, side: int, quantity: float = 10.0, **more: Any) -> WitnessOrder:
    """A market order at leverage 10."""
    return WitnessOrder(number, symbol, "market", side, quantity, leverage=10.0, **more)


def play(account_kind: str, cash: float, orders: list[list[WitnessOrder]], bars: list[list[WitnessBar]]) -> Any:
    """The account after some bars of several plain contracts; `orders[i]` are given before bar i."""
    contracts = [PLAIN] * len(bars[0])
    account: Any = (
        CrossAccount(contracts, cash) if account_kind == "witness" else ExchangeDesk(contracts, cash, mode="cross")
    )
    for number, row in enumerate(bars):
        for order in orders[number] if number < len(orders) else []:
            account.submit(SimpleNamespace(**vars(order)) if account_kind == "exchange" else order)
        account.play(row)
    return account


def closings(account: Any) -> list[tuple[int, float, float, bool]]:
    """Symbol, price, charge and whether it rests on the bound, of every liquidation."""
    if isinstance(account, ExchangeDesk):
        rows = [row for _, row in account.fills if row["reason"] == records.LIQUIDATION]
        return [(int(r["symbol"]), float(r["price"]), float(r["liquidation_fee"]), bool(r["bound"])) for r in rows]
    return [(f.symbol, f.price, f.liquidation_fee, f.bound) for f in account.fills if f.reason == "liquidation"]


@both
@sides
def test_the_whole_account_stands_behind_a_position(account_kind: str, side: int) -> None:
    """At leverage 10 an isolated position is lost 9 % away; with 500 behind it, it takes 40 %, but not 50 %."""
    orders = [[entry(1, 0, side)]]
    kept = play(account_kind, 500.0, orders, [[flat_bar()], [dip(side, 40.0)]])
    assert closings(kept) == []
    level = 500 / 9.9 if side > 0 else 1500 / 10.1
    lost = play(account_kind, 500.0, orders, [[flat_bar()], [dip(side, 50.0)]])
    assert closings(lost) == [(0, approx(level), approx(0.0), False)]
    assert lost.equity == approx(10 * level * 0.01)


@both
@sides
def test_the_others_count_at_their_adverse_extremes(account_kind: str, side: int) -> None:
    """With the other at its low of 75 a position is lost at 76.52, though it is safe with the other at the open.

    That liquidation is marked: it rests on the bound alone. The other one survives on what is left.
    """
    wallet = 500 - 250 - (7.5 if side > 0 else 12.5)
    level = (wallet - side * 1000) / (0.1 - side * 10)
    orders = [[entry(1, 0, side), entry(2, 1, side)]]
    reach = abs(level - 100) + 0.5
    hit = play(account_kind, 500.0, orders, [[flat_bar()] * 2, [dip(side, reach), dip(side, 25.0)]])
    assert closings(hit) == [(0, approx(level), approx(0.0), True)]
    missed = play(account_kind, 500.0, orders, [[flat_bar()] * 2, [dip(side, reach - 1.0), dip(side, 24.0)]])
    assert closings(missed) == []


@both
@sides
def test_what_is_lost_for_sure_is_not_called_a_bound(account_kind: str, side: int) -> None:
    """A gap that the account cannot bear even with the other at the open is no matter of the bound."""
    orders = [[entry(1, 0, side), entry(2, 1, side, 0.1)]]
    gap = 50.4 if side > 0 else 148.6
    account = play(account_kind, 500.0, orders, [[flat_bar()] * 2, [flat_bar(gap), dip(side, 1.0)]])
    assert closings(account) == [(0, approx(gap), approx(0.0), False)]


@both
@sides
def test_a_hedge_holds_only_at_the_open(account_kind: str, side: int) -> None:
    """Long one, short the other: both extremes at once would ruin the account; the bound says so and is marked."""
    orders = [[entry(1, 0, side), entry(2, 1, -side)]]
    account = play(account_kind, 300.0, orders, [[flat_bar()] * 2, [dip(side, 25.0), dip(-side, 25.0)]])
    assert closings(account)[0][3]
    assert account.equity >= 0.0


@both
@sides
def test_an_account_never_falls_below_zero(account_kind: str, side: int) -> None:
    """A gap that loses 200 of 120: the fill is at the open, the venue's fund bears 80, the account is ruined."""
    account = play(account_kind, 120.0, [[entry(1, 0, side)]], [[flat_bar()], [flat_bar(100.0 - side * 20.0)]])
    assert closings(account) == [(0, approx(100.0 - side * 20.0), approx(-80.0), False)]
    assert account.equity == approx(0.0, abs=1e-9)
    assert account.ruined


@both
@sides
def test_funding_takes_from_the_account(account_kind: str, side: int) -> None:
    """Funding of 30 on one position leaves the margins as they were; what it leaves below zero is taken over."""
    orders = [[entry(1, 0, side), entry(2, 1, side)]]
    account = play(account_kind, 300.0, orders, [[flat_bar()] * 2, [flat_bar(funding_open=side * 0.03), flat_bar()]])
    margins = [float(p["margin"]) if account_kind == "exchange" else p.margin for p in account.positions]
    assert margins == [approx(100.0), approx(100.0)]
    assert account.equity == approx(270.0)
    ruin = [flat_bar(funding_inside=side * 0.4), flat_bar()]
    gone = play(account_kind, 300.0, orders, [[flat_bar()] * 2, ruin])
    assert closings(gone) == [(0, approx(100.0), approx(-100.0), False), (1, approx(100.0), approx(0.0), False)]
    assert gone.equity == approx(0.0, abs=1e-9)


@both
@sides
def test_unrealised_profit_can_be_posted(account_kind: str, side: int) -> None:
    """100 of cash carry one position; when it has gained 100 they carry another, but not one that costs more."""
    up = 100.0 + side * 10.0
    orders = [[entry(1, 0, side)], [entry(2, 1, side), entry(3, 1, side, 1.0)]]
    account = play(account_kind, 100.0, orders, [[flat_bar()] * 2, [flat_bar(up), flat_bar()]])
    held = [float(p["quantity"]) if account_kind == "exchange" else p.quantity for p in account.positions]
    assert held == [approx(side * 10.0), approx(side * 10.0)]


@both
@sides
def test_the_orders_of_the_whole_account_go_first(account_kind: str, side: int) -> None:
    """Before a liquidation on one symbol the order that rests on the other is cancelled."""
    resting = WitnessOrder(2, 1, "limit", side, 1.0, price=100.0 - side * 5.0, leverage=10.0)
    bars = [[flat_bar()] * 2, [flat_bar(100.0 - side * 60.0), flat_bar()], [flat_bar(), dip(side, 10.0)]]
    account = play(account_kind, 500.0, [[entry(1, 0, side), resting]], bars)
    assert len(account.fills) == 2
    if account_kind == "exchange":
        assert account.ends[2] == ("cancelled", "position liquidated")


def test_random_cross_accounts_meet_the_bound_and_the_fund() -> None:
    """The comparison is not idle: random cross accounts agree, on liquidations by the bound and on ruin beyond zero."""
    bounds = borne = 0
    for seed in range(60):
        chance = Random(seed)
        weather = Weather(0.02, 0.3, 0.08, 0.0, chance.choice([0.0, 0.01]), 0.01, 0.0)
        plain = {"intrabar": "adverse", "limit_fill": "touch", "slippage_bps": 1.0, "mode": "cross"}
        case = grow(seed, 3, 40, weather, ORDER_KINDS, 0.5, plain)
        assert first_difference(case) == ""
        account = account_of(case)
        for row, actions in zip(case.bars, case.actions, strict=True):
            for action in actions:
                if "submit" in action:
                    account.submit(WitnessOrder(**action["submit"]))
                else:
                    account.cancel(action["cancel"])
            account.play([WitnessBar(**table) for table in row])
        bounds += sum(fill.bound for fill in account.fills)
        borne += sum(fill.liquidation_fee < -1e-9 for fill in account.fills)
    assert bounds >= 10
    assert borne >= 10


def test_the_broker_plays_cross_margin() -> None:
    """Under Backtrader the fall that ends an isolated position is borne by a cross account."""
    rows = [*flat(2), (100.0, 100.0, 70.0, 100.0), *flat(2)]
    for margin, left in (("isolated", 0.0), ("cross", 5.0)):
        strategy = run(market(rows), {0: lambda s: s.buy(size=5.0, leverage=10)}, cash=1000.0, margin=margin)
        assert strategy.getposition().size == left
    assert strategy.broker.getcash() == approx(950.0)
    with pytest.raises(ParameterError, match=r"account\.margin = "):
        run(market(rows), {}, margin="portfolio")


def test_contracts_of_two_currencies_share_no_account() -> None:
    """A contract that settles in another currency is named with both."""
    coin = market(flat(3), symbol="COIN", kind="inverse", settlement="BTC")
    with pytest.raises(DataError, match=r"COIN: settles in BTC, TEST in USDT; an account holds contracts of one"):
        run([market(flat(3)), coin], {}, margin="cross")
