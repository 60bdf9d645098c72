"""Our engine beside its peers on the same work: processor time, ratios and fills, written to benchmarks/README.md.

    make bench                       # DATA=DIR: how long commands take on recorded candles, too

Peers run in an environment of their own, .venv-peers (benchmarks/peers.txt). Every engine runs in a process of its own,
one after the other, in rounds; times are medians of processor time, so that ratios hold on a machine that has other
things to do, more or less. Add --quick for a fifth of the bars and one round.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import peer_work as work
import sweep_speed
import waiting

HERE = Path(__file__).resolve().parent
OURS, THEIRS = Path(sys.executable), HERE.parent / ".venv-peers" / "bin" / "python"
PACKAGES = ("backtrader", "backtesting", "vectorbt", "numpy", "pandas", "numba")
# How far a price may lie from ours and still be the same fill.
SAME_PRICE = 1e-3


def ask(engine: str, task: str, market: Path, rounds: int) -> dict[str, Any]:
    """What an engine's script answers."""
    python = OURS if engine == "crossgate" else THEIRS
    words = [str(python), str(HERE / f"peer_{engine}.py"), task, str(market), str(rounds)]
    print(f"{engine}: {task} ...", file=sys.stderr, flush=True)
    done = subprocess.run(words, capture_output=True, text=True, cwd=HERE, check=False)
    if done.returncode:
        raise SystemExit(f"{engine} failed at {task}:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def one_run(market: Path, bars: int, rounds: int) -> tuple[list[list[str]], list[str]]:
    """The table of one run, and what is said of fills that differ."""
    engines = {"crossgate": "crossgate, futures account", "backtrader": "Backtrader", "backtesting": "backtesting.py"}
    answers: dict[str, list[dict[str, Any]]] = {engine: [] for engine in engines}
    for _ in range(rounds):
        for engine in engines:
            answers[engine].append(ask(engine, "run", market, 1))
    seconds = {engine: statistics.median(one["seconds"] for one in given) for engine, given in answers.items()}
    ratios = {
        engine: statistics.median(a["seconds"] / b["seconds"] for a, b in zip(given, answers["crossgate"], strict=True))
        for engine, given in answers.items()
    }
    fills, rows, said = {engine: ask(engine, "fills", market, 1)["fills"] for engine in engines}, [], []
    for engine, name in engines.items():
        same, more, fewer = shared(fills["crossgate"], fills[engine])
        per_bar = f"{seconds[engine] / bars * 1e6:.1f}"
        rows.append([name, per_bar, f"{ratios[engine]:.1f}", f"{len(fills[engine]):,}", f"{same:,}"])
        if engine != "crossgate":
            said.append(f"{name}: {same:,} fills are the same (bar, side, price); {explained(more, fewer)}.")
    return rows, said


def shared(ours: list[Any], theirs: list[Any]) -> tuple[int, list[Any], list[Any]]:
    """How many fills are the same, and those that only one side has."""
    kept = [Counter((bar, side, round(price / SAME_PRICE)) for bar, side, price in fills) for fills in (ours, theirs)]
    return (kept[0] & kept[1]).total(), sorted((kept[0] - kept[1]).elements()), sorted((kept[1] - kept[0]).elements())


def explained(ours: list[Any], theirs: list[Any]) -> str:
    """The fills that only one side has: those on the same bar at another price, and the others."""
    if not ours and not theirs:
        return "none differs"
    places = [Counter((bar, side) for bar, side, _ in fills) for fills in (ours, theirs)]
    moved = (places[0] & places[1]).total()
    rest = f"{len(ours) - moved:,} only here, {len(theirs) - moved:,} only there"
    return f"{moved:,} on the same bar at another price, {rest}"


def sweeps(market: Path, bars: int, rounds: int) -> list[list[str]]:
    """The table of both sweeps: nanoseconds of processor time a bar and setting."""
    engines = {"crossgate": "crossgate, kernel", "vectorbt": "vectorbt, from_signals", "backtesting": "backtesting.py"}
    answers = {engine: ask(engine, "sweep", market, 1 if engine == "backtesting" else rounds) for engine in engines}
    rows = []
    for name in work.SWEEPS:
        spent = {one: given[name]["seconds"] / bars / given[name]["settings"] * 1e9 for one, given in answers.items()}
        for engine, title in engines.items():
            given, ratio = answers[engine][name], spent[engine] / spent["crossgate"]
            measured = [f"{given['entries']:,.0f}", f"{spent[engine]:,.1f}", f"{ratio:,.1f}"]
            rows.append([name, title, str(given["settings"]), *measured])
    return rows


def kernel() -> list[list[str]]:
    """The table of the kernel alone, on signals with few and with many fills."""
    market = sweep_speed.cg.demo_market(seed=5, bars=sweep_speed.BARS)
    found = sweep_speed.cases(market, sweep_speed.noise(market, 1))
    return [
        [one.name, f"{one.fills:,.0f}", f"{one.nanoseconds:.1f}", verdict(one.nanoseconds, one.target)] for one in found
    ]


def verdict(found: float, target: float | None) -> str:
    """A target, the most that is allowed, and whether it was missed."""
    return "" if target is None else f"{target:g}{': **missed**' if found > target else ''}"


def commands(data: Path | None, rounds: int) -> str:
    """The table of what people wait for, or why there is none."""
    if data is None:
        return "Not measured: it needs recorded candles (`make bench DATA=DIR`)."
    rows = [
        [what, f"{clock:.2f}", f"{processors:.2f}", verdict(clock, waiting.TARGETS[what])]
        for what, (clock, processors) in waiting.medians(data, rounds).items()
    ]
    return table(["BTCUSDT 1h, cached forecasts", "seconds of the clock", "of processors", "target"], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def versions() -> str:
    """What was measured, and on what."""
    script = f"from importlib.metadata import version\nfor name in {PACKAGES!r}: print(name, version(name))"
    said = subprocess.run([str(THEIRS), "-c", script], capture_output=True, text=True, check=True).stdout
    return f"Python {platform.python_version()}, {', '.join(said.splitlines())}; {platform.machine()}"


TEXT = """# Benchmarks

`make bench` measures our engine beside its peers and writes this page; `make bench-parts` times the parts of our own.
Other scripts in this folder say in their first lines what they measure. Where the time goes and how it grows:
[docs/performance.md](../docs/performance.md).

Measured on {day}: {versions}.
{bars:,} one-minute bars of a random walk, {rounds} rounds, medians of processor time{busy}.
Ratios are taken within a round; absolute figures change with the machine.

## One run

A reversal on the crossing of simple averages of {fast} and {slow}, a stop at {stop:.1%} and a target at {target:.1%} of
the signal's close, given at once as a bracket. All engines fill at the next open and pay {fee:.2%} a fill. The strategy
for Backtrader is the same class under both. Ours also keeps a futures account: margin, liquidation on the mark price,
funding every eight hours, filters of the venue. Backtrader runs at its best settings (`runonce`, `preload`,
no observers).

{one}

{said}

backtesting.py lists trades that are closed: the entry of a position that is open at the end is none of its fills.

A process that runs ours over {more:,} bars takes at most {megabytes:,.0f} MB of memory: {imports:,.0f} MB are what
Python has imported, {beside:,.0f} MB the run and its data.

## A sweep

{settings} settings of stop x target x leverage on the same signals. vectorbt plays them without an account for
futures, and only `from_signals` is timed; ours includes the averages and all metrics of every setting. backtesting.py
plays three of the settings.

{sweep}

The kernel alone, {kernel_settings} settings over {kernel_bars:,} bars, on the futures account with stop, target,
funding and liquidation (`sweep_speed.py`):

{kernel}

## What people wait for

{commands}
"""


def main() -> int:
    """Measures, prints and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the bars, one round; the page is not written")
    parser.add_argument("--busy", action="store_true", help="say on the page that the machine had other things to do")
    parser.add_argument("--data", type=Path, help="the folder of recorded candles, for the times of commands")
    given = parser.parse_args()
    if not THEIRS.exists():
        raise SystemExit("the peers are not installed: make bench")
    bars, rounds = (work.BARS // 5, 1) if given.quick else (work.BARS, 3)
    with tempfile.TemporaryDirectory() as folder:
        market = Path(folder) / "market.npz"
        np.savez(market, **work.make_market(bars))
        rows, said = one_run(market, bars, rounds)
        memory = ask("crossgate", "memory", market, 1)
        swept = sweeps(market, bars, rounds)
    head = ["engine", "microseconds a bar", "times ours", "fills", "the same fills"]
    one = table(head, rows)
    sweep = table(["signals", "engine", "settings", "entries a setting", "ns a bar and setting", "times ours"], swept)
    page = TEXT.format(
        day=dt.date.today().isoformat(), versions=versions(), bars=bars, rounds=rounds, fast=work.FAST, slow=work.SLOW,
        busy=", on a machine that was busy with other work" if given.busy else "", stop=work.STOP, target=work.TARGET,
        fee=work.FEE, one=one, said="\n".join(f"- {line}" for line in said), more=10 * bars,
        megabytes=memory["megabytes"], imports=memory["imports"], beside=memory["megabytes"] - memory["imports"],
        settings=len(work.STOPS) * len(work.TARGETS) * len(work.LEVERAGES), sweep=sweep,
        kernel=table(["signals", "fills a setting", "ns a bar and setting", "target"], kernel()),
        kernel_settings=sweep_speed.SETTINGS, kernel_bars=sweep_speed.BARS, commands=commands(given.data, rounds),
    )  # fmt: skip
    print(page)
    if not given.quick:
        (HERE / "README.md").write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
