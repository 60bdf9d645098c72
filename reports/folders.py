"""Run folders, read back: what a run left on disk, for comparison with others."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from backtests.result import Result
from foundation.errors import DataError
from reports.curves import EquityCurve, equity_curve, read_curve
from reports.fingerprints import altered_files
from reports.settings import collect_settings, provenance
from reports.stored_verdict import stored_record
from reports.tables import flatten

if TYPE_CHECKING:
    from reports.metrics import Metrics

NEEDED = ("config.toml", "metrics.json", "run.json", "equity.parquet", "positions.parquet")
HELD = ["timestamp", "symbol", "position"]


@dataclass(frozen=True, eq=False)
class Run:
    """A run as a comparison needs it: `settings` by full key as text, `record` of what it was made from.

    `positions`: timestamp, symbol and position at every bar's close.
    """

    name: str
    metrics: Metrics
    settings: Mapping[str, str]
    curve: EquityCurve
    record: Mapping[str, Any]
    positions: pd.DataFrame
    where: str = ""

    @cached_property
    def rung(self) -> int | None:
        """The rung of the verdict that its folder keeps, that of when it was written; None where it keeps none."""
        kept = stored_record(Path(self.where)) if self.where else None
        return None if kept is None else int(kept["verdict"]["rung"])

    @cached_property
    def altered(self) -> tuple[str, ...] | None:
        """The files of its folder that were altered after it was written; None for no folder or no fingerprints."""
        return altered_files(Path(self.where)) if self.where else None


def read_run(source: str | Path | Result) -> Run:
    """The run in a folder that write_report wrote, or of a Result; raises DataError for anything else."""
    if isinstance(source, Result):
        from reports.metrics import compute_metrics

        settings = flatten(collect_settings(source))
        held = source.positions[HELD]
        return Run(source.name, compute_metrics(source), settings, equity_curve(source), provenance(source), held)
    folder = Path(source).expanduser()
    fix = "name a folder that a backtest wrote"
    if not folder.is_dir():
        raise DataError(folder, "is no folder" if folder.exists() else "does not exist", fix=fix)
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise DataError(folder, f"is no run folder: {missing[0]} is missing", fix=_nearby(folder) or fix)
    return _read_folder(folder)


def _nearby(folder: Path) -> str:
    """What to name instead of a folder that only holds runs; '' where it holds none."""
    runs = sorted(one.name for one in folder.iterdir() if (one / NEEDED[0]).is_file())
    return f"name one of the runs in it, such as {folder / runs[0]}" if runs else ""


def _read_folder(folder: Path) -> Run:
    name = NEEDED[0]
    try:
        settings = tomllib.loads((folder / name).read_text("utf-8"))
        name = NEEDED[1]
        metrics = json.loads((folder / name).read_text("utf-8"))
        name = NEEDED[2]
        record = json.loads((folder / name).read_text("utf-8"))
        cash, bar = float(record["cash"]), int(record["bar_nanoseconds"])
        name = NEEDED[3]
        curve = read_curve(pd.read_parquet(folder / name, columns=["timestamp", "equity"]), cash, bar)
        name = NEEDED[4]
        positions = pd.read_parquet(folder / name, columns=HELD)
        return Run(str(record["name"]), metrics, flatten(settings), curve, record, positions, str(folder))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        fix = "run the backtest again"
        raise DataError(folder / name, f"is damaged ({type(error).__name__})", fix=fix) from None
