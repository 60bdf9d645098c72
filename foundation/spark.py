"""Spark lines: a curve in one line of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

SPARKS = "▁▂▃▄▅▆▇█"


def spark_line(values: Sequence[float], width: int = 48, span: tuple[float, float] | None = None) -> str:
    """Values as bars from the lowest to the highest of them, at most `width`; each bar is the mean of its stretch.

    `span`: the lowest and the highest value of the scale, such as one for several curves. A level curve is a line at
    the bottom. Assumes finite values.
    """
    count = min(width, len(values))
    edges = [len(values) * at // count for at in range(count + 1)] if count else []
    means = [sum(values[first:last]) / (last - first) for first, last in pairwise(edges)]
    low, high = span or (min(means, default=0.0), max(means, default=0.0))
    steps = (high - low) or 1.0
    return "".join(SPARKS[round(min(max((mean - low) / steps, 0.0), 1.0) * (len(SPARKS) - 1))] for mean in means)
