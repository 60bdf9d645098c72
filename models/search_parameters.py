"""The parameters of a model search: what is varied, between which limits, and how it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from foundation.dimensions import Dimension, read_dimension, read_words
from foundation.errors import ParameterError, suggestion
from foundation.parameters import Parameters
from models.parameters import LSTMParams

# What a search varies that is told nothing else.
SPACE: Mapping[str, Any] = {
    "hidden": "4:64:log", "layers": [1, 2], "chunk": [32, 64, 128, 256], "burn_in": [0, 16, 64],
    "learning_rate": "0.003:0.1:log", "dropout": "0:0.5",
}  # fmt: skip
# Settings that change what is learned, its units or the rows: losses under two values of them say nothing about each.
FIXED = (
    "output", "levels", "volatility_bars", "variance_base", "har_bars", "range_measure", "barrier_sigma",
    "barrier_bars", "turnover_cost", "recalibration_bars", "device",
)  # fmt: skip
SEARCHED = tuple(name for name in LSTMParams.model_fields if name not in FIXED)
_FIX = "such as model.hidden=4:64:log, model.burn_in=0,16,64 or model.dropout=0:0.5"


def _read_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class SearchParams(Parameters):
    """What `tune_model` varies, and the validation folds that judge it.

    `space`: settings of the model, each with a range such as "4:64:log" or a list of values; what it names is varied,
    and nothing else. Left out: the size of the state, layers, the length of sequences and of their burn-in, the
    learning rate and dropout. Each of the features of the config, and of `columns` besides, is shown or left out,
    unless `features` is false. `folds`: validation stretches one after another in the second half of the rows on which
    the first model of the walk-forward trains; each trial trains `seeds` networks on all rows before each.
    """

    table: ClassVar[str] = "model_search"

    space: dict[str, Any] = Field(
        default_factory=lambda: dict(SPACE), description='a table such as { hidden = "4:64:log", chunk = [64, 128] }'
    )
    features: bool = Field(True, description="true: each feature may be left out; false: all are always shown")
    columns: Annotated[tuple[str, ...], BeforeValidator(_read_list)] = Field(
        (), description='further features to try, such as ["rsi:7", "volume:24"]'
    )
    folds: int = Field(4, ge=2, le=20, description="validation stretches, a whole number from 2 to 20")
    seeds: int = Field(1, ge=1, le=20, description="networks of a trial, a whole number from 1 to 20")

    def model_post_init(self, context: object) -> None:
        if not self.dimensions and not self.features:
            raise ParameterError("model_search.space", "varies nothing", fix=_FIX)

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What is varied of the model; raises ParameterError."""
        return tuple(_read(name, written) for name, written in self.space.items())


def read_model_space(texts: list[str]) -> dict[str, str]:
    """The `space` that texts such as "model.hidden=16,32,64" say; raises ParameterError."""
    found = {}
    for name, written in read_words(texts, "--space", _FIX).items():
        table, _, key = name.partition(".")
        if table != "model" or not key:
            raise ParameterError("--space", "is no setting of the model", value=name, fix=_FIX)
        found[key] = written
    return found


def _read(name: str, written: Any) -> Dimension:
    where = f"model_search.space.{name}"
    if name in FIXED:
        problem = "changes what is learned or counted, so that losses under two values of it cannot be compared"
        raise ParameterError(where, problem, fix="a run for each value; crossgate compare")
    if name not in SEARCHED:
        raise ParameterError(where, "is no setting of the model", fix=suggestion(name, SEARCHED))
    whole = LSTMParams.model_fields[name].annotation is int
    return read_dimension(name, written, whole=whole, check=lambda value: _check(name, value), where=where, fix=_FIX)


def _check(name: str, value: Any) -> None:
    """Raises the error that the model itself would, under the name that it has here."""
    try:
        LSTMParams(**{name: value})
    except ParameterError as error:
        raise ParameterError(f"model_search.space.{name}", str(error).partition(": ")[2], value=value) from None
