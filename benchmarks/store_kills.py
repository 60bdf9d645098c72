"""Writers of the store, killed at every step and at random moments, and two of them beside a reader.

`python benchmarks/store_kills.py --kills 500` prints what was tried; a row that is lost, doubled or
half-written ends it with a sentence and exit code 1. Every writer is a process of its own, ended by SIGKILL.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foundation.errors import CrossgateError
from markets.manifest import read_manifest
from markets.series import SeriesKey, append_rows, read_rows

HOUR = 3_600_000_000_000
START = 1_640_908_800_000_000_000  # 2021-12-31
NOW = 1_900_000_000_000_000_000
KEY = SeriesKey("venue", "BTCUSDT", "candles", HOUR)
BLOCK = 7
# The functions of C through which an append touches the disk; a writer is killed as each call of one returns.
TOUCHES = {"open", "write", "replace", "rename", "fsync", "unlink", "remove", "mkdir", "chmod", "close", "truncate"}


class BrokenError(Exception):
    """A promise of the store that did not hold."""


def block(number: int, level: float = 100.0) -> dict[str, Any]:
    """The rows of one block: BLOCK hours, whose prices all say which block and level it is."""
    rows = {name: np.full(BLOCK, level) for name in ("open", "high", "low", "close")}
    stamps = START + (np.arange(BLOCK) + BLOCK * number) * HOUR
    return {"timestamp": stamps, **rows, "volume": np.full(BLOCK, float(number))}


def append(folder: Path, number: int, level: float = 100.0) -> None:
    """Appends a block; of another level than the one there, it revises."""
    append_rows(folder, KEY, block(number, level), source="kills", fetched_at=NOW, revise=True)


def state(folder: Path) -> dict[int, float]:
    """The level of each block in the store; raises BrokenError where a block is not whole, or its rows are wrong."""
    if read_manifest(KEY.home(folder)) is None:
        return {}
    rows = read_rows(folder, KEY)
    numbers = (rows["timestamp"] - START) // HOUR // BLOCK
    found: dict[int, float] = {}
    for number in np.unique(numbers).tolist():
        levels = rows["open"][numbers == number]
        expected = block(number, float(levels[0]))
        for name, values in expected.items():
            if not np.array_equal(rows[name][numbers == number], values):
                raise BrokenError(f"block {number} is not whole: {name} is {rows[name][numbers == number]}")
        found[number] = float(levels[0])
    return found


def check_strays(folder: Path) -> None:
    """Raises BrokenError for a file in the store that its manifest does not name."""
    home = KEY.home(folder)
    manifest = read_manifest(home)
    named = {"_manifest.json", "_lock", "_lock.holder"} | (manifest.files if manifest else set())
    strays = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()} - named
    if strays:
        raise BrokenError(f"left behind: {sorted(strays)}")


def child(work: Callable[[], None]) -> int:
    """The process that does some work and ends."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except (CrossgateError, OSError) as error:
        print(error, file=sys.stderr)
    finally:
        os._exit(code)


def kill_at_step(step: int) -> None:
    """Has this process killed as its `step`-th touch of the disk returns."""
    count = 0

    def watch(_frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        if event == "c_return" and arg.__name__ in TOUCHES:
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)


def kill_at_every_step(folder: Path) -> int:
    """The number of steps at which an append was killed; whatever the step, it had happened wholly or not at all.

    Four appends, one upon the other: a first block, one over the turn of a year, one that joins its
    neighbours, and one that revises.
    """
    total = 0
    for number, level in ((2, 100.0), (3, 100.0), (1, 100.0), (3, 101.0)):
        before = state(folder)
        after = {**before, number: level}
        for step in range(1, 10_000):
            pid = child(
                lambda step=step, number=number, level=level: (kill_at_step(step), append(folder, number, level))
            )  # type: ignore[misc]
            ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            found = state(folder)
            if found not in (before, after):
                raise BrokenError(f"step {step} of block {number} left {found} between {before} and {after}")
            if ended == 0:
                break
            if ended != -signal.SIGKILL:
                raise BrokenError(f"an append ended with {ended} at step {step} of block {number}")
            total += 1
        append(folder, number, level)
        if state(folder) != after:
            raise BrokenError(f"block {number} did not arrive")
        check_strays(folder)
    return total


def kill_at_random(folder: Path, kills: int, seed: int) -> int:
    """The number of blocks that arrived while writers were killed at random moments; none was lost or in pieces."""
    chance = random.Random(seed)
    known: dict[int, float] = {}
    for turn in range(kills):
        first = len(known)
        level = 100.0 + turn

        def write(first: int = first, level: float = level) -> None:
            for number in range(first, first + 1000):
                append(folder, number)
                append(folder, number // 2, level)

        pid = child(write)
        time.sleep(chance.uniform(0.002, 0.1))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = state(folder)
        lost = known.keys() - found.keys()
        if lost or sorted(found) != list(range(len(found))):
            raise BrokenError(f"kill {turn} lost the blocks {sorted(lost)} and left {sorted(found)}")
        if any(found[number] not in (old, level) for number, old in known.items()):
            raise BrokenError(f"kill {turn} left blocks of a level that nobody wrote")
        known = found
    append(folder, len(known))
    check_strays(folder)
    return len(known)


def write_and_read_at_once(folder: Path, blocks: int) -> int:
    """The number of states that a reader saw while two writers appended in turns; each was one state of both.

    The writers take even and odd blocks, from the last to the first and from the first to the last.
    """
    even = [*range(0, blocks, 2)]
    odd = [*range(1, blocks, 2)][::-1]
    writers = {child(lambda mine=mine: [append(folder, number) for number in mine]) for mine in (even, odd)}  # type: ignore[misc]
    seen, before = 0, dict[int, float]()
    try:
        while writers:
            pid, ended = os.waitpid(-1, os.WNOHANG)
            writers.discard(pid)
            if pid and ended:
                raise BrokenError(f"a writer ended with {os.waitstatus_to_exitcode(ended)}")
            found = state(folder)
            if before.keys() - found.keys():
                raise BrokenError(f"blocks {sorted(before.keys() - found.keys())} were there and are gone")
            seen, before = seen + 1, found
    finally:
        for pid in writers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    if sorted(before) != list(range(blocks)):
        raise BrokenError(f"two writers left {len(before)} blocks of {blocks}")
    check_strays(folder)
    return seen


def main(words: Sequence[str] | None = None) -> None:
    """Prints what was tried, or says what broke and ends with code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--blocks", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            append(folder / "first", 0)  # loads what a writer needs, so that kills meet appends and not imports
            seen = write_and_read_at_once(folder / "both", chosen.blocks)
            print(f"two writers of {chosen.blocks} blocks: a reader saw {seen} states, each whole", flush=True)
            print(f"killed at each of {kill_at_every_step(folder / 'steps')} steps: whole or not at all", flush=True)
            arrived = kill_at_random(folder / "random", chosen.kills, chosen.seed)
            print(f"killed {chosen.kills} times at random: {arrived} blocks, none lost or in pieces", flush=True)
    except (BrokenError, CrossgateError) as error:
        print(f"broken: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
