"""Run folders, read back: what a run left on disk, for comparison with others."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
from pyarrow import parquet

from backtests.run.result import Result
from foundation.errors import DataError
from reports import formats
from reports.curves import EquityCurve, checked_curve, equity_curve
from reports.fingerprints import altered_files
from reports.settings import collect_settings, flatten, provenance
from reports.stored_verdict import stored_record

if TYPE_CHECKING:
    import pandas as pd

    from reports.metrics import Metrics

NEEDED = ("config.toml", "metrics.json", "run.json", "equity.parquet", "positions.parquet")
# What the folder of a sweep or a tuning holds, and that of a run does not.
SEARCHED = ("sweep.json", "tune.json")
HELD = ["timestamp", "symbol", "position"]


@dataclass(frozen=True, eq=False)
class Run:
    """A run as a comparison needs it: `settings` by full key as text, `record` of what it was made from.

    `held`: its positions, where they are not read from its folder `where`.
    """

    name: str
    metrics: Metrics
    settings: Mapping[str, str]
    curve: EquityCurve
    record: Mapping[str, Any]
    held: pd.DataFrame | None
    where: str = ""

    @cached_property
    def positions(self) -> pd.DataFrame:
        """The timestamp, symbol and position at every bar's close; only who asks them waits for pandas."""
        import pandas as pd

        return pd.read_parquet(Path(self.where) / NEEDED[4], columns=HELD) if self.held is None else self.held

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
    if missing and any((folder / name).is_file() for name in SEARCHED):
        fix = "open its report.html; its best setting is a run once `crossgate backtest` has played it"
        raise DataError(folder, "holds a search, not a run", fix=fix)
    if missing:
        raise DataError(folder, f"is no run folder: {missing[0]} is missing", fix=_nearby(folder) or fix)
    return _read_folder(folder)


def played(run: Run) -> str:
    """The markets of a run, the length of its bars, its first and last day, and how many bars these are."""
    import pandas as pd

    first, last = (formats.day(pd.Timestamp(run.curve.timestamp[row])) for row in (0, -1))
    markets, bars = ", ".join(run.record["markets"]), formats.count(len(run.curve.equity))
    return f"{markets} · {formats.span(run.curve.bar)} bars · {first} to {last} · {bars} bars"


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
        curve = _curve(folder / name, cash, bar)
        name = NEEDED[4]
        if not set(HELD) <= set(parquet.read_schema(folder / name).names):
            raise KeyError(name)
        return Run(str(record["name"]), metrics, flatten(settings), curve, record, None, str(folder))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        fix = "run the backtest again"
        raise DataError(folder / name, f"is damaged ({type(error).__name__})", fix=fix) from None


def _curve(file: Path, cash: float, bar: int) -> EquityCurve:
    """The equity curve that a table holds, read without pandas."""
    table = parquet.ParquetFile(file).read(columns=["timestamp", "equity"])
    stamps, equity = (pyarrow.concat_arrays(table[name].chunks) for name in ("timestamp", "equity"))
    opens = np.asarray(np.from_dlpack(stamps.cast(pyarrow.timestamp("ns", "UTC")).cast("int64")), dtype=np.int64)
    return checked_curve(opens, np.asarray(np.from_dlpack(equity), dtype=np.float64), cash, bar)
