"""Faults planted in the kernel's sequence: each parts from Backtrader or the witness on some random match."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel_cases import Match, forecasts, market
from planted_faults import mutated

from backtests import kernel, quiet, solo, trader
from backtests.parameters import AccountParams, CostParams
from backtests.result import Result
from strategies.parameters import CrossoverParams, RiskParams

# Modules in the order in which they build on one another; a fault is planted in one, and those after it are made anew.
FAULTS: dict[str, tuple[str, str, str]] = {
    "a stop that is touched on a quiet bar": (
        "quiet",
        "    return low + tick, high - tick, True",
        "    return low - 50 * tick, high - tick, True",
    ),
    "a target that is touched on a quiet bar": (
        "quiet",
        "            high = min(high, order.price)",
        "            pass",
    ),
    "a liquidation forgotten on a quiet bar": (
        "quiet",
        "        low = max(low, position.liquidation_price)",
        "        pass",
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
        "            return low, high, False\n        if (order.kind",
        "            continue\n        if (order.kind",
    ),
    "funding passed over": (
        "kernel",
        " or scene.special[s, i] == 1",
        "",
    ),
    "a signal passed over while a position is held": (
        "kernel",
        "(wanted != 0 and wanted != held) or memory.barred != 0",
        "memory.barred != 0",
    ),
    "a barred side kept for ever": (
        "kernel",
        "until = i if play.book.memory[s].barred != 0 else min(",
        "until = min(",
    ),
    "the time exit passed over": (
        "kernel",
        "0 < longest <= i + 2 - memory.entered",
        "False",
    ),
    "a decision a bar late": (
        "kernel",
        "    while i < count:\n        until = count - 1",
        "    while i < count:\n        until = count - 1\n        i = min(i + 1, until)",
    ),
    "equity of the bar before": (
        "kernel",
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


def match(seed: int, symbols: int, risk: dict[str, Any], strategy: dict[str, Any]) -> Match:
    """A match on wild markets."""
    random = np.random.default_rng(seed)
    markets = tuple(market(random, name, 200, 1.0) for name in ("ONE", "TWO")[:symbols])
    plain = {"fast": 2, "slow": 6, "threshold": "0.5bps"}
    return Match(
        seed, markets, forecasts(random, markets, 30), CrossoverParams(**{**plain, **strategy}), RiskParams(**risk),
        AccountParams(), CostParams(slippage_bps=2.0),
    )  # fmt: skip


@pytest.fixture(scope="module")
def played() -> list[tuple[Match, Result]]:
    """Matches that between them use every way in and out, with what Backtrader makes of them."""
    far: dict[str, Any] = {"sizing": "leverage", "leverage": 40.0, "stop_loss": "off", "take_profit": "off"}
    ladder = [{"distance": "0.5%", "share": 0.3}, {"distance": "1%", "share": 0.3}]
    found = []
    for seed in range(4):
        found += [
            match(seed, 1, {"sizing": "leverage", "stop_loss": "1%", "take_profit": "1%"}, {}),
            match(seed, 1, {"sizing": "fraction", "targets": ladder, "maximum_bars": 5, "cooldown_bars": 2}, {}),
            match(seed, 1, far, {"rule": "crossover"}),
            match(seed, 1, {"trailing_stop": "1%", "stop_loss": "2%", "take_profit": "off"}, {"rule": "crossover"}),
            match(seed, 1, {"stop_loss": "2%", "break_even": "1%", "take_profit": "8%"}, {"rule": "crossover"}),
            match(seed, 1, {"sizing": "leverage", "leverage": 1.0, "stop_loss": "off", "take_profit": "off"}, {}),
            match(seed, 2, {"sizing": "leverage", "leverage": 2.0}, {"on_opposite": "close", "direction": "long"}),
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
    """The kernel's loop run as plain Python, with a fault in one of its modules."""
    modules: dict[str, Any] = {"quiet": quiet, "trader": trader}
    modules[name] = mutated(f"backtests.{name}", right, wrong)
    loop = modules.get("kernel") or mutated("backtests.kernel", "from __future__ import annotations\n", "")
    loop.quiet_band = modules["quiet"].quiet_band
    loop.decide, loop.take_news = modules["trader"].decide, modules["trader"].take_news
    loop.new_book = lambda symbols: trader.Book(*map(opened, modules["trader"].new_book(symbols)))
    for module in (loop, modules["trader"], modules["quiet"]):
        if module.__name__.endswith("fault"):
            module.np = Open()

    def play(scene: Any, wish: Any, setting: Any, cash: float, tally: Any, equity: Any, log: Any, rows: Any) -> int:
        seen = scene._replace(bars=opened(scene.bars), contracts=opened(scene.contracts))
        chosen = type(setting)(*map(opened, setting))
        return int(loop.play_setting(seen, wish, chosen, cash, opened(tally), equity, opened(log), rows))

    return play


def parted(played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch, loop: Callable[..., Any]) -> str:
    """The first difference over the matches with another loop; '' where there is none."""
    monkeypatch.setattr(solo, "play_setting", loop)
    for one, result in played:
        difference = one.kernel().part_from(result)
        if difference:
            return difference
    return ""


def test_without_a_fault_nothing_parts(played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop run as plain Python, with nothing changed, agrees on every match, as the compiled one does."""
    assert parted(played, monkeypatch, kernel.play_setting) == ""
    assert parted(played[:7], monkeypatch, plain("kernel", "from __future__ import annotations\n", "")) == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen(fault: str, played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Backtrader's fills or equity part from those of a kernel with one mistake."""
    assert parted(played, monkeypatch, plain(*FAULTS[fault])) != ""
