"""Reproduction: a run played again from its folder alone, and set against what it left there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossgate.config import Config, load_config, unasked
from crossgate.job import load_markets, make_forecasts, play_config
from crossgate.side_files import data_folder
from foundation.errors import DataError
from markets.candles import utc
from models.jobs import count_networks
from models.own_features import own_registry
from reports.fingerprints import altered_files
from reports.parting import Parting, first_parting, read_tables
from reports.settings import provenance


@dataclass(frozen=True)
class Reproduction:
    """Whether a run came out the same: `fills` of them, and what is different, by name: kept and now.

    `altered`: the files of its folder that are not as they were written. `forecasts`: where they came from now.
    """

    run: str
    fills: int
    parting: Parting | None
    changed: dict[str, tuple[str, str]]
    altered: tuple[str, ...] = ()
    forecasts: str = ""

    @property
    def same(self) -> bool:
        """Whether every fill, payment, decision and equity is the same double."""
        return self.parting is None

    def record(self) -> dict[str, Any]:
        """The answer as JSON can hold it."""
        return {**asdict(self), "same": self.same}

    def lines(self) -> list[str]:
        """The answer in words."""
        changed = [f"  {name}: {kept} then, {now} now" for name, (kept, now) in self.changed.items()]
        if self.forecasts:
            changed.insert(0, f"  forecasts: {self.forecasts}")
        if self.altered:
            changed.append(f"  altered after it was written: {', '.join(self.altered)}")
        if self.parting is None:
            return [f"{self.run}: every bar and all {self.fills:,} fills are the same", *changed]
        where = f"{utc(self.parting.timestamp)} UTC"
        return [f"{self.run}: it comes out different from {where} on: {self.parting.text}", *changed]


@own_registry()
def reproduce_run(folder: Path, data: Path | None = None, *, retrain: bool = False) -> Reproduction:
    """The run in a folder, played again with the settings and the small files that are kept there.

    `data`: the data folder, see `load_market`; else the one that the run names, where it is still there. With `retrain`
    every network is trained again, whatever the cache holds. Raises DataError for a run that was made in Python, whose
    market and forecasts stand in no file, and whatever a run of that config raises.
    """
    kept = read_record(folder)
    config = load_config(folder / "config.toml")
    markets = load_markets(config, data_folder(folder, data))
    with count_networks() as count:
        forecasts = make_forecasts(config, markets, cache=not retrain)
    result = play_config(config, markets, forecasts, config.record())
    tables = read_tables(folder)
    parting = first_parting(tables, read_tables(result))
    changed = changes(kept, provenance(result))
    altered = altered_files(folder) or ()
    return Reproduction(str(folder), len(tables["fills"]), parting, changed, altered, _origin(config, count))


def _origin(config: Config, count: Mapping[str, int]) -> str:
    """Where the forecasts of a reproduction came from, in words."""
    if "model" in unasked(config.strategy):
        return ""
    if config.model.load is not None:
        return f"of the saved model {config.model.load}"
    trained, networks = count["trained"], count["trained"] + count["kept"]
    if not trained:
        return f"from the cache ({networks:,} networks); --retrain trains them again"
    return f"trained again ({trained:,} of {networks:,} networks)"


def read_record(folder: Path) -> dict[str, Any]:
    """What a run folder says it was made from; raises DataError where it does not stand in files."""
    path = folder / "run.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(folder, "is no run folder", fix="name a folder that a backtest wrote") from None
    except ValueError:
        raise DataError(path, "is damaged", fix="run the backtest again") from None
    if not record.get("from_config", False):
        fix = "call cg.backtest again with the same market and forecasts, and compare with `crossgate diff`"
        raise DataError(folder, "was made in Python: its market and forecasts stand in no file", fix=fix)
    return record


def changes(kept: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What the run was made from that is not the same any more: data, forecasts, versions."""
    flat = []
    for one in (kept, now):
        markets = {f"market {symbol}": content for symbol, content in one["markets"].items()}
        own = {"strategy": one["strategy"]} if "strategy" in one else {}
        flat.append({**one["versions"], **markets, **own, "forecasts": one["forecasts"]})
    return {
        name: (str(flat[0].get(name, "none")), str(flat[1].get(name, "none")))
        for name in sorted(flat[0].keys() | flat[1].keys())
        if flat[0].get(name) != flat[1].get(name)
    }
