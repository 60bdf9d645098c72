"""Dimensions: what a search may choose from, a range or a list of values for each of some parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foundation.errors import ParameterError

if TYPE_CHECKING:
    from optuna.trial import Trial

_RANGE = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([a-z%]*):([0-9.]+(?:[eE][+-]?[0-9]+)?)([a-z%]*)(:log)?")
# Digits that a chosen value is written with: the value that is tried is the one that is reported.
DIGITS = 4


@dataclass(frozen=True)
class Dimension:
    """One parameter by its name: any value from `low` to `high` in a `unit`, or one of `choices`.

    `whole`: only whole numbers. `log`: chosen by its logarithm, for parameters whose ratio matters.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    unit: str = ""
    whole: bool = False
    log: bool = False
    choices: tuple[Any, ...] = ()

    def choose(self, trial: Trial) -> Any:
        """The value that a trial of Optuna takes, as a config writes it."""
        if self.choices:
            return self.choices[trial.suggest_categorical(self.name, list(range(len(self.choices))))]
        if self.whole:
            return trial.suggest_int(self.name, round(self.low), round(self.high), log=self.log)
        return self.written(trial.suggest_float(self.name, self.low, self.high, log=self.log))

    def chosen(self, drawn: Any) -> Any:
        """The value, as a config writes it, of what a trial of Optuna keeps under the name."""
        return self.choices[drawn] if self.choices else self.written(drawn)

    def written(self, value: float) -> Any:
        """A value of the range as a config writes it."""
        if self.whole:
            return round(value)
        rounded = float(f"{value:.{DIGITS}g}")
        return f"{rounded:.10g}{self.unit}" if self.unit else rounded

    @property
    def ends(self) -> tuple[Any, ...]:
        """All choices, or both ends of the range, as a config writes them."""
        return self.choices or (self.written(self.low), self.written(self.high))

    def record(self) -> Any:
        """The range or the list as JSON can hold it."""
        if self.choices:
            return [value if isinstance(value, int | float) else str(value) for value in self.choices]
        return f"{self.low:.10g}{self.unit}:{self.high:.10g}{self.unit}{':log' if self.log else ''}"


def read_dimension(
    name: str, written: Any, *, whole: bool, check: Callable[[Any], object], where: str, fix: str
) -> Dimension:
    """The dimension that a text such as "0.5%:5%", "0.001:0.05:log" or "1,2,3", or a list of values, says.

    `whole`: whether the parameter takes whole numbers only; `check` raises for a value that it does not take. Raises
    ParameterError, which says `where` and how to `fix` it.
    """
    match = _RANGE.fullmatch(written.strip()) if isinstance(written, str) else None
    if match is not None:
        low, unit, high, other, log = match.groups()
        if unit != other:
            raise ParameterError(where, "should have one unit", value=written, fix=fix)
        made = Dimension(name, float(low), float(high), unit, whole and not unit, bool(log))
        if not (made.low < made.high and (made.low > 0.0 or not made.log)):
            problem = "should rise, and from above zero where it goes by logarithms"
            raise ParameterError(where, problem, value=made.record(), fix=fix)
    else:
        parts = written.split(",") if isinstance(written, str) else listed(written)
        if parts is None:
            raise ParameterError(where, "is neither a range nor a list of values", value=written, fix=fix)
        values = tuple(read_value(one.strip()) if isinstance(one, str) else one for one in parts)
        made = Dimension(name, choices=tuple(one for one in values if one != ""))
        if not made.choices:
            raise ParameterError(where, "has no value", fix=fix)
    for value in made.ends:
        check(value)
    return made


def listed(values: Any) -> Sequence[Any] | None:
    """Some values one after another, with Python's own numbers in the place of numpy's; None for what is no such thing.

    A range, which may be long, stays one.
    """
    if isinstance(values, range):
        return values
    if hasattr(values, "tolist") and getattr(values, "ndim", 1) == 1:
        values = values.tolist()
    if not isinstance(values, list | tuple):
        return None
    return [value.item() if hasattr(value, "item") else value for value in values]


def read_value(text: str) -> Any:
    """A text as the number it says, else itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_words(texts: tuple[str, ...] | list[str], option: str, fix: str) -> dict[str, str]:
    """The mapping that texts such as "risk.stop_loss=0.5%:5%" say; raises ParameterError that names the `option`."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not equals or not written:
            raise ParameterError(option, "should read table.key=range or values", value=text, fix=fix)
        if name in found:
            raise ParameterError(option, "names a parameter twice", value=name, fix="give all its values at once")
        found[name] = written
    return found
