"""Planted faults in the rules of the account: each is seen by the witness account or by a bar table.

The exchange is played as plain Python here: compiled functions are replaced by what they were compiled from, so that
one rule can be swapped for a plausible mistake wherever it is used. The clean exchange agrees on the same lives.
"""

# A faulty function keeps the signature of the one it replaces, whether it uses every argument or not.
# ruff: noqa: ARG005

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import exchange_desk
import numpy as np
import pytest
from contract_cases import METHODS
from exchange_desk import ExchangeDesk
from market_cases import Case, Weather, grow
from test_against_witness import first_difference

from backtests.exchange import cross, entries, exchange, levels, positions, records, ties, valuation
from markets import bitmex, bybit, inverse, margin, tiers, venues
from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessOrder
from witness.cross import CrossAccount

HONEST = entries.within_brackets.py_func
ROOMS = ("backtests.", "markets.", "strategies.")
KINDS = ("open", "bracket", "part", "reverse", "limit_entry", "stop_entry", "fixed_protection")


def house() -> list[ModuleType]:
    """The loaded modules in which rules live."""
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(ROOMS)]


def rebind(patch: pytest.MonkeyPatch, original: Any, replacement: Any) -> None:
    """A function replaced wherever a module of the house holds it."""
    for module in house():
        for name, value in list(vars(module).items()):
            if value is original:
                patch.setattr(module, name, replacement)


def plain(array: Any) -> Any:
    """Records whose fields plain Python can read and set by name."""
    return array.view(np.recarray) if isinstance(array, np.ndarray) and array.dtype.names else array


@pytest.fixture
def plain_exchange(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The exchange as plain Python, behind the same desk."""
    compiled = {id(value): value for module in house() for value in vars(module).values() if hasattr(value, "py_func")}
    for function in compiled.values():
        rebind(monkeypatch, function, function.py_func)
    monkeypatch.setattr(exchange_desk, "play_bar", lambda *given: exchange.play_bar(*map(plain, given)))
    monkeypatch.setattr(
        exchange_desk, "withdraw", lambda desk, number: ties.withdraw(records.Desk(*map(plain, desk)), number)
    )
    return monkeypatch


def lives(kind: str, method: str, mode: str, vintage: int, count: int) -> Iterator[Case]:
    """Random lives of contracts of one kind and method, in wild markets."""
    seed = found = 0
    while found < count:
        weather = Weather(volatility=0.02, gap=0.2, crash=0.06, flat=0.0, basis=0.003, funding=0.01, blocked=0.0)
        settings = {"intrabar": "adverse", "limit_fill": "touch", "slippage_bps": 1.0, "mode": mode}
        case = grow(seed, 2, 25, weather, KINDS, 0.5, settings)
        seed += 1
        if case.contracts[0]["kind"] != kind:
            continue
        for contract in case.contracts:
            contract |= {"method": method, "vintage": vintage}
            if method == "bitmex":
                contract |= {"face": 1.0, "tick": 0.5, "lot": 1.0}
        found += 1
        yield case


class Fault(NamedTuple):
    """A mistake: where it is planted, the faulty function, and the accounts whose lives notice."""

    mistake: str
    module: ModuleType
    function: str
    faulty: Callable[..., Any]
    kind: str = "linear"
    method: str = "binance"
    mode: str = "isolated"
    vintage: int = 2026


def entry_bracket(q: float, entry: float, wallet: float, floors: Any, rates: Any, amounts: Any, fee: float) -> float:
    """The liquidation price by the bracket of the notional at the ENTRY."""
    k = tiers.bracket_of(abs(q) * entry, floors)
    return venues.liquidation_price_with_fee(q, entry, wallet, rates[k], amounts[k], fee)


def entry_bracket_in_coin(
    q: float, entry: float, wallet: float, floors: Any, rates: Any, amounts: Any, fee: float
) -> float:
    """The same of an inverse position."""
    k = tiers.bracket_of(abs(q) / entry, floors)
    return inverse.liquidation_price(q, entry, wallet, rates[k] + fee, amounts[k])


def others_at_known_marks(desk: Any, symbol: int, adverse: bool) -> float:
    """Cash, and the others as if the bar had not moved."""
    wallet = float(desk.account[0].cash)
    for s, other in enumerate(desk.positions):
        if s != symbol and other.quantity != 0.0:
            contract = desk.contracts[s]
            wallet += valuation.profit_of(contract, other.quantity, other.entry, other.mark)
            wallet -= valuation.maintenance_of(contract, other.quantity, other.mark)
    return wallet


def no_maintenance_of_others(desk: Any, symbol: int, adverse: bool) -> float:
    """Cash and the profit of the others at their extremes, none of it kept for their maintenance."""
    wallet = float(desk.account[0].cash)
    for s, other in enumerate(desk.positions):
        if s != symbol and other.quantity != 0.0:
            extreme = other.mark_low if other.quantity > 0 else other.mark_high
            price = extreme if adverse else other.mark
            wallet += valuation.profit_of(desk.contracts[s], other.quantity, other.entry, price)
    return wallet


def cash_not_posted(desk: Any) -> float:
    """The free margin of an isolated account."""
    return float(desk.account[0].cash) - sum(float(position.margin) for position in desk.positions)


FAULTS = (
    Fault(
        "the average entry of an inverse position is arithmetic", inverse, "average_entry",
        lambda q, entry, added, price: (q * entry + added * price) / (q + added), "inverse",
    ),
    Fault("liquidation uses the bracket at the entry", tiers, "liquidation_in_tiers", entry_bracket),
    Fault(
        "liquidation in coin uses the bracket at the entry", tiers, "inverse_liquidation_in_tiers",
        entry_bracket_in_coin, "inverse",
    ),
    Fault(
        "brackets jump: the maintenance amount is left out", tiers, "tiered_margin",
        lambda value, floors, rates, amounts: value * rates[tiers.bracket_of(value, floors)], "linear", "bybit",
    ),
    Fault(
        "the fee in coin is on the quote notional", inverse, "trading_fee",
        lambda q, price, rate: abs(q) * rate, "inverse",
    ),
    Fault("the fee forgets the face", valuation, "fee_of", lambda c, q, price, rate: abs(q) * price * rate),
    Fault("shorts pay a positive funding rate", margin, "funding_payment", lambda q, mark, rate: -q * mark * rate),
    Fault(
        "funding in coin is that of a linear contract", inverse, "funding_payment",
        lambda q, mark, rate: q * rate, "inverse",
    ),
    Fault(
        "profit in coin is the price change over the entry", inverse, "profit",
        lambda q, entry, price: q * (price - entry) / entry**2, "inverse",
    ),
    Fault(
        "the closing fee is left out where the venue counts it", venues, "liquidation_price_with_fee",
        lambda q, entry, wallet, rate, amount, fee: margin.tiered_liquidation_price(q, entry, wallet, rate, amount),
        "linear", "closing_fee",
    ),
    Fault(
        "the fee to close is taken at the entry", bybit, "fee_to_close",
        lambda q, entry, leverage, taker: abs(q) * entry * taker, "linear", "bybit",
    ),
    Fault("the reserve counts against loss", levels, "bankruptcy_level",
          lambda c, q, entry, left, reserve: entry - left / (q * c.face), "linear", "bybit"),
    Fault(
        "the older page's closing fee is forgotten", bybit, "inverse_bankruptcy_price",
        lambda q, entry, left, taker: q / (q / entry + left), "inverse", "bybit", "isolated", 2023,
    ),
    Fault(
        "contracts are worth fractions of a satoshi", bitmex, "contract_value", lambda price: 1e8 / price,
        "inverse", "bitmex",
    ),
    Fault(
        "BitMEX levels are not put on the tick", bitmex, "price_at_value",
        lambda contracts, value, tick: 1e8 / (value / abs(contracts)) if value > 0 else 0.0, "inverse", "bitmex",
    ),
    Fault(
        "the bracket's leverage limit is not looked at", valuation, "largest_notional_at",
        lambda c, leverage: float(c.largest_notional),
    ),
    Fault("resting orders survive a liquidation", positions, "cancel_resting", lambda desk, symbol: None),
    Fault(
        "the largest market order is not looked at", entries, "within_market", lambda c, order, quantity: quantity,
    ),
    Fault(
        "a position's own size takes no room in its bracket", entries, "within_brackets",
        lambda c, leverage, held, quantity, price: HONEST(c, leverage, 0.0, quantity, price),
    ),
    Fault(
        "the other positions of a cross account are forgotten", cross, "wallet_of",
        lambda desk, symbol, adverse: float(desk.account[0].cash), mode="cross",
    ),
    Fault("the others stand at the open", cross, "wallet_of", others_at_known_marks, mode="cross"),
    Fault(
        "the others need no maintenance", cross, "wallet_of", no_maintenance_of_others, mode="cross"
    ),
    Fault("unrealised profit is not free on cross margin", positions, "free_cash", cash_not_posted, mode="cross"),
    Fault("the loss at once costs nothing", valuation, "open_loss_of", lambda c, q, price, mark: 0.0, mode="cross"),
)  # fmt: skip


@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_the_plain_exchange_agrees(plain_exchange: pytest.MonkeyPatch, mode: str) -> None:
    """Without a fault the exchange in plain Python and the witness agree on lives of every kind and method."""
    for kind, methods in METHODS.items():
        for method in dict.fromkeys(methods):
            assert [first_difference(life) for life in lives(kind, method, mode, 2023, 1)] == [""]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.mistake.replace(" ", "-") for fault in FAULTS])
def test_a_planted_fault_is_seen_by_the_witness_account(plain_exchange: pytest.MonkeyPatch, fault: Fault) -> None:
    """Some life of the kind of account that is named parts from the witness as soon as the rule is wrong."""
    rebind(plain_exchange, getattr(fault.module, fault.function), fault.faulty)
    seen = (first_difference(life) for life in lives(fault.kind, fault.method, fault.mode, fault.vintage, 60))
    parted = next((difference for difference in seen if difference), "")
    assert parted, f"no life notices that {fault.mistake}"
    print(f"{fault.module.__name__}.{fault.function}: seen by the witness account, {parted[:120]}")


def edge(account: Any, leverage: float, quantity: float = 10.0) -> float:
    """What is held after an opening whose notional is at or about the cap of a bracket of 1,000."""
    account.submit(WitnessOrder(1, 0, "market", 1, quantity, leverage=leverage))
    account.play([WitnessBar(*(100.0,) * 8)])
    held = account.positions[0]
    return float(held["quantity"] if isinstance(account, ExchangeDesk) else held.quantity)


def test_the_wrong_side_of_a_bracket_edge_is_seen_by_a_bar_table(plain_exchange: pytest.MonkeyPatch) -> None:
    """A position worth exactly 1,000 has the leverage of the bracket up to 1,000; what lies beyond it is cut off."""
    contract = WitnessContract(tick=0.1, lot=0.1, tiers=((0.0, 1000.0, 0.01, 20.0), (1000.0, 5000.0, 0.02, 10.0)))
    for kind in (WitnessAccount, ExchangeDesk):
        assert [edge(kind([contract], 1000.0), 20.0, size) for size in (9.9, 10.0, 10.1, 99.0)] == [9.9, 10, 10, 10]
        assert [edge(kind([contract], 9000.0), 10.0, size) for size in (50.0, 50.1, 600.0)] == [50, 50, 50]

    def below_the_cap(contract: Any, leverage: float) -> float:
        return float(contract.floors[1]) * (1.0 - 1e-6) if leverage > contract.leverages[1] else 0.0

    rebind(plain_exchange, valuation.largest_notional_at, below_the_cap)
    assert edge(ExchangeDesk([contract], 1000.0), 20.0) == pytest.approx(9.9)


def test_the_largest_market_order_is_all_that_is_sent() -> None:
    """Of 10 ordered at the market 3 are opened where that is the largest market order, by both accounts."""
    contract = WitnessContract(tick=0.1, lot=0.1, maximum_market_quantity=3.05)
    for kind in (WitnessAccount, ExchangeDesk):
        assert edge(kind([contract], 1000.0), 20.0) == 3.0


def test_a_ruined_cross_account_that_is_kept_is_seen_by_a_bar_table(plain_exchange: pytest.MonkeyPatch) -> None:
    """Funding inside a bar takes 400 of 300: both accounts close everything at that mark, but for the fault."""
    orders = [WitnessOrder(number + 1, number, "market", 1, 10.0, leverage=10.0) for number in (0, 1)]
    bars = [WitnessBar(*(100.0,) * 8), WitnessBar(*(100.0,) * 8, funding_inside=0.4)]

    def left(account: Any) -> tuple[float, int]:
        for order in orders:
            account.submit(order)
        for bar in bars:
            account.play([bar, bars[0]])
        return account.equity, len(account.fills)

    contracts = [WitnessContract(tick=0.01, lot=0.1)] * 2
    expected = (pytest.approx(0.0, abs=1e-9), 4)
    assert left(CrossAccount(contracts, 300.0)) == expected
    assert left(ExchangeDesk(contracts, 300.0, mode="cross")) == expected
    rebind(plain_exchange, positions.take_over_account, lambda desk: None)
    assert left(ExchangeDesk(contracts, 300.0, mode="cross")) != expected


def test_there_are_enough_faults() -> None:
    """At least twelve different rules have been broken on purpose."""
    assert len({(fault.module.__name__, fault.function) for fault in FAULTS}) >= 12
