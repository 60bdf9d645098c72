"""The base of every table of parameters that people write, in Python or in TOML."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from foundation.errors import ParameterError, suggestion


class Parameters(BaseModel):
    """A frozen, strict table of parameters; a wrong one raises a one-line ParameterError.

    `table` is the table's name in a config file, so that an error can name the full key.
    Each field's description says what it is and what may be written; errors quote it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)
    table: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise self._explain(error.errors()[0]) from None

    @classmethod
    def of(cls, given: Any, name: str) -> Self:
        """The table that was handed in as `name`, or the defaults for None; raises ParameterError for anything else."""
        if given is not None and not isinstance(given, cls):
            made = f"{name}={cls.__name__}(...)"
            raise ParameterError(name, f"should be {cls.__name__}", value=type(given).__name__, fix=made)
        return cls() if given is None else given

    def replaced(self, **values: Any) -> Any:
        """The same table with some values changed, validated again."""
        return type(self)(**{**self.model_dump(), **values})

    def identity(self) -> dict[str, Any]:
        """What a run that was made with this table depends on, as JSON can hold it."""
        return self.model_dump(mode="json")

    @classmethod
    def _explain(cls, detail: ErrorDetails) -> ParameterError:
        path = [str(part) for part in detail["loc"]]
        key = ".".join([cls.table, *path] if cls.table else path) or cls.__name__
        field = cls.model_fields.get(path[0]) if path else None
        help_text = (field.description or "") if field else ""
        match detail["type"]:
            case "extra_forbidden":
                known = suggestion(path[-1], [name for name, one in cls.model_fields.items() if not one.exclude])
                return ParameterError(key, "is not a known key", value=detail["input"], fix=known)
            case "missing":
                return ParameterError(key, "is missing", fix=help_text)
            case "value_error":
                problem = str(detail["ctx"]["error"])
            case "string_too_short" | "too_short" if detail["ctx"]["min_length"] == 1:
                problem = "should not be empty"
            case _:
                problem = detail["msg"].replace("Input should", "should")
        shown = None if isinstance(detail["input"], dict) and not path else detail["input"]
        return ParameterError(key, problem, value=shown, fix=help_text)
