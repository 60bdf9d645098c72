"""Launches: the jobs of a walk-forward trained in groups, as many at once as the memory of the device holds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import pairwise
from subprocess import CalledProcessError
from typing import TypeVar

import torch

from foundation.errors import CrossgateError, ParameterError
from foundation.progress import untold
from models.cache import FoldForecast, FoldJob, Job, keep_networks
from models.checkpoints import GroupCheckpoint, begun_groups
from models.descent import Task
from models.devices import check_gpu, interpreted
from models.fitted import TrainedNetwork
from models.fold_forecasts import ask_networks
from models.grouped.descent import GroupedDescent
from models.parameters import WARM_UP, LSTMParams
from models.samples import Sample
from models.schedule import Rows
from models.training import Prepared, finish, make_task, one_thread, prepare_rows

T = TypeVar("T")
# How the recurrence makes its products in a training step. "tf32", one product of factors of 10 bits, would not do: it
# puts off the end of some trainings, and skill on planted regimes by more than 0.001.
PRECISION = "tf32x3"
# The shares of the free memory for steps and, beside it, for looks at validation rows; bytes to plan for without a GPU.
STEPS, CHECKS, WITHOUT_GPU = 0.6, 0.15, 2**29


def run_grouped(jobs: Sequence[Job], keep: bool) -> list[list[FoldForecast]]:
    """What run_job makes of each job, from networks that train side by side on the GPU."""
    found = dict(stream_grouped(jobs, keep))
    return [found[number] for number in range(len(jobs))]


def stream_grouped(
    jobs: Sequence[Job], keep: bool, told: Callable[[float], None] = untold
) -> Generator[tuple[int, list[FoldForecast]]]:
    """Each job's number and what it makes, launch by launch. Raises ParameterError where there is no GPU.

    `told` hears how many networks are trained, at each comparison within a launch, where those that run count in part.
    """
    device, before = _device(), 0
    shapes: dict[tuple[str, int], list[int]] = {}
    for number, job in enumerate(jobs):
        shape = json.dumps(_lead(job).params.without_device()), _lead(job).sample.features.shape[1]
        shapes.setdefault(shape, []).append(number)
    for numbers in shapes.values():
        for some in _launches(jobs, numbers, device, keep):
            networks = train_groups([jobs[number] for number in some], device, keep=keep, told=_after(before, told))
            before += len(some)
            for number, trained in zip(some, networks, strict=True):
                if keep:
                    keep_networks(jobs[number], trained)
                yield number, ask_networks(jobs[number], trained, keep)


def _device() -> torch.device:
    """The first GPU, or the CPU where Triton interprets; raises ParameterError where groups cannot train."""
    check_gpu()
    if interpreted():
        return torch.device("cpu")
    if not torch.cuda.is_available():
        problem, fix = "torch cannot use the GPU that the driver shows", 'see nvidia-smi, or device = "cpu"'
        raise ParameterError("model.device", problem, value="cuda", fix=fix)
    return torch.device("cuda")


def _launches(jobs: Sequence[Job], numbers: Sequence[int], device: torch.device, keep: bool) -> Iterator[Sequence[int]]:
    """The jobs of each launch: first those of a launch that was killed, together again, then all else in even parts."""
    named = {jobs[number].network_key: number for number in numbers} if keep else {}
    begun = [[named.pop(key) for key in group] for group in begun_groups(named)]
    yield from begun
    left = [number for number in numbers if not any(number in group for group in begun)]
    if left:
        yield from even_parts(left, capacity([jobs[number] for number in left], device))


def train_groups(
    jobs: Sequence[Job], device: torch.device, precision: str = PRECISION, keep: bool = False,
    told: Callable[[float], None] = untold,
) -> list[list[TrainedNetwork]]:  # fmt: skip
    """The networks of some jobs of one shape, trained at once: of each job as each of its markets is to use it.

    Where the memory of the device does not hold them after all, in two halves. With `keep` a launch of more than some
    seconds keeps checkpoints, from which one that was killed goes on. `told` hears how many are trained.
    """
    params = _lead(jobs[0]).params
    try:
        with one_thread(), torch.random.fork_rng(devices=[]):
            prepared, tasks = make_tasks(jobs)
            checkpoint = GroupCheckpoint([job.network_key for job in jobs]) if keep else None
            found = GroupedDescent(tasks, device, precision, check_groups(tasks, device)).run(checkpoint, told)
        name = "cuda" if device.type == "cuda" else "cpu, as a group"
        return [finish(rows, params, best, name) for rows, best in zip(prepared, found, strict=True)]
    except CalledProcessError as error:
        problem = f"Triton could not compile its launcher ({error.cmd[0]} ended with {error.returncode}, see above)"
        fix = 'install the headers of Python (python3-dev), or model.device = "cpu"'
        raise CrossgateError(f"{problem}; {fix}") from None
    except RuntimeError as error:
        if not _no_room(error):
            raise
        if len(jobs) == 1:
            problem = "the memory of the GPU does not hold the training of one network"
            raise CrossgateError(f'{problem}; a smaller model.batch, or model.device = "cpu"') from None
    torch.cuda.empty_cache()
    half = len(jobs) // 2
    first = train_groups(jobs[:half], device, precision, keep, told)
    return first + train_groups(jobs[half:], device, precision, keep, _after(half, told))


def _after(before: int, told: Callable[[float], None]) -> Callable[[float], None]:
    """What a part of the work is to tell how far it is, where so many networks came before it."""
    return lambda done: told(before + done)


def _no_room(error: RuntimeError) -> bool:
    """Whether memory of the device was wanting, for torch, for a library of its own, or for a kernel or a graph."""
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in said or "cublas_status_alloc_failed" in said


def make_tasks(jobs: Sequence[Job]) -> tuple[list[Prepared], list[Task]]:
    """The training of each job; jobs of equal rows, such as the seeds of a fold, share these."""
    kept: dict[tuple[object, ...], Prepared] = {}
    prepared, tasks = [], []
    for job in jobs:
        lead, key = _lead(job), _rows_key(job)
        if key not in kept:
            kept[key] = prepare_rows(job.rows, lead.scaling, lead.params, job.shared)
        prepared.append(kept[key])
        tasks.append(make_task(kept[key], lead.params, lead.seed, lead.before))
    return prepared, tasks


def _lead(job: Job) -> FoldJob:
    return job.parts[0]


def _rows_key(job: Job) -> tuple[object, ...]:
    """What two jobs of equal settings have in common if they train on the same rows, which are views of one array."""
    return (job.shared, _lead(job).scaling, *(_part_key(*part) for part in job.rows))


def _part_key(sample: Sample, rows: Rows) -> tuple[object, ...]:
    return sample.features.ctypes.data, sample.target.ctypes.data, sample.features.shape, rows


def even_parts(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """The items in as few parts of at most `most` as do, as equal in size as can be."""
    count = math.ceil(len(items) / most)
    edges = [round(number * len(items) / count) for number in range(count + 1)]
    return [items[first:last] for first, last in pairwise(edges)]


def _free(device: torch.device) -> int:
    """The bytes of the device that nothing uses; what torch keeps of launches before is given back first."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else WITHOUT_GPU


def check_groups(tasks: Sequence[Task], device: torch.device) -> int:
    """How many networks may look at their validation rows at once."""
    return max(1, int(CHECKS * _free(device) / check_bytes(tasks)))


def capacity(jobs: Sequence[Job], device: torch.device) -> int:
    """How many of these jobs fit into the memory of the device at once; at least one."""
    params, columns = _lead(jobs[0]).params, _lead(jobs[0]).sample.features.shape[1]
    rows = max(sum(part.last for part in job.parts) for job in jobs)
    # Validation rows are held twice: once more for those that warm the state.
    kept = 4 * rows * (columns + 2) * (1.0 + params.validation * (1.0 + WARM_UP / params.chunk))
    return max(1, int(STEPS * _free(device) / (kept + step_bytes(params, columns))))


def step_bytes(params: LSTMParams, columns: int) -> int:
    """About what a training step holds of one network: inputs, gates and states of each layer, masks, head and loss."""
    bars = params.batch * (params.burn_in + params.chunk)
    outs = params.raw_values + (columns if params.has_coefficients else 0)
    masks = 7 * (columns + params.hidden) if params.dropout else 0
    return 4 * bars * (3 * columns + 16 * params.hidden * params.layers + 4 * outs + 16 + masks)


def check_bytes(tasks: Sequence[Task]) -> int:
    """About what a look at the validation rows holds of one network beside these rows."""
    chunks = max(len(task.check.target) for task in tasks)
    params, columns = tasks[0].params, tasks[0].fit.inputs.shape[1]
    return 4 * chunks * (WARM_UP + params.chunk) * (3 * columns + 7 * params.hidden + 16)
