"""How long people wait: a backtest, and a sweep of 1,000 settings, as commands and in Python, on cached forecasts.

    .venv/bin/python benchmarks/waiting.py --data DIR [--rounds N]

Plays backtests/configs/btcusdt_1h.toml, BTCUSDT 1h with recorded candles, which trains once (a minute) and then rests
on kept forecasts. Each figure is the median over the rounds, of processes of their own, with everything compiled:
rules, and our sources too, which Python compiles at every start where $PYTHONDONTWRITEBYTECODE forbids it to keep them
(half a second of each figure; it is left out here).
Prints seconds of the clock, and of processors, which other work on the machine does not stretch as far, next to the
targets, and exits 1 where the clock misses one.

- the command `crossgate backtest`: baselines, verdict and report included, from the start of the process to its end;
- the command `crossgate sweep`, its report included;
- `cg.sweep` in Python, from the call to its return: the first in its process, which loads compiled code, and a later
  one;
- the first settings of a sweep: from the start of the process to the first piece of it that was played.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
CONFIG = str(TREE / "backtests" / "configs" / "btcusdt_1h.toml")
AXES = {
    "risk.stop_loss": [f"{one / 2:g}%" for one in range(1, 11)],
    "risk.take_profit": [f"{one:g}%" for one in range(1, 11)],
    "risk.leverage": [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10],
}
GRID = [word for name, values in AXES.items() for word in ("--grid", f"{name}={','.join(map(str, values))}")]
# A threshold that lets forecasts through on many bars, so that the kernel has something to play.
BUSY = ["--set", "strategy.threshold=0.1cost"]
TARGETS = {
    "crossgate backtest": 6.0,
    "crossgate sweep, 1,000 settings": 8.0,
    "cg.sweep, 1,000 settings, the first": None,
    "cg.sweep, 1,000 settings, a later one": 1.0,
    "until the first settings of a sweep": 2.0,
}
IN_PYTHON = """
import sys, time
from pathlib import Path
import crossgate as cg
from crossgate.config import load_config
from crossgate.job import searched
from foundation.trials import TrialLedger
config = load_config(Path(sys.argv[1]), [sys.argv[2]])
markets, forecasts = searched(config)
tables = config.strategy, config.risk, config.account, config.costs
for _ in range(2):
    began, worked = time.perf_counter(), time.process_time()
    cg.sweep(markets, forecasts, *tables, over=eval(sys.argv[3]), ledger=TrialLedger(Path(sys.argv[4])))
    print(time.perf_counter() - began, time.process_time() - worked)
"""
FIRST = """
import os, sys, time
from backtests.searches import sweeps
played = sweeps.play_range
def play_first(*words):
    played(*words)
    print(time.time(), time.process_time(), flush=True)
    os._exit(0)
sweeps.play_range = play_first
from crossgate.command_line import main
main()
"""


def command(*words: str) -> tuple[float, float]:
    """Seconds of the clock and of processors that `crossgate` takes with some words."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "crossgate", *words], cwd=TREE, capture_output=True, check=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def printed(code: str, *words: str) -> list[list[float]]:
    """The numbers that code prints in a process of its own, a list a line."""
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=TREE, capture_output=True, text=True, check=True)
    return [[float(one) for one in line.split()] for line in done.stdout.splitlines()]


def measure(folder: Path, number: int) -> dict[str, tuple[float, float]]:
    """One round of all figures, by the names of TARGETS."""
    out = str(folder / f"sweep-{number}")
    found = {
        "crossgate backtest": command("backtest", CONFIG, "--out", str(folder / "run")),
        "crossgate sweep, 1,000 settings": command("sweep", CONFIG, *BUSY, *GRID, "--out", out),
    }
    first, later = printed(IN_PYTHON, CONFIG, BUSY[1], repr(AXES), str(folder / f"trials-{number}"))
    found["cg.sweep, 1,000 settings, the first"] = first[0], first[1]
    found["cg.sweep, 1,000 settings, a later one"] = later[0], later[1]
    began = time.time()
    ((ended, worked),) = printed(FIRST, "sweep", CONFIG, *BUSY, *GRID, "--out", f"{out}-begun")
    return found | {"until the first settings of a sweep": (ended - began, worked)}


def medians(data: Path, count: int) -> dict[str, tuple[float, float]]:
    """Seconds of the clock and of processors, the medians over some rounds, by the names of TARGETS."""
    os.environ["CROSSGATE_DATA"] = str(data.resolve())
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as name:
        os.environ["CROSSGATE_LEDGER"] = str(Path(name) / "ledger")
        # Trains, compiles and fills the caches.
        measure(Path(name), 0)
        rounds = [measure(Path(name), number + 1) for number in range(count)]
    return {
        what: (statistics.median(one[what][0] for one in rounds), statistics.median(one[what][1] for one in rounds))
        for what in TARGETS
    }


def main() -> int:
    """Prints the table; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="How long people wait for a backtest and for a sweep.")
    parser.add_argument("--data", type=Path, default=os.environ.get("CROSSGATE_DATA"))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.data is None:
        parser.error("it needs --data DIR or $CROSSGATE_DATA")
    found, missed = medians(Path(given.data), given.rounds), False
    print(f"{given.rounds} rounds on {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'seconds of':42}{'the clock':>10}{'processors':>12}{'target':>8}")
    for what, target in TARGETS.items():
        clock, work = found[what]
        missed |= target is not None and clock > target
        print(f"{what:42}{clock:>10.2f}{work:>12.2f}{'' if target is None else f'{target:>8.2f}'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
