"""Faults planted in the kernel's sequence: each parts from Backtrader or the witness on some random match."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernel_cases import HOUR, Match, forecasts, market
from planted_faults import mutated

from backtests import kernel, solo, trader
from backtests.parameters import AccountParams, CostParams
from backtests.result import Result
from markets.candles import Candles
from markets.funding import Funding
from strategies.parameters import CrossoverParams, RiskParams

# The modules of the kernel's loop, each before those that build on it.
ORDER = ("quiet", "trader", "shortcut", "cross", "holding", "stretches", "kernel")
# Each fault: its module, what stands there, and what is put in its place.
FAULTS: dict[str, tuple[str, str, str]] = {
    "a stop that is touched on a quiet bar": (
        "quiet",
        "least, most = max(stop_price, level) + tick,",
        "least, most = max(stop_price, level) - 50 * tick,",
    ),
    "a target that is touched on a quiet bar": (
        "quiet",
        "        target_price = desk.orders[target].price",
        "        pass",
    ),
    "a liquidation forgotten on a quiet bar": (
        "quiet",
        "least, most = max(stop_price, level) + tick,",
        "least, most = stop_price + tick,",
    ),
    "a trailing stop that rests on quiet bars": (
        "quiet",
        "            moved = (order.price + side * (order.trailing - tick)) / share",
        "            pass",
    ),
    "a break-even that rests on quiet bars": (
        "quiet",
        "        moved = min(moved, even) if side > 0 else max(moved, even)",
        "        pass",
    ),
    "orders passed over on a quiet bar": (
        "quiet",
        "order.kind != LIMIT):\n            quiet = False",
        "order.kind != LIMIT):\n            pass",
    ),
    "funding passed over": (
        "holding",
        "min(end, scene.upcoming[0, i], edge + 1)",
        "min(end, edge + 1)",
    ),
    "funding inside a bar passed over": (
        "holding",
        "    settle_funding(desk, 0, bar.mark_close, bar.funding_inside)",
        "    pass",
    ),
    "a liquidation price that funding has moved": (
        "holding",
        "    if level > 0.0 and (low",
        "    if level < 0.0 and (low",
    ),
    "exits that are not looked up after an entry": (
        "shortcut",
        "        stop, target, _ = nearest_exits(desk, 0)",
        "        pass",
    ),
    "the farther target first": (
        "quiet",
        "(order.price - desk.orders[target].price) < 0.0",
        "(order.price - desk.orders[target].price) > 0.0",
    ),
    "a market order that nobody waits for": (
        "holding",
        "0 if quiet else 1",
        "0",
    ),
    "a margin that funding has used up": (
        "holding",
        "    return bool(position.margin - position.reserve + unrealised > 0.0 and",
        "    return bool(",
    ),
    "funding paid twice where more happens": (
        "holding",
        "        account.cash, position.margin, position.liquidation_price = cash, margin, level",
        "        pass",
    ),
    "a stop that stays while bars are passed over": (
        "holding",
        "    if stop >= 0:",
        "    if stop >= len(desk.orders):",
    ),
    "bands of a stop that has moved on": (
        "holding",
        "quiet_bands(desk, 0, stop, book.target[0])",
        "(book.low[0], book.high[0], book.least[0], book.most[0])",
    ),
    "an order met on a bar that is passed over": (
        "holding",
        "scene.low[0, i] > book.least[0]",
        "True",
    ),
    "funding passed over with two symbols": (
        "stretches",
        " or scene.upcoming[s, i] == i",
        "",
    ),
    "a cross account that is sheltered from everything": (
        "stretches",
        "    share = shelter(desk)\n",
        "    share = 0.9\n",
    ),
    "a short on a cross account without a level": (
        "stretches",
        "        elif position.quantity < 0.0:\n            book.high[s] = min(",
        "        elif position.quantity < 0.0:\n            book.high[s] = max(",
    ),
    "a cross account's maintenance forgotten": (
        "cross",
        "        if outlives(desk, share):\n",
        "        if True:\n",
    ),
    "a signal passed over while a position is held": (
        "holding",
        "SHORT if side > 0 else LONG, 0, i",
        "LONG if side > 0 else SHORT, 0, i",
    ),
    "a signal passed over while two are held": (
        "stretches",
        "(wanted != 0 and wanted != held) or memory.barred != 0",
        "memory.barred != 0",
    ),
    "a barred side kept for ever": (
        "stretches",
        "        if barred == 0:",
        "        if True:",
    ),
    "a barred side freed late": (
        "stretches",
        "wish.upcoming[OTHER, s, i]) if",
        "wish.upcoming[OTHER, s, i] + 1) if",
    ),
    "the time exit passed over": (
        "holding",
        "min(found, max(i, memory.entered + longest - 2)) if longest > 0 else found",
        "found",
    ),
    "the time exit a bar late": (
        "holding",
        "memory.entered + longest - 2",
        "memory.entered + longest - 1",
    ),
    "a decision a bar late": (
        "stretches",
        "    until = play.scene.bars.shape[1] - 1\n",
        "    until = play.scene.bars.shape[1] - 1\n    i = min(i + 1, until)\n",
    ),
    "a gap passed over": (
        "shortcut",
        "not book.least[0] < bar.open < book.most[0] or ",
        "",
    ),
    "a liquidation at the open passed over": (
        "shortcut",
        " or level_reached(desk, bar.mark_open)",
        "",
    ),
    "a liquidation inside the bar passed over": (
        "shortcut",
        " or level_reached(desk, worst_mark)",
        "",
    ),
    "a stop before its target": (
        "shortcut",
        "(stopped and target >= 0) or",
        "False or",
    ),
    "targets before their turn": (
        "shortcut",
        "            target = target_in_reach(desk, bar, side, found)",
        "            target = -1",
    ),
    "exits that do not count on the bar of the entry": (
        "shortcut",
        "        meet_levels(desk, bar, stop, target)",
        "        if state.fills == 0:\n            meet_levels(desk, bar, stop, target)",
    ),
    "the trailing distance rests on the entry's bar": (
        "shortcut",
        "        follow_bar(desk, bar, stop)",
        "        pass",
    ),
    "funding at the open passed over": (
        "shortcut",
        "        settle_funding(desk, 0, bar.mark_open, bar.funding_open)",
        "        pass",
    ),
    "a position that has lost its margin at the close": (
        "shortcut",
        "        bankrupt_at_close(desk, bar, 0)",
        "        pass",
    ),
    "an exit for a share that ends the others": (
        "shortcut",
        "        if not part_of(order):\n            cut_ties(desk)\n        return",
        "        pass",
    ),
    "a maker's fee for all": (
        "shortcut",
        "contract.maker_fee if maker else contract.taker_fee",
        "contract.maker_fee",
    ),
    "a stop that fills at its level after a gap": (
        "shortcut",
        "stop_fill(-side, desk.orders[stop].price, bar.open)",
        "desk.orders[stop].price",
    ),
    "equity of the bar before": (
        "stretches",
        "unrealised, account.cash + unrealised\n        close_bar(play, i)\n",
        "unrealised, account.equity\n        close_bar(play, i)\n        account.equity = account.cash + unrealised\n",
    ),
    "an entry that the strategy forgets": (
        "trader",
        "            remember_entry(memory, bars)",
        "            pass",
    ),
    "a signal's exit that bars its side": (
        "trader",
        "remember_exit(memory, bars, -fill.side, reason == SIGNAL)",
        "remember_exit(memory, bars, -fill.side, False)",
    ),
    "the cost of closing left out of sizes": (
        "trader",
        "len(desk.positions) - closing",
        "len(desk.positions)",
    ),
    "the whole equity for each symbol": (
        "trader",
        "desk.account[0].equity / len(desk.positions)",
        "desk.account[0].equity",
    ),
    "sizes from the bar before": (
        "trader",
        "desk.contracts[s], scene.close[s, i]",
        "desk.contracts[s], scene.close[s, max(i - 1, 0)]",
    ),
    "an exit for the whole instead of its share": (
        "trader",
        "        leave.quantity = size * one.share\n",
        "        leave.quantity = size\n",
    ),
    "an exit that could open": (
        "trader",
        "SLEEPING, 1, plan.leverage",
        "SLEEPING, 0, plan.leverage",
    ),
}


def match(
    seed: int, symbols: int, risk: dict[str, Any], strategy: dict[str, Any], wild: float = 1.0,
    intrabar: str = "adverse", slippage_bps: float = 2.0, margin: str = "isolated",
) -> Match:  # fmt: skip
    """A match on wild markets."""
    random = np.random.default_rng(seed)
    markets = tuple(market(random, name, 200, wild) for name in ("ONE", "TWO")[:symbols])
    plain = {"fast": 2, "slow": 6, "threshold": "0.5bps"}
    return Match(
        seed, markets, forecasts(random, markets, 30), CrossoverParams(**{**plain, **strategy}), RiskParams(**risk),
        AccountParams(intrabar=intrabar, margin=margin), CostParams(slippage_bps=slippage_bps),
    )  # fmt: skip


def funded_inside(one: Match) -> Match:
    """The same match with funding in the middle of bars, large enough to take a margin whole."""
    first, stamps = one.markets[0], one.markets[0].candles.timestamp[::5] + HOUR // 2
    rates = np.random.default_rng(one.seed).normal(0.0, 0.05, len(stamps))
    return replace(one, markets=(replace(first, funding=Funding(stamps, rates, "case")),))


def marked_apart(one: Match) -> Match:
    """The same match with mark prices that leave the last prices behind for a bar at a time."""
    last = one.markets[0].candles
    basis = np.exp(np.random.default_rng(one.seed).normal(0.0, 0.01, len(last)))
    prices = [column * basis for column in (last.open, last.high, last.low, last.close)]
    mark = Candles(last.timestamp, *prices, volume=np.zeros(len(last)), bar=HOUR, source="case mark")
    return replace(one, markets=(replace(one.markets[0], mark=mark),))


@pytest.fixture(scope="module")
def played() -> list[tuple[Match, Result]]:
    """Matches that between them use every way in and out, with what Backtrader makes of them."""
    far: dict[str, Any] = {"sizing": "leverage", "leverage": 40.0, "stop_loss": "off", "take_profit": "off"}
    small: dict[str, Any] = {"sizing": "fraction", "fraction": 0.05}
    near: dict[str, Any] = {"sizing": "leverage", "leverage": 1.0, "stop_loss": "0.5%", "take_profit": "0.5%"}
    ladder = [{"distance": "0.5%", "share": 0.3}, {"distance": "1%", "share": 0.3}]
    found = []
    for seed in range(4):
        found += [
            match(seed, 1, {"sizing": "leverage", "stop_loss": "1%", "take_profit": "1%"}, {}),
            match(seed, 1, {"sizing": "fraction", "targets": ladder, "maximum_bars": 5, "cooldown_bars": 2}, {}),
            match(seed, 1, far, {"rule": "crossover"}),
            match(seed, 1, {**far, **small}, {"rule": "crossover", "fast": 1, "slow": 2}, wild=4.0),
            marked_apart(match(seed, 1, {**far, **small}, {"rule": "crossover", "fast": 1, "slow": 2})),
            funded_inside(match(seed, 1, {**far, **small}, {"rule": "crossover"})),
            match(seed, 1, near, {"rule": "crossover"}, wild=2.0, intrabar="favourable"),
            match(seed, 1, near, {"rule": "crossover"}, slippage_bps=100.0),
            match(seed, 1, {"trailing_stop": "1%", "stop_loss": "2%", "take_profit": "off"}, {"rule": "crossover"}),
            match(seed, 1, {"stop_loss": "2%", "break_even": "1%", "take_profit": "8%"}, {"rule": "crossover"}),
            match(seed, 1, {"sizing": "leverage", "leverage": 1.0, "stop_loss": "off", "take_profit": "off"}, {}),
            match(seed, 2, {"sizing": "leverage", "leverage": 2.0}, {"on_opposite": "close", "direction": "long"}),
            match(seed, 2, {**far, "leverage": 25.0}, {"rule": "crossover", "slow": 20}, wild=6.0, margin="cross"),
            match(seed, 2, {**far, "leverage": 48.0}, {"rule": "buy_and_hold"}, wild=0.5, margin="cross"),
        ]
    return [(one, one.backtrader()) for one in found]


class Open:
    """numpy, whose records can be read and written by name outside compiled code."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def zeros(shape: Any, dtype: Any = float) -> Any:
        """Zeros; of records, with their fields as attributes."""
        return opened(np.zeros(shape, dtype))


def opened(array: Any) -> Any:
    """An array of records with their fields as attributes; any other array as it is."""
    return array.view(np.recarray) if array.dtype.names else array


def plain(name: str, right: str, wrong: str) -> Callable[..., Any]:
    """The kernel's loop run as plain Python, with a fault in one of its modules.

    Modules that build on the faulty one are run as plain Python too, so that they call it.
    """
    above = ORDER[ORDER.index("holding" if name in ("quiet", "trader") else name) :]
    above = tuple(one for one in above if one != name)
    parts = {one: importlib.import_module(f"backtests.{one}") for one in ORDER}
    parts |= {one: mutated(f"backtests.{one}", "from __future__ import annotations\n", "") for one in above}
    parts[name] = mutated(f"backtests.{name}", right, wrong)
    for part in [parts[one] for one in (name, *above)]:
        part.np = Open()  # type: ignore[attr-defined]
        for other in (parts[one] for one in ORDER if parts[one] is not part):
            known = {word for word, thing in vars(other).items() if getattr(thing, "__module__", "") == other.__name__}
            vars(part).update({word: vars(other)[word] for word in known & set(vars(part))})
    loop, make_book = vars(parts["kernel"]), parts["trader"].new_book
    loop["new_book"] = lambda *of: trader.Book(*map(opened, make_book(*of)))

    def play(
        scene: Any, wish: Any, setting: Any, cash: float, tally: Any, equity: Any, log: Any, rows: Any, tile: int
    ) -> int:
        seen = scene._replace(bars=opened(scene.bars), contracts=opened(scene.contracts))
        chosen = type(setting)(*map(opened, setting))
        return int(loop["play_settings"](seen, wish, chosen, cash, opened(tally), equity, opened(log), rows, tile))

    return play


def parted(played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch, loop: Callable[..., Any]) -> str:
    """The first difference over the matches with another loop; '' where there is none."""
    monkeypatch.setattr(solo, "play_settings", loop)
    for one, result in played:
        try:
            difference = one.kernel().part_from(result)
        except IndexError:
            return "more orders than there is room for"
        if difference:
            return difference
    return ""


def test_without_a_fault_nothing_parts(played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop run as plain Python, with nothing changed, agrees on every match, as the compiled one does."""
    assert parted(played, monkeypatch, kernel.play_settings) == ""
    assert parted(played[:12], monkeypatch, plain("kernel", "from __future__ import annotations\n", "")) == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen(fault: str, played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Backtrader's fills or equity part from those of a kernel with one mistake."""
    assert parted(played, monkeypatch, plain(*FAULTS[fault])) != ""
