"""What sweeps and tunings search over: the tables of a setting, and the parameters of them that can be varied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from backtests.parameters import AccountParams, CostParams
from foundation.errors import ParameterError, suggestion
from foundation.parameters import Parameters
from strategies.parameters import CrossoverParams, RiskParams

# What a search may vary without another account, market or forecast.
_FREE = {"account": ("intrabar", "limit_fill"), "costs": ("slippage_bps", "half_spread", "impact")}
# Parameters of the strategy that say what is done about a signal, and leave the signal as it is.
_HABITS = ("strategy.on_opposite", "strategy.direction")


_MODELS: dict[str, type[Parameters]] = {
    "strategy": CrossoverParams,
    "risk": RiskParams,
    "account": AccountParams,
    "costs": CostParams,
}


@dataclass(frozen=True)
class Tables:
    """The tables of one setting."""

    strategy: CrossoverParams
    risk: RiskParams
    account: AccountParams
    costs: CostParams

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
        same = {
            name.partition(".")[2]: CrossoverParams.model_fields[name.partition(".")[2]].default for name in _HABITS
        }
        return self.strategy.model_copy(update=same), self.risk.atr_bars, self.costs

    def record(self) -> dict[str, Any]:
        """The tables as JSON can hold them."""
        return {name: getattr(self, name).model_dump(mode="json", exclude_none=True) for name in _MODELS}


def tables_of(
    strategy: CrossoverParams | None, risk: RiskParams | None, account: AccountParams | None, costs: CostParams | None
) -> Tables:
    """The tables that were handed in, and the defaults of those that were not."""
    return Tables(
        strategy or CrossoverParams(), risk or RiskParams(), account or AccountParams(), costs or CostParams()
    )


def keeps_signals(name: str) -> bool:
    """Whether a parameter leaves the signals as they are."""
    return name in _HABITS or name.startswith("account.") or (name.startswith("risk.") and name != "risk.atr_bars")


def check_name(name: str, where: str) -> None:
    """Raises ParameterError, which says `where`, for what is no parameter that can be varied."""
    table, dot, key = name.partition(".")
    if not dot or table not in _MODELS:
        fix = "a key of strategy, risk, account or costs, such as risk.stop_loss"
        raise ParameterError(where, "is no parameter that a sweep can vary", value=name, fix=fix)
    known = _FREE.get(table, tuple(_MODELS[table].model_fields))
    if key not in known:
        raise ParameterError(f"{where} {name}", "cannot be varied", fix=suggestion(key, known))


def parse_value(name: str, value: Any) -> Any:
    """A value as its table holds it, by the rules for it alone; raises ParameterError."""
    table, _, key = name.partition(".")
    return getattr(_alone(table)(**{key: value}), key)


@cache
def _alone(table: str) -> type[Parameters]:
    """A table that checks each value by itself, and none against another."""
    model = _MODELS[table]
    return type(model.__name__, (model,), {"model_post_init": _accept, "__module__": __name__})


def _accept(table: Parameters, context: object) -> None:
    """Looks at nothing."""
    del table, context


def is_whole(name: str) -> bool:
    """Whether a parameter takes whole numbers only."""
    table, _, key = name.partition(".")
    return _MODELS[table].model_fields[key].annotation is int
