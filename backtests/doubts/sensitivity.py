"""Sensitivity: how much of a run hangs on what nobody knows, the path inside a bar, its costs, and how fast it acts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backtests.doubts.playback import Outcome, Playback
from backtests.exchange.parameters import INTRABAR, LIMIT_FILL
from backtests.exchange.records import Records
from backtests.kernel.scene import Scene
from backtests.kernel.trader import Setting, Wish
from backtests.kernel.wishes import next_wanted
from markets.candles import FloatArray, IntArray

MULTIPLES = (0.0, 1.0, 2.0, 3.0)
# Where the return over multiples of the costs is looked at for its root, and how closely the root is found.
SEARCHED = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
PRECISION = 0.005
_COSTS = ("slippage", "half_spread", "half_spread_ticks", "impact")
_FEES = ("taker_fee", "maker_fee", "liquidation_fee")

# A trade: its symbol and the bar of its entry; what happened to it after: bars, reasons and sides of its other fills.
Trades = dict[tuple[int, int], tuple[tuple[int, int, int], ...]]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """A run under other assumptions; all else is as it was.

    `timestamp`: the points (bar OPEN, UTC nanoseconds) of the equity that each outcome keeps. `intrabar`: which of an
    adverse and a favourable level in one bar comes first, by AccountParams' words. `trades`: those of the run;
    `depending`: how many of them end on another bar or for another reason, or are never made, under the adverse or
    the favourable order. `bound`: its liquidations that rest on the bound of a cross account alone. `limit_fill`: by
    AccountParams' words. `costs`: fees and slippage times 0, 1, 2, 3, with the signals of the run; rebates are
    not multiplied beyond 1. `break_even`: the smallest multiple at which nothing is left, 0 for a run that earns
    nothing without costs, infinity where 64 times the costs leave a profit. `delayed`: every signal a bar later.
    """

    timestamp: IntArray
    intrabar: dict[str, Outcome]
    trades: int
    depending: int
    bound: int
    limit_fill: dict[str, Outcome]
    costs: dict[float, Outcome]
    break_even: float
    delayed: Outcome


def measure_sensitivity(playback: Playback) -> Sensitivity:
    """The sensitivity of a run."""
    orders = {word: _with(playback, "intrabar", number) for number, word in enumerate(INTRABAR)}
    ours, logged = trades_of(*playback.fills()), playback.fills()[0]
    others = [trades_of(*playback.fills(setting=orders[word])) for word in ("adverse", "favourable")]
    depending = sum(any(other.get(key) != rest for other in others) for key, rest in ours.items())
    return Sensitivity(
        timestamp=playback.timestamp[playback.points],
        intrabar={word: playback.play(setting=setting, curve=True) for word, setting in orders.items()},
        trades=len(ours),
        depending=depending,
        bound=int(logged["bound"].sum()),
        limit_fill={
            word: playback.play(setting=_with(playback, "through", number)) for number, word in enumerate(LIMIT_FILL)
        },
        costs={multiple: play_at_costs(playback, multiple, curve=True) for multiple in MULTIPLES},
        break_even=break_even(playback),
        delayed=playback.play(delayed(playback.wish, playback.scene), curve=True),
    )


def play_at_costs(playback: Playback, multiple: float, *, curve: bool = False) -> Outcome:
    """The run when fees, charges of liquidation and slippage are a multiple of its own, with the same signals."""
    scene, setting = at_costs(playback, multiple)
    return playback.play(scene=scene, setting=setting, curve=curve)


def at_costs(playback: Playback, multiple: float, *, fees: bool = True, slippage: bool = True) -> tuple[Scene, Setting]:
    """Scene and setting with fees or slippage, or both, multiplied."""
    contracts, settings = playback.scene.contracts.copy(), playback.setting.settings.copy()
    if fees:
        for name in _FEES:
            rates = contracts[name]
            contracts[name] = np.where(rates > 0.0, rates * multiple, rates * min(multiple, 1.0))
    if slippage:
        for name in _COSTS:
            settings[name] *= multiple
    return playback.scene._replace(contracts=contracts), playback.setting._replace(settings=settings)


def break_even(playback: Playback) -> float:
    """The smallest multiple of the costs at which the run's profit is zero, found by halving; see Sensitivity."""
    return least_multiple(lambda multiple: play_at_costs(playback, multiple).profit)


def least_multiple(profit: Callable[[float], float]) -> float:
    """The smallest multiple of the costs at which `profit` of it is zero; 0 without any at no costs, else infinity."""
    before = SEARCHED[0]
    if profit(before) <= 0.0:
        return 0.0
    for multiple in SEARCHED[1:]:
        if profit(multiple) <= 0.0:
            return _root(profit, before, multiple)
        before = multiple
    return math.inf


def _root(profit: Callable[[float], float], low: float, high: float) -> float:
    while high - low > PRECISION:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if profit(middle) > 0.0 else (low, middle)
    return 0.5 * (low + high)


def delayed(wish: Wish, scene: Scene, bars: int = 1) -> Wish:
    """The wish some bars late: what was wanted, forecast and known of volatility at a bar reaches the account later."""
    sides = np.roll(wish.sides, bars, axis=1)
    sides[:, : scene.first + bars] = 0
    mean, sigma, atr = (_late(values, bars) for values in (wish.mean, wish.sigma, wish.atr))
    return Wish(sides, mean, sigma, atr, next_wanted(sides))


def _late(values: FloatArray, bars: int) -> FloatArray:
    moved = np.roll(values, bars, axis=1)
    moved[:, :bars] = np.nan
    return moved


def trades_of(fills: Records, rows: IntArray) -> Trades:
    """The trades that some fills make, from an entry to the fill that leaves nothing."""
    trades: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    running: dict[int, tuple[int, int]] = {}
    for fill, row in zip(fills, rows, strict=True):
        symbol, position = int(fill["symbol"]), float(fill["position"])
        event = (int(row), int(fill["reason"]), int(fill["side"]))
        if symbol in running:
            trades[running[symbol]].append(event)
        if position == 0.0:
            running.pop(symbol, None)
        elif symbol not in running:
            running[symbol] = (symbol, int(row))
            trades[running[symbol]] = []
    return {key: tuple(rest) for key, rest in trades.items()}


def _with(playback: Playback, name: str, value: int) -> Setting:
    settings = playback.setting.settings.copy()
    settings[name] = value
    return playback.setting._replace(settings=settings)
