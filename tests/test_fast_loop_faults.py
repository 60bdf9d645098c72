"""Faults planted in what the fast loop leaves out: each parts from Backtrader's own loop on some random run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_cases import SYMBOLS, market
from loop_cases import Random, difference, play
from planted_faults import mutated

from backtests.exchange import passing, records
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.kernel import playing
from foundation import addresses

FAULTS: dict[str, tuple[str, str]] = {
    "a broker that sleeps one bar too long": (
        "    if row > i:\n",
        "    if i < row < end:\n        row += 1\n    if row > i:\n",
    ),
    "a stop that is touched while it sleeps": (
        "bar.low <= low or bar.high >= high:",
        "bar.close <= low or bar.close >= high:",
    ),
    "a gap over a level while it sleeps": (
        "            return row\n        if held and (bar.mark_low",
        "            return row + 1\n        if held and (bar.mark_low",
    ),
    "a funding stamp slept through": (
        "bar.funding_open != 0.0 or bar.funding_inside != 0.0",
        "False",
    ),
    "a liquidation by mark price slept through": (
        "bar.mark_low <= low or bar.mark_high >= high",
        "False",
    ),
    "a liquidation price forgotten": (
        "        low = max(low, level)\n",
        "        pass\n",
    ),
    "an order that ends while it sleeps": (
        "            end = min(end, order.expires)\n",
        "            pass\n",
    ),
    "an order for the close slept through": (
        "            end = min(end, order.due)\n",
        "            pass\n",
    ),
    "a market order slept through": (
        "elif order.kind == MARKET or",
        "elif False or",
    ),
    "a stop that follows the close at rest": (
        "or order.trail_amount > 0.0 or order.trail_rate > 0.0",
        "",
    ),
    "a stop that follows the best price at rest": (
        "moved = first_move(order, side, tick)",
        "moved = side * math.inf",
    ),
    "an entry order that waits for nobody": (
        "        if (order.kind == LIMIT) == (order.side > 0):",
        "        if side == 0:\n            continue\n        if (order.kind == LIMIT) == (order.side > 0):",
    ),
    "a cross account whose positions move alone": (
        "desk.settings[0].cross == 1 and held > 1",
        "desk.settings[0].cross == 1 and held > 9",
    ),
    "a cross account that is sheltered from everything": (
        "            share = shelter(desk)\n",
        "            share = 0.9\n",
    ),
    "a third symbol that nobody looks at": (
        "    for s in range(count):\n",
        "    for s in range(min(2, count)):\n",
    ),
    "a short without a liquidation price": (
        "        high = min(high, level)\n",
        "        pass\n",
    ),
    "levels of a cross account that stand still": (
        "        show_levels(desk)\n",
        "        pass\n",
    ),
    "equity at the close before": (
        "position_history[s, i], bars[s, i].mark_close",
        "position_history[s, i], bars[s, max(i - 1, 0)].mark_close",
    ),
    "equity without its cash": (
        "state.cash + unrealised, state.cash",
        "state.equity, state.cash",
    ),
    "a margin forgotten": (
        "held.position, held.margin = position.quantity, position.margin",
        "held.position, held.margin = position.quantity, 0.0",
    ),
}
# Leverage, cash, chance of an order, margin: quiet accounts, those on the brink, and two positions on one account.
RUNS = (
    (3.0, 5_000.0, 0.04, "isolated", 1),
    (45.0, 5_000.0, 0.05, "isolated", 1),
    (20.0, 400.0, 0.1, "cross", 2),
    (1.0, 300.0, 0.02, "cross", 1),
    (45.0, 150.0, 0.02, "cross", 2),
    (45.0, 5_000.0, 0.015, "isolated", 1),
    (40.0, 600.0, 0.02, "cross", 2),
    (3.0, 5_000.0, 0.02, "isolated", 3),
)


def runs(seed: int) -> list[tuple[Any, dict[str, Any]]]:
    """Markets and options of some runs."""
    found = []
    for times, cash, chance, margin, symbols in RUNS:
        random = np.random.default_rng(seed)
        markets = tuple(market(random, name, 200, 2.0) for name in SYMBOLS[:symbols])
        found.append((markets, {"seed": seed, "times": times, "cash": cash, "chance": chance, "margin": margin}))
    return found


@pytest.fixture(scope="module")
def stock() -> list[tuple[Any, dict[str, Any], Any]]:
    """Runs and what Backtrader's own loop makes of them."""
    return [(*run, play(run[0], Random, "stock", **run[1])) for seed in range(4) for run in runs(seed)]


def opened(array: Any) -> Any:
    """An array of records with their fields as attributes."""
    return array.view(np.recarray)


def plain(right: str, wrong: str) -> Any:
    """The bars that are passed over, worked out as plain Python with a fault."""
    module: Any = mutated("backtests.exchange.passing", right, wrong)
    whole = passing.play_and_record

    def played(desk: Any, *given: Any) -> None:
        arrays = (one.view(np.ndarray) for one in desk)
        whole(records.Desk(*arrays), *(one.view(np.ndarray) if isinstance(one, np.ndarray) else one for one in given))

    module.play_and_record = played
    module.profit_of, module.first_move = passing.profit_of.py_func, passing.first_move.py_func
    cross: Any = mutated("backtests.exchange.cross", "from __future__ import annotations\n", "")
    module.cross_level, module.shelter, module.show_levels = cross.cross_level, cross.shelter, cross.show_levels
    module.records_at = lambda *given: opened(addresses.records_at(*given))
    return lambda handed, i, end: module.play_handed(opened(handed), i, end)


def parted(stock: list[tuple[Any, dict[str, Any], Any]], monkeypatch: pytest.MonkeyPatch, play_handed: Any) -> str:
    """The first difference over the runs; '' where there is none."""
    monkeypatch.setattr(playing, "play_handed", play_handed)
    for markets, options, expected in stock:
        found = difference(play(markets, Random, "fast", **options), expected)
        if found:
            return found
    return ""


def test_without_a_fault_nothing_parts(stock: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled or run as plain Python, with nothing changed, it agrees on every run."""
    assert parted(stock, monkeypatch, passing.play_handed) == ""
    assert parted(stock[:2], monkeypatch, plain("from __future__ import annotations\n", "")) == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen(fault: str, stock: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the strategy is told, or the money at some bar, parts from Backtrader's own loop."""
    assert parted(stock, monkeypatch, plain(*FAULTS[fault])) != ""


def test_a_position_that_has_lost_its_margin_is_not_slept_over() -> None:
    """However it came about: the bar is played where margin, or the equity of the account, is gone at its close."""
    over = market(np.random.default_rng(1), "ONE", 20, 1.0)
    for margin, cash in ((1.0, 1_000.0), (1_000.0, 1.0)):
        one = playing.Playing([over], AccountParams(cash=cash), CostParams(), np.zeros(1, dtype=records.ACCOUNT))
        one.account["cash"] = cash
        one.positions["quantity"], one.positions["margin"] = 1.0, margin
        one.positions["entry"] = float(over.candles.close[0]) + 50.0
        one.play(0)
        assert one.wake == 1
