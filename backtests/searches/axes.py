"""Axes: the values of one parameter of a grid in their order, and which of them are neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from foundation.units import Quantity

# Where "off", or a count of 0, stands beside distances: most mean never, which is as far as can be; these mean at once.
_OFF_IS_NEAREST = ("risk.trailing_after", "strategy.minimum_sigma", "costs.half_spread")
_OFF_AT_ZERO = ("risk.maximum_bars",)
_WORDS, _FAR = "words", float("inf")


def sort_axis(
    name: str, written: Sequence[Any], parsed: Sequence[Any]
) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[int, ...]]:
    """The values of an axis as written and as parsed, in order, and how long each run of neighbours among them is.

    Numbers rise, and so do distances, which have neighbours in their own unit only; the units, like words, which have
    no neighbours, stay in the order in which they were named. "off" stands where it acts: behind the longest distance,
    or where it means "at once" before the shortest; beside several units it has no neighbours.
    """
    keys = [_key(name, value) for value in parsed]
    if any(unit == _WORDS for unit, _ in keys):
        return tuple(written), tuple(parsed), (1,) * len(parsed)
    units = list(dict.fromkeys(unit for unit, _ in keys if unit is not None))
    alone = units[0] if len(units) == 1 else None
    ranks: dict[str | None, int] = {unit: rank for rank, unit in enumerate(units)}
    places = [(alone if unit is None else unit, amount) for unit, amount in keys]
    order = sorted(range(len(parsed)), key=lambda at: (ranks.get(places[at][0], -1), places[at][1]))
    runs = tuple(len(list(run)) for _, run in groupby(places[at][0] for at in order))
    return tuple(written[at] for at in order), tuple(parsed[at] for at in order), runs


def _key(name: str, value: Any) -> tuple[str | None, float]:
    """The unit of a value, None where it is off, and how far it is."""
    if value is None or (name in _OFF_AT_ZERO and value == 0):
        return (None if value is None else ""), -_FAR if name in _OFF_IS_NEAREST else _FAR
    if isinstance(value, Quantity):
        return value.unit, value.amount
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return ("", float(value)) if number else (_WORDS, 0.0)
