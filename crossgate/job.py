"""The main job: a config in, a run folder with its report out."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import crossgate as cg
from backtests.run.own_run import run_strategy
from backtests.run.own_strategy import OwnParams
from backtests.run.result import Result
from crossgate.config import Config, unasked
from crossgate.side_files import side_files
from crossgate.tables import BookParams, DemoParams, MarketParams, TradedParams
from foundation.cluster import running_cluster
from foundation.errors import ParameterError, suggestion
from foundation.seals import check_sealed
from foundation.trials import Span, TrialLedger
from markets.book_series import load_book_market
from markets.candles import utc
from markets.exogenous import Exogenous
from markets.exogenous_files import load_exogenous
from markets.market import Market, common_span
from markets.store import resolve_data_folder
from models.forecasts import Forecasts

if TYPE_CHECKING:
    from models.paired import PairedSkill
    from models.trained import TrainedModel


def run_job(
    config: Config, folder: Path, data: Path | None = None, *, pdf: bool = False, open_seal: bool = False
) -> tuple[Result, Path]:
    """The result of a config, and the path of the report written to `folder` as a whole.

    `data`: the data folder, see `load_market`. With `pdf` there is a report.pdf too. All that can be checked is checked
    before any model trains. Raises ParameterError or DataError, and then has written nothing; SealedError for data
    that is sealed, but with `open_seal`.
    """
    check_folder(folder)
    check_ledger(TrialLedger())
    beside, markets = side_files(config), load_markets(config, data)
    check_markets(config, markets)
    if not open_seal:
        check_sealed(TrialLedger(), [whole_span(market) for market in common_span(markets)])
    forecasts = explain_forecasts(config, markets, make_forecasts(config, markets))
    result = play_config(config, markets, forecasts, beside.record)
    place = resolve_data_folder(data).resolve() if reads_data(config) else None
    return result, cg.write_report(result, folder, pdf=pdf, open_seal=open_seal, inputs=beside.content, data=place)


def play_config(
    config: Config,
    markets: Sequence[Market],
    forecasts: Forecasts | None,
    record: dict[str, Any],
    loop: Literal["fast", "stock"] = "fast",
) -> Result:
    """The result of a config on its markets and forecasts; `record`: what the result keeps as its config."""
    account, costs, name = config.account, config.costs, config.run.name
    if isinstance(config.strategy, OwnParams):
        own: dict[str, Any] = {"forecasts": forecasts, "name": name, "loop": loop, "config": record}
        return run_strategy(config.strategy, markets, None, account, costs, **own)
    assert forecasts is not None
    rules, risk = config.strategy, config.risk
    return cg.backtest(markets, forecasts, rules, risk, account, costs, name=name, config=record, loop=loop)


def reads_data(config: Config) -> bool:
    """Whether something that a config names lies in the data folder."""
    named = [Path(table.file).expanduser() for table in config.exogenous]
    traded = any(isinstance(table, TradedParams) for table in config.market)
    return traded or not all(path.is_absolute() for path in named)


def searched(config: Config, data: Path | None = None) -> tuple[list[Market], Forecasts]:
    """The markets and forecasts that a search plays on, which never sees sealed data; raises SealedError for that."""
    check_ledger(TrialLedger())
    config.rules  # noqa: B018 - asked for its refusal of a strategy written by hand
    markets = load_markets(config, data)
    check_markets(config, markets)
    check_sealed(TrialLedger(), [whole_span(market) for market in common_span(markets)])
    forecasts = make_forecasts(config, markets)
    assert forecasts is not None
    return markets, forecasts


def whole_span(market: Market) -> Span:
    """All the bars of a market, as the ledger calls them."""
    stamps = market.candles.timestamp
    return Span.of_bars(market.trial_key, stamps[0], stamps[-1], market.candles.bar)


def load_markets(config: Config, data: Path | None = None) -> list[Market]:
    """The markets of a config, in its order, with the exogenous series that are joined to each."""
    markets = [_load(table, data) for table in config.market]
    series = _exogenous(config, markets, data)
    return [market.with_exogenous(*joined) for market, joined in zip(markets, series, strict=True)]


def _exogenous(config: Config, markets: Sequence[Market], data: Path | None) -> list[list[Exogenous]]:
    """The series of each market; raises ParameterError for symbols that no market has."""
    symbols = [market.symbol for market in markets]
    joined: list[list[Exogenous]] = [[] for _ in markets]
    for table in config.exogenous:
        series = load_exogenous(table, data=data)
        for symbol in table.symbols or symbols:
            if symbol not in symbols:
                raise ParameterError(
                    "exogenous.symbols", "names no market", value=symbol, fix=suggestion(symbol, symbols)
                )
            joined[symbols.index(symbol)].append(series)
    return joined


def check_markets(config: Config, markets: Sequence[Market]) -> None:
    """Raises ParameterError or DataError for what a backtest would refuse only after its models have trained.

    That is: a GPU that is not there, a leverage above a contract's maximum, too few candles for a first test, and
    missing funding after it.
    """
    _check_device(config)
    cut = common_span(markets)
    starts = first_tests(config, cut)
    for market in cut:
        if not isinstance(config.strategy, OwnParams):
            config.risk.check_leverage(market.contract)
        if config.account.missing_funding == "refuse":
            market.check_funding(starts[market.symbol])


def _check_device(config: Config) -> None:
    """Raises ParameterError where networks are to train on a GPU, and nothing here can."""
    if "model" in unasked(config.strategy) or config.model.load is not None or running_cluster():
        return
    from models.devices import check_gpu, training_device

    if training_device(config.model.lstm) == "cuda":
        check_gpu()


def first_tests(config: Config, markets: Sequence[Market]) -> dict[str, int]:
    """The open of the first bar with a forecast by symbol: of the first test, or the first after a saved training.

    Of a strategy that asks none, the first bar of all.
    """
    if "model" in unasked(config.strategy):
        return {market.symbol: int(market.candles.timestamp[0]) for market in markets}
    if config.model.load is not None:
        made = saved_model(config).forecasts(markets)
        return {symbol: int(one.timestamp[0]) for symbol, one in made.series.items()}
    from models import walkforward

    return walkforward.first_tests(markets, config.model.lstm, config.features, config.walk_forward)


def make_forecasts(config: Config, markets: Sequence[Market], *, cache: bool = True) -> Forecasts | None:
    """The walk-forward forecasts of a config, or those of its saved model; without `cache` every network is trained.

    None for a strategy that asks none.
    """
    if "model" in unasked(config.strategy):
        return None
    if config.model.load is not None:
        return saved_model(config).forecasts(markets)
    return cg.walk_forward(
        markets, config.model.lstm, config.features,
        walk=config.walk_forward, seed=config.run.seed, calibration=config.calibration, cache=cache,
    )  # fmt: skip


def explain_forecasts(config: Config, markets: Sequence[Market], forecasts: Forecasts | None) -> Forecasts | None:
    """The forecasts with what their networks rest on, and what retraining was worth, as the config asks."""
    if forecasts is None:
        return None
    ensembles, run = forecasts.ensembles, config.run
    if ensembles is not None and run.interpretation:
        from models.interpretation_cache import kept_interpretation

        found = tuple(kept_interpretation(market, forecasts, seed=run.seed) for market in markets)
        forecasts = replace(forecasts, interpretations=found)
    if ensembles is None or config.model.load is not None or not run.retraining:
        return forecasts
    if run.retraining is True:
        return replace(forecasts, worth=compare_retraining(config, markets))
    from models.retraining import cheap_worth

    network, walk = config.model.lstm, config.walk_forward
    worth = cheap_worth(markets, forecasts, network, config.features, walk, seed=run.seed)
    return replace(forecasts, worth=worth.pairs, worth_note=worth.note)


def compare_retraining(config: Config, markets: Sequence[Market]) -> tuple[PairedSkill, ...]:
    """What retraining is worth on each market of a config; raises ParameterError for one that loads a model."""
    from models.retraining import retraining_worth

    if config.model.load is not None:
        fix = "leave model.load out"
        raise ParameterError("model.load", "is a model that is never retrained", value=config.model.load, fix=fix)
    walk, seed = config.walk_forward, config.run.seed
    return retraining_worth(markets, config.model.lstm, config.features, walk=walk, seed=seed)


def saved_model(config: Config) -> TrainedModel:
    """The model that `model.load` names; raises ParameterError where the config asks for another one."""
    from models.storage import load_model

    trained = replace(load_model(str(config.model.load)), calibration=config.calibration)
    for asked, saved in ((config.features, trained.features), (config.model.lstm, trained.model)):
        values = saved.model_dump(mode="json")
        for name, value in asked.model_dump(mode="json", exclude={"device"}).items():
            if value != values[name]:
                problem = f"is not what {config.model.load} was trained with"
                fix = f"write {json.dumps(values[name])}"
                raise ParameterError(f"{asked.table}.{name}", problem, value=value, fix=fix)
    return trained


def train_job(config: Config, out: Path, data: Path | None = None) -> dict[str, Any]:
    """What was saved at `out`: a model trained on all candles of a config, `walk_forward.seeds` networks a symbol.

    Early stopping chooses by the last of the rows, so sealed bars are refused as everywhere: raises SealedError.
    """
    from models.storage import save_model
    from models.trained import train_model

    if out.is_file() and out.suffix != ".safetensors":
        fix = "name a folder, or a file that ends in .safetensors"
        raise ParameterError("out", "is a file", value=str(out), fix=fix)
    check_reach(out)
    markets = load_markets(config, data)
    check_sealed(TrialLedger(), map(whole_span, markets))
    network, seeds = config.model.lstm, config.walk_forward.seeds
    trained = train_model(
        markets, model=network, features=config.features, seeds=seeds, seed=config.run.seed,
        pooled=config.walk_forward.pooled, pooled_scaling=config.walk_forward.pooled_scaling,
    )  # fmt: skip
    symbols = {
        one.symbol: {"bars": len(one.candles), "trained_through": utc(trained.symbols[one.symbol].trained_through)}
        for one in markets
    }
    return {"model": str(save_model(trained, out)), "symbols": symbols}


def check_folder(folder: Path) -> None:
    """Raises ParameterError when no run can be written to `folder`: it holds something else, or is out of reach."""
    from reports.report import check_folder as check_run_folder

    check_run_folder(folder)
    check_reach(folder)


def check_ledger(ledger: TrialLedger) -> None:
    """Raises DataError or ParameterError when a trial could not be put down in the ledger."""
    ledger.head()
    try:
        ledger.folder.mkdir(parents=True, exist_ok=True)
        reachable = os.access(ledger.folder, os.W_OK)
    except OSError:
        reachable = False
    if not reachable:
        fix = "name a folder you may write to"
        raise ParameterError("$CROSSGATE_LEDGER", "cannot be written to", value=str(ledger.folder), fix=fix)


def check_reach(path: Path) -> None:
    """Raises ParameterError when nothing can be written at `path`."""
    place, fix = path.expanduser().resolve(), "name a place you may write to"
    parent = next(above for above in place.parents if above.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ParameterError("out", f"cannot be made in {parent}", value=str(path), fix=fix)
    if place.is_dir() and not os.access(place, os.W_OK):
        raise ParameterError("out", "is a folder that cannot be written to", value=str(path), fix=fix)


def _load(table: MarketParams | BookParams | DemoParams, data: Path | None) -> Market:
    if isinstance(table, BookParams):
        return load_book_market(
            table.contract, table.order_book, bar=str(table.bar), published_after=str(table.published_after),
            stale_after=str(table.stale_after), depths=table.depths, data=data,
        )  # fmt: skip
    if isinstance(table, DemoParams):
        return cg.demo_market(table.seed, table.bars, table.predictability)
    return cg.load_market(
        table.contract, table.candles, table.mark, table.funding,
        bar=table.bar, data=data, start=table.start, end=table.end, finer=table.finer,
        tiers=table.tiers, tiers_date=table.tiers_date,
    )  # fmt: skip
