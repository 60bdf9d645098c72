"""The parameters of a model search: what is varied, between which limits, and how it is judged."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from foundation.errors import ParameterError
from foundation.parameters import Parameters
from models.parameters import LSTMParams


def _read_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class SearchParams(Parameters):
    """What `tune_model` varies, and the validation folds that judge it.

    Between two limits: `hidden` and `learning_rate` (in logarithms) and `dropout`. `chunk`: the lengths of sequences
    that are tried. Each of the features of the config, and of `columns` besides, is shown or left out, unless
    `features` is false. `folds`: validation stretches one after another in the second half of the rows on which the
    first model of the walk-forward trains; each trial trains `seeds` networks on all rows before each.
    """

    table: ClassVar[str] = "model_search"

    hidden: Annotated[tuple[int, int], BeforeValidator(_read_list)] = Field(
        (4, 64), description="the lowest and highest size of the state, from 1 to 1024, such as [4, 64]"
    )
    chunk: Annotated[tuple[int, ...], BeforeValidator(_read_list)] = Field(
        (32, 64, 128, 256), min_length=1, max_length=16, description="numbers of bars from 2 to 4096, such as [64, 128]"
    )
    learning_rate: Annotated[tuple[float, float], BeforeValidator(_read_list)] = Field(
        (0.003, 0.1), description="the lowest and highest rate, above 0 up to 1, such as [0.003, 0.1]"
    )
    dropout: Annotated[tuple[float, float], BeforeValidator(_read_list)] = Field(
        (0.0, 0.5), description="the lowest and highest share, from 0 to below 1, such as [0.0, 0.5]"
    )
    features: bool = Field(True, description="true: each feature may be left out; false: all are always shown")
    columns: Annotated[tuple[str, ...], BeforeValidator(_read_list)] = Field(
        (), description='further features to try, such as ["rsi:7", "volume:24"]'
    )
    folds: int = Field(4, ge=2, le=20, description="validation stretches, a whole number from 2 to 20")
    seeds: int = Field(1, ge=1, le=20, description="networks of a trial, a whole number from 1 to 20")

    def model_post_init(self, context: object) -> None:
        for name in ("hidden", "learning_rate", "dropout"):
            lowest, highest = getattr(self, name)
            if lowest > highest:
                fix = "the lower limit first"
                raise ParameterError(f"model_search.{name}", "falls", value=[lowest, highest], fix=fix)
            for limit in (lowest, highest):
                self._check(name, limit)
        for length in self.chunk:
            self._check("chunk", length)

    def _check(self, name: str, value: float) -> None:
        """Raises the error that the model itself would, under the name that it has here."""
        values: dict[str, Any] = {name: value}
        try:
            LSTMParams(**values)
        except ParameterError as error:
            raise ParameterError(f"model_search.{name}", str(error).partition(": ")[2], value=value) from None
