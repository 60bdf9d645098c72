"""Bar tables for orders: market orders at the open, resting entries, brackets, filters and margin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from witness_tables import (
    FLAT,
    PLAIN,
    SHORT_LIQUIDATION,
    Row,
    approx,
    bar,
    bracket,
    market,
    play,
    protect,
    reasons,
    trades,
)

from witness import WitnessOrder

both_sides = pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])


@pytest.mark.parametrize(("side", "price"), [(1, 101), (-1, 99)], ids=["long", "short"])
def test_a_market_order_fills_at_the_open_plus_slippage(side: int, price: float) -> None:
    """The price is open * (1 + side * slippage), not rounded; margin is notional / leverage; the fee leaves cash."""
    contract = replace(PLAIN, taker_fee=0.01)
    account = play([bar((100, 105, 95, 102))], {0: [market(1, side, 2.0)]}, contract, slippage_bps=100)
    fill = account.fills[0]
    assert (fill.price, fill.quantity, fill.slippage, fill.opens) == (approx(price), 2, approx(2), True)
    assert fill.fee == approx(0.02 * price)
    assert account.cash == approx(1000 - 0.02 * price)
    assert account.margin == approx(2 * price / 4)


@both_sides
def test_adding_averages_the_entry(side: int) -> None:
    """1 at 100 and 3 at 104 make 4 at 103, with the margins added."""
    orders = {0: [market(1, side)], 1: [market(2, side, 3.0, leverage=2.0)]}
    account = play([FLAT, bar((104, 104, 104, 104))], orders)
    position = account.positions[0]
    assert (position.quantity, position.entry, position.margin) == (approx(4 * side), 103, approx(25 + 156))


@both_sides
def test_a_reduction_keeps_the_entry_and_releases_margin_pro_rata(side: int) -> None:
    """Closing 1 of 4 at +8 realises 8, keeps the average entry and frees a quarter of the margin."""
    exit_price = 100 + 8 * side
    orders = {0: [market(1, side, 4.0)], 1: [market(2, -side, 1.0, reduce_only=True)]}
    account = play([FLAT, bar((exit_price,) * 4)], orders)
    position = account.positions[0]
    assert (position.quantity, position.entry, position.margin) == (approx(3 * side), 100, approx(75))
    assert account.fills[-1].realised_pnl == approx(8)
    assert account.cash == approx(1008)


@both_sides
def test_a_reversal_is_one_order_with_two_fills(side: int) -> None:
    """An opposite order closes up to the position, and its excess opens the other side."""
    account = play([FLAT, FLAT], {0: [market(1, side)], 1: [market(2, -side, 3.0, leverage=5.0)]})
    assert trades(account)[1:] == [(1, -side, 1, 100, "market"), (1, -side, 2, 100, "market")]
    assert [fill.opens for fill in account.fills] == [True, False, True]
    assert account.positions[0].quantity == approx(-2 * side)
    assert account.margin == approx(40)


@both_sides
def test_reduce_only_without_a_position_is_cancelled(side: int) -> None:
    """There is nothing to reduce without a position, nor with one on the same side."""
    reducing = [market(1, side, reduce_only=True), market(2, side), market(3, side, reduce_only=True)]
    account = play([FLAT, FLAT], {0: reducing[:2], 1: reducing[2:]})
    assert reasons(account) == [(1, "cancelled", "nothing to reduce"), (3, "cancelled", "nothing to reduce")]
    assert len(account.fills) == 1


@both_sides
def test_reductions_come_before_openings(side: int) -> None:
    """A closing on the second symbol frees the margin that an opening on the first one needs."""
    orders = {
        0: [market(1, side, 40.0, symbol=1)],
        1: [market(2, side, 20.0), market(3, -side, 40.0, symbol=1, reduce_only=True)],
    }
    account = play([[FLAT, FLAT]] * 2, orders, [PLAIN, PLAIN])
    assert [(f.order, f.symbol) for f in account.fills] == [(1, 1), (3, 1), (2, 0)]
    assert account.positions[0].quantity == approx(20 * side)


@both_sides
def test_openings_take_margin_in_the_declared_order_of_symbols(side: int) -> None:
    """The first symbol is served first, whatever the ids: the second gets what margin is left."""
    orders = {0: [market(1, side, 30.0, symbol=1), market(2, side, 30.0, symbol=0)]}
    account = play([[FLAT, FLAT]], orders, [PLAIN, PLAIN])
    assert [(f.order, f.quantity) for f in account.fills] == [(2, approx(30)), (1, approx(10))]
    assert reasons(account) == [(1, "shrunk", "margin")]


@both_sides
@pytest.mark.parametrize(
    ("changes", "order", "why"),
    [
        ({}, {"leverage": 10.5}, "leverage above the contract's maximum"),
        ({}, {"quantity": 0.09}, "below one lot"),
        ({"minimum_quantity": 0.5}, {"quantity": 0.49}, "below minimum quantity"),
        ({"minimum_notional": 50.5}, {"quantity": 0.5}, "below minimum notional"),
    ],
)
def test_filters_refuse_openings(side: int, changes: dict[str, float], order: dict[str, float], why: str) -> None:
    """An opening beyond a filter is refused with its reason, and its children go with it."""
    contract = replace(PLAIN, **changes)
    account = play([FLAT], {0: bracket(side, 100 - 5 * side, **order)}, contract)
    assert reasons(account) == [(1, "refused", why), (2, "cancelled", "parent refused")]
    assert account.fills == []
    assert account.equity == 1000


@both_sides
def test_filters_admit_their_own_edge(side: int) -> None:
    """The minimum itself, and the maximum leverage itself, are allowed."""
    contract = replace(PLAIN, minimum_quantity=0.5, minimum_notional=50.0)
    account = play([FLAT], {0: [market(1, side, 0.5, leverage=10.0)]}, contract)
    assert trades(account) == [(0, side, 0.5, 100, "market")]
    assert account.log == []


@both_sides
def test_quantities_round_down_to_the_lot(side: int) -> None:
    """0.79 is 0.7 in lots of 0.1, and 0.3 (three tenths in floats) is not 0.2."""
    account = play([FLAT, FLAT], {0: [market(1, side, 0.79)], 1: [market(2, side, 0.3)]})
    assert [fill.quantity for fill in account.fills] == [approx(0.7), approx(0.3)]


@both_sides
def test_an_opening_shrinks_to_the_free_cash(side: int) -> None:
    """free 1000: at leverage 4 and a 1% fee a unit takes 26, so 38.4 of 50 fit; with nothing free it is refused."""
    contract = replace(PLAIN, taker_fee=0.01)
    account = play([FLAT, FLAT], {0: [market(1, side, 50.0)], 1: [market(2, side)]}, contract)
    assert trades(account) == [(0, side, 38.4, 100, "market")]
    assert account.free_cash == approx(1000 - 38.4 * 26)
    assert reasons(account) == [(1, "shrunk", "margin"), (2, "shrunk", "margin"), (2, "refused", "below one lot")]


def resting(kind: Any, side: int, price: float, **more: Any) -> list[WitnessOrder]:
    """A resting entry at the price, with no protection."""
    return bracket(side, kind=kind, price=price, **more)


@pytest.mark.parametrize(
    ("limit_fill", "side", "row", "price"),
    [
        ("touch", 1, (100, 101, 95, 99), 95),
        ("touch", 1, (94, 101, 93, 99), 94),
        ("touch", 1, (100, 101, 96, 99), None),
        ("through", 1, (100, 101, 95, 99), None),
        ("through", 1, (100, 101, 94, 99), 95),
        ("touch", -1, (100, 105, 99, 101), 105),
        ("touch", -1, (106, 107, 99, 101), 106),
        ("touch", -1, (100, 104, 99, 101), None),
        ("through", -1, (100, 105, 99, 101), None),
        ("through", -1, (100, 106, 99, 101), 105),
    ],
)
def test_a_limit_entry(limit_fill: str, side: int, row: Row, price: float | None) -> None:
    """A limit entry fills at its limit, or at an open that is better, as a maker without slippage; else it waits."""
    contract = replace(PLAIN, taker_fee=0.01, maker_fee=0.001)
    settings: dict[str, Any] = {"limit_fill": limit_fill, "slippage_bps": 100}
    account = play([bar(row)], {0: resting("limit", side, 100 - 5 * side)}, contract, **settings)
    assert trades(account) == ([] if price is None else [(0, side, 1, price, "entry")])
    assert [fill.fee for fill in account.fills] == ([] if price is None else [approx(0.001 * price)])
    assert account.orders[1].state == ("live" if price is None else "filled")


@pytest.mark.parametrize(
    ("side", "row", "price"),
    [
        (1, (100, 105, 99, 101), 106.05),
        (1, (106, 107, 99, 101), 107.06),
        (1, (100, 104, 99, 101), None),
        (-1, (100, 101, 95, 99), 94.05),
        (-1, (94, 101, 93, 99), 93.06),
        (-1, (100, 101, 96, 99), None),
    ],
)
def test_a_stop_entry(side: int, row: Row, price: float | None) -> None:
    """A stop entry fills at the worse of its stop and the open, plus slippage, as a taker."""
    contract = replace(PLAIN, taker_fee=0.01, maker_fee=0.001)
    account = play([bar(row)], {0: resting("stop", side, 100 + 5 * side)}, contract, slippage_bps=100)
    assert trades(account) == ([] if price is None else [(0, side, 1, price, "entry")])
    assert [fill.fee for fill in account.fills] == ([] if price is None else [approx(0.01 * price)])


@both_sides
@pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearer_extreme"])
def test_on_a_bar_entered_by_a_limit_a_target_waits(side: int, intrabar: Any) -> None:
    """A target inside the bar of a limit entry does not count; on the next bar it does."""
    wide = bar((100, 106, 94, 100))
    orders = bracket(side, 100 - 20 * side, 100, kind="limit", price=100 - 5 * side)
    account = play([wide, wide], {0: orders}, intrabar=intrabar)
    assert trades(account) == [(0, side, 1, 100 - 5 * side, "entry"), (1, -side, 1, 100, "target")]


@both_sides
def test_on_a_bar_entered_by_a_limit_a_stop_counts(side: int) -> None:
    """The stop of a limit entry acts in the same bar, though a target was inside it too."""
    orders = bracket(side, 100 - 6 * side, 100, kind="limit", price=100 - 5 * side)
    account = play([bar((100, 106, 94, 100))], {0: orders}, intrabar="favourable")
    assert trades(account) == [(0, side, 1, 100 - 5 * side, "entry"), (0, -side, 1, 100 - 6 * side, "stop")]


@pytest.mark.parametrize(
    ("side", "row", "level"), [(1, (100, 100, 76, 95), 76.0), (-1, (100, 124, 100, 105), 105 * 1.25 / 1.0625)]
)
def test_on_a_bar_entered_by_a_limit_liquidation_counts(side: int, row: Row, level: float) -> None:
    """An entry at 95 (105) is liquidated in its own bar when the mark goes through its level."""
    account = play([bar(row)], {0: resting("limit", side, 100 - 5 * side)})
    assert trades(account)[1:] == [(0, -side, 1, level, "liquidation")]


@pytest.mark.parametrize(
    ("side", "offset_rate", "offset", "stop", "target"),
    [
        (1, 0.05, 0.0, 96, 107),
        (1, 0.0, 2.5, 99, 104),
        (1, 0.05, 2.5, 94, 109),
        (-1, 0.05, 0.0, 103, 94),
        (-1, 0.0, 2.5, 101, 96),
        (-1, 0.05, 2.5, 106, 91),
    ],
)
def test_children_are_priced_from_the_fill(
    side: int, offset_rate: float, offset: float, stop: float, target: float
) -> None:
    """Offsets count from the fill after slippage (101, 99); stops round towards it, targets away from it.

    101 * 0.95 = 95.95 -> 96 and 101 * 1.05 = 106.05 -> 107; 99 * 1.05 = 103.95 -> 103 and 94.05 -> 94;
    101 - 2.5 -> 99 and 103.5 -> 104; 99 + 2.5 -> 101 and 96.5 -> 96; both together 93.45 -> 94 and so on.
    """
    orders = [replace(o, offset_rate=offset_rate, offset=offset) for o in bracket(side, 1.0, 1.0)[1:]]
    account = play([FLAT], {0: [*bracket(side), *orders]}, slippage_bps=100)
    assert (account.orders[2].price, account.orders[3].price) == (stop, target)


@both_sides
def test_children_sleep_until_the_parent_fills(side: int) -> None:
    """A waiting entry's stop and target do nothing, even when their prices trade."""
    orders = bracket(side, 100 - 5 * side, 100 + 5 * side, kind="limit", price=100 - 20 * side)
    account = play([bar((100, 107, 93, 100))], {0: orders})
    assert account.fills == []
    assert account.orders[2].state == "sleeping"


@both_sides
def test_children_take_the_quantity_that_the_parent_filled(side: int) -> None:
    """A shrunk parent's stop is as small as the position, and a reversal's as small as what it opened."""
    account = play([FLAT], {0: bracket(side, 100 - 5 * side, quantity=50.0)})
    assert account.orders[2].quantity == approx(40)
    entry, stop = bracket(-side, 100 + 5 * side, quantity=3.0)
    reversal = [replace(entry, id=11), replace(stop, id=12, parent=11)]
    account = play([FLAT, FLAT], {0: [market(1, side)], 1: reversal})
    assert account.orders[12].quantity == approx(2)
    assert account.orders[12].state == "live"


@both_sides
def test_one_cancels_the_other_and_flat_cancels_the_rest(side: int) -> None:
    """A filled target cancels its sibling stop; the position being flat cancels every reduce-only order of it."""
    extra = protect(9, "stop", side, 100 - 9 * side)
    row = (100, 105, 100, 100) if side > 0 else (100, 100, 95, 100)
    account = play([FLAT, bar(row)], {0: [*bracket(side, 100 - 5 * side, 100 + 5 * side), extra]})
    assert trades(account)[1:] == [(1, -side, 1, 100 + 5 * side, "target")]
    assert reasons(account) == [(2, "cancelled", "sibling filled"), (9, "cancelled", "position closed")]


@both_sides
def test_liquidation_cancels_protective_orders(side: int) -> None:
    """Before a liquidation every order that rests on the symbol is cancelled: target and resting entry alike."""
    orders = [*bracket(side, target=100 + 5 * side), replace(resting("limit", side, 100 - 60 * side)[0], id=8)]
    gap = 100 - 24 * side
    account = play([FLAT, bar((gap,) * 4)], {0: orders})
    assert account.fills[-1].reason == "liquidation"
    assert account.fills[-1].price == approx(gap)
    gone = "position liquidated"
    assert reasons(account) == [(3, "cancelled", gone), (8, "cancelled", gone)]


@both_sides
def test_a_cancelled_parent_takes_its_children_along(side: int) -> None:
    """Cancelling any order of a bracket cancels what is left of it: the entry that waits, the other exit."""
    orders = bracket(side, 100 - 5 * side, 100 + 5 * side, kind="limit", price=100 - 20 * side)
    account = play([FLAT], {0: orders})
    account.cancel(1)
    assert reasons(account) == [
        (1, "cancelled", "by the user"),
        (2, "cancelled", "parent cancelled"),
        (3, "cancelled", "parent cancelled"),
    ]
    for entry, last in ({"kind": "limit", "price": 100 - 20 * side}, (1, "cancelled", "bracket ended")), ({}, ()):
        account = play([FLAT], {0: bracket(side, 100 - 5 * side, 100 + 5 * side, **entry)})
        account.cancel(2)
        account.play([bar((100, 107, 93, 100))])
        filled = len(trades(account))
        assert filled == (0 if entry else 1)
        ended = [(2, "cancelled", "by the user"), (3, "cancelled", "bracket ended")]
        assert sorted(reasons(account)) == sorted([*ended, last] if entry else ended)


@both_sides
def test_a_waiting_reduce_only_order_is_no_entry(side: int) -> None:
    """Without a position a reduce-only stop or limit never fills, however far the price goes."""
    orders = [protect(2, "stop", side, 100 - 5 * side), protect(3, "limit", side, 100 + 5 * side)]
    account = play([bar((100, 107, 93, 100))] * 2, {0: orders})
    assert account.fills == []
    assert {order.state for order in account.orders.values()} == {"live"}


@both_sides
def test_a_position_without_liquidation_price(side: int) -> None:
    """A long at leverage 1 has no liquidation price; a short at leverage 1 has one below twice its entry."""
    account = play([FLAT, bar((100, 187, 1, 100))], {0: [market(1, side, leverage=1.0)]})
    assert len(account.fills) == 1
    assert account.liquidation_price(0) == (0 if side > 0 else approx(200 / 1.0625))
    assert approx(125 / 1.0625) == SHORT_LIQUIDATION
