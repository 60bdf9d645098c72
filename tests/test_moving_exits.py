"""Stops that trail and break even, and targets for a share: bar tables, on exchange and witness, long and short.

Tables are written for a long entered at 100 at the open of bar 1; a short plays them mirrored at 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from exchange_desk import ExchangeDesk

from backtests.exchange.records import FILL_REASONS
from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessOrder

Row = tuple[float, float, float, float]
PLAIN = WitnessContract(tick=1.0, lot=0.1, maintenance_rate=0.0625, maximum_leverage=10.0)
FLAT: Row = (100, 100, 100, 100)


def mirrored(row: Row) -> Row:
    """The same bar for a short: up is down, about 100."""
    o, h, lo, c = (200 - price for price in row)
    return o, lo, h, c


def orders_of(side: int, exits: Sequence[dict[str, Any]], quantity: float, entry: dict[str, Any]) -> list[WitnessOrder]:
    """An entry with id 1 at the market, or as `entry` says, and its exits with ids from 2 on."""
    first = WitnessOrder(1, 0, **{"kind": "market", "side": side, "quantity": quantity, "leverage": 2.0, **entry})
    rest = [
        WitnessOrder(
            number, 0, side=-side, quantity=quantity, parent=1, reduce_only=True,
            **{"tag": "stop_loss" if one["kind"] == "stop" else "take_profit", **one},
        )
        for number, one in enumerate(exits, 2)
    ]  # fmt: skip
    return [first, *rest]


def play(
    rows: Sequence[Row], exits: Sequence[dict[str, Any]], side: int, quantity: float = 1.0, **more: Any
) -> list[tuple[int, float, float, str]]:
    """Closing fills as (bar, quantity, price as for a long, reason): the exchange's, which the witness must share."""
    entry, blocked = more.pop("entry", {}), more.pop("blocked", ())
    accounts: tuple[Any, Any] = (ExchangeDesk([PLAIN], 1000.0, **more), WitnessAccount([PLAIN], 1000.0, **more))
    for account in accounts:
        for order in orders_of(side, exits, quantity, entry):
            account.submit(order if isinstance(account, WitnessAccount) else SimpleNamespace(**vars(order)))
        for number, row in enumerate(rows):
            last = row if side > 0 else mirrored(row)
            account.play([WitnessBar(*last, *last, blocked=number in blocked)])
    exchange, witness = accounts
    found = [
        (bar, round(float(fill["quantity"]), 9), float(fill["price"]), FILL_REASONS[fill["reason"]])
        for bar, fill in exchange.fills
        if not fill["opening"]
    ]
    expected = [(fill.bar, round(fill.quantity, 9), fill.price) for fill in witness.fills if not fill.opens]
    assert [fill[:3] for fill in found] == expected
    return [(bar, size, price if side > 0 else 200 - price, reason) for bar, size, price, reason in found]


BOTH = pytest.mark.parametrize("side", [1, -1])
TRAIL = {"kind": "stop", "offset": 10.0, "trailing": 5.0}


@BOTH
def test_a_trailing_stop_is_raised_by_the_high_and_met_on_the_next_bar(side: int) -> None:
    """From 90: a high of 110 raises it to 105 after that bar's low of 98; the next bar's low of 104 meets it at 105."""
    rows = [(100, 110, 98, 108), (108, 109, 104, 106)]
    assert play(rows, [TRAIL], side) == [(1, 1.0, 105.0, "trailing_stop")]


@BOTH
def test_a_trailing_stop_never_falls_back(side: int) -> None:
    """A lower high leaves it at 105; the open of 101 is beyond it and is the price."""
    rows = [(100, 110, 98, 108), (108, 109, 106, 106), (101, 103, 100, 102)]
    assert play(rows, [TRAIL], side) == [(2, 1.0, 101.0, "trailing_stop")]


@BOTH
def test_a_stop_that_has_not_moved_is_still_the_first_one(side: int) -> None:
    """The entry bar's high of 101 would put it at 96, above 90: a low of 95 on the next bar meets 96, not before."""
    assert play([(100, 101, 91, 97), (97, 98, 95, 96)], [TRAIL], side) == [(1, 1.0, 96.0, "trailing_stop")]
    assert play([(100, 101, 89, 97)], [TRAIL], side) == [(0, 1.0, 90.0, "stop_loss")]


@BOTH
def test_without_another_distance_the_stop_starts_at_the_trailing_one(side: int) -> None:
    """A trail of 5 alone starts at 95, live on the entry bar."""
    assert play([(100, 101, 95, 97)], [{"kind": "stop", "trailing": 5.0}], side) == [(0, 1.0, 95.0, "stop_loss")]


@BOTH
def test_a_rate_trails_by_a_part_of_the_best_price(side: int) -> None:
    """A tenth of a best price: 120 raises a long's stop to 108; a short's best of 80 lowers it to 88."""
    rows = [(100, 120, 98, 118), (118, 119, 107, 110)]
    exits = [{"kind": "stop", "offset": 20.0, "trailing_rate": 0.1}]
    assert play(rows, exits, side) == [(1, 1.0, 108.0 if side > 0 else 112.0, "trailing_stop")]


@BOTH
def test_a_trail_may_begin_at_a_distance(side: int) -> None:
    """It begins once the best price is 8 from the entry: 107 leaves the stop at 90, 108 puts it at 103."""
    exits = [{**TRAIL, "trailing_after": 8.0}]
    rows = [(100, 107, 98, 106), (106, 107, 101, 105)]
    assert play([*rows, (105, 106, 89, 95)], exits, side) == [(2, 1.0, 90.0, "stop_loss")]
    assert play([*rows, (105, 108, 104, 105), (105, 106, 102, 104)], exits, side) == [(3, 1.0, 103.0, "trailing_stop")]


@BOTH
def test_a_trailing_stop_is_rounded_to_the_tick_nearer_to_the_price(side: int) -> None:
    """A best price of 110 less 4.5 is 105.5: a long's stop is rounded up to 106, a short's down."""
    exits = [{"kind": "stop", "offset": 10.0, "trailing": 4.5}]
    assert play([(100, 110, 98, 108), (108, 109, 104, 106)], exits, side) == [(1, 1.0, 106.0, "trailing_stop")]


@BOTH
def test_break_even_counts_from_the_next_bar(side: int) -> None:
    """A high of 106 moves the stop to 100 after that bar's low of 97; the next low of 99 fills at 100."""
    exits = [{"kind": "stop", "offset": 10.0, "break_even": 6.0}]
    rows = [(100, 105, 97, 104), (104, 106, 97, 103), (103, 104, 99, 101)]
    assert play(rows, exits, side) == [(2, 1.0, 100.0, "break_even")]
    assert play([*rows[:1], (104, 105, 97, 103), *rows[2:]], exits, side) == []


@BOTH
def test_a_stop_that_trails_and_breaks_even_takes_the_nearer_level(side: int) -> None:
    """At a best price of 108 the trail of 12 asks for 96 and break-even for 100; at 115 the trail asks for 103."""
    exits = [{"kind": "stop", "offset": 15.0, "trailing": 12.0, "break_even": 6.0}]
    assert play([(100, 108, 98, 106), (106, 107, 99, 101)], exits, side) == [(1, 1.0, 100.0, "break_even")]
    rows = [(100, 108, 98, 106), (106, 115, 104, 106), (106, 107, 102, 103)]
    assert play(rows, exits, side) == [(2, 1.0, 103.0, "trailing_stop")]


@BOTH
def test_neither_a_touched_bar_nor_one_entered_inside_moves_a_stop(side: int) -> None:
    """The high of a bar that cleaning touched, or that a limit order entered, says nothing: the stop stays at 90."""
    rows = [(100, 110, 98, 108), (108, 109, 104, 106), (106, 107, 89, 91)]
    assert play([FLAT, *rows], [TRAIL], side, blocked=(1,)) == [(3, 1.0, 104.0, "trailing_stop")]
    quiet = [(104, 130, 100, 101), (101, 101, 96, 98), (98, 99, 90, 92)]
    assert play(quiet, [TRAIL], side, entry={"kind": "limit", "price": 100.0}) == [(2, 1.0, 96.0, "trailing_stop")]


LADDER = [
    {"kind": "stop", "offset": 10.0},
    {"kind": "limit", "offset": 12.0, "share": 0.3},
    {"kind": "limit", "offset": 4.0, "share": 0.5},
    {"kind": "limit", "offset": 20.0},
]


@BOTH
def test_a_ladder_fills_the_nearest_first_and_the_rest_keeps_the_stop(side: int) -> None:
    """Half at 104, three tenths at 112 in one bar, and the stop at 90 closes the last fifth."""
    rows = [(100, 113, 98, 108), (108, 109, 89, 95)]
    assert play(rows, LADDER, side) == [
        (0, 0.5, 104.0, "take_profit"),
        (0, 0.3, 112.0, "take_profit"),
        (1, 0.2, 90.0, "stop_loss"),
    ]


@BOTH
def test_the_last_target_closes_what_the_ladder_leaves(side: int) -> None:
    """Beyond 120 at the open: all three targets fill, each at its own limit, and nothing is left for the stop."""
    rows = [(100, 101, 98, 100), (125, 126, 124, 125), (90, 90, 80, 85)]
    assert [fill[1:3] for fill in play(rows, LADDER, side)] == [(0.5, 104.0), (0.3, 112.0), (0.2, 120.0)]


@BOTH
def test_shares_are_rounded_down_to_the_lot(side: int) -> None:
    """Thirds of 1.0 at a lot of 0.1 are 0.3 each; the tenth that is left keeps the stop."""
    thirds = [{"kind": "limit", "offset": distance, "share": 1 / 3} for distance in (2.0, 4.0, 6.0)]
    rows = [(100, 107, 98, 108), (108, 109, 89, 95)]
    fills = play([(100, 107, 98, 107), *rows[1:]], [{"kind": "stop", "offset": 10.0}, *thirds], side)
    assert [fill[1:3] for fill in fills] == [(0.3, 102.0), (0.3, 104.0), (0.3, 106.0), (0.1, 90.0)]


@BOTH
def test_a_ladder_that_closes_everything_ends_the_stop(side: int) -> None:
    """Two halves: after the second nothing is left, and the stop at 90 does nothing."""
    halves = [{"kind": "limit", "offset": distance, "share": 0.5} for distance in (2.0, 4.0)]
    rows = [(100, 104, 98, 103), (103, 103, 80, 85)]
    fills = play(rows, [{"kind": "stop", "offset": 10.0}, *halves], side)
    assert [fill[1:3] for fill in fills] == [(0.5, 102.0), (0.5, 104.0)]


@BOTH
def test_a_stop_ends_the_ladder(side: int) -> None:
    """The stop at 90 closes all of it; a later high of 104 sells nothing more."""
    rows = [(100, 101, 89, 95), (95, 105, 94, 100)]
    assert play(rows, LADDER, side) == [(0, 1.0, 90.0, "stop_loss")]


@BOTH
def test_a_stop_and_a_part_in_one_bar_are_told_by_the_assumption(side: int) -> None:
    """Both sides in a bar: adverse first stops all of it; favourable first takes the part, and the stop the rest."""
    rows = [(100, 105, 89, 95)]
    assert play(rows, LADDER, side) == [(0, 1.0, 90.0, "stop_loss")]
    fills = play(rows, LADDER, side, intrabar="favourable")
    assert fills == [(0, 0.5, 104.0, "take_profit"), (0, 0.5, 90.0, "stop_loss")]


@BOTH
def test_a_share_below_one_lot_is_refused_with_its_reason(side: int) -> None:
    """A twentieth of one unit is half a lot: refused when the entry fills, and the stop keeps all of it."""
    exchange = ExchangeDesk([PLAIN], 1000.0)
    exits = [{"kind": "stop", "offset": 10.0}, {"kind": "limit", "offset": 2.0, "share": 0.05}]
    for order in orders_of(side, exits, 1.0, {}):
        exchange.submit(SimpleNamespace(**vars(order)))
    exchange.play([WitnessBar(*FLAT, *FLAT)])
    assert exchange.ends[3] == ("refused", "below one lot")
    assert play([(100, 103, 89, 95)], exits, side) == [(0, 1.0, 90.0, "stop_loss")]
