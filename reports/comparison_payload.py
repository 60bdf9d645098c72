"""The payload of a comparison: the curves of its runs, as the scripts of its page draw them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from markets.candles import FloatArray, IntArray
from reports.catalogue import too_short
from reports.comparison import Comparison
from reports.curves import EquityCurve
from reports.packing import pack
from reports.palette import look
from reports.rolling import rolling_sharpe, shared_window
from reports.tracing import relative_growth

# A line of more points than this is drawn by groups of bars, the same for all runs.
MOST_POINTS = 10_000
# The dashes of lightweight-charts that look most like those of the palette, by their number there.
STYLES = (0, 2, 1, 3, 4)


def payload(comparison: Comparison) -> str:
    """The payload as JSON; equal comparisons give equal text.

    A timestamp is a bar's open in seconds. `runs`: of each its name, its look, equity and drawdown at every bar's
    close, and over times of their own its growth over that of the first run and its rolling Sharpe ratio.
    """
    curves = comparison.curves
    width, bars = group_length(comparison), shared_window(comparison.curves)
    first = next(iter(curves.values()))
    content = {
        "currency": comparison.currency,
        "rolling": _rolling_title(bars * first.bar / 86_400e9),
        "runs": [
            {"name": name, **_look(at), **_run(curve, first, width, bars)}
            for at, (name, curve) in enumerate(curves.items())
        ],
    }
    return json.dumps(content, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def group_length(comparison: Comparison) -> int:
    """How long a group of bars is that stands for one point, in nanoseconds: a whole number of the longest bars."""
    curves = list(comparison.curves.values())
    bar = max(one.bar for one in curves)
    span = max(int(one.timestamp[-1]) for one in curves) - min(int(one.timestamp[0]) for one in curves)
    return bar * max(1, math.ceil(span / bar / MOST_POINTS))


def _look(number: int) -> dict[str, Any]:
    colour, dashes = look(number)
    return {"colour": colour, "style": STYLES[dashes]}


def _run(curve: EquityCurve, first: EquityCurve, width: int, bars: int) -> dict[str, Any]:
    stamps, ends, starts = _groups(curve.timestamp, width)
    columns = {
        "time": stamps,
        "equity": curve.equity[ends],
        "drawdown": -np.maximum.reduceat(curve.drawdown, starts),
    }
    for name, (times, values) in {
        "growth": relative_growth(first, curve), "rolling": _rolling(curve, bars),
    }.items():  # fmt: skip
        columns[f"{name}_time"], ends, _ = _groups(times, width)
        columns[name] = values[ends]
    # Equity to its last digit, as the table of metrics has it.
    return {name: pack(values, exact=name == "equity") for name, values in columns.items()}


def _rolling(curve: EquityCurve, bars: int) -> tuple[IntArray, FloatArray]:
    """The rolling Sharpe ratio, of no bar where it cannot be annualised."""
    times, ratio = rolling_sharpe(curve, bars)
    keep = 0 if too_short(bars * curve.bar / 86_400e9) else len(times)
    return times[:keep], ratio[:keep]


def _groups(timestamp: IntArray, width: int) -> tuple[IntArray, IntArray, IntArray]:
    """Bars in groups of one length on one clock: the seconds and rows of their last bars, and the rows of their first.

    A group is shown by what its last bar came to, so it bears the time of that bar.
    """
    if len(timestamp) == 0:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none
    numbers = timestamp // width
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    ends = np.append(starts[1:], len(timestamp)) - 1
    return timestamp[ends] // 1_000_000_000, ends, starts


def _rolling_title(days: float) -> str:
    return (
        f"Sharpe of the last {days:.0f} days, annualised" if not too_short(days) else "Sharpe: too short to annualise"
    )
