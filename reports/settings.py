"""Settings: what a run was asked to do, and what it was made from."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from backtests.run.own_strategy import source_files, source_of
from backtests.run.result import Result
from foundation.identity import own_sources

PACKAGES = ("crossgate", "backtrader", "numba", "numpy", "pandas", "pyarrow", "ta-lib", "torch", "matplotlib", "jinja2")

# Where copies of the small files lie that a run names: own strategies, features, series, scorers, a saved model.
INPUTS = "inputs"


def collect_settings(result: Result) -> dict[str, Any]:
    """The settings of a run as nested tables: its whole config, or the tables that it was called with.

    Values that are None are left out, because a config file has no word for them: they are defaults.
    """
    if result.config:
        return without_none(result.config)
    tables = {
        "run": {"name": result.name},
        "market": [{"contract": market.contract.model_dump(mode="json")} for market in result.markets],
        "strategy": strategy_record(result),
        "risk": None if result.risk is None else result.risk.model_dump(mode="json"),
        "account": result.account.model_dump(mode="json"),
        "costs": result.costs.model_dump(mode="json"),
    }
    return without_none(tables)


def strategy_record(result: Result) -> dict[str, Any]:
    """The table of the strategy; one written by hand stands among the inputs of the run's folder."""
    kept: dict[str, Any] = result.strategy.model_dump(mode="json")
    if result.own is None or result.own.strategy.path is None:
        return kept
    return {**kept, "file": f"./{INPUTS}/{result.own.strategy.path.name}:{result.own.strategy.name}"}


def own_inputs(result: Result) -> dict[str, bytes]:
    """The content of the files that a strategy written by hand stands in, by their names in the folder of a run."""
    if result.own is None:
        return {}
    return {f"{INPUTS}/{name}": path.read_bytes() for name, path in source_files(result.own.strategy).items()}


def provenance(result: Result) -> dict[str, Any]:
    """What a run was made from: fingerprints of its data and forecasts, and versions; no time of day."""
    own = {} if result.own is None else {"strategy": source_of(result.own.strategy)}
    return {
        **own,
        "name": result.name,
        "from_config": bool(result.config),
        "synthetic": result.synthetic,
        "settlement": result.settlement,
        "bar_nanoseconds": result.markets[0].candles.bar,
        "first_bar": int(result.start),
        "last_bar": int(result.equity["timestamp"].iloc[-1].as_unit("ns").value),
        "cash": result.account.cash,
        "markets": {market.symbol: market.fingerprint for market in result.markets},
        "forecasts_name": result.forecasts.name,
        "forecasts": result.forecasts.fingerprint,
        "retrainings": [one._asdict() for one in result.forecasts.retrainings],
        "notes": list(result.notes),
        "versions": {"python": platform.python_version(), **_versions(), "crossgate sources": own_sources()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def without_none(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables without the values that are None, for which TOML has no word."""
    kept: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            kept[key] = without_none(value)
        elif isinstance(value, list | tuple):
            kept[key] = [without_none(one) if isinstance(one, Mapping) else one for one in value]
        elif value is not None:
            kept[key] = value
    return kept


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as full keys and texts: {"risk.leverage": "3.0"}; lists of tables are numbered from 1."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value, 1):
                flat |= flatten(one, f"{name}.{number}." if len(value) > 1 else f"{name}.")
        elif isinstance(value, list | tuple):
            flat[name] = ", ".join(str(one) for one in value)
        else:
            flat[name] = str(value)
    return flat
