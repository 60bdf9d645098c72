"""Training in groups on a GPU: folds in seconds, beside cuDNN, and its skill beside the CPU's; exit code 1 on a miss.

    python benchmarks/grouped_training.py [SECTION ...]

Sections: folds, cudnn, skill, plain, rounded (all by default). Without a CUDA device nothing can be timed, and all
sections but `plain` and `rounded`, which need none, name their figures as not measured. With TRITON_INTERPRET=1 the
section skill runs without one, small and in minutes. Times are by the clock, after everything has been compiled; the
targets were set for an H100.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

TREE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TREE))

import torch  # noqa: E402 - found only once the tree is on the path
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from benchmarks.figures import Figure, NotMeasured, Tally  # noqa: E402
from benchmarks.forecast import GAP  # noqa: E402
from benchmarks.planted import PROBLEMS  # noqa: E402
from models.cache import FoldJob  # noqa: E402
from models.devices import interpreted, missing_gpu  # noqa: E402
from models.fitted import TrainedNetwork  # noqa: E402
from models.parameters import LSTMParams  # noqa: E402
from models.skill import oracle_ratio  # noqa: E402

FOLDS, STEPS, TRAIN, TESTED, BARS = 1000, 100, 20_000, 20_000, 400_000
MODELS, COLUMNS = 256, 16
# All steps are taken, and compared as often as by default.
FIXED = LSTMParams(hidden=32, steps=STEPS, patience=STEPS)
# What the interpreter trains in minutes.
SMALL = LSTMParams(hidden=8, steps=10, batch=32, chunk=64, start="zero")


def folds() -> Iterator[Figure]:
    """1,000 folds of 20,000 bars of one planted series, 100 steps each: the training alone, and all around it."""
    from models.grouped.descent import GroupedDescent
    from models.grouped.launch import PRECISION, capacity, check_groups, even_parts, make_tasks, train_groups
    from models.training import one_thread

    device = torch.device("cuda")
    sample = PROBLEMS["momentum"](BARS, 0).sample(FIXED)
    firsts = np.linspace(sample.first, BARS - TRAIN, FOLDS).astype(int)
    jobs = [
        FoldJob(sample.rows(first, first + TRAIN), TRAIN - GAP, GAP, TRAIN, "standard", FIXED, seed)
        for seed, first in enumerate(firsts.tolist())
    ]
    train_groups(jobs[:2], device)
    whole, training, launches = time.perf_counter(), 0.0, even_parts(jobs, capacity(jobs, device))
    for some in launches:
        with one_thread(), torch.random.fork_rng(devices=[]):
            tasks = make_tasks(some)[1]
            torch.cuda.synchronize()
            start = time.perf_counter()
            GroupedDescent(tasks, device, PRECISION, check_groups(tasks, device)).run()
            training += time.perf_counter() - start
    whole = time.perf_counter() - whole
    peak = torch.cuda.max_memory_allocated() / 2**30
    note = f"{len(launches)} launches; the steps alone {training:.2f} s; {peak:.1f} GiB at most"
    yield Figure(f"{FOLDS:,} folds x {STEPS} steps, the scaling of rows included, seconds", whole, "<=", 5.0, note)


def cudnn() -> Iterator[Figure]:
    """A step of 256 networks as one program, over as many steps of one network by cuDNN, each replayed as a graph.

    The step of cuDNN does less: squared error of a linear head, Adam, and neither clipping nor averages.
    """
    from models.grouped.descent import GroupedDescent
    from models.grouped.launch import PRECISION, make_tasks

    random = np.random.default_rng(0)
    sample = PROBLEMS["momentum"](TRAIN, 0).sample(FIXED)
    wide = random.normal(size=(TRAIN, COLUMNS)).astype(np.float32)
    wide[:, : sample.features.shape[1]] = sample.features
    jobs = [
        FoldJob(_with_features(sample, wide), TRAIN - GAP, GAP, TRAIN, "standard", FIXED, seed)
        for seed in range(MODELS)
    ]
    descent = GroupedDescent(make_tasks(jobs)[1], torch.device("cuda"), PRECISION, MODELS)
    descent._begin()
    descent._draw(1)
    take = descent._recorded()

    def step() -> None:
        descent.number.zero_()
        descent.place.zero_()
        take()

    ours, one = milliseconds(step), milliseconds(_cudnn_step())
    note = f"{ours:.2f} ms a step of {MODELS}; cuDNN {one:.3f} ms a step of one"
    yield Figure(
        f"{MODELS} networks: cuDNN one after another over a group, times", one * MODELS / ours, ">=", 8.0, note
    )


def _with_features(sample: Any, features: np.ndarray) -> Any:
    from dataclasses import replace

    return replace(sample, features=features)


def _cudnn_step() -> Callable[[], None]:
    """A training step of one nn.LSTM on random chunks of 144 bars, recorded as a graph."""
    device, bars = torch.device("cuda"), FIXED.burn_in + FIXED.chunk
    inputs, target = torch.randn(TRAIN, COLUMNS, device=device), torch.randn(TRAIN, device=device)
    lstm, head = torch.nn.LSTM(COLUMNS, FIXED.hidden).to(device), torch.nn.Linear(FIXED.hidden, 1).to(device)
    weights = [*lstm.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(weights, 1e-3, fused=True, capturable=True)
    later = torch.arange(bars, device=device).unsqueeze(1)

    def step() -> None:
        at = torch.randint(0, TRAIN - bars, (FIXED.batch,), device=device) + later
        loss = torch.square(head(lstm(inputs[at])[0]).squeeze(-1) - target[at])[FIXED.burn_in :].mean()
        optimiser.zero_grad(set_to_none=False)
        loss.backward()
        optimiser.step()

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(4):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    replay: Callable[[], None] = graph.replay
    return replay


def milliseconds(work: Callable[[], None], rounds: int = 20) -> float:
    """The milliseconds that some work takes on the GPU: the median of three batches."""
    taken = []
    for _ in range(4):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(rounds):
            work()
        torch.cuda.synchronize()
        taken.append((time.perf_counter() - start) / rounds * 1e3)
    return float(np.median(taken[1:]))


def skill() -> Iterator[Figure]:
    """The share of the oracle's skill that a group of the kernels reaches, less that of the CPU's networks."""
    if interpreted():
        for name in PROBLEMS:
            yield compared(name, 0, SMALL, 2, torch.device("cpu"))
        return
    yield from all_compared(torch.device("cuda"))


def plain() -> Iterator[Figure]:
    """The same on the CPU, trained to the end by the scan in plain torch: the mathematics of a group in float32."""
    with patch("models.grouped.recurrence.on_chip", lambda *_: False):
        yield from all_compared(torch.device("cpu"))


def rounded() -> Iterator[Figure]:
    """As `plain`, but every product is made of factors in two parts of 10 bits, as tensor cores make it for us."""
    with patch("models.grouped.recurrence.on_chip", lambda *_: False), Rounded():
        for one in all_compared(torch.device("cpu")):
            yield one._replace(name=f"{one.name}, factors in parts of 10 bits")


def all_compared(device: torch.device) -> Iterator[Figure]:
    """Ensembles of 5 on every planted problem, drawn from three seeds."""
    for name in PROBLEMS:
        for data_seed in range(3):
            yield compared(name, data_seed, LSTMParams(), 5, device)


def compared(name: str, data_seed: int, params: LSTMParams, seeds: int, device: torch.device) -> Figure:
    """How far apart the skill of an ensemble trained in a group and of one trained on the CPU are."""
    from models.grouped.launch import train_groups
    from models.training import train_network

    problem, last = PROBLEMS[name](TRAIN + TESTED, data_seed), TRAIN - GAP
    sample = problem.sample(params)
    jobs = [FoldJob(sample, last, GAP, TRAIN, "standard", params, seed) for seed in range(seeds)]
    alone = [train_network(sample, last, GAP, "standard", params, seed) for seed in range(seeds)]
    group = [one for (one,) in train_groups(jobs, device)]
    reached = [oracle_ratio(_mean(some, sample, TRAIN), problem.oracle[TRAIN:]) for some in (group, alone)]
    steps = [[one.steps for one in some] for some in (group, alone)]
    said = f"best after {steps[0]} steps" + ("" if steps[0] == steps[1] else f", on the CPU after {steps[1]}")
    note = f"share of the oracle's: group {reached[0]:.5f}, CPU {reached[1]:.5f}; {said}"
    return Figure(
        f"{name} {data_seed}, skill of a group and of the CPU apart", abs(reached[0] - reached[1]), "<=", 1e-3, note
    )


class Rounded(TorchDispatchMode):
    """The block in which a batched product is three: of the leading 10 bits of both factors, and of each with the rest.

    So does Triton's "tf32x3", which the recurrence multiplies in; other products are made so, too, as a harder test.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in (torch.ops.aten.bmm.default, torch.ops.aten.baddbmm.default):
            return func(*args, **(kwargs or {}))
        *sums, left, right = args
        large, tall = _cut(left), _cut(right)
        rest = torch.bmm(large, _cut(right - tall)) + torch.bmm(_cut(left - large), tall)
        made = rest + torch.bmm(large, tall)
        return sums[0] + made if sums else made


def _cut(values: torch.Tensor) -> torch.Tensor:
    """Float32 rounded to the 10 bits of TF32."""
    bits = values.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


def _mean(networks: list[TrainedNetwork], sample: Any, first: int) -> np.ndarray:
    """What an ensemble expects of the bars after row `first`, as log returns."""
    warm = first - networks[0].params.replay
    said = [one.forecast(sample.features[warm:], one.fresh_state())[first - warm :, 0] for one in networks]
    return np.asarray(np.mean(said, axis=0) * sample.volatility[first:])


SECTIONS: dict[str, Callable[[], Iterator[Figure]]] = {
    "folds": folds, "cudnn": cudnn, "skill": skill, "plain": plain, "rounded": rounded,
}  # fmt: skip


# What each section measures, where it cannot.
TARGETS = {
    "folds": f"{FOLDS:,} folds x {STEPS} steps, at most 5 seconds",
    "cudnn": f"{MODELS} networks: cuDNN one after another over a group, at least 8 times",
    "skill": "skill of a group and of the CPU, at most 0.001 apart",
}


def main() -> int:
    """Prints the chosen sections and returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    chosen, missing, tally = parser.parse_args().sections or list(SECTIONS), missing_gpu(), Tally()
    print(f"device: {'none' if missing or interpreted() else torch.cuda.get_device_name()}; torch {torch.__version__}")
    for name in chosen:
        if name not in ("plain", "rounded") and (missing or (interpreted() and name != "skill")):
            there = "no CUDA device to be used" if missing else "Triton interprets here, which cannot be timed"
            tally.report([NotMeasured(TARGETS[name], f"{there} ({missing[0]})" if missing else there)])
        else:
            tally.report(SECTIONS[name]())
    return tally.exit_code(require_all=False)


if __name__ == "__main__":
    sys.exit(main())
