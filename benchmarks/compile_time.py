"""What a first run compiles, and how long that takes: from an empty folder of compiled rules, in a process of its own.

    .venv/bin/python benchmarks/compile_time.py [--rules N]

Plays a small sweep, then a backtest, then writes its report, and prints seconds of processor time next to their target,
the stages that they went into, and the rules that took longest themselves; the same again in a new process, from disk.
Exits 1 on a miss.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.codegen import CPUCodeLibrary
from numba.core.event import Event, Listener, register

from foundation.linking import EntryLibrary

TARGETS = {"a sweep": 25.0, "a backtest": 25.0}
STAGES = {
    "_optimize_functions": "passes of single functions",
    "_optimize_final_module": "passes of modules",
    "_finalize_final_module": "machine code",
}


class Watch(Listener):
    """What each rule took by itself, without the rules that it calls, in seconds of processor time."""

    def __init__(self) -> None:
        self.open: list[list[float]] = []
        self.seconds: Counter[str] = Counter()
        self.count: Counter[str] = Counter()

    def on_start(self, event: Event) -> None:
        """A rule begins to be compiled."""
        self.open.append([time.process_time(), 0.0])

    def on_end(self, event: Event) -> None:
        """A rule has been compiled; its caller does not count what it took."""
        begun, below = self.open.pop()
        took, name = time.process_time() - begun, event.data["dispatcher"].py_func.__qualname__
        self.seconds[name] += took - below
        self.count[name] += 1
        if self.open:
            self.open[-1][1] += took


def timed(stages: Counter[str], library: type[CPUCodeLibrary], name: str) -> None:
    """Adds up what one stage of a kind of numba's libraries takes, under its name."""
    honest = getattr(library, name)

    def stage(*given: Any) -> Any:
        begun = time.process_time()
        try:
            return honest(*given)
        finally:
            stages[STAGES[name]] += time.process_time() - begun

    setattr(library, name, stage)


def child() -> None:
    """Runs the parts, each after the one before, and prints what they took as JSON."""
    watch, stages = Watch(), Counter[str]()
    register("numba:compile", watch)
    for library in (CPUCodeLibrary, EntryLibrary):
        for name in STAGES.keys() & vars(library).keys():
            timed(stages, library, name)
    taken = []
    for name, part in parts().items():
        begun, compiled = time.process_time(), sum(watch.count.values())
        part()
        taken.append((name, time.process_time() - begun, sum(watch.count.values()) - compiled))
    rules = [(name, seconds, watch.count[name]) for name, seconds in watch.seconds.most_common()]
    print(json.dumps({"parts": taken, "stages": stages.most_common(), "rules": rules}))


def parts() -> dict[str, Callable[[], Any]]:
    """What is played: a few settings of a small market, one of them under Backtrader, and its report."""
    from sweep_speed import noise

    import crossgate as cg
    from foundation.trials import TrialLedger

    market, folder = cg.demo_market(seed=5, bars=3000), Path(os.environ["CROSSGATE_CACHE"])
    forecasts, ledger, found = noise(market, 1), TrialLedger(folder / "trials"), {}
    risk = cg.RiskParams(stop_loss="2%", take_profit="4%")
    over = {"risk.leverage": [1, 2]}
    return {
        "a sweep": lambda: cg.sweep(market, forecasts, risk=risk, over=over, workers=1, ledger=ledger),
        "a backtest": lambda: found.update(run=cg.backtest(market, forecasts, risk=risk)),
        "its report": lambda: cg.write_report(found["run"], folder / f"run-{os.getpid()}", ledger=ledger),
    }


def run(folder: str) -> dict[str, Any]:
    """What a new process measured with this folder of compiled rules."""
    variables = {**os.environ, "CROSSGATE_CACHE": folder}
    command = [sys.executable, __file__, "--child"]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Prints the tables; 1 when a target is missed."""
    options = argparse.ArgumentParser(description="What a first run compiles, and how long that takes.")
    options.add_argument("--rules", type=int, default=20, help="how many rules are listed")
    options.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        child()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        first, second = run(folder), run(folder)
        files = [path.stat().st_size for path in Path(folder, "compiled").rglob("*.nbc")]
    print(f"{'seconds of processor time':32}{'first':>8}{'target':>8}{'compiled':>10}{'from disk':>11}")
    for (name, seconds, count), (_, again, _) in zip(first["parts"], second["parts"], strict=True):
        target = f"{TARGETS[name]:g}" if name in TARGETS else ""
        print(f"{name:32}{seconds:8.1f}{target:>8}{count:10d}{again:11.2f}")
    for name, seconds in first["stages"]:
        print(f"{'  of these, ' + name:32}{seconds:8.1f}")
    print(f"\n{len(files)} files of machine code, {sum(files) / 1e6:.1f} MB\n")
    for name, seconds, count in first["rules"][: chosen.rules]:
        print(f"{name:44}{seconds:8.2f}{count:6d} times")
    return int(any(seconds > TARGETS.get(name, seconds) for name, seconds, _ in first["parts"]))


if __name__ == "__main__":
    sys.exit(main())
