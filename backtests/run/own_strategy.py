"""Own strategies: a `bt.Strategy` that somebody wrote by hand, what it is handed, and the file that it stands in."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from foundation.errors import CrossgateError, ParameterError, suggestion
from foundation.fingerprint import fingerprint
from foundation.own_code import own_fingerprint, own_modules, run_file
from foundation.parameters import Parameters

_FILE = 'a Python file and the strategy in it, such as "breakout.py:Breakout"'
# What a strategy that asks forecasts may call them.
FORECASTS = ("forecaster", "forecasts")


class OwnParams(Parameters):
    """A strategy written by hand, and what it is handed.

    `file`: where it stands, and its name there. `parameters`: those of its `params` that are not to have their
    defaults. `leverage`: of orders that name none. `forecasts`: whether it is handed the forecasts of the run, as its
    parameter `forecaster` or `forecasts`; figures then start at the first bar that has one.
    """

    table: ClassVar[str] = "strategy"

    file: str = Field(min_length=1, description=_FILE)
    parameters: dict[str, Any] = Field({}, description="a table of the strategy's own parameters")
    leverage: float = Field(1.0, gt=0, le=1000, description="a number above 0, of orders that name none")
    forecasts: bool = Field(False, description="true: it is handed the forecasts of the run")
    # The class and the values themselves, where they are at hand; a record holds what can be written down.
    kind: Any = Field(None, exclude=True, repr=False)
    values: Any = Field(None, exclude=True, repr=False)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same; a class that was loaded from the same file once more is the same one."""
        return isinstance(other, OwnParams) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        """By the file alone: parameters may hold lists."""
        return hash(self.file)

    @property
    def rule(self) -> Literal["forecast", "own"]:
        """What decides, as CrossoverParams calls it: "forecast" where it asks forecasts."""
        return "forecast" if self.forecasts else "own"

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.file.rpartition(":")[2]

    @property
    def path(self) -> Path | None:
        """The file that it stands in; None where it was typed into a session."""
        path = Path(self.file.rpartition(":")[0]).expanduser()
        return path if path.is_file() else None

    @property
    def given(self) -> dict[str, Any]:
        """Its parameters as they are handed to it."""
        return dict(self.parameters if self.values is None else self.values)

    def loaded(self) -> OwnParams:
        """The same with its class at hand; raises ParameterError where the file does not run or has no such one."""
        return self if self.kind is not None else self.model_copy(update={"kind": _load(self.file)})

    def identity(self) -> dict[str, Any]:
        """What a run depends on: the source and not where it lies, and what it is handed."""
        kept = {name: value for name, value in super().identity().items() if name != "file"}
        return {**kept, "name": self.name, "source": source_of(self)}


def describe_strategy(kind: Any, parameters: Mapping[str, Any], leverage: float, *, forecasts: bool) -> OwnParams:
    """The parameters of a class at hand; raises ParameterError for one that is no strategy, or for what it lacks."""
    if not isinstance(kind, type) or not hasattr(kind, "buy_bracket") or not hasattr(kind, "params"):
        raise ParameterError("strategy", "should be a class derived from bt.Strategy", value=kind)
    _check_names(kind, parameters)
    try:
        file = inspect.getsourcefile(kind) or ""
    except (TypeError, OSError):
        file = ""
    plain = {name: _plain(value) for name, value in parameters.items()}
    return OwnParams(
        file=f"{file}:{kind.__name__}", parameters=plain, leverage=leverage, forecasts=forecasts, kind=kind,
        values=dict(parameters),
    )  # fmt: skip


def check_strategy(strategy: OwnParams) -> None:
    """Raises ParameterError for parameters that the strategy does not have, or forecasts that it does not take."""
    _check_names(strategy.kind, strategy.given)
    if strategy.forecasts and forecast_name(strategy.kind) is None:
        fix = 'give it a parameter: params = (("forecaster", None), ...)'
        raise ParameterError("forecasts", f"are not asked by {strategy.name}", fix=fix)


def forecast_name(kind: Any) -> str | None:
    """The parameter by which a strategy is handed forecasts; None where it takes none."""
    return next((name for name in FORECASTS if name in parameter_names(kind)), None)


def parameter_names(kind: Any) -> tuple[str, ...]:
    """The names of a strategy's own parameters."""
    return tuple(kind.params._getkeys())


def source_of(strategy: OwnParams) -> str:
    """The fingerprint of the strategy's source, with the user's own modules that its file imports."""
    if strategy.path is not None:
        return own_fingerprint(strategy.path)
    try:
        return fingerprint(inspect.getsource(strategy.kind))
    except (OSError, TypeError):
        return fingerprint(strategy.name)


def source_files(strategy: OwnParams) -> dict[str, Path]:
    """The files that the strategy's source stands in, by the name that each has beside the first."""
    if strategy.path is None:
        return {}
    return {strategy.path.name: strategy.path, **module_files(strategy.path)}


def module_files(file: Path) -> dict[str, Path]:
    """The user's own modules that a file imports, by where each has to lie beside it to be found."""
    return {
        "/".join([*name.split("."), "__init__.py"] if path.name == "__init__.py" else name.split(".")) + ending: path
        for name, path in own_modules(file).items()
        for ending in ("" if path.name == "__init__.py" else ".py",)
    }


def _load(text: str) -> Any:
    file, _, name = text.rpartition(":") if not text.endswith(".py") else (text, "", "")
    path = Path(file).expanduser()
    if path.suffix != ".py":
        raise ParameterError("strategy.file", "names no strategy in a Python file", value=text, fix=_FILE)
    try:
        module = run_file(path, f"own_strategy_{own_fingerprint(path)}")
    except CrossgateError:
        raise
    except FileNotFoundError:
        beside = [one.name for one in path.parent.glob("*.py")]
        fix = suggestion(path.name, beside) if beside else _FILE
        raise ParameterError("strategy.file", "there is no such file", value=text, fix=fix) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError("strategy.file", f"cannot be read ({error})", value=text, fix=_FILE) from None
    except Exception as error:
        problem = f"does not run: {type(error).__name__}: {error}"
        raise ParameterError("strategy.file", problem, value=text, fix="run it with python") from error
    kinds = {
        key: one
        for key, one in vars(module).items()
        if isinstance(one, type) and hasattr(one, "buy_bracket") and one.__module__ == module.__name__
    }
    if name not in kinds:
        fix = suggestion(name, kinds) if kinds else _FILE
        raise ParameterError("strategy.file", "holds no such strategy", value=text, fix=fix)
    return kinds[name]


def _check_names(kind: Any, parameters: Mapping[str, Any]) -> None:
    known = parameter_names(kind)
    for name in parameters:
        if name not in known:
            problem = f"is no parameter of {kind.__name__}"
            fix = suggestion(name, known) if known else "it has none"
            raise ParameterError(f"strategy.parameters.{name}", problem, fix=fix)


def _plain(value: Any) -> Any:
    """A value as a config can hold it; of another one the name of what it is."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return f"<{type(value).__name__}>"
    return list(value) if isinstance(value, tuple) else value
