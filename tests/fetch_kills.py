"""Fetches that are killed at random moments, each going on from what the one before left."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetch_desk import SYMBOLS, expected, same, stored
from venue_server import Served

from markets.series import list_series

KINDS = ("funding", "mark", "candles")
CHILD = Path(__file__).with_name("fetch_child.py")


@dataclass(frozen=True)
class Killing:
    """What became of a fetch that was killed: how often, how many runs ended by themselves, and whether rows are whole.

    `broken`: the kills after which stored rows were not rows of the venue, each once. `spread`: how many
    different numbers of stored rows the kills left, so how widely they hit.
    """

    kills: int
    finished: int
    broken: int
    spread: int
    whole: bool
    same_as_undisturbed: bool


def kill_often(served: Served, folder: Path, kills: int, *, venue: str, bar: str, since: str, archive: bool) -> Killing:
    """The outcome of a fetch killed `kills` times by SIGKILL, next to one that was left alone.

    A moment is drawn between the first request and the end of a whole run, whose time is measured on the undisturbed
    one; a run that ends before it is killed starts over in an empty folder, so that all kills hit work.
    """
    draws = random.Random(7)
    alone = folder / "alone"
    begun = time.monotonic()
    _child(served, alone, venue, bar, since, archive).wait()
    longest = time.monotonic() - begun
    done = broken = finished = 0
    seen: set[int] = set()
    target = folder / "killed"
    while done < kills:
        child = _child(served, target, venue, bar, since, archive)
        asked = len(served.asked)
        while child.poll() is None and len(served.asked) == asked:
            time.sleep(0.002)
        try:
            child.wait(draws.random() ** 2 * longest / 2)
            finished += 1
            target = folder / f"killed after {finished}"
            continue
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        done += 1
        rows = {kind: _rows(target, venue, kind, bar) for kind in KINDS}
        broken += not all(_is_part(rows[kind], expected(served.truth, venue, kind, bar)) for kind in KINDS)
        seen.add(sum(0 if one is None else len(one["timestamp"]) for one in rows.values()))
    _child(served, target, venue, bar, since, archive).wait()
    whole = all(same(stored(target, venue, kind, bar), expected(served.truth, venue, kind, bar)) for kind in KINDS)
    equal = all(same(stored(target, venue, kind, bar), stored(alone, venue, kind, bar)) for kind in KINDS)
    return Killing(done, finished, broken, len(seen), whole, equal)


def _child(served: Served, folder: Path, venue: str, bar: str, since: str, archive: bool) -> subprocess.Popen[bytes]:
    words = [served.url, str(folder), venue, SYMBOLS[venue], bar, since, "archive" if archive else "pages"]
    return subprocess.Popen([sys.executable, str(CHILD), *words], stderr=subprocess.DEVNULL)


def _rows(folder: Path, venue: str, kind: str, bar: str) -> dict[str, Any] | None:
    if not any(one.key.kind == kind for one in list_series(folder)):
        return None
    return stored(folder, venue, kind, bar)


def _is_part(rows: dict[str, Any] | None, whole: dict[str, Any]) -> bool:
    """Whether rows are rows of the whole, in its order, each once."""
    if rows is None:
        return True
    at = whole["timestamp"].searchsorted(rows["timestamp"])
    return bool((at < len(whole["timestamp"])).all()) and same(
        rows, {name: values[at] for name, values in whole.items()}
    )
