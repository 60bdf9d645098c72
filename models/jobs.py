"""Jobs: the trainings of a walk-forward, answered from the cache, or done by worker processes or on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from foundation.cluster import running_cluster
from foundation.parallel import run_all
from foundation.progress import progress
from models.cache import FoldForecast, FoldJob, entry_path, read_entry
from models.devices import check_gpu, training_device, why_not_grouped
from models.fitted import TrainedNetwork
from models.parameters import LSTMParams
from models.pooling import PooledJob

# The resource that a worker of a cluster is started with where it has a GPU, and the networks it is sent at once.
RESOURCE, CLUSTER_GROUPS = "GPU", 256
# A job, and where what it makes is kept.
Call = tuple[Any, Any]


def run_jobs(jobs: Sequence[FoldJob], description: str, workers: int | None, cache: bool) -> list[FoldForecast]:
    """What each job makes, in their order; without a `description` no progress is shown."""
    paths: list[Path | None] = [entry_path(job.key) if cache else None for job in jobs]
    made = [
        path and read_entry(path, (len(job.sample) - job.test_first, len(job.params.outputs)), job.params)
        for job, path in zip(jobs, paths, strict=True)
    ]
    missing = {row: (jobs[row], paths[row]) for row, forecast in enumerate(made) if forecast is None}
    if missing:
        from models.training import run_job

        for row, forecast in _train(run_job, missing, description, workers):
            made[row] = forecast
    return [forecast for forecast in made if isinstance(forecast, FoldForecast)]


def run_pooled_jobs(
    jobs: Sequence[PooledJob], description: str, workers: int | None, cache: bool
) -> list[list[FoldForecast]]:
    """What each job makes for each of its symbols, in their order."""
    made = [job.kept() if cache else None for job in jobs]
    missing = {
        row: (jobs[row], jobs[row].entries() if cache else None) for row, kept in enumerate(made) if kept is None
    }
    if missing:
        from models.training import run_pooled

        for row, forecasts in _train(run_pooled, missing, description, workers):
            made[row] = forecasts
    return [forecasts for forecasts in made if forecasts is not None]


def train_jobs(jobs: Sequence[FoldJob], description: str, workers: int | None) -> list[TrainedNetwork]:
    """The network of each of some jobs of equal settings, trained anew; what was killed goes on from its checkpoint."""
    if training_device(jobs[0].params) == "cuda":
        made = dict(_train_grouped({row: (job, None) for row, job in enumerate(jobs)}, description, workers))
        return [made[row].network for row in range(len(jobs))]
    from models.training import train_network

    calls = [(job.sample, job.last, job.gap, job.scaling, job.params, job.seed, job.key) for job in jobs]
    return run_all(train_network, calls, _on_cpu(description, jobs[0].params), workers)


def train_pooled_jobs(jobs: Sequence[PooledJob], description: str, workers: int | None) -> list[list[TrainedNetwork]]:
    """The network of each of some jobs of equal settings as each of its symbols is to use it, trained anew."""
    lead = jobs[0]
    if training_device(lead.params) == "cuda":
        made = dict(_train_grouped({row: (job, None) for row, job in enumerate(jobs)}, description, workers))
        return [[one.network for one in made[row]] for row in range(len(jobs))]
    from models.training import train_networks

    shared = lead.scaling == "pooled"
    calls = [(job.rows, job.parts[0].scaling, job.params, job.parts[0].seed, shared) for job in jobs]
    return run_all(train_networks, calls, _on_cpu(description, lead.params), workers)


def _train(
    function: Callable[..., Any], calls: Mapping[int, Call], description: str, workers: int | None
) -> Iterator[tuple[int, Any]]:
    """Each number with what its job makes: those that can train as one program on a GPU, if that is to be, first."""
    grouped = {row: call for row, call in calls.items() if training_device(call[0].params) == "cuda"}
    alone = {row: call for row, call in calls.items() if row not in grouped}
    if grouped:
        yield from _train_grouped(grouped, description, workers)
    if alone:
        said = _on_cpu(description, next(iter(alone.values()))[0].params)
        yield from zip(alone, run_all(function, list(alone.values()), said, workers), strict=True)


def _on_cpu(description: str, params: LSTMParams) -> str:
    """The description of a training on the CPU: with the reason, where a GPU was asked for."""
    why = why_not_grouped(params) if params.device == "cuda" else ""
    return f"{description} on the CPU, as {why}" if description and why else description


def _train_grouped(calls: Mapping[int, Call], description: str, workers: int | None) -> Iterator[tuple[int, Any]]:
    rows = list(calls)
    jobs, entries = zip(*calls.values(), strict=True)
    said = description and f"{description} in groups on a GPU"
    if running_cluster() and workers != 1:
        from models.grouped.launch import run_grouped

        parts = range(0, len(rows), CLUSTER_GROUPS)
        sent = [(jobs[first : first + CLUSTER_GROUPS], entries[first : first + CLUSTER_GROUPS]) for first in parts]
        made = run_all(run_grouped, sent, said, workers, RESOURCE)
        yield from zip(rows, (one for part in made for one in part), strict=True)
        return
    check_gpu()
    from models.grouped.launch import stream_grouped

    with closing(progress(stream_grouped(jobs, entries), said, len(rows))) as results:
        for number, one in results:
            yield rows[number], one
