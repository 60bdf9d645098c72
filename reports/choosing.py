"""Choosing: the runs of a list that meet conditions, in an order that someone asked for."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from foundation.errors import ParameterError, suggestion
from reports import formats
from reports.catalogue import CATALOGUE, left_out
from reports.index import Entry

_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|!=|=|<|>)\s*(\S.*?)\s*")
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip


class Fact(NamedTuple):
    """What a list says of a run besides its metrics: its label, its value, and how that is written."""

    label: str
    value: Callable[[Entry], Any]
    write: Callable[[Any], str]
    rising: bool = False


def moment(nanoseconds: int | None) -> str:
    """A time in UTC as lists have it: 2024-06-30 23:00."""
    if nanoseconds is None:
        return formats.NONE
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(" ", "minutes")[:16]


def _bar(nanoseconds: int | None) -> str:
    """The length of a bar in its largest whole unit, in short: 15m, 1h, 1d."""
    if nanoseconds is None:
        return formats.NONE
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if nanoseconds % (seconds * 1_000_000_000) == 0:
            return f"{nanoseconds // (seconds * 1_000_000_000)}{unit}"
    return f"{nanoseconds / 1e9:g}s"


# Names and lengths go upwards when they order a list, times and metrics downwards: the latest and the largest first.
FACTS = {
    "folder": Fact("folder", lambda run: run.folder, str, rising=True),
    "markets": Fact("markets", lambda run: ", ".join(run.symbols), str, rising=True),
    "name": Fact("name", lambda run: run.name, str, rising=True),
    "bar": Fact("bar", lambda run: run.bar, _bar, rising=True),
    "written": Fact("written", lambda run: run.written, moment),
    "first": Fact("first bar", lambda run: run.first, moment),
    "last": Fact("last bar", lambda run: run.last, moment),
}
COLUMNS = (*FACTS, *CATALOGUE)
# Other words for columns.
_ALSO = {"market": "markets"}


def choose_runs(
    runs: Sequence[Entry], conditions: Sequence[str] = (), tags: Sequence[str] = (), sort: str | None = None
) -> list[Entry]:
    """The runs that meet every condition, such as "sharpe>1", and hold every tag, in the order of a column.

    A metric sorts the largest first and a time the latest, a name by the alphabet and a bar the shortest; a minus sign
    turns it round. Facts compare as they are written: "bar=1h", "name=first", "written>=2026-11-01"; "market=btc" holds
    where that stands in the name of one of the run's markets. Undefined figures
    meet no condition and come last. Raises ParameterError for what names no column.
    """
    tests = [_condition(text) for text in conditions]
    kept = [run for run in runs if set(tags) <= set(run.labels.tags) and all(test(run) for test in tests)]
    if sort is None:
        return kept
    name = named(sort.removeprefix("-"), "sort")
    value = FACTS[name].value if name in FACTS else metric_of(name)
    falling = sort.startswith("-") == (name in FACTS and FACTS[name].rising)
    defined = [run for run in kept if value(run) is not None]
    return sorted(defined, key=value, reverse=falling) + [run for run in kept if value(run) is None]


def named(name: str, key: str) -> str:
    """The name of a column; raises ParameterError for another, with the nearest."""
    name = _ALSO.get(name, name)
    if name not in COLUMNS:
        raise ParameterError(key, "names no metric", value=name, fix=suggestion(name, COLUMNS))
    return name


def metric_of(name: str) -> Callable[[Entry], Any]:
    """What gives a metric of a run; None where it is not defined, and for a figure that so short a run leaves out."""
    at, bars = (list(CATALOGUE).index(one) for one in (name, "bars"))
    return lambda run: None if left_out(name, run.values[at], run.days, run.values[bars]) else run.values[at]


def _condition(text: str) -> Callable[[Entry], bool]:
    match = _CONDITION.fullmatch(text)
    fix = 'write a metric, a sign and a number, such as "sharpe>1" or "max_drawdown<20%"'
    if match is None:
        raise ParameterError("where", "is no condition", value=text, fix=fix)
    name, sign, said = match.groups()
    name = named(name, "where")
    if name == "markets":
        return _market_condition(sign, said)
    if name in FACTS:
        return _fact_condition(name, sign, said)
    try:
        wanted = float(said.rstrip("%")) / (100.0 if said.endswith("%") else 1.0)
    except ValueError:
        raise ParameterError("where", "is no condition", value=text, fix=fix) from None
    value, holds = metric_of(name), _SIGNS[sign]
    return lambda run: (figure := value(run)) is not None and holds(figure, wanted)


def _market_condition(sign: str, said: str) -> Callable[[Entry], bool]:
    """Whether some letters stand in the name of one of a run's markets, or in none."""
    if sign not in ("=", "!="):
        fix = 'write "market=BTC" or "market!=BTC"'
        raise ParameterError("where", "is no condition", value=f"market{sign}{said}", fix=fix)
    wanted = said.upper()
    return lambda run: any(wanted in symbol.upper() for symbol in run.symbols) == (sign == "=")


def _fact_condition(name: str, sign: str, said: str) -> Callable[[Entry], bool]:
    """Text against text; of a time as much as was said of it, of a bar its length."""
    fact, holds = FACTS[name], _SIGNS[sign]
    if name == "bar":
        from foundation.units import nanoseconds

        try:
            length = nanoseconds(said)
        except ValueError as error:
            raise ParameterError("where", str(error), value=f"bar{sign}{said}", fix='write "bar=1h"') from None
        return lambda run: run.bar is not None and holds(run.bar, length)

    def met(run: Entry) -> bool:
        value = fact.value(run)
        text = "" if value is None else fact.write(value)
        return value is not None and holds(text[: len(said)] if fact.write is moment else text, said)

    return met
