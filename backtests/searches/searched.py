"""What sweeps and tunings search over: the parameters that can be varied, and how their values are read."""

from __future__ import annotations

from functools import cache
from typing import Any

from backtests.run.tables import HABITS, MODELS
from foundation.errors import ParameterError, suggestion
from foundation.parameters import Parameters

# What a search may vary without another account, market or forecast.
_FREE = {"account": ("intrabar", "limit_fill"), "costs": ("slippage_bps", "half_spread", "impact")}


def keeps_signals(name: str) -> bool:
    """Whether a parameter leaves the signals as they are."""
    return name in HABITS or name.startswith("account.") or (name.startswith("risk.") and name != "risk.atr_bars")


def check_name(name: str, where: str) -> None:
    """Raises ParameterError, which says `where`, for what is no parameter that can be varied."""
    table, dot, key = name.partition(".")
    if table in ("model", "features"):
        fix = f"crossgate tune-model, which judges it before the first test: --space {name}=..."
        fix = fix if table == "model" else "crossgate tune-model, which tries each of the features of the config"
        raise ParameterError(where, "is trained, and not searched on the bars that are traded", value=name, fix=fix)
    if not dot or table not in MODELS:
        fix = "a key of strategy, risk, account or costs, such as risk.stop_loss"
        raise ParameterError(where, "is no parameter that a sweep can vary", value=name, fix=fix)
    known = _FREE.get(table, tuple(MODELS[table].model_fields))
    if key not in known:
        raise ParameterError(f"{where} {name}", "cannot be varied", fix=suggestion(key, known))


def parse_value(name: str, value: Any) -> Any:
    """A value as its table holds it, by the rules for it alone; raises ParameterError."""
    table, _, key = name.partition(".")
    return getattr(_alone(table)(**{key: value}), key)


@cache
def _alone(table: str) -> type[Parameters]:
    """A table that checks each value by itself, and none against another."""
    model = MODELS[table]
    return type(model.__name__, (model,), {"model_post_init": _accept, "__module__": __name__})


def _accept(table: Parameters, context: object) -> None:
    """Looks at nothing."""
    del table, context


def is_whole(name: str) -> bool:
    """Whether a parameter takes whole numbers only."""
    table, _, key = name.partition(".")
    return MODELS[table].model_fields[key].annotation is int
