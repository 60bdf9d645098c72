"""Every value of every setting that the CPU trains, trained in a group: what docs/models.md says of it is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from grouped_cases import off_chip, small_job, small_sample
from planted_market import TINY
from test_grouped_training import losses_and_weights

from models.devices import training_device
from models.grouped.recurrence import ON_CHIP
from models.parameters import LSTMParams

# Values at both ends of what a test can afford; of words all are taken. In brackets what makes a setting count.
VALUES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "hidden": ([1, 17, 33, 65], {}),
    "layers": ([1, 2, 4], {"output": "student"}),
    "dropout": ([0.0, 0.1, 0.9], {"layers": 2, "output": "gaussian"}),
    "steps": ([1, 7], {}),
    "batch": ([1, 33], {}),
    "chunk": ([2, 40], {"output": "position"}),
    "burn_in": ([0, 20], {"output": "position"}),
    "learning_rate": ([1e-4, 0.2], {}),
    "weight_decay": ([0.0, 5.0], {}),
    "averaging": ([0.0, 0.99], {}),
    "validation": ([0.05, 0.5], {}),
    "check": ([1, 10_000], {}),
    "patience": ([1, 100_000], {}),
    "volatility_bars": ([2, 50], {}),
    "replay": ([128, 200], {}),
    "har_bars": ([(1,), (1, 2, 3, 4, 5, 6)], {"variance_base": "har", "output": "volatility"}),
    "levels": ([(0.1, 0.5, 0.9), (0.1, 0.2, 0.5, 0.6, 0.99)], {"output": "quantiles"}),
    "barrier_sigma": ([0.5, 5.0], {"output": "barrier"}),
    "barrier_bars": ([1, 30], {"output": "barrier"}),
    "recalibration_bars": ([0, 64], {}),
    "turnover_cost": ([0.0, 1.0], {"output": "position"}),
}
# What the words are tried with.
WORDS: dict[str, dict[str, Any]] = {
    "head": {"output": "student"}, "start": {"output": "quantiles"},
    "variance_base": {"output": "student", "har_bars": (1, 5)},
    "range_measure": {"output": "volatility", "variance_base": "leverage", "har_bars": (1, 5)},
}  # fmt: skip
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "models.md"


def cases() -> list[tuple[str, Any, dict[str, Any]]]:
    """Every setting, each of its values, and what it is tried with."""
    listed = []
    for name, field in LSTMParams.model_fields.items():
        if get_origin(field.annotation) is Literal:
            values, more = list(get_args(field.annotation)), WORDS.get(name, {})
        else:
            values, more = VALUES[name]
        listed += [(name, value, more) for value in values]
    return listed


@pytest.mark.parametrize(("name", "value", "more"), cases(), ids=str)
def test_every_setting_trains_in_a_group(
    name: str, value: Any, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seeds and two folds step by step: weights and averages are those of the CPU."""
    monkeypatch.setattr("models.grouped.recurrence.on_chip", off_chip)
    params = TINY.replaced(**{"steps": 3, "start": "zero", "batch": 4, "chunk": 16, **more, name: value})
    sample = small_sample(params)
    jobs = [small_job(params, last, seed, sample) for last, seed in ((700, 5), (640, 5), (700, 6))]
    assert losses_and_weights(jobs, min(params.steps, 3)) < 2e-5
    assert training_device(params.replaced(device="cuda")) == "cuda"


def test_no_setting_is_left_out() -> None:
    """The table in docs/models.md names every setting, and the sizes at which kernels give way to the scan."""
    text = DOCUMENT.read_text("utf-8")
    table = text[text.index("| setting |") : text.index("\n\n", text.index("| setting |"))]
    named = set(re.findall(r"`(\w+)`", table))
    assert set(LSTMParams.model_fields) <= named
    sizes = [most for most, _ in ON_CHIP]
    assert f"up to {sizes[0]} values" in table
    assert f"up to {sizes[1]} on cards" in table
    assert f"{sizes[0] + 1} to {1024:,}" in table
