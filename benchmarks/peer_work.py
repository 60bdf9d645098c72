"""The work that all engines do: a market, its signals, and how their time is taken. Runs in every environment."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BARS, MINUTE, START = 100_000, 60_000_000_000, 1_704_067_200_000_000_000
# One run: a reversal on the crossing of two simple averages, with a stop and a target measured from the signal's close.
FAST, SLOW, STOP, TARGET, SIZE = 20, 50, 0.005, 0.01, 10
CASH, FEE = 100_000.0, 0.0005
# Doubles hold it exactly, and so the sums of prices: no engine's way of adding up decides whether averages cross.
TICK = 1 / 128
# A sweep: stops and targets measured from the fill, at two leverages; averages that cross seldom, and often.
STOPS, TARGETS, LEVERAGES = np.linspace(0.005, 0.05, 10), np.linspace(0.01, 0.1, 10), (2.0, 3.0)
SWEEPS = {"few fills": (150, 450), "many fills": (14, 36)}


def make_market(bars: int = BARS, seed: int = 3, *, swept: bool = True) -> dict[str, np.ndarray]:
    """Minutes of a random walk that moves 8 basis points a bar, so that stops and targets matter."""
    random, step = np.random.default_rng(seed), 8e-4
    close = on_tick(100.0 * np.exp(np.cumsum(random.normal(0.0, step, bars))))
    opened = np.concatenate(([100.0], close[:-1]))
    wicks = np.exp(np.abs(random.normal(0.0, step / 2, (2, bars))))
    high = np.ceil(np.maximum(opened, close) * wicks[0] / TICK) * TICK
    low = np.floor(np.minimum(opened, close) / wicks[1] / TICK) * TICK
    stamps = START + MINUTE * np.arange(bars)
    market = {"stamp": stamps, "open": opened, "high": high, "low": low, "close": close, "volume": np.ones(bars)}
    for name, (fast, slow) in SWEEPS.items() if swept else ():
        market[name] = crossings(close, fast, slow)
    return market


def on_tick(price: Any) -> Any:
    """Prices on the nearest tick."""
    return np.round(np.asarray(price) / TICK) * TICK


def levels(price: float, side: int) -> tuple[float, float]:
    """The stop and the target of a position that is decided on at a price."""
    return float(on_tick(price * (1 - side * STOP))), float(on_tick(price * (1 + side * TARGET)))


def average(close: np.ndarray, period: int) -> np.ndarray:
    """The simple average at every bar; NaN until it is known."""
    out = np.full(len(close), np.nan)
    out[period - 1 :] = np.lib.stride_tricks.sliding_window_view(close, period).mean(axis=1)
    return out


def crossings(close: np.ndarray, fast: int, slow: int) -> np.ndarray:
    """+1 at the close at which the fast average has crossed above the slow one, -1 below, else 0."""
    side = np.nan_to_num(np.sign(average(close, fast) - average(close, slow)))
    rows = np.flatnonzero(side)
    turned = rows[1:][side[rows[1:]] != side[rows[:-1]]]
    out = np.zeros(len(close))
    out[turned] = side[turned]
    return out


def take(run: Callable[[dict[str, np.ndarray]], Any], market: dict[str, np.ndarray], rounds: int) -> tuple[Any, float]:
    """What a run comes to, and the median of its processor time; after one on a short market, which compiles."""
    run({name: values[:3000] for name, values in market.items()})
    times = []
    for _ in range(rounds):
        before = time.process_time()
        found = run(market)
        times.append(time.process_time() - before)
    return found, statistics.median(times)


def contest(works: dict[str, Callable[[dict[str, np.ndarray], int], dict[str, Any]]]) -> None:
    """The command line of an engine's script: one of its works on the market in a file, answered as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=works)
    parser.add_argument("market", type=Path)
    parser.add_argument("rounds", type=int)
    given = parser.parse_args()
    with np.load(given.market) as kept:
        market = dict(kept)
    print(json.dumps(works[given.work](market, given.rounds)))
