"""The memory of launches: as many networks as fit, halves where they do not; and what a launcher lacks is said."""

from __future__ import annotations

from subprocess import CalledProcessError
from typing import Any

import pytest
import torch
from grouped_cases import CPU, off_chip, small_job, small_sample
from planted_market import TINY
from test_grouped_training import apart

import models.grouped.launch as launch
from foundation.errors import CrossgateError
from models.grouped.descent import GroupedDescent

MANY = TINY.replaced(steps=30)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grouped training on the scan, as the interpreter takes seconds a step."""
    monkeypatch.setattr("models.grouped.recurrence.on_chip", off_chip)


@pytest.mark.usefixtures("plain")
def test_launches_are_cut_to_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less memory: more launches, as equal as can be, and the same networks; too little for one is said."""
    sample = small_sample(MANY)
    jobs = [small_job(MANY, 700, seed, sample) for seed in range(5)]
    whole = launch.run_grouped(jobs, False)
    sizes: list[int] = []
    honest = GroupedDescent.run

    def counted(descent: GroupedDescent, *more: Any) -> Any:
        sizes.append(len(descent.tasks))
        if len(descent.tasks) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(descent, *more)

    monkeypatch.setattr(GroupedDescent, "run", counted)
    monkeypatch.setattr(launch, "WITHOUT_GPU", int(3.5 * launch.WITHOUT_GPU / launch.capacity(jobs, CPU)))
    told: list[float] = []
    parts = [made for _, made in launch.stream_grouped(jobs, False, told.append)]
    # Two launches were planned; the larger one did not fit, and went in halves.
    assert sizes == [2, 3, 1, 2]
    # What is told goes on from part to part, network by network trained.
    assert told == sorted(told)
    assert {2.0, 3.0, 5.0} <= set(told)
    for one, other in zip(whole, parts, strict=True):
        assert apart(one[0].network, other[0].network) < 1e-6
    monkeypatch.setattr(GroupedDescent, "run", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("no room")))
    with pytest.raises(CrossgateError, match=r"does not hold the training of one network; a smaller model\.batch"):
        launch.run_grouped(jobs, False)


@pytest.mark.parametrize("said", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling", "no kernel"])
def test_memory_may_be_wanting_elsewhere(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library, a kernel or a graph without memory halves a launch as torch does; any other failure is raised."""
    sizes: list[int] = []

    def full(descent: GroupedDescent, *_: Any) -> Any:
        sizes.append(len(descent.tasks))
        raise RuntimeError(said)

    monkeypatch.setattr(GroupedDescent, "run", full)
    jobs = [small_job(MANY, 700, seed, small_sample(MANY)) for seed in range(2)]
    known = said != "no kernel"
    with pytest.raises(CrossgateError if known else RuntimeError, match="one network" if known else said):
        launch.run_grouped(jobs, False)
    assert sizes == ([2, 1] if known else [2])


def test_a_launcher_that_cannot_be_compiled_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton compiles a file of C when it first runs: what that lacks stands in one line."""

    def broken(*_: Any) -> None:
        raise CalledProcessError(1, ["/usr/bin/gcc", "main.c"])

    monkeypatch.setattr(GroupedDescent, "run", broken)
    with pytest.raises(CrossgateError, match=r"\(/usr/bin/gcc ended with 1, see above\); install the headers"):
        launch.run_grouped([small_job(MANY)], False)


def test_memory_that_torch_keeps_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a launch before left with torch is given back before the next one is planned."""
    free = [10**9]
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: free.__setitem__(0, 8 * 10**9))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free[0], 10**10))
    jobs, there = [small_job(MANY)], torch.device("cuda")
    planned = launch.capacity(jobs, there)
    monkeypatch.setattr(launch, "WITHOUT_GPU", 8 * 10**9)
    assert planned == launch.capacity(jobs, CPU) > 1


def test_parts_are_as_equal_as_can_be() -> None:
    """Every item once, in order, none larger than asked for."""
    for most, sizes in ((600, [500, 500]), (1000, [1000]), (999, [500, 500]), (334, [333, 334, 333])):
        parts = launch.even_parts(list(range(1000)), most)
        assert [len(part) for part in parts] == sizes
        assert [one for part in parts for one in part] == list(range(1000))
