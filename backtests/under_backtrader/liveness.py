"""Liveness: which lines inside indicators nothing reads any more, once an indicator has been worked out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from backtrader import linebuffer, lineiterator, lineroot

from backtests.under_backtrader.cursor import lines_of

# What an indicator has and does not read: its owner, and the list of those that it made.
_APART = {"_owner", "_lineiterators"}


def let_go_after(indicators: Iterable[Any]) -> dict[int, list[Any]]:
    """The lines inside indicators that can be emptied once one has been worked out, by the id of that one.

    The indicators are worked out one after the other, each after those that it made. A line inside one is
    let go after the last one that holds it, in an attribute, a parameter or a list of these. An indicator that is
    not Backtrader's own may look elsewhere: after it, and not before, lines from before it are let go.
    """
    inside: dict[int, Any] = {}
    last: dict[int, int] = {}
    for top in indicators:
        for one in _in_order(top):
            if one is not top:
                inside |= {id(line): line for line in lines_of(one)}
            read = inside if _looks_elsewhere(one) else {id(line) for line in (*lines_of(one), *_held(one))}
            last |= dict.fromkeys(read, id(one))
    found: dict[int, list[Any]] = {}
    for key, line in inside.items():
        found.setdefault(last[key], []).append(line)
    return found


def _in_order(indicator: Any) -> Iterator[Any]:
    """An indicator after all those inside it, as they are worked out."""
    for inner in indicator.getindicators():
        yield from _in_order(inner)
    yield indicator


def _looks_elsewhere(indicator: Any) -> bool:
    kinds = lineiterator.LineIterator._once, linebuffer.LineActions._once
    return not type(indicator).__module__.startswith("backtrader.") or type(indicator)._once not in kinds


def _held(indicator: Any) -> Iterator[Any]:
    """The lines of whatever an indicator holds."""
    for name, value in vars(indicator).items():
        if name not in _APART:
            yield from _lines_in(list(vars(value).values()) if name in ("p", "params") else value)


def _lines_in(value: Any) -> Iterator[Any]:
    if isinstance(value, linebuffer.PseudoArray):
        value = value.wrapped
    if isinstance(value, lineroot.LineRoot):
        yield from lines_of(value)
    elif isinstance(value, list | tuple | set | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _lines_in(one)
