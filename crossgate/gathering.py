"""Gathering: the facts of a run that its folder does not hold, from its tables and from playing it again."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from backtests.doubts.examination import Examination, check_playback, examine
from backtests.doubts.own_examination import examine_own
from backtests.doubts.playback import Playback, make_playback
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.own_strategy import OwnParams
from backtests.run.result import Result
from crossgate.config import load_config
from crossgate.job import load_markets, play_config
from crossgate.side_files import data_folder
from foundation.errors import CrossgateError, DataError
from foundation.parameters import Parameters
from foundation.trials import Span
from models.own_features import own_registry
from models.skill import track_skill
from reports.certainty import run_content
from reports.evidence import sharpe_moments
from reports.facts import Facts, played_of, skilled
from reports.folders import Run
from reports.stability import sampled, stability_of
from reports.tracks import forecasts_of, read_tracks
from reports.untraded import explain_no_trade
from strategies.parameters import CrossoverParams, RiskParams

# The tables that a run's equity depends on besides its data, in their order.
_TABLES: tuple[tuple[str, type[Parameters]], ...] = (
    ("strategy", CrossoverParams), ("risk", RiskParams), ("account", AccountParams), ("costs", CostParams),
)  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """What a run folder says of itself: the run, its tables by name, its config as it was written."""

    path: Path
    run: Run
    tables: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def symbols(self) -> list[str]:
        """The symbols of the run, in the order in which its forecasts are kept."""
        return list(pd.unique(self.frame("forecasts")["symbol"]))

    def frame(self, name: str) -> pd.DataFrame:
        """One of the tables of the run; raises DataError where it is missing or damaged."""
        path = self.path / f"{name}.parquet"
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise DataError(path, f"cannot be read ({error})", fix="run the backtest again") from None


@own_registry()
def gather(path: Path, run: Run, data: Path | None) -> tuple[Facts, Examination | str]:
    """The facts of a run from its folder, and its examination or why there is none."""
    folder = _open(path, run)
    found: Examination | str
    try:
        if isinstance(folder.tables["strategy"], OwnParams):
            found = examine_own(_own_result(folder, data))
        else:
            playback = play_again(folder, data)
            positions, equity = folder.frame("positions"), folder.frame("equity")
            found = examine(playback, positions, equity)
    except CrossgateError as error:
        found = str(error)
    return _facts(folder, found), found


def play_again(folder: Folder, data: Path | None = None) -> Playback:
    """The playback of the run in a folder; raises DataError where its market is not at hand or not the same."""
    if not folder.run.record.get("from_config", False):
        raise DataError(folder.path, "was made in Python, so its market stands in no file")
    config = load_config(folder.path / "config.toml")
    forecasts = forecasts_of(read_tracks(folder.path), str(folder.run.record["forecasts_name"]))
    playback = make_playback(
        load_markets(config, data_folder(folder.path, data)), forecasts, *(folder.tables[name] for name, _ in _TABLES)
    )
    kept = folder.run.record["markets"]
    for market in playback.stage.played:
        if kept.get(market.symbol) != market.fingerprint:
            fix = "name the folder of the data it was made of"
            raise DataError(folder.path, f"was played on other data of {market.symbol}", fix=fix)
    check_playback(playback, folder.frame("fills"))
    return playback


def _own_result(folder: Folder, data: Path | None) -> Result:
    """The result of a strategy written by hand, played again; raises DataError where its fills are not the run's."""
    config, forecasts = load_config(folder.path / "config.toml"), None
    if folder.tables["strategy"].forecasts:
        forecasts = forecasts_of(read_tracks(folder.path), str(folder.run.record["forecasts_name"]))
    result = play_config(config, load_markets(config, data_folder(folder.path, data)), forecasts, config.record())
    if not result.fills.equals(folder.frame("fills")):
        raise DataError(folder.path, "comes out different when it is played again", fix="run it again")
    return result


def _open(path: Path, run: Run) -> Folder:
    try:
        config = tomllib.loads((path / "config.toml").read_text("utf-8"))
        tables = {name: table(**config.get(name, {})) for name, table in _TABLES if name != "strategy"}
        tables["strategy"] = _strategy(path, config.get("strategy", {}))
    except (ValueError, OSError) as error:
        raise DataError(path / "config.toml", f"is damaged ({type(error).__name__})", fix="run it again") from None
    return Folder(path, run, tables, config)


def _facts(folder: Folder, found: Examination | str) -> Facts:
    curve, record, told = folder.run.curve, folder.run.record, isinstance(found, str)
    asks = folder.tables["strategy"].rule in ("confirmed", "forecast")
    tracks, trades = read_tracks(folder.path), len(folder.frame("trades"))
    first, last = int(curve.timestamp[0]), int(curve.timestamp[-1])
    prints = [str(record["markets"][symbol]) for symbol in folder.symbols]
    return Facts(
        spans=tuple(Span.of_bars(key, first, last, curve.bar) for key in _keys(folder)),
        content=run_content(prints, str(record["forecasts"]), _played_by(folder)),
        total_return=curve.total_return,
        trades=trades,
        liquidations=int(folder.run.metrics.get("liquidations") or 0),
        asks=asks,
        skills=tuple(skilled(track_skill(track)) for track in tracks.values()) if asks else (),
        sampled=sampled(tracks.values(), first, last),
        stability=stability_of(curve),
        moments=sharpe_moments(curve.returns) if len(folder.frame("fills")) else None,
        bars_per_year=curve.bars_per_year,
        played=None if isinstance(found, str) else played_of(found),
        unplayed=str(found) if told else "",
        confirmed=folder.tables["strategy"].rule == "confirmed",
        untraded="" if trades else explain_no_trade(folder.frame("decisions"), folder.frame("orders")),
    )


def _strategy(path: Path, table: dict[str, Any]) -> CrossoverParams | OwnParams:
    """The strategy of a run folder; one written by hand stands in a file below it."""
    if "file" not in table:
        return CrossoverParams(**table)
    return OwnParams(**{**table, "file": str((path / table["file"]).resolve())})


def _played_by(folder: Folder) -> list[Parameters]:
    """The tables that a run's equity depends on; a strategy written by hand has no table of risk."""
    own = isinstance(folder.tables["strategy"], OwnParams)
    return [folder.tables[name] for name, _ in _TABLES if not (own and name == "risk")]


def _keys(folder: Folder) -> list[str]:
    """The contracts of the run by its config, as the ledger calls them."""
    record, written = folder.run.record, folder.config.get("market", {})
    keys = []
    for table, symbol in zip(written if isinstance(written, list) else [written], folder.symbols, strict=False):
        named = table.get("contract", f"synthetic:{symbol}")
        key = f"{named.get('venue')}:{named.get('symbol')}" if isinstance(named, dict) else str(named)
        keys.append(f"{key} {record['markets'][symbol]}" if record["synthetic"] else key)
    return keys
