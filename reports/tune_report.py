"""The reports of tunings: what their folder holds besides the journal of the trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from backtests.searches.forward import Forward
from backtests.searches.search_folder import check_folder
from backtests.searches.search_text import column_type
from backtests.searches.study import JOURNAL
from backtests.searches.tuning import Tuned
from foundation.files import atomic_file
from foundation.trials import TrialLedger
from reports.report import write_json
from reports.search_folder import write_files
from reports.sweep_report import plain
from reports.tune_page import render_forward, render_tuned

FILES = ("config.toml", "tune.json", "trials.parquet", "folds.parquet", "curve.parquet", "report.html", JOURNAL)


def check_tune_folder(folder: str | Path) -> Path:
    """The folder to write a tuning to, which must be new, empty, or a tuning, finished or not."""
    return check_folder(folder, "tuning", FILES, (".", JOURNAL))


def write_tuned(
    found: Tuned | Forward,
    folder: str | Path,
    *,
    name: str = "Tuning",
    config: Mapping[str, Any] | None = None,
    ledger: TrialLedger | None = None,
) -> Path:
    """The path of report.html in the folder of a tuning, beside tune.json and the tables.

    Each file is written whole or not at all. Raises ParameterError for a folder that holds anything else.
    """
    target = check_tune_folder(folder)
    tables: dict[str, pd.DataFrame]
    if isinstance(found, Tuned):
        tables = {"trials.parquet": _texts(found.table.reset_index(), found)}
        page, record = render_tuned(found, name, ledger or TrialLedger()), tuned_record(found)
    else:
        curves = {"equity": found.curve.equity, "hindsight": found.hindsight.equity}
        stamps = pd.to_datetime(found.curve.timestamp, utc=True, unit="ns")
        tables = {
            "folds.parquet": _texts(found.folds, found),
            "curve.parquet": pd.DataFrame({"timestamp": stamps, **curves}),
        }
        page, record = render_forward(found, name), forward_record(found)
    for file, table in tables.items():
        with atomic_file(target / file) as scratch:
            table.to_parquet(scratch, index=False)
    write_files(target, {"report.html": page, "tune.json": write_json(record)}, config)
    return target / "report.html"


def tuned_record(found: Tuned) -> dict[str, Any]:
    """What a tuning came to, as JSON can hold it."""
    rows = found.table.loc[list(found.best)].reset_index().to_dict("records")
    return {
        "trials": len(found),
        "feasible": int(found.table["feasible"].sum()),
        "refused": found.refused,
        "undefined": found.undefined,
        "space": {one.name: one.record() for one in found.space},
        **found.goals.record(),
        "best": [{str(key): plain(value) for key, value in row.items()} for row in rows],
        "importance": {name: dict(own) for name, own in found.importance.items()},
        "trials_on_this_data": found.trials,
        "ledger": found.head._asdict(),
    }


def forward_record(found: Forward) -> dict[str, Any]:
    """What a walk-forward tuning came to, as JSON can hold it."""
    rows = found.folds.assign(first=found.folds["first"].map(str)).to_dict("records")
    return {
        "folds": [{str(key): plain(value) for key, value in row.items()} for row in rows],
        "space": {one.name: one.record() for one in found.space},
        **found.goals.record(),
        "sharpe_on_the_past": plain(found.inside),
        "sharpe_on_what_followed": plain(found.curve.sharpe),
        "sharpe_with_hindsight": plain(found.hindsight.sharpe),
        "known": {name: plain(value) for name, value in found.known.items()},
        "trials_on_this_data": found.trials,
        "ledger": found.head._asdict(),
    }


def _texts(table: pd.DataFrame, found: Tuned | Forward) -> pd.DataFrame:
    """A table whose values are text where not all are numbers, so that words and numbers fit one column."""
    return table.astype({one.name: column_type(table[one.name].tolist()) for one in found.space})
