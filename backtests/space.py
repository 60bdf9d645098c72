"""Space: what a tuning may choose from, a range or a list of values for each of some parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backtests.grids import read_value
from backtests.searched import check_name, is_whole, parse_value
from foundation.errors import ParameterError

if TYPE_CHECKING:
    from optuna.trial import Trial

_RANGE = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([a-z%]*):([0-9.]+(?:[eE][+-]?[0-9]+)?)([a-z%]*)(:log)?")
_FIX = "such as risk.stop_loss=0.5%:5%, risk.risk_per_trade=0.001:0.05:log or risk.leverage=1,2,3,5"
# Digits that a chosen value is written with: the value that is played is the one that is reported.
DIGITS = 4


@dataclass(frozen=True)
class Dimension:
    """One parameter, by `table.key`: any value from `low` to `high` in a `unit`, or one of `choices`.

    `whole`: only whole numbers. `log`: chosen by its logarithm, for parameters whose ratio matters.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    unit: str = ""
    whole: bool = False
    log: bool = False
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "space")
        for value in self.choices or (self.written(self.low), self.written(self.high)):
            parse_value(self.name, value)
        if not self.choices and not (self.low < self.high and (self.low > 0.0 or not self.log)):
            problem = "should rise, and from above zero where it goes by logarithms"
            raise ParameterError(f"space {self.name}", problem, value=self.record(), fix=_FIX)

    def choose(self, trial: Trial) -> Any:
        """The value that a trial of Optuna takes, as a config writes it."""
        if self.choices:
            return self.choices[trial.suggest_categorical(self.name, list(range(len(self.choices))))]
        if self.whole:
            return trial.suggest_int(self.name, round(self.low), round(self.high), log=self.log)
        return self.written(trial.suggest_float(self.name, self.low, self.high, log=self.log))

    def written(self, value: float) -> Any:
        """A value of the range as a config writes it."""
        if self.whole:
            return round(value)
        rounded = float(f"{value:.{DIGITS}g}")
        return f"{rounded:.10g}{self.unit}" if self.unit else rounded

    def record(self) -> Any:
        """The range or the list as JSON can hold it."""
        if self.choices:
            return [value if isinstance(value, int | float) else str(value) for value in self.choices]
        return f"{self.low:.10g}{self.unit}:{self.high:.10g}{self.unit}{':log' if self.log else ''}"


def read_dimension(name: str, written: Any) -> Dimension:
    """The dimension that a text such as "0.5%:5%", "0.001:0.05:log" or "1,2,3", or a list of values, says."""
    if not isinstance(written, str):
        values = tuple(written)
    elif match := _RANGE.fullmatch(written.strip()):
        low, unit, high, other, log = match.groups()
        if unit != other:
            raise ParameterError(f"space {name}", "should have one unit", value=written, fix=_FIX)
        check_name(name, "space")
        return Dimension(name, float(low), float(high), unit, not unit and is_whole(name), bool(log))
    else:
        values = tuple(read_value(part.strip()) for part in written.split(",") if part.strip())
    if not values:
        raise ParameterError(f"space {name}", "has no value", fix=_FIX)
    return Dimension(name, choices=values)


def read_space(over: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """The dimensions of a mapping from `table.key` to a range or values; raises ParameterError."""
    if not over:
        raise ParameterError("space", "varies nothing", fix=_FIX)
    return tuple(read_dimension(name, written) for name, written in over.items())


def read_over(texts: Sequence[str]) -> dict[str, str]:
    """The mapping that texts such as "risk.stop_loss=0.5%:5%" say; raises ParameterError."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not equals or not written:
            raise ParameterError("--over", "should read table.key=range or values", value=text, fix=_FIX)
        if name in found:
            raise ParameterError("--over", "names a parameter twice", value=name, fix="give all its values at once")
        found[name] = written
    return found
