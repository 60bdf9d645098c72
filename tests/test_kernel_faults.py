"""Faults planted in the kernel's sequence: each parts from Backtrader or the witness on some random match."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernel_cases import HOUR, SYMBOLS, Match, forecasts, market
from kernel_fault_cases import FAULTS, ORDER, PLACES
from planted_faults import mutated

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.kernel import kernel, trader
from backtests.kernel.scene import Scene, make_scene
from backtests.kernel.tally import TALLY
from backtests.run import solo
from backtests.run.result import Result
from markets.candles import Candles
from markets.funding import Funding
from strategies.parameters import CrossoverParams, RiskParams


def match(
    seed: int, symbols: int, risk: dict[str, Any], strategy: dict[str, Any], wild: float = 1.0,
    intrabar: str = "adverse", slippage_bps: float = 2.0, margin: str = "isolated", lot: float = 0.01,
) -> Match:  # fmt: skip
    """A match on wild markets."""
    random = np.random.default_rng(seed)
    markets = tuple(market(random, name, 200, wild, lot=lot) for name in SYMBOLS[:symbols])
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


def funded_twice(one: Match) -> Match:
    """The same match with funding at the open of bars and inside them that takes a margin whole and gives it back."""
    first, opens = one.markets[0], one.markets[0].candles.timestamp[::5]
    stamps = np.sort(np.concatenate((opens, opens + HOUR // 2)))
    rates = np.repeat(np.random.default_rng(one.seed).normal(0.0, 0.05, len(opens)), 2)
    rates[1::2] *= -1.0
    return replace(one, markets=(replace(first, funding=Funding(stamps, rates, "case")),))


def often_touched(one: Match) -> Match:
    """The same match on bars of which cleaning has touched every third or so: they take no fills."""
    last = one.markets[0].candles
    touched = np.random.default_rng(one.seed).random(len(last)) < 0.3
    return replace(one, markets=(replace(one.markets[0], candles=replace(last, touched=touched)),))


def marked_apart(one: Match) -> Match:
    """The same match with mark prices that leave the last prices behind for a bar at a time."""
    last = one.markets[0].candles
    basis = np.exp(np.random.default_rng(one.seed).normal(0.0, 0.01, len(last)))
    prices = [column * basis for column in (last.open, last.high, last.low, last.close)]
    mark = Candles(last.timestamp, *prices, volume=np.zeros(len(last)), bar=HOUR, source="case mark")
    return replace(one, markets=(replace(one.markets[0], mark=mark),))


def calm(one: Match) -> Match:
    """The same match with funding at every hundredth bar alone: nothing happens for long."""
    first, stamps = one.markets[0], one.markets[0].candles.timestamp[::100]
    rates = np.random.default_rng(one.seed).normal(0.0, 3e-4, len(stamps))
    account = one.account.model_copy(update={"missing_funding": "zero"})
    return replace(one, markets=(replace(first, funding=Funding(stamps, rates, "case")),), account=account)


@pytest.fixture(scope="module")
def played() -> list[tuple[Match, Result]]:
    """Matches that between them use every way in and out, with what Backtrader makes of them."""
    far: dict[str, Any] = {"sizing": "leverage", "leverage": 40.0, "stop_loss": "off", "take_profit": "off"}
    small: dict[str, Any] = {"sizing": "fraction", "fraction": 0.05}
    near: dict[str, Any] = {"sizing": "leverage", "leverage": 1.0, "stop_loss": "0.5%", "take_profit": "0.5%"}
    ladder = [{"distance": "0.5%", "share": 0.3}, {"distance": "1%", "share": 0.3}]
    slow: dict[str, Any] = {"rule": "crossover", "fast": 5, "slow": 30}
    # Quantities of which doubles hold no whole number of lots: closes and exits leave one.
    found = [match(5, 1, {**near, "take_profit": "1%"}, {"rule": "crossover"}, wild=2.0, lot=8.5e-12)]
    found += [often_touched(match(5, 1, {"trailing_stop": "1%", "stop_loss": "2%"}, {"rule": "crossover"}))]
    for seed in range(4):
        found += [
            match(seed, 1, {"sizing": "leverage", "stop_loss": "1%", "take_profit": "1%"}, {}),
            match(seed, 1, {"sizing": "fraction", "targets": ladder, "maximum_bars": 5, "cooldown_bars": 2}, {}),
            match(seed, 1, far, {"rule": "crossover"}),
            match(seed, 1, {**far, **small}, {"rule": "crossover", "fast": 1, "slow": 2}, wild=4.0),
            marked_apart(match(seed, 1, {**far, **small}, {"rule": "crossover", "fast": 1, "slow": 2})),
            funded_inside(match(seed, 1, {**far, **small}, {"rule": "crossover"})),
            funded_twice(match(seed, 1, {**far, **small}, {"rule": "crossover"}, wild=0.3)),
            match(seed, 1, near, {"rule": "crossover"}, wild=2.0, intrabar="favourable"),
            match(seed, 1, near, {"rule": "crossover"}, slippage_bps=100.0),
            calm(match(seed, 1, near, {"rule": "crossover", "fast": 5, "slow": 30}, wild=0.1)),
            match(seed, 1, {"trailing_stop": "1%", "stop_loss": "2%", "take_profit": "off"}, {"rule": "crossover"}),
            match(seed, 1, {"trailing_stop": "1%", "take_profit": "3%"}, slow, wild=0.3),
            match(seed, 1, {"trailing_stop": "1%", "trailing_after": "1%", "stop_loss": "5%"}, slow, wild=0.3),
            match(seed, 2, {"trailing_stop": "1%", "stop_loss": "2%", "take_profit": "off"}, {"rule": "crossover"}),
            match(seed, 1, {"stop_loss": "2%", "break_even": "1%", "take_profit": "8%"}, {"rule": "crossover"}),
            match(seed, 1, {"sizing": "leverage", "leverage": 1.0, "stop_loss": "off", "take_profit": "off"}, {}),
            # Entries and shares around one lot; accounts that end ruined; bars that take no fills.
            match(seed, 1, {"sizing": "fraction", "fraction": 0.102, "leverage": 1.0, "targets": ladder}, {}, lot=10.0),
            match(seed, 1, {**far, "stop_loss": "4%"}, {"rule": "crossover"}, wild=3.0, lot=1e-10),
            often_touched(match(seed, 1, near, {"rule": "crossover", "fast": 1, "slow": 2})),
            match(seed, 3, {"sizing": "leverage", "leverage": 2.0}, {"rule": "crossover"}),
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


def loop_as_python(name: str, right: str, wrong: str, lowest: str = "") -> dict[str, Any]:
    """The modules of the kernel's loop, of which one has a fault, by name.

    It and those that build on it are run as plain Python, so that they call it; or all from the `lowest` on.
    """
    python = ORDER[ORDER.index(lowest or name) :]
    parts: dict[str, Any] = {one: importlib.import_module(PLACES[one]) for one in ORDER}
    parts |= {one: mutated(PLACES[one], "from __future__ import annotations\n", "") for one in python}
    parts[name] = mutated(PLACES[name], right, wrong)
    for part in [parts[one] for one in python]:
        part.np = Open()
        for other in (parts[one] for one in ORDER if parts[one] is not part):
            known = {word for word, thing in vars(other).items() if getattr(thing, "__module__", "") == other.__name__}
            vars(part).update({word: vars(other)[word] for word in known & set(vars(part))})
    return parts


def plain(name: str, right: str, wrong: str, lowest: str = "") -> Callable[..., Any]:
    """`play_settings` with a fault in one of the modules of the kernel's loop; `lowest` as in `loop_as_python`."""
    return played_by(loop_as_python(name, right, wrong, lowest))


def played_by(parts: dict[str, Any]) -> Callable[..., Any]:
    """`play_settings` of some modules, for records as compiled code takes them."""
    loop, make_book = vars(parts["kernel"]), parts["trader"].new_book
    loop["new_book"] = lambda *of: trader.Book(*map(opened, make_book(*of)))

    def play(
        scene: Any, wish: Any, setting: Any, cash: float, tally: Any, equity: Any, log: Any, rows: Any, tile: int
    ) -> int:
        records = {name: opened(getattr(scene, name)) for name in ("bars", "contracts", "events")}
        seen = scene._replace(**records)
        chosen = type(setting)(*map(opened, setting))
        return int(loop["play_settings"](seen, wish, chosen, cash, opened(tally), equity, opened(log), rows, tile))

    return play


def counts(tally: Any) -> list[int]:
    """What a tally counts, in whole numbers."""
    return [int(tally[name][0]) for name in TALLY.names or () if TALLY[name] == np.int64]


def parted(played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch, loop: Callable[..., Any]) -> str:
    """The first difference over the matches with another loop, in fills, equity or counts; '' where there is none."""
    for one, result in played:
        expected = counts(one.kernel().tally)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(solo, "play_settings", loop)
                found = one.kernel()
        except (IndexError, ZeroDivisionError):
            return "a mistake that numbers cannot bear"
        difference = found.part_from(result)
        if difference or counts(found.tally) != expected:
            return difference or f"counts {counts(found.tally)} and {expected}"
    return ""


def test_without_a_fault_nothing_parts(played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop run as plain Python, with nothing changed, agrees on every match, as the compiled one does."""
    assert parted(played, monkeypatch, kernel.play_settings) == ""
    assert parted(played[:15], monkeypatch, plain("kernel", "from __future__ import annotations\n", "")) == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen(fault: str, played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Backtrader's fills or equity part from those of a kernel with one mistake."""
    assert parted(played, monkeypatch, plain(*FAULTS[fault])) != ""


def test_bars_that_take_no_fills_are_looked_at(
    played: list[tuple[Match, Result]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scene that shows the lows of bars that cleaning has touched has the kernel pass over them."""

    def shown(*given: Any) -> Scene:
        seen = make_scene(*given)
        return seen._replace(low=np.minimum(seen.bars["low"], seen.bars["mark_low"]))

    monkeypatch.setattr(solo, "make_scene", shown)
    assert parted(played, monkeypatch, kernel.play_settings) != ""
