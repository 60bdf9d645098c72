"""Search size: how much a search asks for, looked at before it starts, so that a slip of the pen starts nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from foundation.errors import ParameterError
from foundation.units import roughly

# What starts without being asked: settings of a sweep, trials of a tuning over all its folds.
MOST_SETTINGS, MOST_TRIALS = 5_000_000, 20_000
# Of an axis: a range is written to four digits.
MOST_VALUES = 10_000
# What a setting takes: of one core for each bar, in bytes of memory, and in bytes of disk (benchmarks/million.py).
NANOSECONDS, MEMORY, DISK = 25.0, 110.0, 450.0
# A trial of a tuning takes this times the number of those before it: the estimator looks at all of them.
SECONDS_A_PAIR = 2e-5


def count_settings(over: Mapping[str, Sequence[Any]]) -> int:
    """How many settings a grid has."""
    return math.prod(len(values) for values in over.values())


def check_settings(over: Mapping[str, Sequence[Any]], bars: int, most: int | None) -> None:
    """Raises ParameterError for a grid of more than `most` settings over so many bars, with what it would take."""
    count = count_settings(over)
    if most is None or count <= most:
        return
    sizes = " x ".join(f"{name} {len(values):,}" for name, values in over.items())
    seconds, memory, disk = count * bars * NANOSECONDS / 1e9, _large(count * MEMORY), _large(count * DISK)
    takes = f"{roughly(seconds)} of one core for {bars:,} bars, {memory} of memory and {disk} of disk"
    fix = f"name fewer values, try some of them with crossgate tune, or play all with --yes (in Python most={count})"
    problem = f"holds {count:,} settings ({sizes}), where {most:,} start without being asked: about {takes}"
    raise ParameterError("grid", problem, fix=fix)


def check_values(name: str, count: int) -> None:
    """Raises ParameterError for an axis of too many values."""
    if count > MOST_VALUES:
        problem = f"asks for {count:,} values, where an axis holds {MOST_VALUES:,} at most"
        raise ParameterError(f"grid {name}", problem, fix="name fewer: a range is first, last and how many")


def check_trials(trials: int, folds: int, most: int | None) -> None:
    """Raises ParameterError for a tuning, walk-forward with some folds or none, of more than `most` trials in all."""
    searches = folds + 1 if folds else 1
    count = trials * searches
    if most is None or count <= most:
        return
    parts = f" ({trials:,} for each of {folds:,} folds and once for all)" if folds else ""
    takes = roughly(searches * trials**2 * SECONDS_A_PAIR / 2.0)
    problem = (
        f"asks for {count:,} trials{parts}, where {most:,} start without being asked: {takes} or more to choose them"
    )
    fix = f"ask for fewer, play a grid with crossgate sweep, or go on with --yes (in Python most={count})"
    raise ParameterError("trials", problem, fix=fix)


def _large(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size < 1e13 else f"{size / 1e12:,.0f} TB"
