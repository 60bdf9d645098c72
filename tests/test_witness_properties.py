"""What must hold for any market, contract and stream of orders, shown on the witness itself."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple, replace

import pytest
from hypothesis import HealthCheck, given, settings
from market_cases import ORDER_KINDS, Case, Weather, cases, grow
from witness_cases import account_of
from witness_tables import FLAT, PLAIN, bar, market, play

from witness import Fill, Payment, WitnessAccount, WitnessBar, WitnessOrder, money

many = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def steps(case: Case) -> Iterator[WitnessAccount]:
    """The account after each bar of the case."""
    account = account_of(case)
    for row, actions in zip(case.bars, case.actions, strict=True):
        for action in actions:
            if "submit" in action:
                account.submit(WitnessOrder(**action["submit"]))
            else:
                account.cancel(action["cancel"])
        account.play([WitnessBar(**table) for table in row])
        yield account


def last(case: Case) -> WitnessAccount:
    """The account at the end of the case."""
    return list(steps(case))[-1]


def identity_gap(account: WitnessAccount, start: float) -> float:
    """Trade profit - fees - charges - funding paid + unrealised, less the change of equity, relative to turnover."""
    parts = [fill.realised_pnl - fill.fee - fill.liquidation_fee for fill in account.fills]
    parts += [-payment.amount for payment in account.payments]
    scale = start + sum(map(abs, parts)) + abs(account.unrealised)
    return abs(math.fsum([*parts, account.unrealised, start, -account.equity])) / scale


@many
@given(cases())
def test_the_accounting_identity_closes_at_every_bar(case: Case) -> None:
    """Trade profit - fees - liquidation charges - funding + unrealised = change of equity, to 1e-9."""
    for account in steps(case):
        assert identity_gap(account, case.cash) < 1e-9
        assert account.equity == pytest.approx(account.cash + account.unrealised, rel=1e-12)


@many
@given(cases())
def test_equity_and_free_cash_never_go_below_zero(case: Case) -> None:
    """No account can owe anything; an isolated one neither in all, nor beside the posted margins."""
    for account in steps(case):
        assert math.isfinite(account.equity)
        assert account.equity >= -1e-9 * case.cash
        assert case.settings["mode"] == "cross" or account.free_cash >= -1e-9 * case.cash


@many
@given(cases())
def test_quantities_are_multiples_of_the_lot(case: Case) -> None:
    """Positions and fills are whole lots, and a flat position holds neither entry nor margin."""
    for account in steps(case):
        for position, contract in zip(account.positions, account.contracts, strict=True):
            lots = position.quantity / contract.lot
            assert lots == pytest.approx(round(lots), rel=1e-9, abs=1e-9)
            assert position.quantity or (position.entry, position.margin) == (0, 0)
        for fill in account.fills:
            lots = fill.quantity / account.contracts[fill.symbol].lot
            assert lots == pytest.approx(round(lots), rel=1e-9, abs=1e-9)
            assert round(lots) >= 1


@many
@given(cases(modes=("isolated",)))
def test_a_position_never_loses_more_than_was_posted(case: Case) -> None:
    """From flat to flat: losses, closing fees, charges and funding stay within the margins posted into it."""
    account = last(case)
    lives: defaultdict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])  # posted, won since the position was flat
    for item in account.journal:
        life = lives[item.symbol]
        if isinstance(item, Payment):
            life[1] -= item.amount
        elif item.opens and item.order is not None:
            contract, leverage = account.contracts[item.symbol], account.orders[item.order].leverage
            life[0] += sum(money.posted(contract, item.side, item.quantity, item.price, leverage))
        else:
            life[1] += item.realised_pnl - item.fee - item.liquidation_fee
            if item.position == 0:
                assert life[0] + life[1] >= -1e-9 * case.cash
                del lives[item.symbol]
    for symbol, (posted, won) in lives.items():
        unrealised = account.gain(symbol, case.bars[-1][symbol]["mark_close"])
        assert posted + won + unrealised >= -1e-9 * case.cash


@many
@given(cases())
def test_no_order_fills_twice(case: Case) -> None:
    """An order opens once, fills for no more than its quantity, and never after its end.

    Only a resting order that closed a position may wait with the rest of it for a later bar.
    """
    account = last(case)
    by_order: defaultdict[int, list[Fill]] = defaultdict(list)
    for fill in account.fills:
        if fill.order is not None:
            by_order[fill.order].append(fill)
    for number, fills in by_order.items():
        order = account.orders[number]
        waits = order.kind != "market" and not order.reduce_only
        assert waits or len({fill.bar for fill in fills}) == 1
        assert sum(fill.opens for fill in fills) <= 1
        assert order.state == "filled" or (waits and not any(fill.opens for fill in fills))
        assert not (order.reduce_only and any(fill.opens for fill in fills))
        lot = account.contracts[order.symbol].lot
        assert sum(fill.quantity for fill in fills) <= order.quantity + 1e-6 * lot
        ends = [event for event in account.log if event.order == number and event.what == "cancelled"]
        assert waits or ends == []


def doomed(case: Case) -> Case:
    """The case after a first bar that posts the whole cash at leverage 20, and a second that halves the price."""
    plain = {"tick": 0.01, "lot": 0.001, "maintenance_rate": 0.01, "liquidation_fee": 0.03}
    calm, crash = (
        [
            {k: price for name in ("open", "high", "low", "close") for k in (name, f"mark_{name}")}
            for _ in case.contracts
        ]
        for price in (100.0, 50.0)
    )
    all_in = {"id": 0, "symbol": 0, "kind": "market", "side": 1, "quantity": 200.0, "leverage": 20.0}
    quiet = case.settings | {"slippage_bps": 0.0, "half_spread_bps": 0.0, "half_spread_ticks": 0.0, "impact": 0.0}
    first = [{"submit": all_in}]
    return Case([plain] * len(case.contracts), 1000.0, quiet, [calm, crash, *case.bars], [first, [], *case.actions])


@many
@given(cases().map(doomed))
def test_nothing_happens_after_ruin(case: Case) -> None:
    """An account that lost its whole cash stays at zero, whatever is ordered and wherever prices go."""
    for index, account in enumerate(steps(case)):
        assert account.ruined == (index > 0)
        if account.ruined:
            assert account.equity == pytest.approx(0, abs=1e-9)
            assert (len(account.fills), account.payments) == (2, [])
            assert all(order.state not in ("live", "sleeping") for order in account.orders.values())


def without_impact(case: Case) -> Case:
    """The case with fixed slippage and half-spread only."""
    return replace(case, settings=case.settings | {"impact": 0.0})


@many
@given(cases().map(without_impact))
def test_fills_stay_within_the_bar_or_the_takeover(case: Case) -> None:
    """But for slippage and liquidation, every fill is at a price of its bar, or at a limit that its open beat."""
    account = last(case)
    slip = (account.slippage_bps + account.half_spread_bps) / 1e4
    for fill in account.fills:
        row = case.bars[fill.bar][fill.symbol]
        assert fill.price >= 0
        if fill.reason != "liquidation":
            assert not row["blocked"]
            tolerance = (1e-6 + account.half_spread_ticks) * account.contracts[fill.symbol].tick
            assert fill.order is not None
            limit = account.orders[fill.order].kind in ("limit", "stop_limit") and not fill.opens
            low, high = row["low"] * (1 - slip) - tolerance, row["high"] * (1 + slip) + tolerance
            assert fill.price >= low or (limit and fill.side < 0)
            assert fill.price <= high or (limit and fill.side > 0)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(cases())
def test_a_case_plays_the_same_twice(case: Case) -> None:
    """The witness has no hidden state: the same case gives the same fills, to the last bit."""
    assert [astuple(fill) for fill in last(case).fills] == [astuple(fill) for fill in last(case).fills]


def test_cases_reach_every_rule() -> None:
    """The random cases are not empty: they hold every kind of trade, refusal and cancellation."""
    seen: set[str] = set()
    for seed in range(150):
        weather = Weather(0.03, 0.2, 0.1, 0.1, 0.02, 0.05, 0.05)
        account = last(grow(seed, 2, 30, weather, ORDER_KINDS, 0.6, {"slippage_bps": 1.0}))
        seen |= {fill.reason for fill in account.fills} | {event.why for event in account.log}
    expected = {
        *("open", "bracket", "close", "part", "reverse", "ladder", "limit_entry", "stop_entry"),
        *("bracketed_limit_entry", "bracketed_stop_entry", "fixed_protection", "stop_child", "limit_child"),
        *("liquidation", "margin", "below one lot", "below minimum quantity", "below minimum notional"),
        *("leverage above the contract's maximum", "nothing to reduce", "sibling filled", "position closed"),
        *("by the user", "parent refused", "parent cancelled", "position liquidated"),
        *("stop_limit_entry", "stop_limit_child", "stop_limit_protection", "bracketed_stop_limit_entry"),
        *("trail_entry", "trail_protection", "trail_bracket", "at_close", "oco", "oco_exits"),
        *("valid_entry", "valid_bracket", "no longer valid", "other of the group", "bracket ended", "parent expired"),
        *("largest market order", "brackets", "above what the brackets allow"),
    }
    assert expected <= seen


def test_the_identity_check_can_fail() -> None:
    """A cent that is missing from the cash is seen by the identity."""
    account = play([FLAT, bar((100, 103, 99, 102))], {0: [market(1, 1)]}, PLAIN)
    assert identity_gap(account, 1000) < 1e-9
    account.equity -= 0.01
    assert identity_gap(account, 1000) > 1e-6
