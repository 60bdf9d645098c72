"""The compiled exchange against the plain-Python witness: same fills, same money, on random lives.

The two share no code; see docs/fills.md for the rules that both were written from.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from exchange_desk import ExchangeDesk
from hypothesis import given, settings
from market_cases import Case, cases
from witness_cases import account_of

from backtests.exchange.records import FILL_REASONS
from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessOrder

TAGS = ("order", "entry", "signal", "stop_loss", "take_profit", "time_exit")


def close(a: float, b: float, scale: float = 1.0) -> bool:
    """Equal to 1e-9 of the larger of the numbers and the scale."""
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b), scale)


def witness_fill(fill: Any) -> tuple[Any, ...]:
    """What must agree of a witness's fill."""
    numbers = (fill.quantity, fill.price, fill.fee, fill.liquidation_fee, fill.realised_pnl, fill.position, fill.cash)
    numbers = (*numbers, fill.slippage, fill.spread_cost, fill.impact_cost)
    return (fill.bar, fill.symbol, fill.order or 0, fill.side, fill.reason, fill.opens, fill.bound), numbers


def exchange_fill(bar: int, row: Any) -> tuple[Any, ...]:
    """What must agree of the exchange's fill."""
    names = ("quantity", "price", "fee", "liquidation_fee", "realised_pnl", "position", "cash", "slippage")
    names += ("spread_cost", "impact_cost")
    head = (bar, int(row["symbol"]), int(row["order"]), int(row["side"]), FILL_REASONS[int(row["reason"])])
    return (*head, bool(row["opening"]), bool(row["bound"])), tuple(float(row[name]) for name in names)


def first_difference(case: Case, desk: type[ExchangeDesk] = ExchangeDesk) -> str:
    """Where the exchange and the witness part over a case; '' when they agree to the end."""
    witness = account_of(case)
    exchange = desk([SimpleNamespace(**one) for one in case.contracts], case.cash, **case.settings, capacity=2048)
    for number, (bars, actions) in enumerate(zip(case.bars, case.actions, strict=True)):
        seen = len(witness.fills)
        for action in actions:
            if "cancel" in action:
                witness.cancel(action["cancel"])
                exchange.cancel(action["cancel"])
            else:
                given = {**action["submit"], "tag": TAGS[action["submit"]["id"] % len(TAGS)]}
                witness.submit(WitnessOrder(**given))
                exchange.submit(SimpleNamespace(**given))
        played = [WitnessBar(**bar) for bar in bars]
        witness.play(played)
        exchange.play(played)
        part = fills_part(witness, exchange, seen, case.cash) or accounts_part(witness, exchange, case.cash)
        if part:
            return f"bar {number}: {part}"
    if len(witness.payments) != len(exchange.payments):
        return f"payments {len(witness.payments)} {len(exchange.payments)}"
    return ""


def fills_part(witness: WitnessAccount, exchange: ExchangeDesk, seen: int, scale: float) -> str:
    """How the fills from number `seen` on differ."""
    expected = [witness_fill(fill) for fill in witness.fills[seen:]]
    found = [exchange_fill(bar, row) for bar, row in exchange.fills[seen:]]
    if [head for head, _ in expected] != [head for head, _ in found]:
        return f"fills\n{expected}\n{found}"
    for (_, ours), (_, theirs) in zip(expected, found, strict=True):
        if not all(close(a, b, scale) for a, b in zip(ours, theirs, strict=True)):
            return f"numbers\n{ours}\n{theirs}"
    return ""


def accounts_part(witness: WitnessAccount, exchange: ExchangeDesk, scale: float) -> str:
    """How the accounts and positions differ."""
    for name in ("decided_by_finer", "decided_by_assumption"):
        if getattr(witness, name) != int(exchange.account[name][0]):
            return f"{name} {getattr(witness, name)} {int(exchange.account[name][0])}"
    for name in ("equity", "cash", "ruined"):
        if not close(getattr(witness, name), getattr(exchange, name), scale):
            return f"{name} {getattr(witness, name)} {getattr(exchange, name)}"
    for symbol, position in enumerate(witness.positions):
        held = exchange.positions[symbol]
        ours = (position.quantity, position.entry, position.margin, witness.liquidation_price(symbol))
        theirs = [float(held[name]) for name in ("quantity", "entry", "margin", "liquidation_price")]
        if not all(close(a, b, scale) for a, b in zip(ours, theirs, strict=True)):
            return f"position {symbol} {ours} {theirs}"
    return ""


@settings(max_examples=300)
@given(case=cases())
def test_exchange_and_witness_agree_on_random_lives(case: Case) -> None:
    """Every fill, and cash, equity, margin and liquidation price at every bar, to 1e-9."""
    assert first_difference(case) == ""


@pytest.mark.parametrize(
    "kind",
    [
        "bracket", "reverse", "limit_entry", "ladder", "stop_entry", "stop_limit_entry", "stop_limit_protection",
        "trail_entry", "trail_protection", "trail_bracket", "at_close", "oco_entries", "oco_exits", "valid_entry",
        "valid_bracket",
    ],
)  # fmt: skip
def test_each_kind_of_order_is_compared_with_fills_of_it(kind: str) -> None:
    """The comparison is not idle: over a few seeds each kind of order leads to many fills on which both agree."""
    from market_cases import Weather, grow

    weather = Weather(volatility=0.01, gap=0.1, crash=0.03, flat=0.0, basis=0.0005, funding=0.0005, blocked=0.0)
    plain = {"intrabar": "adverse", "limit_fill": "touch", "slippage_bps": 1.0}
    fills = 0
    for seed in range(6):
        case = grow(seed, 2, 60, weather, (kind, "open", "close"), 0.5, plain)
        assert first_difference(case) == ""
        witness = account_of(case)
        for bars, actions in zip(case.bars, case.actions, strict=True):
            for action in actions:
                witness.submit(WitnessOrder(**action["submit"]))
            witness.play([WitnessBar(**bar) for bar in bars])
        fills += len(witness.fills)
    assert fills > 50


def faulty(**faults: float) -> type[ExchangeDesk]:
    """An exchange with a planted fault: contract or settings fields multiplied or replaced."""

    class Faulty(ExchangeDesk):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            for name, value in faults.items():
                record = self.settings if name in (self.settings.dtype.names or ()) else self.contracts
                record[name] = value if name in ("intrabar", "through") else record[name] * value

    return Faulty


class FundingReversed(ExchangeDesk):
    """Longs receive what they should pay."""

    def play(self, bars: Any) -> None:
        for_shorts = ("funding_open", "funding_inside")
        super().play([SimpleNamespace(**{**vars(bar), **{n: -getattr(bar, n) for n in for_shorts}}) for bar in bars])


class LastForMark(ExchangeDesk):
    """Liquidations tested on last prices."""

    def play(self, bars: Any) -> None:
        names = ("open", "high", "low", "close")
        super().play(
            [SimpleNamespace(**{**vars(bar), **{f"mark_{n}": getattr(bar, n) for n in names}}) for bar in bars]
        )


class BlockedBarsTrade(ExchangeDesk):
    """Bars that cleaning touched take fills."""

    def play(self, bars: Any) -> None:
        super().play([SimpleNamespace(**{**vars(bar), "blocked": False}) for bar in bars])


class OneBarEarly(ExchangeDesk):
    """Orders fill at the open of the bar that decided them: each bar shows the next one's open first."""

    def play(self, bars: Any) -> None:
        shifted = [SimpleNamespace(**{**vars(bar), "open": bar.close}) for bar in bars]
        super().play(shifted)


@pytest.mark.parametrize(
    "fault",
    [
        FundingReversed, LastForMark, BlockedBarsTrade, OneBarEarly, faulty(taker_fee=0.5), faulty(maker_fee=0.0),
        faulty(rates=1.05), faulty(liquidation_fee=0.0), faulty(slippage=0.0), faulty(intrabar=1),
        faulty(through=1), faulty(tick=10.0), faulty(lot=10.0), faulty(minimum_notional=0.0),
        faulty(minimum_quantity=0.0), faulty(leverages=1.5),
    ],
)  # fmt: skip
def test_a_planted_fault_is_seen(fault: type[ExchangeDesk]) -> None:
    """Each fault in the exchange parts it from the witness on some of a few dozen lives."""
    from market_cases import ORDER_KINDS, Weather, grow

    weather = Weather(volatility=0.02, gap=0.2, crash=0.05, flat=0.0, basis=0.01, funding=0.01, blocked=0.1)
    plain = {"intrabar": "adverse", "limit_fill": "touch", "slippage_bps": 1.0}
    lives = (grow(seed, 2, 40, weather, ORDER_KINDS, 0.5, plain) for seed in range(40))
    assert any(first_difference(life, fault) for life in lives)


@pytest.mark.parametrize("side", [1, -1])
def test_funding_inside_a_bar_takes_no_more_than_the_margin(side: int) -> None:
    """12 of funding inside a bar on 10 of margin: taken over at that close, by both accounts, for a loss of 10."""
    flat = dict.fromkeys(("open", "high", "low", "close", "mark_open", "mark_high", "mark_low", "mark_close"), 100.0)
    bars = [WitnessBar(**flat), WitnessBar(**flat, funding_inside=side * 0.12)]
    order = WitnessOrder(1, 0, "market", side, 1.0, leverage=10.0)
    for account in (WitnessAccount([WitnessContract()], 1000.0), ExchangeDesk([WitnessContract()], 1000.0)):
        account.submit(order)
        for bar in bars:
            account.play([bar])
        assert account.equity == pytest.approx(990.0)
        assert len(account.fills) == 2


@pytest.mark.parametrize("side", [1, -1])
def test_a_fill_at_the_close_that_costs_more_than_its_margin_is_taken_over_there(side: int) -> None:
    """At 20x and slippage of 10 % a fill at the close has lost twice its margin of 5: both lose 5.5 at most."""
    order = WitnessOrder(1, 0, "close", side, 1.0, leverage=20.0, due=0)
    terms = {"slippage_bps": 1000.0}
    contract = WitnessContract()
    for account in (WitnessAccount([contract], 1000.0, **terms), ExchangeDesk([contract], 1000.0, **terms)):
        account.submit(order)
        account.play([WitnessBar(*(100.0,) * 8)])
        assert account.equity == pytest.approx(1000.0 - 5.0 - side * 0.5)
        assert len(account.fills) == 2
