"""Jobs: the trainings of a walk-forward, answered from the cache, or done by worker processes or on a GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar

from foundation.cluster import running_cluster
from foundation.parallel import run_all
from foundation.progress import progress_bar
from models.cache import FoldForecast, Job
from models.devices import check_gpu, training_device, why_on_cpu
from models.fitted import TrainedNetwork
from models.fold_forecasts import kept_job, run_job
from models.parameters import LSTMParams

# The resource that a worker of a cluster is started with where it has a GPU, and the networks it is sent at once.
RESOURCE, CLUSTER_GROUPS = "GPU", 256
_COUNT: ContextVar[Counter[str] | None] = ContextVar("count", default=None)


@contextmanager
def count_networks() -> Iterator[Counter[str]]:
    """Counts the networks that walk-forwards within the block found in the cache, as "kept", and "trained"."""
    count: Counter[str] = Counter(kept=0, trained=0)
    before = _COUNT.set(count)
    try:
        yield count
    finally:
        _COUNT.reset(before)


def run_jobs(jobs: Sequence[Job], description: str, workers: int | None, cache: bool) -> list[FoldForecast]:
    """What each job of one market makes, in their order; without a `description` no progress is shown."""
    return [made[0] for made in run_pooled_jobs(jobs, description, workers, cache)]


def run_pooled_jobs(
    jobs: Sequence[Job], description: str, workers: int | None, cache: bool
) -> list[list[FoldForecast]]:
    """What each job makes for each of its markets, in their order. With `cache` only new networks are trained."""
    made = [kept_job(job) if cache else None for job in jobs]
    missing = {row: jobs[row] for row, kept in enumerate(made) if kept is None}
    for row, forecasts in _train(missing, description, workers, cache):
        made[row] = forecasts
    if (count := _COUNT.get()) is not None:
        count.update(kept=len(jobs) - len(missing), trained=len(missing))
    return [forecasts for forecasts in made if forecasts is not None]


def train_jobs(jobs: Sequence[Job], description: str, workers: int | None) -> list[list[TrainedNetwork]]:
    """The network of each of some jobs of equal settings, trained anew, as each of its markets is to use it.

    What was killed goes on from its checkpoint.
    """
    if training_device(jobs[0].parts[0].params) == "cuda":
        made = dict(_train_grouped(dict(enumerate(jobs)), description, workers, cache=True))
        return [[one.network for one in made[row]] for row in range(len(jobs))]
    from models.training import train_networks

    calls = [(job.rows, *_settings(job), job.shared, job.network_key) for job in jobs]
    return run_all(train_networks, calls, on_cpu(description, jobs[0].parts[0].params), workers)


def _settings(job: Job) -> tuple[str, LSTMParams, int]:
    lead = job.parts[0]
    return lead.scaling, lead.params, lead.seed


def _train(
    missing: Mapping[int, Job], description: str, workers: int | None, cache: bool
) -> Iterator[tuple[int, list[FoldForecast]]]:
    """Each number with what its job makes: those that can train as one program on a GPU, if that is to be, first."""
    grouped = {row: job for row, job in missing.items() if training_device(job.parts[0].params) == "cuda"}
    alone = {row: job for row, job in missing.items() if row not in grouped}
    if grouped:
        yield from _train_grouped(grouped, description, workers, cache)
    if alone:
        said = on_cpu(description, next(iter(alone.values())).parts[0].params)
        calls = [(job, cache) for job in alone.values()]
        yield from zip(alone, run_all(run_job, calls, said, workers), strict=True)


def on_cpu(description: str, params: LSTMParams) -> str:
    """The description of a training on the CPU: with why, where it was left to this machine."""
    why = why_on_cpu(params)
    return f"{description} on the CPU, as {why}" if description and why else description


def _train_grouped(
    jobs: Mapping[int, Job], description: str, workers: int | None, cache: bool
) -> Iterator[tuple[int, list[FoldForecast]]]:
    rows, listed = list(jobs), list(jobs.values())
    said = description and f"{description} in groups on a GPU"
    if running_cluster() and workers != 1:
        from models.grouped.launch import run_grouped

        sent = [(listed[first : first + CLUSTER_GROUPS], cache) for first in range(0, len(rows), CLUSTER_GROUPS)]
        made = run_all(run_grouped, sent, said, workers, RESOURCE)
        yield from zip(rows, (one for part in made for one in part), strict=True)
        return
    check_gpu()
    from models.grouped.launch import stream_grouped

    with progress_bar(said, len(rows)) as told, closing(stream_grouped(listed, cache, told)) as results:
        for number, one in results:
            yield rows[number], one
