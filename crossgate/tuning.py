"""Tuning: a config and a space in, the folder of a tuning with its report out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import crossgate as cg
from backtests.searches.forward import Forward
from backtests.searches.goals import read_goals
from backtests.searches.search_size import MOST_TRIALS, check_trials
from backtests.searches.space import read_over, read_space
from backtests.searches.study import open_storage
from backtests.searches.tuning import Tuned
from crossgate.config import load_config
from crossgate.job import check_reach, searched
from reports.tune_report import check_tune_folder, forward_record, tuned_record, write_tuned


class TuneJob(NamedTuple):
    """What is asked of a tuning, in the words of the command line."""

    config: Path
    over: tuple[str, ...]
    trials: int
    objectives: tuple[str, ...]
    constraints: tuple[str, ...]
    folds: int
    storage: str | None
    most: int | None = MOST_TRIALS


def tune_job(
    job: TuneJob, overrides: Sequence[str] = (), data: Path | None = None, out: Path | None = None
) -> tuple[Tuned | Forward, Path, dict[str, Any]]:
    """The tuning of a config, the path of its report in the folder `out`, else below runs/, and its record.

    Raises ParameterError or DataError before any model trains for what can be checked before.
    """
    over = read_over(job.over)
    read_space(over)
    read_goals(job.objectives, job.constraints)
    check_trials(job.trials, job.folds, job.most)
    settings = load_config(job.config, overrides, data)
    folder = check_tune_folder(out or Path("runs") / f"{settings.run.name}-tune")
    check_reach(folder)
    if job.storage is not None:
        open_storage(job.storage)
    markets, forecasts = searched(settings, data)
    tables = (settings.rules, settings.risk, settings.account, settings.costs)
    words: dict[str, Any] = {
        "over": over, "trials": job.trials, "objectives": job.objectives, "constraints": job.constraints,
        "seed": settings.run.seed, "storage": job.storage or folder, "most": job.most,
    }  # fmt: skip
    found: Tuned | Forward
    if job.folds:
        found = cg.tune_forward(markets, forecasts, *tables, folds=job.folds, **words)
    else:
        found = cg.tune(markets, forecasts, *tables, **words)
    title = f"{'Walk-forward tuning' if job.folds else 'Tuning'} of {settings.run.name}"
    page = write_tuned(found, folder, name=title, config=settings.record())
    return found, page, tuned_record(found) if isinstance(found, Tuned) else forward_record(found)
