"""Checkpoints of groups: a launch that was killed goes on with the same networks, and comes to the same bits."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grouped_cases import off_chip, small_job, small_sample, stepped
from planted_market import FEW, SHORT, TINY, planted_market

import models.checkpoints
import models.grouped.launch as launch
from models.cache import FoldForecast, FoldJob
from models.checkpoints import GroupCheckpoint, begun_groups
from models.grouped.descent import STATE, GroupedDescent
from models.parameters import LSTMParams
from models.trained import train_model
from models.walkforward import walk_forward

MANY = TINY.replaced(
    steps=60, dropout=0.1, check=5, patience=10, start="zero", output="student", device="cuda", learning_rate=0.3
)
SMALL = TINY.replaced(steps=6, check=2, start="zero", batch=2, chunk=4, burn_in=1, device="cuda")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own, and a checkpoint whenever one may be written."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path))
    monkeypatch.setattr(models.checkpoints, "SECONDS", 0.0)
    return tmp_path


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan in plain torch, which is quick."""
    monkeypatch.setattr("models.grouped.recurrence.on_chip", off_chip)


def jobs_of(params: LSTMParams, count: int) -> list[FoldJob]:
    """Trainings of some seeds on the same rows."""
    sample = small_sample(params)
    return [small_job(params, 700, seed, sample) for seed in range(count)]


def killed_at(step: int, work: Callable[[], object]) -> None:
    """Work on a GPU that dies at the comparison after some step."""
    honest = GroupedDescent._compare

    def dying(descent: GroupedDescent, at: int) -> None:
        if at == step:
            raise KeyboardInterrupt
        honest(descent, at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GroupedDescent, "_compare", dying)
        with pytest.raises(KeyboardInterrupt):
            work()


def same(some: list[list[FoldForecast]], others: list[list[FoldForecast]]) -> bool:
    """Whether networks are equal to the bit, with all that is said of them."""
    pairs = [(one.network, other.network) for (one,), (other,) in zip(some, others, strict=True)]
    figures = all(one.record() == other.record() for one, other in pairs)
    return figures and all(
        np.array_equal(one.weights[name], other.weights[name]) for one, other in pairs for name in one.weights
    )


def test_a_killed_launch_goes_on_in_the_interpreter(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels themselves: a step is kept, the other is taken again, and every bit is that of the whole."""
    params = SMALL.replaced(steps=2, check=1, chunk=16)
    jobs = [small_job(params, 260)]
    jobs = [replace(job, sample=job.sample.rows(0, 270), test_first=260) for job in jobs]
    whole = launch.run_grouped(jobs, False)
    assert not list(own_cache.rglob("*.pt")), "without a cache nothing is kept"
    killed_at(2, lambda: launch.run_grouped(jobs, True))
    taken = stepped(monkeypatch)
    assert same(launch.run_grouped(jobs, True), whole)
    assert taken == [1]
    assert not list(own_cache.rglob("group-*"))


@pytest.mark.usefixtures("plain")
def test_those_that_had_ended_stay_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after some networks had run out of patience: what they came to is kept, the others go on without them."""
    jobs = jobs_of(MANY, 6)
    sizes = stepped(monkeypatch)
    whole = launch.run_grouped(jobs, False)
    at = next(step for step, size in enumerate(sizes) if size < 6)
    assert 5 < at < len(sizes) - 5, "some end early, and others go on"
    killed_at(at + 10, lambda: launch.run_grouped(jobs, True))
    state = GroupCheckpoint([job.network_key for job in jobs]).read()
    assert state is not None
    assert (state["step"], len(state["found"])) == (at + 5, 6 - sizes[at])
    sizes.clear()
    assert same(launch.run_grouped(jobs, True), whole)
    assert max(sizes) == len(state["groups"]) < 6


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    "lost", [*(name for name in STATE if name not in ("lost", "lost_at")), "random", "found", "step"]
)
def test_every_part_of_the_state_counts(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that forgot one part of the state would come to something else: each is needed."""
    jobs = jobs_of(MANY, 6)
    sizes = stepped(monkeypatch)
    whole = launch.run_grouped(jobs, False)
    at = next(step for step, size in enumerate(sizes) if size < 6)
    killed_at(at + 10, lambda: launch.run_grouped(jobs, True))
    honest = GroupedDescent._restore

    def forgetful(descent: GroupedDescent, state: dict[str, Any]) -> None:
        fresh = [one.bit_generator.state for one in descent.random]
        kept = [0 if len(state["groups"]) == len(descent.tasks) else group for group in state["groups"]]
        before = {name: getattr(descent, name).detach()[kept].clone() for name in STATE}
        honest(descent, state)
        if lost == "random":
            for one, old in zip(descent.random, fresh, strict=True):
                one.bit_generator.state = old
        elif lost == "step":
            descent.number.zero_()
        elif lost == "seeds":
            descent.seeds = descent.seeds + 1
        elif lost == "found":
            descent.found = dict.fromkeys(descent.found, next(iter(descent.found.values())))
        else:
            setattr(descent, lost, before[lost].requires_grad_(lost == "weights"))

    monkeypatch.setattr(GroupedDescent, "_restore", forgetful)
    if lost == "found":
        assert len(GroupCheckpoint([job.network_key for job in jobs]).read()["found"]) > 1
    assert not same(launch.run_grouped(jobs, True), whole)


@pytest.mark.usefixtures("plain")
def test_the_networks_of_a_launch_start_together_again(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five networks in launches of two and three, killed in the second: the first is kept, the second as it was."""
    jobs = jobs_of(SMALL, 5)
    whole = launch.run_grouped(jobs, False)
    monkeypatch.setattr(launch, "capacity", lambda *_: 3)
    sizes = stepped(monkeypatch)
    stream = launch.stream_grouped(jobs, True)
    first = [next(stream) for _ in range(2)]
    assert [number for number, _ in first] == [0, 1]
    stream.close()
    honest, calls = GroupedDescent._compare, list[int]()

    def dying(descent: GroupedDescent, at: int) -> None:
        calls.append(at)
        if len(descent.tasks) == 3 and at == 4:
            raise KeyboardInterrupt
        honest(descent, at)

    with monkeypatch.context() as patch:
        patch.setattr(GroupedDescent, "_compare", dying)
        with pytest.raises(KeyboardInterrupt):
            launch.run_grouped(jobs, True)
    (members,) = begun_groups([job.network_key for job in jobs])
    assert members == [job.network_key for job in jobs[2:]]
    sizes.clear()
    # Another job, and other room, would cut them another way.
    monkeypatch.setattr(launch, "capacity", lambda *_: 2)
    more = jobs_of(SMALL, 6)
    assert same(launch.run_grouped(more, True)[:5], whole)
    assert sizes[:4] == [3] * 4, "those three first, from step 2 on"
    assert len(sizes) == 4 + 2 * 6
    assert not list(own_cache.rglob("group-*"))


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("damage", ["state", "members", "neither"])
def test_a_damaged_checkpoint_is_as_good_as_none(damage: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the two that is cut short starts the training anew; whole ones of other trainings are left alone."""
    jobs = jobs_of(SMALL, 2)
    whole = launch.run_grouped(jobs, False)
    killed_at(4, lambda: launch.run_grouped(jobs, True))
    for path in own_cache.rglob("group-*"):
        if path.suffix == {"state": ".pt", "members": ".json"}.get(damage):
            path.write_bytes(path.read_bytes()[:20])
    sizes = stepped(monkeypatch)
    assert begun_groups([jobs[0].network_key]) == []
    assert same(launch.run_grouped(jobs, True), whole)
    assert len(sizes) == (6 if damage == "state" else 4)


@pytest.mark.usefixtures("plain")
def test_a_trained_model_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model trained on a whole market on a GPU, killed on the way: it comes to the networks of one never stopped."""
    market, model = planted_market(), TINY.replaced(device="cuda", start="zero", check=5)
    words: dict[str, Any] = {"model": model, "features": FEW, "seeds": 2, "workers": 1}
    whole = train_model(market, **words).symbols["TEST"].members
    killed_at(10, lambda: train_model(market, **words))
    sizes = stepped(monkeypatch)
    again = train_model(market, **words).symbols["TEST"].members
    assert sizes == [2] * 5, "from step 5 on"
    assert all(
        np.array_equal(one.weights[name], other.weights[name])
        for one, other in zip(again, whole, strict=True)
        for name in one.weights
    )
    train_model(market, **words)
    assert len(sizes) == 5 + 10, "trained anew each time"


@pytest.mark.usefixtures("plain")
def test_a_walk_forward_on_a_gpu_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in its launch, a walk-forward comes to the forecasts of one that was never stopped."""
    market, model = planted_market(), TINY.replaced(device="cuda", start="zero", check=5)
    words: dict[str, Any] = {"walk": SHORT, "workers": 1}
    whole = walk_forward(market, model, FEW, **words, cache=False)
    killed_at(10, lambda: walk_forward(market, model, FEW, **words))
    sizes = stepped(monkeypatch)
    assert walk_forward(market, model, FEW, **words).fingerprint == whole.fingerprint
    assert len(sizes) == 5


def test_a_launch_tells_how_far_it_is(own_cache: Path) -> None:
    """At each comparison, in the interpreter: those that run count by their share of the steps, also after a kill."""
    params = SMALL.replaced(steps=4, check=1, chunk=16)
    jobs = [small_job(params, 260, seed) for seed in (0, 1)]
    jobs = [replace(job, sample=job.sample.rows(0, 270), test_first=260) for job in jobs]
    told: list[float] = []
    assert len(list(launch.stream_grouped(jobs, True, told.append))) == 2
    assert told == [0.5, 1.0, 1.5, 2.0]
    told.clear()
    shutil.rmtree(own_cache)
    killed_at(3, lambda: launch.run_grouped(jobs, True))
    assert len(list(launch.stream_grouped(jobs, True, told.append))) == 2
    assert told == [1.5, 2.0]


@pytest.mark.usefixtures("plain")
def test_those_that_end_early_count_as_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks out of patience are done, before they are dropped and after; the last word is all of them."""
    told: list[float] = []
    sizes = stepped(monkeypatch)
    list(launch.stream_grouped(jobs_of(MANY, 6), False, told.append))
    assert told == sorted(told)
    assert told[-1] == 6.0
    ended = next(row for row, (one, other) in enumerate(pairwise(told)) if other - one >= 0.5)
    assert MANY.check * ended < len(sizes) - 5, "one ends long before its steps are over"
