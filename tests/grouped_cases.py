"""What tests of grouped training share: Triton's interpreter, the scan that is quick without it, and small trainings.

Triton reads its switch when kernels are loaded, so the tests of a process that loads them first all come through here.
"""

from __future__ import annotations

import os

os.environ["TRITON_INTERPRET"] = "1"

import sys

import pytest
import torch
from planted_market import FEW, TINY, planted_market

from models.cache import FoldJob
from models.grouped.descent import GroupedDescent
from models.parameters import LSTMParams
from models.samples import Sample, build_sample

if sys.platform != "linux":
    pytest.importorskip("triton", reason="Triton is made for Linux alone")

CPU = torch.device("cpu")


def off_chip(_units: int, _device: torch.device) -> bool:
    """In the place of `on_chip`: every state goes through the scan in plain torch, which is quick on the CPU."""
    return False


def small_sample(params: LSTMParams = TINY, seed: int = 1) -> Sample:
    """The sample of a small market with a planted trend."""
    return build_sample(planted_market(seed=seed).candles, FEW, params)


def small_job(params: LSTMParams, last: int = 700, seed: int = 5, sample: Sample | None = None) -> FoldJob:
    """A training on the rows before `last`, which forecasts the rest."""
    return FoldJob(small_sample(params) if sample is None else sample, last, 60, last, "standard", params, seed)


def stepped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks took each step from now on."""
    taken: list[int] = []
    honest = GroupedDescent._step

    def counted(descent: GroupedDescent) -> None:
        taken.append(len(descent.groups))
        honest(descent)

    monkeypatch.setattr(GroupedDescent, "_step", counted)
    return taken
