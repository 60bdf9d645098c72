"""Sums of eight accounts at once are, to the last bit, those of each account alone, added up bar by bar."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from planted_faults import mutated
from test_kernel_faults import opened

from backtests.exchange.records import BAR, FINER, contract_record
from backtests.kernel import sums
from backtests.kernel.course import Course, fields
from backtests.kernel.scene import BLOCKS, EVENT, Scene
from backtests.kernel.tally import TALLY
from foundation.lanes import WIDTH
from markets import inverse, margin
from markets.contract import Contract

FIRST, COUNT, CASH = 5, 160, 1000.0
# Bars on which no account has a position.
REST = range(90, 110)
EXACT = ("returns", "squares", "falls", "equity", "held", "under", "bars", "ruined")


class Change(NamedTuple):
    """What is in an account from a bar on: the cash, and sizes and entries by symbol."""

    cash: float
    sizes: tuple[float, ...]
    entries: tuple[float, ...]


Case = tuple[Scene, list[dict[int, Change]]]


def case_of(seed: int, symbols: int = 1, *, coin: bool = False) -> Case:
    """A scene, and by account the bars on which it changes. Account 1 never trades, 2 is ruined half way."""
    random = np.random.default_rng(seed)
    bars, marks = (
        np.zeros((symbols, COUNT), BAR),
        100.0 * np.exp(np.cumsum(random.normal(0, 0.01, (symbols, COUNT)), 1)),
    )
    contract: dict[str, Any] = {"kind": "inverse", "settlement": "COIN", "face": 10.0} if coin else {}
    figures = {"taker_fee": 5e-4, "maker_fee": 2e-4, "maintenance_rate": 0.01, "maximum_leverage": 50.0}
    record = contract_record(Contract(venue="case", symbol="ONE", tick=0.01, lot=0.01, **figures, **contract))
    edges, none = FIRST + np.arange(1, BLOCKS + 1) * (COUNT - FIRST) // BLOCKS - 1, np.zeros((symbols, COUNT))
    scene = Scene(
        bars, np.zeros(0, FINER), np.repeat(record, symbols), none, none, none, none, none, none,
        np.zeros((symbols, 1), EVENT),
        none.astype(np.int64), marks, marks, np.ones(symbols), FIRST, edges,
    )  # fmt: skip
    accounts: list[dict[int, Change]] = []
    for k in range(WIDTH):
        rows = np.flatnonzero(random.random(COUNT) < (0.0 if k == 1 else 0.02 + 0.04 * k))
        accounts.append({int(row): _change(random, marks[:, row]) for row in rows if FIRST <= row not in REST})
        _pay(random, accounts[k])
        accounts[k][REST[0]] = Change(CASH * (0.9 + 0.05 * k), (0.0,) * symbols, (1.0,) * symbols)
    nothing = Change(-1e-12, (0.0,) * symbols, (1.0,) * symbols)
    accounts[2] = {row: change for row, change in accounts[2].items() if row < COUNT // 2} | {COUNT // 2: nothing}
    return scene, accounts


def _pay(random: np.random.Generator, account: dict[int, Change]) -> None:
    """On some bars on which an account has a position only its cash changes."""
    before = Change(CASH, (0.0,), (1.0,))
    for row in range(FIRST, REST[0]):
        before = account.get(row, before)
        if any(before.sizes) and row not in account and random.random() < 0.1:
            before = account[row] = before._replace(cash=before.cash * random.uniform(0.99, 1.01))


def _change(random: np.random.Generator, marks: np.ndarray) -> Change:
    held = random.random(len(marks)) < 0.6
    sizes = np.where(held, random.normal(0.0, 2.0, len(marks)), 0.0)
    entries = np.where(held, marks * random.uniform(0.98, 1.02, len(marks)), 1.0)
    return Change(CASH * random.uniform(0.9, 1.1), tuple(sizes.tolist()), tuple(entries.tolist()))


def side_by_side(case: Case, tile: int, module: ModuleType = sums) -> tuple[np.ndarray, np.ndarray]:
    """The tallies of the accounts played side by side, and the equity of the last at every bar."""
    scene, accounts = case
    symbols, tallies, curve = len(scene.contracts), opened(np.zeros(len(accounts), TALLY)), np.zeros(COUNT)
    changed, worth = np.zeros(tile, np.uint16), np.full((tile * fields(symbols), WIDTH), np.nan)
    running = sums.Running(*(one[0] for one in sums.new_running(1, symbols, FIRST, CASH)))
    befores = [Change(CASH, (0.0,), (1.0,)) for _ in accounts]
    for begin in range(FIRST, COUNT, tile):
        course = Course(changed, worth, begin, min(begin + tile, COUNT), 0)
        for k, account in enumerate(accounts):
            for row in range(begin, course.end):
                if row in account:
                    one, at = account[row], (row - begin) * fields(symbols)
                    paid = any(one.sizes) and one[1:] == befores[k][1:]
                    pairs = [x for pair in zip(one.sizes, one.entries, strict=True) for x in pair]
                    worth[at : at + fields(symbols), k] = [one.cash, float(any(one.sizes)), *pairs]
                    worth[at + 1 : at + fields(symbols), k] *= np.nan if paid else 1.0
                    changed[row - begin] |= 1 << (WIDTH + k if paid else k)
                    befores[k] = one
        module.add_tile(scene, course, running, tallies, curve)
    for k in range(len(accounts)):
        module.finish_tally(tallies[k], running, k, scene, int(k == 2))
    return np.asarray(tallies).view(np.ndarray), curve


def alone(case: Case, k: int) -> tuple[dict[str, Any], list[float]]:
    """One account, bar by bar, in plain Python; and its equity at every bar."""
    scene, accounts = case
    found: dict[str, Any] = {**dict.fromkeys(EXACT, 0.0), "deepest": 0.0, "blocks": [[], []]}
    formula = inverse.profit if scene.contracts["inverse"][0] else margin.profit
    change, before, peak, curve, closed = Change(CASH, (0.0,), (1.0,)), CASH, CASH, [], [0.0, 0.0]
    for i in range(FIRST, COUNT):
        change = accounts[k].get(i, change)
        equity = change.cash
        for s, (size, entry) in enumerate(zip(change.sizes, change.entries, strict=True)):
            equity += formula(size, entry, float(scene.mark[s, i]))
        curve.append(equity)
        equity = max(equity, sums.LEAST)
        value = equity / before - 1.0
        found["returns"] += value
        found["squares"] += value * value
        found["falls"] += min(value, 0.0) ** 2
        peak, before = max(peak, equity), equity
        found["deepest"] = max(found["deepest"], 1.0 - equity / peak)
        found["under"] += equity < peak
        found["held"] += any(change.sizes)
        found["bars"] += 1
        if i in scene.edges:
            for n, name in enumerate(("returns", "squares")):
                found["blocks"][n].append(found[name] - closed[n])
                closed[n] = found[name]
    found["average"] = float(np.mean(np.maximum(curve, 0.0)))
    return found | {"equity": before if before > sums.LEAST else 0.0, "ruined": int(k == 2)}, curve


def difference(case: Case, tile: int, module: ModuleType = sums) -> str:
    """The first thing that differs between the accounts side by side and each alone; '' where nothing does."""
    tallies, curve = side_by_side(case, tile, module)
    for k, tally in enumerate(tallies):
        expected, equities = alone(case, k)
        for name in EXACT:
            if tally[name] != expected[name]:
                return f"{name} of account {k}: {tally[name]} {expected[name]}"
        if tally["blocks"].tolist() != expected["blocks"]:
            return f"blocks of account {k}"
        for name in ("average", "deepest"):
            if tally[name] != pytest.approx(expected[name], rel=1e-12, abs=1e-15):
                return f"{name} of account {k}: {tally[name]} {expected[name]}"
    return "" if curve[FIRST:].tolist() == equities else "the last account's equity"


CASES = [(seed, symbols, coin) for seed in range(3) for symbols in (1, 2, 5) for coin in (False, True)]


@pytest.mark.parametrize(("seed", "symbols", "coin"), CASES)
def test_side_by_side_is_alone(seed: int, symbols: int, coin: bool) -> None:
    """Sums of returns, equity and counts: the same bits as alone, by tiles of any length."""
    case = case_of(seed, symbols, coin=coin)
    whole = side_by_side(case, COUNT)[0].tobytes()
    for tile in (1, 7, 64, COUNT):
        assert difference(case, tile) == ""
        assert side_by_side(case, tile)[0].tobytes() == whole


def test_neighbours_change_nothing() -> None:
    """An account comes to the same bits beside seven others, beside fewer, and in another lane."""
    scene, accounts = case_of(1)
    beside = side_by_side((scene, accounts), 64)[0]
    for k in (0, 1, 3, 7):
        own = side_by_side((scene, [accounts[k]]), 64)[0]
        assert own[0].tobytes() == beside[k].tobytes()


# What stands in the module, and what is put in its place.
FAULTS = [
    ("value = equity / sums.before - 1.0", "value = equity / sums.peak - 1.0"),
    ("sums.squares + square,", "sums.squares + value,"),
    ("where(value < 0.0, sums.falls + square, sums.falls)", "sums.falls + square"),
    ("equity * sums.top < sums.bottom * peak", "equity < sums.bottom"),
    ("where(deeper, peak, sums.top)", "peak"),
    ("where(equity > LEAST, equity, LEAST)", "equity"),
    ("where(held, sums.average + equity, sums.average)", "sums.average + equity"),
    ("bits_of(changed >> WIDTH)", "bits_of(changed & ALL)"),
    ("where(paid, cash, lanes_at(now, 0))", "lanes_at(now, 0)"),
    (" and course.changed[i - course.begin] == 0:\n            sums", ":\n            sums"),
    ("(bars * (1.0 - held))", "bars"),
    ("where(equity < peak, sums.under + 1.0, sums.under)", "sums.under + 1.0"),
    ("where(sums.before < sums.peak, sums.under + bars, sums.under)", "sums.under"),
    ("where(mask, float(i), since)", "float(i) + 0.0 * since"),
    ("where(mask, lanes_at(rows, HELD) + bars * held, lanes_at(rows, HELD))", "lanes_at(rows, HELD) + bars * held"),
    ("    course.changed[row] = 0", "    pass"),
    ("next_change(course, i, end)", "end"),
    ("equity + profits_of", "profits_of"),
    ("lanes_at(now, 3 + 2 * s)", "lanes_at(now, 3)"),
    ("in range(len(scene.contracts)):", "in range(min(2, len(scene.contracts))):"),
    ("scene.mark[s, i]", "scene.mark[0, i]"),
    ("lane_of(worth_of(scene, now, t), shown)", "lane_of(worth_of(scene, now, t), 0)"),
    ("        sums[CLOSED, k], sums[SQUARED, k] = sums[0, k], sums[1, k]", "        sums[SQUARED, k] = sums[1, k]"),
    ("        sums[CLOSED, k], sums[SQUARED, k] = sums[0, k], sums[1, k]", "        sums[CLOSED, k] = sums[0, k]"),
    ("sums[1, k] - sums[SQUARED, k]", "sums[0, k] - sums[CLOSED, k]"),
    ("end = min(course.end, last + 1)", "end = course.end"),
    ("equity * (rest * (1.0 - held))", "0.0"),
    ("sums[HELD] + rest * held", "sums[HELD]"),
    ("1.0 - sums[7] / sums[6]", "1.0 - sums[7] / sums[5]"),
]


def plain(right: str, wrong: str) -> ModuleType:
    """The module run as plain Python, with a fault."""

    def profits_of(contract: Any, sizes: Any, entries: Any, price: float) -> Any:
        return (inverse.profit if contract.inverse else margin.profit).py_func(sizes, entries, price)

    found = mutated("backtests.kernel.sums", right, wrong)
    found.profits_of = profits_of  # type: ignore[attr-defined]
    return found


def difference_in_python(case: Case, module: ModuleType) -> str:
    """`difference` where contracts are read in plain Python."""
    scene, accounts = case
    return difference((scene._replace(contracts=opened(scene.contracts)), accounts), 64, module)


@pytest.mark.parametrize(("right", "wrong"), FAULTS)
def test_each_fault_is_seen(right: str, wrong: str) -> None:
    """A mistake in what is added up, or when, changes what some account comes to."""
    faulty, found = plain(right, wrong), ""
    for seed, symbols, coin in CASES[1:6:2]:
        with np.errstate(all="ignore"):
            try:
                found = found or difference_in_python(case_of(seed, symbols, coin=coin), faulty)
            except (IndexError, OverflowError, ValueError) as error:
                found = str(error)
    assert found


def test_without_a_fault_nothing_differs() -> None:
    """The module run as plain Python, with nothing changed, comes to the same bits too."""
    module = plain("from __future__ import annotations\n", "")
    for seed, symbols, coin in CASES[:6]:
        assert difference_in_python(case_of(seed, symbols, coin=coin), module) == ""
