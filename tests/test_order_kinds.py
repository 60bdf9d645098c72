"""Bar tables of the order kinds: each rule of docs/fills.md, long and short, on the exchange and the witness alike."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from exchange_desk import ExchangeDesk
from test_against_witness import first_difference

from backtests.exchange import records
from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessOrder

CONTRACT = WitnessContract(tick=0.5, lot=0.1, maintenance_rate=0.001)
both_sides = pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])
Row = tuple[float, float, float, float]


def mirrored(price: float, side: int) -> float:
    """A price seen from the other side of 100, for a short."""
    return 100.0 + side * (price - 100.0)


def order(number: int, kind: Any, way: int, side: int, **more: Any) -> WitnessOrder:
    """An order of one unit; `way` +1 goes with the side, -1 against it; its prices are mirrored for a short."""
    for name in ("price", "limit"):
        if name in more:
            more[name] = mirrored(more[name], side)
    return WitnessOrder(number, 0, kind, side * way, 1.0, **({"leverage": 1.0} | more))


def play(side: int, rows: list[Row], orders: dict[int, list[Any]], **settings: Any) -> list[tuple[int, int, float]]:
    """Bar, order and price (mirrored back) of every fill, the same in both accounts; an int in `orders` cancels."""
    witness = WitnessAccount([CONTRACT], 10_000.0, **settings)
    exchange = ExchangeDesk([CONTRACT], 10_000.0, **settings)
    for index, (opened, high, low, close) in enumerate(rows):
        prices = [mirrored(price, side) for price in (opened, high, low, close)]
        if side < 0:
            prices[1], prices[2] = prices[2], prices[1]
        for account in (witness, exchange):
            for given in orders.get(index, ()):
                account.cancel(given) if isinstance(given, int) else account.submit(replace(given))
            account.play([WitnessBar(*prices, *prices)])
    told = [(fill.bar, fill.order or 0, fill.price) for fill in witness.fills]
    assert told == [(bar, int(row["order"]), pytest.approx(float(row["price"]))) for bar, row in exchange.fills]
    assert all(float(row["quantity"]) == pytest.approx(1.0) for _, row in exchange.fills)
    return [(bar, number, round(mirrored(price, side), 6)) for bar, number, price in told]


FLAT: Row = (100, 100, 100, 100)


@pytest.mark.parametrize(
    ("level", "limit", "rows", "filled"),
    [
        (105, 107, [(100, 106, 99, 101)], (0, 105)),  # its limit allows the level
        (105, 105, [(100, 106, 99, 101)], (0, 105)),
        (105, 103, [(102, 106, 100, 101)], (0, 103)),  # the bar turned back to the limit
        (105, 103, [(100, 106, 99, 102), (102, 104, 101, 103)], (1, 102)),  # a rising bar: from the next one on
        (105, 103, [(102, 106, 101, 104), (104, 104, 102, 103)], (1, 103)),  # it closed above its limit
        (105, 108, [(107, 109, 106, 107)], (0, 107)),  # a gap that the limit allows
        (105, 106, [(110, 111, 104, 109)], (0, 106)),  # a gap beyond the limit: a limit order at once
        (105, 106, [(110, 111, 107, 109), (108, 109, 105, 107)], (1, 106)),
        (105, 106, [(110, 111, 107, 109), (104, 105, 103, 104)], (1, 104)),  # the better open
    ],
)
@both_sides
def test_a_stop_limit_that_opens(side: int, level: float, limit: float, rows: list[Row], filled: Any) -> None:
    """Triggered like a stop, then a limit: at once after a gap, else when the bar turns back or from the next on."""
    entry = order(1, "stop_limit", 1, side, price=level, limit=limit)
    assert play(side, rows, {0: [entry]}) == [(filled[0], 1, filled[1])]


@pytest.mark.parametrize(("side", "fills"), [(1, []), (-1, [(0, 1, 103)])], ids=["buy", "sell"])
def test_a_bar_that_closes_where_it_opened_counts_as_a_rising_one(side: int, fills: Any) -> None:
    """Triggered inside such a bar, a buy waits for the next; a sell fills at the limit that the close reaches."""
    entry = order(1, "stop_limit", 1, side, price=105, limit=103)
    assert play(side, [(102, 106, 101, 102)], {0: [entry]}) == fills


@pytest.mark.parametrize(
    ("level", "limit", "last", "price"),
    [
        (95, 94, (98, 99, 93, 96), 95),
        (95, 97, (96, 98, 94, 97), 97),  # turned back, on a bar that rises
        (95, 97, (98, 99, 94, 97), None),  # on one that falls it waits
        (95, 94, (90, 95, 89, 93), 94),  # a gap beyond the limit: a target on this bar already
        (95, 94, (90, 93, 89, 92), None),
        (95, 90, (92, 93, 91, 92), 92),  # a gap that the limit allows
    ],
)
@both_sides
def test_a_stop_limit_that_closes(side: int, level: float, limit: float, last: Row, price: float | None) -> None:
    """A protective stop-limit may leave the position open where the price runs away from its limit."""
    orders = [order(1, "market", 1, side), order(2, "stop_limit", -1, side, price=level, limit=limit, reduce_only=True)]
    expected = [(0, 1, 100.0)] + ([(1, 2, price)] if price else [])
    assert play(side, [FLAT, last], {0: orders}) == expected


@both_sides
def test_slippage_does_not_carry_a_stop_limit_beyond_its_limit(side: int) -> None:
    """A level of 105 with 1 % of slippage is 106.05: filled at the limit of 105.5."""
    entry = order(1, "stop_limit", 1, side, price=105, limit=105.5)
    assert play(side, [(100, 106, 99, 101)], {0: [entry]}, slippage_bps=100.0) == [(0, 1, 105.5)]


@pytest.mark.parametrize(
    ("rows", "filled"),
    [
        ([FLAT, (100, 110, 100, 103), (103, 104, 99, 101)], (2, 99)),  # behind the close of 103, not the high of 110
        ([FLAT, (100, 103, 100, 103), (103, 103, 100, 100), (100, 100, 98, 99)], (3, 99)),  # never back
        ([FLAT, (100, 108, 97, 108), (108, 109, 103, 105)], (2, 104)),  # its new level counts from the next bar on
        ([FLAT, (100, 108, 100, 108), (101, 102, 100, 101)], (2, 101)),  # a gap fills at the open
    ],
)
@pytest.mark.parametrize("distance", [{"trail_amount": 4.0}, {"trail_rate": 0.04}], ids=["amount", "rate"])
@both_sides
def test_a_trailing_stop_follows_the_close(side: int, distance: Any, rows: list[Row], filled: Any) -> None:
    """Four below the close of a long, from the next bar on, and only nearer."""
    if "trail_rate" in distance and side < 0:
        distance = {"trail_amount": 4.0}  # a fraction is not mirrored: the long case has shown it
    orders = [order(1, "market", 1, side), order(2, "stop", -1, side, price=96, reduce_only=True, **distance)]
    found = play(side, rows, {0: orders})
    assert found[-1][:2] == (filled[0], 2)
    assert found[-1][2] == pytest.approx(filled[1], abs=0.5 if "trail_rate" in distance else 1e-9)


@both_sides
def test_the_limit_of_a_trailing_stop_limit_keeps_its_distance(side: int) -> None:
    """Level 96 and limit 95 go to 100 and 99 with a close of 104; a gap to 98 makes it a limit of 99 on that bar."""
    stop = order(2, "stop_limit", -1, side, price=96, limit=95, reduce_only=True, trail_amount=4.0)
    rows = [FLAT, (100, 104, 100, 104), (98, 99.5, 97, 98.5)]
    assert play(side, rows, {0: [order(1, "market", 1, side), stop]}) == [(0, 1, 100.0), (2, 2, 99.0)]


@both_sides
def test_of_a_group_the_first_that_fills_cancels_the_others(side: int) -> None:
    """A bar reaches a limit at 95 and a stop at 105: the one given first fills, the other is cancelled at once."""
    pair = [order(1, "limit", 1, side, price=95, group=1), order(2, "stop", 1, side, price=105, group=1)]
    rows = [(100, 106, 94, 100), (100, 106, 94, 100)]
    assert play(side, rows, {0: pair}) == [(0, 1, 95.0)]
    swapped = [replace(pair[1], id=1), replace(pair[0], id=2)]
    assert play(side, rows, {0: swapped}) == [(0, 1, 105.0)]


@both_sides
def test_a_cancelled_or_expired_order_takes_its_group_along(side: int) -> None:
    """Withdrawn or no longer valid: the other of the group does not fill either."""
    pair = [order(1, "limit", 1, side, price=95, group=1), order(2, "limit", 1, side, price=90, group=1)]
    rows = [FLAT, (100, 100, 89, 100)]
    assert play(side, rows, {0: pair, 1: [1]}) == []
    assert play(side, rows, {0: [replace(pair[0], expires=1), pair[1]]}) == []
    assert play(side, rows, {0: pair}) == [(1, 1, 95.0)]


@pytest.mark.parametrize(("expires", "fills"), [(2, []), (3, [(2, 1, 95.0)]), (None, [(2, 1, 95.0)])])
@pytest.mark.parametrize("kind", ["limit", "stop", "stop_limit"])
@both_sides
def test_an_order_fills_no_longer_than_it_is_valid(side: int, kind: str, expires: int | None, fills: Any) -> None:
    """Reached on bar 2: filled if it expires on bar 3, or never, but not if it expires on bar 2."""
    price = {"limit": 95.0, "stop": 105.0, "stop_limit": 105.0}[kind]
    entry = order(1, kind, 1, side, price=price, limit=price, expires=expires)
    reached = (100, 106, 99, 101) if price > 100 else (100, 101, 94, 99)
    assert play(side, [FLAT, FLAT, reached], {0: [entry]}) == [(bar, number, price) for bar, number, _ in fills]


@both_sides
def test_a_market_order_never_expires(side: int) -> None:
    """It is played at the next open, whatever its validity says."""
    assert play(side, [FLAT, FLAT], {1: [order(1, "market", 1, side, expires=1)]}) == [(1, 1, 100.0)]


@both_sides
def test_an_order_at_the_close_fills_there_and_its_exits_are_met_by_the_next_bar(side: int) -> None:
    """Due on bar 1: filled at its close of 103; a stop that this bar's range has passed acts on the next one only."""
    entry = order(1, "close", 1, side, due=1)
    stop = order(2, "stop", -1, side, price=101, reduce_only=True, parent=1)
    rows = [FLAT, (100, 104, 99, 103), (103, 103, 100, 102)]
    assert play(side, rows, {0: [entry, stop]}) == [(1, 1, 103.0), (2, 2, 101.0)]


@both_sides
def test_an_order_at_the_close_that_reduces_opens_nothing(side: int) -> None:
    """Against a position it closes it at the close; without one it is cancelled."""
    leave = order(2, "close", -1, side, due=0, reduce_only=True)
    assert play(side, [(100, 104, 99, 103)], {0: [order(1, "market", 1, side), leave]}) == [
        (0, 1, 100.0),
        (0, 2, 103.0),
    ]
    assert play(side, [FLAT, (100, 104, 99, 103)], {0: [leave]}) == []


@pytest.mark.parametrize("ends", ["cancel", "expire"])
@both_sides
def test_a_bracket_ends_as_one(side: int, ends: str) -> None:
    """When its stop is cancelled or expires, so is its target; before the entry has filled, the entry too."""
    for entry in (order(1, "market", 1, side), order(1, "limit", 1, side, price=98)):
        stop = order(2, "stop", -1, side, price=90, reduce_only=True, parent=1, expires=1 if ends == "expire" else None)
        target = order(3, "limit", -1, side, price=105, reduce_only=True, parent=1)
        cancels = [2] if ends == "cancel" else []
        found = play(side, [FLAT, (100, 106, 97, 100)], {0: [entry, stop, target], 1: cancels})
        assert found == ([(0, 1, 100.0)] if entry.kind == "market" else [])


@pytest.mark.parametrize("seed", range(12))
def test_no_order_fills_twice_or_more_than_it_asked_for(seed: int) -> None:
    """On lives of all kinds of orders: whole lots, in all no more than was asked, none before it was given."""
    from market_cases import ORDER_KINDS, Weather, grow

    weather = Weather(volatility=0.02, gap=0.1, crash=0.05, flat=0.1, basis=0.001, funding=0.001, blocked=0.05)
    settings = {"intrabar": "adverse", "limit_fill": "touch", "slippage_bps": 1.0}
    case = grow(seed, 2, 60, weather, ORDER_KINDS, 0.8, settings)
    exchange = ExchangeDesk([SimpleNamespace(**one) for one in case.contracts], case.cash, **settings, capacity=1024)
    asked: dict[int, tuple[float, int]] = {}
    filled: dict[int, float] = {}
    for index, (bars, actions) in enumerate(zip(case.bars, case.actions, strict=True)):
        for action in actions:
            if "cancel" in action:
                exchange.cancel(action["cancel"])
            else:
                given = action["submit"]
                asked[given["id"]] = (given["quantity"], index)
                exchange.submit(SimpleNamespace(**{**given, "tag": "order"}))
        exchange.play([WitnessBar(**bar) for bar in bars])
    assert len(exchange.fills) > 20
    for bar, row in exchange.fills:
        number, quantity, lot = int(row["order"]), float(row["quantity"]), case.contracts[row["symbol"]]["lot"]
        assert quantity / lot == pytest.approx(round(quantity / lot), abs=1e-6)
        if number:
            filled[number] = filled.get(number, 0.0) + quantity
            assert filled[number] <= asked[number][0] * (1 + 1e-9)
            assert bar >= asked[number][1]


class KindsDesk(ExchangeDesk):
    """An exchange in which a planted fault changes orders on their way in, or trails on their way on."""

    def changed(self, given: Any) -> None:
        """The fault, on an order."""

    def moved(self, row: Any, level: float, limit: float, bar: Any) -> None:
        """The fault, on a trailing row after a bar; `level` and `limit` are those before it."""

    def submit(self, given: Any) -> None:
        copied = type(given)(**vars(given))
        self.changed(copied)
        super().submit(copied)

    def play(self, bars: Any) -> None:
        before = {int(row["id"]): (float(row["price"]), float(row["limit"])) for row in self.live()}
        super().play(bars)
        for row in self.live():
            trails = row["trail_amount"] > 0 or row["trail_rate"] > 0
            if trails and row["status"] == records.LIVE and int(row["id"]) in before:
                self.moved(row, *before[int(row["id"])], bars[row["symbol"]])

    def live(self) -> Any:
        """The rows of open orders."""
        return [row for row in self.orders[: self.account["orders"][0]] if row["status"] <= records.LIVE]


class ValidTooLong(KindsDesk):
    def changed(self, given: Any) -> None:
        given.expires = given.expires and given.expires + 1


class NeverExpires(KindsDesk):
    def changed(self, given: Any) -> None:
        given.expires = None


class SiblingsLive(KindsDesk):
    def changed(self, given: Any) -> None:
        given.group = None


class LimitIgnored(KindsDesk):
    def changed(self, given: Any) -> None:
        given.kind = "stop" if given.kind == "stop_limit" else given.kind


class LimitAtLevel(KindsDesk):
    def changed(self, given: Any) -> None:
        given.limit = given.price


class CloseAtTheOpen(KindsDesk):
    def changed(self, given: Any) -> None:
        given.kind = "market" if given.kind == "close" else given.kind


class CloseABarLate(KindsDesk):
    def changed(self, given: Any) -> None:
        given.due += given.kind == "close"


class TrailStands(KindsDesk):
    def changed(self, given: Any) -> None:
        given.trail_amount = given.trail_rate = 0.0


class TrailFollowsTheHigh(KindsDesk):
    def moved(self, row: Any, level: float, limit: float, bar: Any) -> None:
        best = bar.high if row["side"] < 0 else bar.low
        distance = row["trail_amount"] or row["trail_rate"] * best
        if row["side"] * (row["price"] - best - row["side"] * distance) > 0:
            row["price"] = best + row["side"] * distance


class TrailMovesBack(KindsDesk):
    def moved(self, row: Any, level: float, limit: float, bar: Any) -> None:
        row["price"] = bar.close + row["side"] * (row["trail_amount"] or row["trail_rate"] * bar.close)


class TrailLimitStands(KindsDesk):
    def moved(self, row: Any, level: float, limit: float, bar: Any) -> None:
        row["limit"] = limit


class BracketOutlivesItsStop(KindsDesk):
    def cancel(self, order_id: int) -> None:
        for row in self.live():
            if row["id"] == order_id:
                row["status"], row["tied"] = records.CANCELLED, 1


FAULTS = {
    ValidTooLong: "valid_entry", NeverExpires: "valid_bracket", SiblingsLive: "oco_entries",
    LimitIgnored: "stop_limit_entry", LimitAtLevel: "stop_limit_protection", CloseAtTheOpen: "at_close",
    CloseABarLate: "at_close", TrailStands: "trail_protection", TrailFollowsTheHigh: "trail_entry",
    TrailMovesBack: "trail_protection", TrailLimitStands: "trail_bracket",
    BracketOutlivesItsStop: "bracketed_limit_entry",
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_in_an_order_kind_is_seen_by_the_plain_account(fault: type[KindsDesk]) -> None:
    """Each fault parts the exchange from tests/witness.py on some of forty lives of that kind of order."""
    from market_cases import Weather, grow

    weather = Weather(volatility=0.02, gap=0.1, crash=0.05, flat=0.0, basis=0.001, funding=0.001, blocked=0.0)
    plain = {"intrabar": "adverse", "limit_fill": "touch", "slippage_bps": 1.0}
    kinds = (FAULTS[fault], "open", "close", "cancel")
    lives = [grow(seed, 1, 40, weather, kinds, 0.6, plain) for seed in range(40)]
    assert any(first_difference(life, fault) for life in lives)
    assert not any(first_difference(life, KindsDesk) for life in lives[:6])
