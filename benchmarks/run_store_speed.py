"""How fast runs are listed, and whether any is lost: 10,000 run folders, writers and readers at once.

    .venv/bin/python benchmarks/run_store_speed.py [--runs N]

Makes small run folders, each with figures of its own, then times `crossgate runs` in processes of their own: the first
list, which reads every run and builds the index, and the ones after it, which count. Then processes add runs while
others list, and every run that is whole must stand in the next list. Prints seconds next to their target and exits 1 on
a miss.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reports.catalogue import CATALOGUE
from reports.fingerprints import TABLES, write_fingerprints

RUNS, SECONDS = 10_000, 1.0
WRITERS, EACH = 4, 50
TREE = Path(__file__).resolve().parent.parent
ADD = """
import sys
from pathlib import Path
sys.path[:0] = [{tree!r}, {tree!r} + "/benchmarks"]
from reports.index import list_runs
from run_store_speed import make_run
root, writer = Path(sys.argv[1]), int(sys.argv[2])
for number in range({each}):
    make_run(root, f"added-{{writer}}-{{number}}", 1_000_000 + 1000 * writer + number)
    if number % 10 == 0:
        assert f"added-{{writer}}-{{number}}" in {{run.folder for run in list_runs(root)}}
"""


def make_run(root: Path, name: str, seed: int) -> None:
    """A run folder with the files that a list looks at; it appears whole, as those of backtests do."""
    random = np.random.default_rng(seed)
    figures = {metric: round(float(value), 6) for metric, value in zip(CATALOGUE, random.normal(size=99), strict=False)}
    figures["days"] = 400.0
    record = {"name": f"run of {seed}", "markets": {"BTCUSDT": "0" * 32}, "synthetic": False, "settlement": "USDT"}
    record |= {"bar_nanoseconds": 3_600_000_000_000, "first_bar": seed * 10**15, "last_bar": (seed + 1) * 10**15}
    verdict = {"rung": int(random.integers(1, 10)), "headline": "A headline.", "reason": "A reason.", "sure": True}
    scratch = root / f".{name}"
    scratch.mkdir()
    for file, content in (
        ("metrics.json", figures),
        ("run.json", record),
        ("verdict.json", {"facts": {}, "verdict": verdict, "examination": None}),
    ):
        (scratch / file).write_text(json.dumps(content), "utf-8")
    for file in TABLES:
        (scratch / file).write_text(file)
    write_fingerprints(scratch, [path.name for path in scratch.iterdir()])
    scratch.rename(root / name)


def timed(words: Sequence[str]) -> tuple[float, float, str]:
    """Seconds of the clock and of the processor that a command takes in a process of its own, and what it prints."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "crossgate", *words], cwd=TREE, capture_output=True, check=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout.decode()


def lost_runs(root: Path, count: int) -> int:
    """How many runs are missing in the list after WRITERS processes have added EACH runs, listing meanwhile."""
    code = ADD.format(tree=str(TREE), each=EACH)
    writers = [subprocess.Popen([sys.executable, "-c", code, str(root), str(number)]) for number in range(WRITERS)]
    failed = sum(writer.wait() != 0 for writer in writers)
    found = len(json.loads(timed(["runs", str(root), "--json"])[2])["runs"])
    return count + WRITERS * EACH - found + failed


def main() -> int:
    """Prints the table; 1 when a target is missed or a run is lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    count, slow = parser.parse_args().runs, False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        root.mkdir()
        for number in range(count):
            make_run(root, f"run-{number:05d}", number)
        first = timed(["runs", str(root)])
        print(f"{count:,} runs; the first list reads each of them: {first[0]:.2f} s, {first[1]:.2f} s of processors\n")
        print(f"{'seconds of':42}{'the clock':>10}{'processors':>12}{'target':>8}")
        lists = (
            ("a list", ["runs", str(root)]),
            ("a list, sorted and chosen", ["runs", str(root), "--where", "sharpe>0", "--sort", "written"]),
            ("a list in JSON", ["runs", str(root), "--json"]),
        )
        for name, words in lists:
            took = [timed(words)[:2] for _ in range(5)]
            clock, work = (statistics.median(one) for one in zip(*took, strict=True))
            slow |= clock > SECONDS
            print(f"{name:42}{clock:>10.2f}{work:>12.2f}{SECONDS:>8.2f}")
        lost = lost_runs(root, count)
    print(f"\n{WRITERS} processes added {EACH} runs each, and listed them meanwhile: {lost} lost")
    return int(slow or lost > 0)


if __name__ == "__main__":
    sys.exit(main())
