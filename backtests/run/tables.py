"""Tables: the four tables of parameters that a run is made of, and how functions take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from backtests.exchange.parameters import AccountParams, CostParams
from foundation.errors import ParameterError
from foundation.parameters import Parameters
from markets.market import Market
from strategies.parameters import CrossoverParams, RiskParams

MODELS: dict[str, type[Parameters]] = {
    "strategy": CrossoverParams,
    "risk": RiskParams,
    "account": AccountParams,
    "costs": CostParams,
}
# Parameters of the strategy that say what is done about a signal, and leave the signal as it is.
HABITS = ("strategy.on_opposite", "strategy.direction")

Words = ParamSpec("Words")
Asked = TypeVar("Asked", contravariant=True)
Found = TypeVar("Found", covariant=True)


@dataclass(frozen=True)
class Tables:
    """The tables of one setting. Raises ParameterError for a table in another one's place."""

    strategy: CrossoverParams
    risk: RiskParams
    account: AccountParams
    costs: CostParams

    def __post_init__(self) -> None:
        for name, model in MODELS.items():
            given = getattr(self, name)
            if not isinstance(given, model):
                places = [f"{place}=..." for place, other in MODELS.items() if isinstance(given, other)]
                fix = f"hand it in as {places[0]}" if places else f"{name}={model.__name__}(...)"
                raise ParameterError(name, f"should be {model.__name__}", value=type(given).__name__, fix=fix)

    def changed(self, values: Mapping[str, Any]) -> Tables:
        """The tables with some values, by `table.key`, replaced and checked again; raises ParameterError."""
        changes: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            table, _, key = name.partition(".")
            changes.setdefault(table, {})[key] = value
        made: dict[str, Any] = {table: getattr(self, table).replaced(**given) for table, given in changes.items()}
        return replace(self, **made)

    @property
    def signals(self) -> tuple[CrossoverParams, int, CostParams]:
        """What the signals hang on: settings that are equal in it share them."""
        keys = [name.partition(".")[2] for name in HABITS]
        same = {key: CrossoverParams.model_fields[key].default for key in keys}
        return self.strategy.model_copy(update=same), self.risk.atr_bars, self.costs

    def record(self) -> dict[str, Any]:
        """The tables as JSON can hold them."""
        return {name: getattr(self, name).model_dump(mode="json", exclude_none=True) for name in MODELS}


class OnTables(Protocol[Asked, Words, Found]):
    """A function of markets, forecasts and the four tables of a run, each of which may be left out."""

    def __call__(
        self,
        market: Market | Sequence[Market],
        forecasts: Asked,
        strategy: CrossoverParams | None = None,
        risk: RiskParams | None = None,
        account: AccountParams | None = None,
        costs: CostParams | None = None,
        *args: Words.args,
        **kwargs: Words.kwargs,
    ) -> Found:
        """What the function comes to."""


def on_tables(
    function: Callable[Concatenate[list[Market], Asked, Tables, Words], Found],
) -> OnTables[Asked, Words, Found]:
    """A function of several markets, forecasts and Tables, as people call it: one market or several, four tables.

    Tables that are left out have their defaults. Raises ParameterError for markets or tables that are none.
    """

    @wraps(function)
    def called(
        market: Market | Sequence[Market],
        forecasts: Asked,
        strategy: CrossoverParams | None = None,
        risk: RiskParams | None = None,
        account: AccountParams | None = None,
        costs: CostParams | None = None,
        *args: Words.args,
        **kwargs: Words.kwargs,
    ) -> Found:
        given = zip(MODELS, (strategy, risk, account, costs), strict=True)
        tables: dict[str, Any] = {name: MODELS[name]() if table is None else table for name, table in given}
        return function(listed(market), forecasts, Tables(**tables), *args, **kwargs)

    head, own = (list(inspect.signature(one).parameters.values()) for one in (OnTables.__call__, function))
    head[2] = head[2].replace(annotation=own[1].annotation)
    tail = [one for one in own if one.kind in (one.KEYWORD_ONLY, one.VAR_KEYWORD)]
    called.__signature__ = inspect.Signature([*head[1:7], *tail])  # type: ignore[attr-defined]
    return called


def listed(market: Market | Sequence[Market]) -> list[Market]:
    """One market or several as a list; raises ParameterError for what is none."""
    found = [market] if isinstance(market, Market) else list(market) if isinstance(market, Sequence) else []
    if not found or not all(isinstance(one, Market) for one in found):
        fix = "market = cg.load_market(...), or a list of markets; forecasts come second"
        raise ParameterError("market", "should be a Market, or several", value=type(market).__name__, fix=fix)
    return found
