"""Grouped training: the steps, ends and results of many networks at once are those of each trained alone on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from grouped_cases import CPU, off_chip, small_job, small_sample, stepped
from planted_market import TINY, planted_market

import models.grouped.descent as grouped
import models.grouped.launch as launch
from foundation.errors import ParameterError
from models.cache import FoldJob
from models.descent import Descent, draw_starts
from models.dropout import step_keys
from models.fitted import TrainedNetwork
from models.fold_forecasts import run_job
from models.grouped.descent import GroupedDescent
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.pooling import plan_pool, pooled_jobs
from models.samples import build_sample
from models.training import one_thread, prepare_rows, train_network

SHAPES = (
    {"start": "zero"},
    {"start": "zero", "dropout": 0.3},
    {"output": "student", "variance_base": "har", "har_bars": (1, 5)},
    {"output": "gaussian", "head": "linear", "layers": 2, "start": "zero", "dropout": 0.1},
    {"output": "quantiles", "start": "zero"},
    {"output": "volatility", "variance_base": "leverage", "har_bars": (2, 5)},
    {"output": "barrier", "start": "zero"},
    {"output": "position", "start": "zero", "burn_in": 0},
)
MANY = TINY.replaced(steps=30)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grouped training on the scan, as the interpreter takes seconds a step."""
    monkeypatch.setattr("models.grouped.recurrence.on_chip", off_chip)


def alone(job: FoldJob) -> TrainedNetwork:
    """The network of a job, trained on the CPU."""
    return train_network(job.sample, job.last, job.gap, job.scaling, job.params, job.seed, before=job.before)


def together(jobs: Sequence[FoldJob], **words: Any) -> list[TrainedNetwork]:
    """The networks of some jobs, trained as a group."""
    return [one for (one,) in launch.train_groups(jobs, CPU, "ieee", **words)]


def apart(one: TrainedNetwork, other: TrainedNetwork) -> float:
    """The largest difference of two trainings: of weights, losses, and the steps to the best of them."""
    assert sorted(one.weights) == sorted(other.weights)
    figures = [abs(getattr(one, name) - getattr(other, name)) for name in ("steps", "loss", "zero_loss", "deviation")]
    return max(*figures, *(np.abs(one.weights[name] - other.weights[name]).max() for name in one.weights))


def losses_and_weights(jobs: Sequence[FoldJob], steps: int) -> float:
    """The largest difference, over the first steps of some trainings, between those of a group and those alone."""
    prepared, tasks = launch.make_tasks(jobs)
    group = GroupedDescent(launch.make_tasks(jobs)[1], CPU, "ieee", 2)
    with one_thread():
        group._begin()
        group._draw(steps)
        descents = [Descent(task) for task in tasks]
        for one in descents:
            one._begin()
        worst = 0.0
        for _ in range(steps):
            group._step()
            for number, one in enumerate(descents):
                one.step += 1
                one._step()
                for rows, network in ((group.weights, one.network), (group.average, one.average)):
                    own = group.layout.unpack(rows.detach())
                    worst = max(
                        worst,
                        *((own[name][number] - network.state_dict()[name]).abs().max().item() for name in own),
                    )
    assert len({id(one.fit) for one in prepared}) < len(jobs)
    return worst


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_first_steps_are_those_of_the_cpu(shape: dict[str, Any]) -> None:
    """Weights and averages after each of 12 steps of three trainings, two of which share their rows."""
    params = TINY.replaced(**shape, steps=12)
    sample = small_sample(params)
    jobs = [small_job(params, last, seed, sample) for last, seed in ((700, 5), (600, 5), (700, 6))]
    assert losses_and_weights(jobs, 12) < 1e-5


def test_the_kernels_train_as_the_cpu_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three trainings by the kernels themselves: the same best steps, losses and weights."""
    # One block for all chunks: the interpreter takes as long for one chunk as for many.
    monkeypatch.setattr("models.grouped.recurrence.BLOCK", 64)
    params = TINY.replaced(steps=3, check=3, chunk=16, burn_in=2, start="zero", learning_rate=0.05)
    sample = small_sample(params)
    jobs = [small_job(params, last, seed, sample) for last, seed in ((700, 5), (700, 6), (600, 5))]
    found = together(jobs)
    assert {one.steps for one in found} == {3}
    assert max(apart(one, alone(job)) for one, job in zip(found, jobs, strict=True)) < 1e-5


@pytest.mark.usefixtures("plain")
def test_a_training_does_not_depend_on_those_beside_it() -> None:
    """Of a group in any order, of a group of one, and of groups of two it is the same."""
    sample = small_sample(MANY)
    jobs = [small_job(MANY, last, seed, sample) for last in (700, 600) for seed in (5, 6)]
    found = together(jobs)
    turned = together(jobs[::-1])[::-1]
    single = [together([job])[0] for job in jobs]
    for one, *others in zip(found, turned, single, strict=True):
        assert max(apart(one, other) for other in others) < 1e-6
    assert len({one.loss for one in found}) == 4


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("patience", [20, 23])
def test_each_network_ends_when_its_own_patience_is_over(patience: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise ends early, a trend late; who has ended is left out, and all come to what each alone comes to."""
    params = TINY.replaced(steps=120, patience=patience, start="zero", learning_rate=0.01)
    noise = replace(small_sample(params), target=np.random.default_rng(0).normal(size=840).astype(np.float32))
    trend = build_sample(
        planted_market(trend=0.6).candles, FeatureParams(columns=("return:1", "sma_distance:5")), params
    )
    jobs = [small_job(params, 700, seed, sample) for sample in (noise, trend, noise) for seed in (5, 6)]
    sizes = stepped(monkeypatch)
    found = together(jobs)
    assert sizes[0] == 6
    assert 1 <= sizes[-1] < 6
    assert len({one.steps for one in found}) > 2
    for one, job in zip(found, jobs, strict=True):
        assert one.steps == alone(job).steps
        assert apart(one, alone(job)) < 1e-4


@pytest.mark.usefixtures("plain")
def test_a_loss_that_is_no_number_is_named_as_on_the_cpu() -> None:
    """The same line for the same step, whatever the others do."""
    params = TINY.replaced(start="zero", batch=64)
    sample = small_sample(params)
    target = np.where(np.arange(len(sample)) == 200, np.inf, sample.target).astype(np.float32)
    broken = small_job(params, 700, 1, replace(sample, target=target))
    with pytest.raises(ParameterError) as said:
        alone(broken)
    with pytest.raises(ParameterError) as found:
        together([small_job(params, 700, 1, sample), broken])
    assert str(found.value) == str(said.value)
    assert "makes the training loss inf at step" in str(found.value)


@pytest.mark.usefixtures("plain")
def test_gaps_in_the_target_carry_no_loss() -> None:
    """Rows without a target, or with a base that is no number, are left out, as on the CPU."""
    params = MANY.replaced(start="zero", output="student")
    sample = small_sample(params)
    target = sample.target.copy()
    target[100:140] = np.nan
    target[650:690] = np.nan
    job = small_job(params, 700, 1, replace(sample, target=target))
    assert apart(together([job])[0], alone(job)) < 1e-5


@pytest.mark.usefixtures("plain")
def test_a_warm_start_begins_at_the_weights_before() -> None:
    """Networks that begin at others, beside one that does not."""
    params = MANY.replaced(start="zero")
    jobs = [small_job(params, 700, seed) for seed in (5, 6)]
    warm = [replace(jobs[0], last=600, before=alone(jobs[0])), jobs[1]]
    found = together(warm)
    assert max(apart(one, alone(job)) for one, job in zip(found, warm, strict=True)) < 1e-5
    assert apart(found[0], alone(replace(warm[0], before=None))) > 1e-3


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("scaling", ["symbol", "pooled"])
def test_a_pool_trains_in_a_group(scaling: str) -> None:
    """One network for two markets, of two folds and two seeds: each market's forecasts are those of the CPU."""
    walk = WalkForwardParams(train="15d", test="10d", pooled=True, pooled_scaling=scaling)
    params = TINY.replaced(steps=10, start="zero")
    markets = [planted_market(seed=seed, symbol=f"TEST{seed}") for seed in (1, 2)]
    samples = {one.symbol: small_sample(params, seed) for seed, one in enumerate(markets, 1)}
    jobs = pooled_jobs(samples, plan_pool(samples, walk, params)[:2], walk, "standard", params, [5, 6])
    found = launch.run_grouped([replace(job) for job in jobs], False)
    for several, job in zip(found, jobs, strict=True):
        for one, other in zip(several, run_job(job, False), strict=True):
            assert np.abs(one.columns - other.columns).max() < 1e-5
            assert apart(one.network, other.network) < 1e-5


def test_chunks_drawn_ahead_are_those_drawn_step_by_step() -> None:
    """The CPU draws one step at a time, a group several: the same rows."""
    starts = np.arange(10, 1000)
    one, other = np.random.default_rng(7), np.random.default_rng(7)
    ahead = draw_starts(one, starts, 5, 33)
    assert np.array_equal(ahead, np.concatenate([draw_starts(other, starts, 5, 1) for _ in range(33)]))


class Recording:
    """What stands in for a CUDA graph: it takes the step when replayed; what is done while it records is undone."""

    def __init__(self, descent: GroupedDescent) -> None:
        self.descent, self.replayed = descent, 0

    def replay(self) -> None:
        self.replayed += 1
        self.descent._step()

    @contextmanager
    def record(self) -> Iterator[None]:
        names = (*grouped.STATE, "number", "place")
        before = {name: getattr(self.descent, name).detach().clone() for name in names}
        yield
        with torch.no_grad():
            for name, values in before.items():
                getattr(self.descent, name).copy_(values)


@pytest.mark.usefixtures("plain")
def test_recording_a_step_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that warm a graph up are undone, those left are all replayed, and a smaller group is recorded anew."""
    params = MANY.replaced(start="zero", patience=10, check=5)
    noise = replace(small_sample(params), target=np.random.default_rng(0).normal(size=840).astype(np.float32))
    sample = small_sample(params)
    tasks = [launch.make_tasks([small_job(params, 700, 5, one)])[1][0] for one in (noise, sample, noise)]
    expected = GroupedDescent(tasks, CPU, "ieee", 2).run()
    made: list[Recording] = []
    descent = GroupedDescent(tasks, CPU, "ieee", 2)
    descent.graphs = True
    stream = SimpleNamespace(wait_stream=lambda _: None)
    for name, stand_in in {
        "Stream": lambda: stream, "current_stream": lambda: stream, "stream": lambda _: nullcontext(),
        "CUDAGraph": lambda: made.append(Recording(descent)) or made[-1], "graph": lambda one: one.record(),
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)
    found = descent.run()
    assert len(made) == 2
    assert sum(one.replayed for one in made) == min(max(one.steps for one in found) + params.patience, params.steps)
    for one, other in zip(found, expected, strict=True):
        assert one.steps == other.steps
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in other.weights)


FAULTS = (
    "norm of all groups",
    "constant momentum",
    "other chunks",
    "decay left out",
    "average of the start",
    "burn-in",
    "masks of the step before",
    "masks of the first network",
    "no masks",
)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that differs from the CPU's in one thing leads elsewhere."""
    params = TINY.replaced(start="zero", steps=12, weight_decay=1.0, dropout=0.2 if "masks" in fault else 0.0)
    honest, move, table = draw_starts, GroupedDescent._move, grouped.step_numbers(params)
    if fault == "norm of all groups":

        def cut(descent: GroupedDescent, slopes: torch.Tensor, *numbers: torch.Tensor) -> None:
            move(descent, slopes / slopes.norm().clamp(min=1.0), *numbers)

        monkeypatch.setattr(GroupedDescent, "_move", cut)
    if fault == "constant momentum":
        monkeypatch.setattr(grouped, "step_numbers", lambda _: [[a, 0.1, *rest] for a, _, *rest in table])
    if fault == "decay left out":
        monkeypatch.setattr(grouped, "step_numbers", lambda _: [[1.0, *rest] for _, *rest in table])
    if fault == "average of the start":
        monkeypatch.setattr(grouped, "step_numbers", lambda _: [[*rest, 0.05] for *rest, _ in table])
    if fault == "other chunks":
        monkeypatch.setattr(grouped, "draw_starts", lambda *words: honest(*words)[::-1])
    if fault == "masks of the step before":
        monkeypatch.setattr(grouped, "step_keys", lambda seeds, step: step_keys(seeds, step - 1))
    if fault == "masks of the first network":
        monkeypatch.setattr(grouped, "step_keys", lambda seeds, step: step_keys(seeds[:1].expand_as(seeds), step))
    if fault == "no masks":
        monkeypatch.setattr("models.grouped.network._dropped", lambda values, *_: values)
    if fault == "burn-in":
        monkeypatch.setattr("models.grouped.rows.GroupedRows.chunks", _without_burn_in)
    sample = small_sample(params)
    jobs = [small_job(params, 700, seed, sample) for seed in (5, 6)]
    assert losses_and_weights(jobs, 12) > 1e-4


def _without_burn_in(rows: Any, starts: torch.Tensor) -> Any:
    """Chunks whose first bars carry a loss, too."""
    at = starts.unsqueeze(1) + rows.bars
    return type(rows.fit)(*(part[at] for part in rows.fit))


def test_seeds_of_a_fold_share_their_rows() -> None:
    """What is scaled and kept on the device is that of the folds, not of the seeds."""
    sample = small_sample()
    prepared, tasks = launch.make_tasks(
        [small_job(TINY, last, seed, sample) for last in (700, 600) for seed in (1, 2, 3)]
    )
    assert len({id(one) for one in prepared}) == 2
    rows = grouped.GroupedRows(tasks, CPU)
    assert len(rows.fit.target) == sum(len(one.fit.target) for one in (prepared[0], prepared[3]))
    assert rows.check.target.shape[:2] == (2, TINY.chunk)
    same = prepare_rows([(sample, prepared[0].parts[0][1])], "standard", TINY)
    assert torch.equal(same.fit.inputs, prepared[0].fit.inputs)


def test_settings_are_those_of_the_cpu() -> None:
    """AdamW's own constants, which the grouped step writes out, are torch's."""
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    assert optimiser.defaults["betas"][1] == grouped.SECOND_BETA
    assert optimiser.defaults["eps"] == grouped.EPSILON
    assert LSTMParams().device == "auto"
