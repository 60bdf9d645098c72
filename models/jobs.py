"""Jobs: the trainings of a walk-forward, answered from the cache or done by worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foundation.parallel import run_all
from models.cache import FoldForecast, FoldJob, entry_path, read_entry
from models.pooling import PooledJob


def run_jobs(jobs: Sequence[FoldJob], description: str, workers: int | None, cache: bool) -> list[FoldForecast]:
    """What each job makes, in their order; without a `description` no progress is shown."""
    paths: list[Path | None] = [entry_path(job.key) if cache else None for job in jobs]
    made = [
        path and read_entry(path, (len(job.sample) - job.test_first, len(job.params.outputs)), job.params)
        for job, path in zip(jobs, paths, strict=True)
    ]
    missing = [row for row, forecast in enumerate(made) if forecast is None]
    if missing:
        from models.training import run_job

        calls = [(jobs[row], paths[row]) for row in missing]
        for row, forecast in zip(missing, run_all(run_job, calls, description, workers), strict=True):
            made[row] = forecast
    return [forecast for forecast in made if isinstance(forecast, FoldForecast)]


def run_pooled_jobs(
    jobs: Sequence[PooledJob], description: str, workers: int | None, cache: bool
) -> list[list[FoldForecast]]:
    """What each job makes for each of its symbols, in their order."""
    made = [job.kept() if cache else None for job in jobs]
    missing = [row for row, forecasts in enumerate(made) if forecasts is None]
    if missing:
        from models.training import run_pooled

        calls = [(jobs[row], jobs[row].entries() if cache else None) for row in missing]
        for row, forecasts in zip(missing, run_all(run_pooled, calls, description, workers), strict=True):
            made[row] = forecasts
    return [forecasts for forecasts in made if forecasts is not None]
