"""Bar tables for what happens inside one bar, worked by hand, long and mirrored short."""

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

both_sides = pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])


@pytest.mark.parametrize(
    ("side", "paid", "liquidation"),
    [(1, 1.1, (100 - 23.9) / 0.9375), (-1, -1.1, (100 + 26.1) / 1.0625)],
    ids=["long", "short"],
)
def test_funding_at_the_open(side: int, paid: float, liquidation: float) -> None:
    """A carried position pays q * mark open * rate out of cash and margin, and its liquidation price moves."""
    rising = bar((100, 112, 100, 100), (110, 112, 100, 100), funding_open=0.01)
    account = play([FLAT, rising], {0: [market(1, side)]})
    assert [(p.bar, p.when, p.amount) for p in account.payments] == [(1, "open", approx(paid))]
    assert account.cash == approx(1000 - paid)
    assert account.positions[0].margin == approx(25 - paid)
    assert account.liquidation_price(0) == approx(liquidation)


@both_sides
def test_an_entry_pays_no_funding_of_its_own_open(side: int) -> None:
    """Funding at the open is due on carried positions only, funding inside the bar on those held at its close."""
    account = play([bar((100, 100, 100, 100), funding_open=0.01, funding_inside=0.02)], {0: [market(1, side)]})
    assert [(p.when, p.amount) for p in account.payments] == [("inside", approx(2.0 * side))]


@pytest.mark.parametrize(
    ("side", "mark", "opened", "price"),
    [
        (1, 79, 78, 78),
        (1, 80, 70, 75),
        (1, 79, 85, 80),
        (-1, 121, 120, 120),
        (-1, 121, 130, 125),
        (-1, 118, 110, SHORT_LIQUIDATION),
    ],
)
def test_gap_beyond_the_liquidation_price(side: int, mark: float, opened: float, price: float) -> None:
    """Mark open beyond the liquidation price: liquidated at the last open, held between it and bankruptcy."""
    gap = bar((opened, opened, opened, opened), (mark, mark, mark, mark))
    account = play([FLAT, gap], {0: bracket(side, stop=100 - 2 * side)[:1]})
    assert trades(account) == [(0, side, 1, 100, "entry"), (1, -side, 1, price, "liquidation")]
    assert account.equity == approx(1000 + side * (price - 100))
    assert account.equity >= 975
    assert account.liquidations == 1


@pytest.mark.parametrize(
    ("side", "stop", "opened", "price"),
    [(1, 95, 90, 89.1), (1, 95, 95, 94.05), (-1, 105, 110, 111.1), (-1, 105, 105, 106.05)],
)
def test_gap_beyond_the_stop(side: int, stop: float, opened: float, price: float) -> None:
    """A stop at or beyond the open fills at the open plus slippage, as a taker."""
    contract = replace(PLAIN, taker_fee=0.01, maker_fee=0.001)
    account = play([FLAT, bar((opened,) * 4)], {0: bracket(side, stop)}, contract, slippage_bps=100)
    fill = account.fills[-1]
    assert (fill.price, fill.reason, fill.bar) == (approx(price), "stop", 1)
    assert fill.fee == approx(0.01 * price)
    assert fill.slippage == approx(abs(price - opened))
    entry = 100 * (1 + 0.01 * side)
    assert fill.realised_pnl == approx(side * (price - entry))


@pytest.mark.parametrize(
    ("limit_fill", "side", "target", "opened", "fills"),
    [
        ("touch", 1, 110, 115, True),
        ("touch", 1, 110, 110, True),
        ("through", 1, 110, 110, False),
        ("through", 1, 110, 111, True),
        ("touch", -1, 90, 85, True),
        ("touch", -1, 90, 90, True),
        ("through", -1, 90, 90, False),
        ("through", -1, 90, 89, True),
    ],
)
def test_gap_beyond_the_target(limit_fill: str, side: int, target: float, opened: float, fills: bool) -> None:
    """A target beyond the open fills at its limit, no better, as a maker and without slippage."""
    contract = replace(PLAIN, taker_fee=0.01, maker_fee=0.001)
    settings: dict[str, Any] = {"limit_fill": limit_fill, "slippage_bps": 100}
    account = play([FLAT, bar((opened,) * 4)], {0: bracket(side, target=target)}, contract, **settings)
    assert len(account.fills) == 1 + fills
    if fills:
        fill = account.fills[-1]
        assert (fill.price, fill.reason, fill.slippage) == (target, "target", 0)
        assert fill.fee == approx(0.001 * target)


@pytest.mark.parametrize(
    ("side", "row", "price"), [(1, (100, 101, 94, 100), 95), (-1, (100, 106, 99, 100), 105)], ids=["long", "short"]
)
def test_the_stop_is_live_on_the_entry_bar(side: int, row: Row, price: float) -> None:
    """A bracket's stop is tested on the bar whose open filled its entry."""
    account = play([bar(row)], {0: bracket(side, 100 - 5 * side, 100 + 5 * side)})
    assert trades(account) == [(0, side, 1, 100, "entry"), (0, -side, 1, price, "stop")]
    assert reasons(account) == [(3, "cancelled", "sibling filled")]


UP_FIRST, DOWN_FIRST, EVEN = (100, 106, 93, 100), (100, 107, 94, 100), (100, 106, 94, 100)


@pytest.mark.parametrize(
    ("intrabar", "row", "long_exit", "short_exit"),
    [
        ("adverse", UP_FIRST, "stop", "stop"),
        ("favourable", DOWN_FIRST, "target", "target"),
        ("nearer_extreme", UP_FIRST, "target", "stop"),
        ("nearer_extreme", DOWN_FIRST, "stop", "target"),
        ("nearer_extreme", EVEN, "stop", "stop"),
    ],
)
def test_both_levels_in_one_bar(intrabar: str, row: Row, long_exit: str, short_exit: str) -> None:
    """Stop and target inside one bar: the setting says which is assumed to come first."""
    for side, expected in [(1, long_exit), (-1, short_exit)]:
        settings: dict[str, Any] = {"intrabar": intrabar}
        account = play([FLAT, bar(row)], {0: bracket(side, 100 - 5 * side, 100 + 5 * side)}, **settings)
        price = 100 + 5 * side * (1 if expected == "target" else -1)
        assert trades(account)[1:] == [(1, -side, 1, price, expected)]
        assert account.positions[0].quantity == 0


@pytest.mark.parametrize(
    ("side", "stop", "row", "price", "reason"),
    [
        (1, 85, (100, 100, 79, 90), 85, "stop"),
        (1, 78, (100, 100, 77, 90), 80, "liquidation"),
        (1, 80, (100, 100, 79, 90), 80, "stop"),
        (-1, 115, (100, 121, 100, 110), 115, "stop"),
        (-1, 121, (100, 122, 100, 110), 120, "liquidation"),
        (-1, 120, (100, 121, 100, 110), 120, "stop"),
    ],
)
def test_the_nearer_of_stop_and_liquidation_acts(side: int, stop: float, row: Row, price: float, reason: str) -> None:
    """Of stop and liquidation price the nearer one acts, the stop on a tie."""
    contract = PLAIN if side > 0 else replace(PLAIN, maintenance_rate=1 / 24)  # liquidated at 80, at 120
    account = play([FLAT, bar(row)], {0: bracket(side, stop)}, contract)
    assert trades(account)[1:] == [(1, -side, 1, price, reason)]


@pytest.mark.parametrize(
    ("side", "last", "mark", "liquidated"),
    [
        (1, (100, 100, 70, 100), (100, 100, 81, 100), False),
        (1, (100, 100, 95, 100), (100, 100, 80, 100), True),
        (-1, (100, 130, 100, 100), (100, 117, 100, 100), False),
        (-1, (100, 105, 100, 100), (100, 118, 100, 100), True),
    ],
)
def test_liquidation_is_tested_on_mark(side: int, last: Row, mark: Row, liquidated: bool) -> None:
    """The mark price alone liquidates; how far the last price went does not matter."""
    account = play([FLAT, bar(last, mark)], {0: [market(1, side)]})
    assert account.liquidations == liquidated
    if liquidated:
        assert account.fills[-1].price == approx(80 if side > 0 else SHORT_LIQUIDATION)


@pytest.mark.parametrize(
    ("side", "stop", "row", "price"),
    [(1, 95, (100, 100, 95, 100), 94.05), (-1, 105, (100, 105, 100, 100), 106.05)],
    ids=["long", "short"],
)
def test_a_stop_acts_on_touch_with_slippage(side: int, stop: float, row: Row, price: float) -> None:
    """low <= stop is enough, and the stop fills at its price worsened by slippage."""
    account = play([FLAT, bar(row)], {0: bracket(side, stop)}, slippage_bps=100)
    assert trades(account)[1:] == [(1, -side, 1, price, "stop")]


@both_sides
def test_a_stop_on_the_wrong_side_of_the_entry_fills_at_the_open(side: int) -> None:
    """A stop that the entry's own open has passed already is no better than that open."""
    account = play([FLAT], {0: bracket(side, 100 + 5 * side)})
    assert trades(account) == [(0, side, 1, 100, "entry"), (0, -side, 1, 100, "stop")]


@both_sides
def test_at_a_gap_targets_wait_for_stops(side: int) -> None:
    """With a stop and a target beyond one open, the gap fills the stop; the rest meets the bar's own order."""
    later = [
        protect(2, "stop", side, 100 - 2 * side, 0.5),
        protect(3, "limit", side, 100 - 4 * side, 0.4),
        protect(4, "stop", side, 100 - 10 * side),
    ]
    opened = 100 - 3 * side
    gap = bar((opened, max(opened, 100 - 11 * side), min(opened, 100 - 11 * side), opened))
    account = play([FLAT, gap], {0: [market(1, side)], 1: later})
    assert trades(account)[1:] == [(1, -side, 0.5, opened, "stop"), (1, -side, 0.5, 100 - 10 * side, "stop")]


@both_sides
@pytest.mark.parametrize(("limit_fill", "reach", "fills"), [("touch", 5, 1), ("through", 5, 0), ("through", 6, 1)])
def test_a_target_fills_on_touch_or_through(side: int, limit_fill: str, reach: int, fills: int) -> None:
    """A target at 5 away: touched at 5; traded through only a tick (1) beyond."""
    row = (100, 100 + reach, 100, 100) if side > 0 else (100, 100, 100 - reach, 100)
    settings: dict[str, Any] = {"limit_fill": limit_fill}
    account = play([FLAT, bar(row)], {0: bracket(side, target=100 + 5 * side)}, **settings)
    assert trades(account)[1:] == [(1, -side, 1, 100 + 5 * side, "target")] * fills


@both_sides
@pytest.mark.parametrize(("short_of", "touched"), [(5e-7, True), (5e-6, False)])
def test_prices_compare_in_ticks(side: int, short_of: float, touched: bool) -> None:
    """A price within a millionth of a tick of a level has reached it."""
    extreme = 100 - side * (5 - short_of)
    row = (100, max(100, extreme), min(100, extreme), 100)
    account = play([FLAT, bar(row)], {0: bracket(side, 100 - 5 * side)})
    assert len(account.fills) == 1 + touched


@both_sides
@pytest.mark.parametrize(
    ("intrabar", "expected"),
    [("favourable", [(0.4, 5, "target"), (0.6, -5, "stop")]), ("adverse", [(1.0, -5, "stop")])],
)
def test_a_partial_target_leaves_the_rest_to_the_stop(
    side: int, intrabar: str, expected: list[tuple[float, float, str]]
) -> None:
    """After a target for a part, the rest is tested against the stop in the same bar."""
    orders = [market(1, side), protect(2, "stop", side, 100 - 5 * side), protect(3, "limit", side, 100 + 5 * side, 0.4)]
    settings: dict[str, Any] = {"intrabar": intrabar}
    account = play([FLAT, bar(EVEN)], {0: orders}, **settings)
    assert trades(account)[1:] == [(1, -side, q, 100 + side * way, reason) for q, way, reason in expected]


@both_sides
def test_ladders_fill_nearest_first(side: int) -> None:
    """Of several targets or stops, the one nearer to the open fills first."""
    targets = [protect(2, "limit", side, 100 + 6 * side, 0.3), protect(3, "limit", side, 100 + 4 * side, 0.3)]
    account = play([FLAT, bar((100, 107, 93, 100))], {0: [market(1, side), *targets]})
    assert [(f.order, f.price) for f in account.fills[1:]] == [(3, 100 + 4 * side), (2, 100 + 6 * side)]
    stops = [protect(2, "stop", side, 100 - 6 * side, 0.3), protect(3, "stop", side, 100 - 4 * side, 0.3)]
    account = play([FLAT, bar((100, 107, 93, 100))], {0: [market(1, side), *stops]})
    assert [(f.order, f.price) for f in account.fills[1:]] == [(3, 100 - 4 * side), (2, 100 - 6 * side)]
    assert account.positions[0].quantity == approx(0.4 * side)


@both_sides
def test_a_close_beyond_bankruptcy_is_a_takeover(side: int) -> None:
    """A stop that would fill beyond the bankruptcy price fills there, without fee, and counts as liquidation."""
    contract = replace(PLAIN, taker_fee=0.01, liquidation_fee=0.01)
    opened = 100 - 30 * side
    account = play([FLAT, bar((opened,) * 4, (100,) * 4)], {0: bracket(side, 100 - 5 * side)}, contract)
    fill = account.fills[-1]
    assert (fill.price, fill.reason, fill.slippage) == (approx(100 - 25 * side), "liquidation", 0)
    assert (fill.fee, fill.liquidation_fee, account.liquidations) == (approx(0), approx(0), 1)
    assert account.equity == approx(1000 - 1 - 25)


@both_sides
def test_a_fee_takes_no_more_than_the_margin_that_is_left(side: int) -> None:
    """Posted 25, lost 24: a fee of 5% of notional is cut to the 1 that is left."""
    contract = replace(PLAIN, taker_fee=0.05)
    opened = 100 - 24 * side
    account = play([FLAT, bar((opened,) * 4, (100,) * 4)], {0: bracket(side, 100 - 5 * side)}, contract)
    assert account.fills[-1].fee == approx(1.0)
    assert account.fills[-1].reason == "stop"
    assert account.equity == approx(1000 - 5 - 25)


@pytest.mark.parametrize(
    ("side", "level", "rate", "fee", "charge"),
    [
        (1, 80, 0.03, 0.8, 2.4),
        (1, 80, 0.2, 0.8, 4.2),
        (-1, SHORT_LIQUIDATION, 0.03, 0.01 * SHORT_LIQUIDATION, 0.03 * SHORT_LIQUIDATION),
        (-1, SHORT_LIQUIDATION, 0.2, 0.01 * SHORT_LIQUIDATION, 125 - 1.01 * SHORT_LIQUIDATION),
    ],
)
def test_the_clearance_charge_comes_from_what_is_left(
    side: int, level: float, rate: float, fee: float, charge: float
) -> None:
    """Liquidation: a taker fee, then liquidation_fee * notional, no more than the margin that remains."""
    contract = replace(PLAIN, taker_fee=0.01, liquidation_fee=rate)
    row = (100, 100, 79, 90) if side > 0 else (100, 121, 100, 110)
    account = play([FLAT, bar(row)], {0: [market(1, side)]}, contract)
    fill = account.fills[-1]
    assert (fill.price, fill.fee, fill.liquidation_fee) == (approx(level), approx(fee), approx(charge))
    assert account.equity == approx(1000 - 1 + side * (level - 100) - fee - charge)


@pytest.mark.parametrize(
    ("side", "bps", "price"),
    [(1, 100, 79.2), (1, 1000, 75), (-1, 100, SHORT_LIQUIDATION * 1.01), (-1, 1000, 125)],
)
def test_slippage_of_a_liquidation_ends_at_bankruptcy(side: int, bps: float, price: float) -> None:
    """Slippage worsens a liquidation, but never beyond the bankruptcy price of the position."""
    row = (100, 100, 79, 90) if side > 0 else (100, 121, 100, 110)
    account = play([FLAT], {0: [market(1, side)]})
    account.slippage_bps = bps
    account.play([bar(row)])
    assert account.fills[-1].price == approx(price)
    assert account.fills[-1].slippage == approx(abs(price - (80 if side > 0 else SHORT_LIQUIDATION)))


@pytest.mark.parametrize(("side", "rate"), [(1, 0.3), (-1, -0.3)], ids=["long", "short"])
def test_funding_inside_the_bar_can_bankrupt(side: int, rate: float) -> None:
    """A position whose margin is eaten by funding inside the bar is taken over: it loses its margin, no more."""
    account = play([bar((100, 100, 100, 100), funding_inside=rate)], {0: [market(1, side)]})
    assert account.payments[0].amount == approx(30)
    assert trades(account)[1:] == [(0, -side, 1, 100 + 5 * side, "liquidation")]
    assert account.equity == approx(975)


@both_sides
def test_ruin_is_final(side: int) -> None:
    """An account whose whole cash was posted and lost stays at zero: orders are cancelled, none accepted."""
    contract = replace(PLAIN, maintenance_rate=0.01)
    orders = [market(1, side, 40.0), protect(2, "stop", side, 100 - 40 * side, 40.0)]
    crash = bar((100 - 30 * side,) * 4)
    account = play([FLAT, crash], {0: orders}, contract)
    assert account.ruined
    assert account.equity == 0
    assert account.positions[0].quantity == 0
    account.submit(market(7, side))
    account.play([FLAT])
    assert reasons(account) == [(2, "cancelled", "position liquidated"), (7, "refused", "account is ruined")]
    assert len(account.fills) == 2


@both_sides
def test_a_blocked_bar_takes_no_fills(side: int) -> None:
    """On a blocked bar orders wait as they are, while funding is paid."""
    wild = bar((100 - 6 * side, 107, 93, 100), (100,) * 4, blocked=True, funding_open=0.01)
    orders = bracket(side, 100 - 5 * side, 100 + 5 * side)
    account = play([FLAT, wild], {0: orders, 1: [market(9, -side)]})
    assert len(account.fills) == 1
    assert account.cash == approx(1000 - side)
    account.play([FLAT])
    assert trades(account)[1:] == [(2, -side, 1, 100, "market")]


@both_sides
def test_a_blocked_bar_still_liquidates(side: int) -> None:
    """Liquidation acts on a blocked bar, though a nearer stop cannot."""
    row = (100, 122, 79, 100)
    account = play([FLAT, bar(row, blocked=True)], {0: bracket(side, 100 - 5 * side)})
    assert trades(account)[1:] == [(1, -side, 1, 80 if side > 0 else SHORT_LIQUIDATION, "liquidation")]


@both_sides
def test_equity_is_cash_plus_unrealised_at_mark(side: int) -> None:
    """The close values positions at the mark close, whatever the last price."""
    account = play([bar((100, 103, 97, 97), (100, 103, 97, 103))], {0: [market(1, side, 2.0)]})
    assert account.unrealised == approx(6 * side)
    assert (account.equity, account.cash, account.margin, account.free_cash) == approx((1000 + 6 * side, 1000, 50, 950))
