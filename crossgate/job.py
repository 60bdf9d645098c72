"""The main job: a config in, a run folder with its report out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import crossgate as cg
from backtests.result import Result
from crossgate.config import Config
from crossgate.tables import DemoParams, MarketParams
from foundation.errors import ParameterError
from markets.market import Market
from models.forecasts import Forecaster
from reports.report import check_folder as check_run_folder


def run_job(config: Config, folder: Path, data: Path | None = None) -> tuple[Result, Path]:
    """The result of a config, and the path of the report written to `folder` as a whole.

    `data`: the data folder, see `load_market`. All that can be checked is checked before any model
    trains. Raises ParameterError or DataError, and then has written nothing.
    """
    check_folder(folder)
    markets = load_markets(config, data)
    check_markets(config, markets)
    forecasts = make_forecasts(config, markets)
    result = cg.backtest(
        markets, forecasts, config.strategy, config.risk, config.account, config.costs,
        name=config.run.name, config=config.record(),
    )  # fmt: skip
    return result, cg.write_report(result, folder)


def load_markets(config: Config, data: Path | None = None) -> list[Market]:
    """The markets of a config, in its order."""
    return [_load(table, data) for table in config.market]


def check_markets(config: Config, markets: Sequence[Market]) -> None:
    """Raises ParameterError or DataError for what a backtest would refuse only after its models have trained.

    That is: a leverage above a contract's maximum, too few candles for a first test, and missing
    funding after it.
    """
    for market in markets:
        config.risk.check_leverage(market.contract)
        start = first_test(config, market)
        if config.account.missing_funding == "refuse":
            market.check_funding(start)


def first_test(config: Config, market: Market) -> int:
    """The open of the first bar that a model of the walk-forward may forecast from, UTC nanoseconds.

    With `model.load` it is the first candle: the saved model knows where its training ended.
    """
    if config.model.load is not None:
        return int(market.candles.timestamp[0])
    from models.features import longest_memory, parse_columns
    from models.schedule import make_folds

    candles = market.candles
    memory = longest_memory(parse_columns(config.features.columns))
    folds = make_folds(candles.timestamp, candles.bar, config.walk_forward, memory, candles.source)
    return int(candles.timestamp[folds[0].test_first])


def make_forecasts(config: Config, markets: Sequence[Market]) -> Forecaster:
    """The walk-forward forecasts of a config, or its saved model, which is asked bar by bar."""
    if config.model.load is not None:
        from models.storage import load_model

        return load_model(Path(config.model.load))
    return cg.walk_forward(markets, config.model.lstm, config.features, walk=config.walk_forward, seed=config.run.seed)


def check_folder(folder: Path) -> None:
    """Raises ParameterError when no run can be written to `folder`: it holds something else, or is out of reach."""
    target = check_run_folder(folder)
    parent = next(above for above in target.parents if above.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ParameterError(
            "out", f"cannot be made in {parent}", value=str(folder), fix="name a folder you may write to"
        )


def _load(table: MarketParams | DemoParams, data: Path | None) -> Market:
    if isinstance(table, DemoParams):
        return cg.demo_market(table.seed, table.bars, table.predictability)
    return cg.load_market(
        table.contract, table.candles, table.mark, table.funding, data=data, start=table.start, end=table.end
    )
