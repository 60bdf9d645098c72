"""Config: the tables of a run, read from TOML, overridden from the command line, checked as a whole."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.own_strategy import OwnParams, check_strategy
from crossgate.tables import BookParams, DemoParams, MarketParams, ModelParams, RunParams, TradedParams
from crossgate.tree import TREE
from foundation.errors import CrossgateError, DataError, ParameterError, suggestion
from markets.contract_book import latest_contract
from markets.exogenous_files import ExogenousParams
from markets.store import resolve_data_folder
from models.calibration import CalibrationParams
from models.parameters import FeatureParams, WalkForwardParams
from models.search_parameters import SearchParams
from strategies.parameters import CrossoverParams, RiskParams

DEMO_CONFIG = TREE / "backtests" / "configs" / "demo.toml"

_TABLES: dict[str, Any] = {
    "run": RunParams,
    "features": FeatureParams,
    "model": ModelParams,
    "walk_forward": WalkForwardParams,
    "calibration": CalibrationParams,
    "model_search": SearchParams,
    "strategy": CrossoverParams,
    "risk": RiskParams,
    "account": AccountParams,
    "costs": CostParams,
}


@dataclass(frozen=True)
class Config:
    """Everything that one run depends on, apart from the data files themselves.

    Each field is a table of the TOML file and has the same name there; `market` holds one or
    several, and `exogenous` none or several. Raises ParameterError where tables contradict each other.
    """

    run: RunParams = field(default_factory=RunParams)
    market: tuple[MarketParams | BookParams | DemoParams, ...] = field(default_factory=lambda: (DemoParams(),))
    exogenous: tuple[ExogenousParams, ...] = ()
    features: FeatureParams = field(default_factory=FeatureParams)
    model: ModelParams = field(default_factory=ModelParams)
    walk_forward: WalkForwardParams = field(default_factory=WalkForwardParams)
    calibration: CalibrationParams = field(default_factory=CalibrationParams)
    model_search: SearchParams = field(default_factory=SearchParams)
    strategy: CrossoverParams | OwnParams = field(default_factory=CrossoverParams)
    risk: RiskParams = field(default_factory=RiskParams)
    account: AccountParams = field(default_factory=AccountParams)
    costs: CostParams = field(default_factory=CostParams)

    def __post_init__(self) -> None:
        contracts = [table.traded for table in self.market if isinstance(table, TradedParams)]
        for contract in () if isinstance(self.strategy, OwnParams) else contracts:
            self.risk.check_leverage(contract)
        symbols = [contract.symbol for contract in contracts]
        for symbol in symbols:
            if symbols.count(symbol) > 1:
                raise ParameterError("market.contract", "stands in two [[market]] tables", value=symbol, fix="keep one")
        if sum(isinstance(table, DemoParams) for table in self.market) > 1:
            raise ParameterError("market.demo", "stands in two [[market]] tables", fix="keep one")

    @property
    def rules(self) -> CrossoverParams:
        """The rules of the strategy, for what knows no other; raises ParameterError for one written by hand."""
        if isinstance(self.strategy, OwnParams):
            problem = "is written by hand, and this command knows the rules of LSTMCrossover alone"
            raise ParameterError("strategy.file", problem, value=self.strategy.file, fix="run `crossgate backtest`")
        return self.strategy

    def record(self) -> dict[str, Any]:
        """The config as plain values, ready for TOML and JSON; reading it back gives the same config."""
        plain = {
            item.name: _given(getattr(self, item.name).model_dump(mode="json"))
            for item in fields(self)
            if item.name not in ("market", "exogenous", *unasked(self.strategy))
        }
        markets = [_given(table.model_dump(mode="json")) for table in self.market]
        run = plain.pop("run")
        record = {"run": run, "market": markets if len(markets) > 1 else markets[0], **plain}
        series = [_given(table.model_dump(mode="json", exclude_defaults=True)) for table in self.exogenous]
        return {**record, "exogenous": series} if series else record


def _given(value: Any) -> Any:
    """Plain values without those that are None; what is switched off is the text "off", and stays."""
    if isinstance(value, dict):
        return {name: _given(one) for name, one in value.items() if one is not None}
    return [_given(one) for one in value] if isinstance(value, list) else value


def unasked(strategy: CrossoverParams | OwnParams) -> tuple[str, ...]:
    """The tables that a strategy has no use for: one written by hand has its own risk, and may ask no forecasts."""
    if not isinstance(strategy, OwnParams):
        return ()
    return ("risk",) if strategy.forecasts else ("risk", *_FORECASTING)


def load_config(path: Path = DEMO_CONFIG, overrides: Sequence[str] = (), data: Path | None = None) -> Config:
    """The config in a TOML file, changed by `table.key=value` texts.

    `path` may name a strategy in a Python file instead, such as `breakout.py:Breakout`: then all else has its default,
    the market of the demo too, unless an override says otherwise. A value is read as TOML (`3`, `true`,
    `["return:1"]`), else it is the text itself (`2atr`). An override of `market` counts for every [[market]] table. The
    paths of `features.file` and `strategy.file` start from the folder of the TOML file, and so do those of
    `exogenous.file`, `.scorer` and `model.load` where they begin with "./". A contract that was fetched into the data
    folder `data` (see `load_market`) stands in the config with its figures, their source and
    date, in the place of its name. Raises ParameterError or DataError.
    """
    tables = _of_strategy(path) if ".py" in (path.suffix, path.suffix.partition(":")[0]) else _read_toml(path)
    for name in ("features", "strategy"):
        table = tables.get(name)
        if isinstance(table, dict) and isinstance(table.get("file"), str):
            table["file"] = str((path.parent / Path(table["file"]).expanduser()).resolve())
    series = tables.get("exogenous")
    for table in [tables.get("model"), *(series if isinstance(series, list) else [series])]:
        for key in ("file", "scorer", "load"):
            if isinstance(table, dict) and str(table.get(key, "")).startswith(("./", "../")):
                table[key] = str((path.parent / table[key]).resolve())
    for text in overrides:
        _override(tables, text)
    _name_contracts(tables.get("market"), data)
    return build_config(tables)


def build_config(tables: Mapping[str, Any]) -> Config:
    """The config that plain tables say, checked; raises ParameterError."""
    for name, table in tables.items():
        if name not in (*_TABLES, *_SEVERAL):
            fix = suggestion(name, (*_TABLES, *_SEVERAL))
            raise ParameterError(name, "is not a known table", fix=fix)
        if name not in _SEVERAL and not isinstance(table, dict):
            raise ParameterError(name, f"should be a table, written [{name}]", value=table)
    built = {name: table(**tables.get(name, {})) for name, table in _TABLES.items() if name != "strategy"}
    built["strategy"] = read_strategy(tables.get("strategy", {}))
    for name in unasked(built["strategy"]):
        if name in tables:
            fix = "leave it out" if name == "risk" else "leave it out, or write strategy.forecasts = true"
            raise ParameterError(name, f"is not asked by the strategy {built['strategy'].name}", fix=fix)
    several: dict[str, Any] = {name: _read_several(name, tables[name]) for name in _SEVERAL if name in tables}
    return Config(**built, **several)


def read_strategy(table: Mapping[str, Any]) -> CrossoverParams | OwnParams:
    """The strategy of a table: one written by hand where it names a file, with its class at hand."""
    if "file" not in table:
        return CrossoverParams(**table)
    own = OwnParams(**table).loaded()
    check_strategy(own)
    return own


def _of_strategy(path: Path) -> dict[str, Any]:
    """The tables of a run of the strategy in a Python file."""
    file, _, name = path.name.partition(":")
    return {"run": {"name": (name or Path(file).stem).lower()}, "strategy": {"file": path.name}}


def _name_contracts(written: Any, data: Path | None) -> None:
    """Puts fetched contracts in the place of their names."""
    for table in written if isinstance(written, list) else [written]:
        # The brackets of a day are those of a registered contract, which are shipped with their days.
        dated = isinstance(table, dict) and "tiers_date" in table and "tiers" not in table
        if isinstance(table, dict) and isinstance(table.get("contract"), str) and not dated:
            fetched = latest_contract(resolve_data_folder(data), table["contract"])
            if fetched is not None:
                table["contract"] = fetched.model_dump(mode="json", exclude_none=True)


def _read_several(name: str, written: Any) -> tuple[Any, ...]:
    """The tables of a name that may stand several times, each told from the others where one is wrong."""
    several = isinstance(written, list)
    tables = written if several else [written]
    if not tables or not all(isinstance(table, dict) for table in tables):
        raise ParameterError(name, f"should be a table, written [{name}], or several, written [[{name}]]")
    made = []
    for number, table in enumerate(tables, 1):
        try:
            made.append(_SEVERAL[name](table))
        except CrossgateError as error:
            raise CrossgateError(f"[[{name}]] table {number}: {error}") if several else error from None
    return tuple(made)


def _read_market(table: Mapping[str, Any]) -> MarketParams | BookParams | DemoParams:
    if "order_book" in table:
        return BookParams(**table)
    return DemoParams(**table) if "demo" in table else MarketParams(**table)


# The tables that forecasts are made by.
_FORECASTING = ("features", "model", "walk_forward", "calibration", "model_search")
_SEVERAL: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "market": _read_market,
    "exogenous": lambda table: ExogenousParams(**table),
}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        folder = path.parent
        known = [str(folder / other.name) for other in folder.glob("*.toml")] if folder.is_dir() else []
        raise DataError(path, "there is no such config", fix=suggestion(str(path), known) if known else "") from None
    except (OSError, UnicodeDecodeError) as error:
        problem = (
            "is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror or "cannot be read"
        )
        raise DataError(path, problem, fix="a config is a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(
            path, f"is not valid TOML: {error}", fix='text values stand in quotes, such as "2atr"'
        ) from None


def _override(tables: dict[str, Any], text: str) -> None:
    name, equals, written = text.partition("=")
    table, dot, key = name.strip().partition(".")
    if not (equals and dot and table and key):
        raise ParameterError("--set", "should read table.key=value", value=text, fix="such as --set risk.stop_loss=2%")
    demo = table == "market" and key in DemoParams.model_fields
    target = tables.setdefault(table, {"demo": True} if demo else {})
    for each in target if isinstance(target, list) else [target]:
        if not isinstance(each, dict):
            raise ParameterError(table, f"should be a table, written [{table}]", value=each)
        *path, last = key.split(".")
        for step in path:
            each = each.setdefault(step, {})
            if not isinstance(each, dict):
                raise ParameterError(name, f"{step} is a value, not a table", value=each)
        each[last] = _read_value(written.strip())


def _read_value(written: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {written}")
    except tomllib.TOMLDecodeError:
        return written
    return parsed["value"] if parsed.keys() == {"value"} else written
