"""Devices: a walk-forward on a GPU is that on the CPU but for rounding, is kept apart, and what is missing is said."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grouped_cases import plain_recurrence, small_job
from planted_market import FEW, SHORT, TINY, planted_market

import models.devices as devices
from foundation.errors import ParameterError
from models.devices import missing_gpu, training_device, why_not_grouped, why_on_cpu
from models.model_search import tune_model
from models.parameters import WalkForwardParams
from models.search_parameters import SearchParams
from models.storage import load_model, save_model
from models.trained import train_model
from models.walkforward import walk_forward

ON_GPU = TINY.replaced(device="cuda", start="zero")
MARKET = planted_market()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts with an empty cache, and groups train on the plain recurrence."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path))
    monkeypatch.setenv("CROSSGATE_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setattr("models.grouped.network.run_recurrence", plain_recurrence)


def walked(device: str, **settings: Any) -> Any:
    """A tiny walk-forward on a device."""
    words = {"walk": SHORT, "workers": 1, **settings}
    return walk_forward(MARKET, ON_GPU.replaced(device=device), FEW, **words)


@pytest.mark.parametrize("words", [{}, {"warm_start": True}, {"pooled": True}, {"retrain": "drift"}], ids=str)
def test_a_walk_forward_is_that_of_the_cpu(words: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Scheduled folds, chains and pools: every forecast within 1e-4 of a sigma, and a note where it was trained."""
    walk = SHORT.replaced(drift_window="5d", **words)
    there, here = walked("cuda", walk=walk), walked("cpu", walk=walk)
    one, other = there.series["TEST"], here.series["TEST"]
    assert np.array_equal(one.timestamp, other.timestamp)
    assert np.abs((one.mean - other.mean) / other.sigma).max() < 1e-4
    assert np.abs(one.sigma / other.sigma - 1.0).max() < 1e-5
    assert any("trained in groups on a GPU" in note for note in there.notes)
    assert not any("GPU" in note for note in here.notes)
    if not words:
        assert "in groups on a GPU (4) ..." in capsys.readouterr().err


def test_what_a_gpu_made_is_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's networks are equal to the bit everywhere: those of a GPU are never taken for them."""
    jobs = {device: small_job(TINY.replaced(device=device)) for device in ("auto", "cpu", "cuda")}
    assert jobs["auto"].network_key == jobs["cpu"].network_key != jobs["cuda"].network_key
    first = walked("cuda")
    monkeypatch.setattr("models.grouped.launch.train_groups", None)
    assert walked("cuda").fingerprint == first.fingerprint
    with pytest.raises(TypeError, match="NoneType"):
        walked("cuda", seed=1)


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the interpreter, never on a cluster; what cannot be grouped trains on the CPU and says so."""
    monkeypatch.delenv("TRITON_INTERPRET")
    auto = TINY.replaced(device="auto")
    assert training_device(auto) == "cpu"
    for name, there in (("_torch_cuda", "13.0"), ("_count_gpus", 1)):
        monkeypatch.setattr(devices, name, lambda value=there: value)
    assert training_device(auto) == "cuda"
    assert training_device(auto.replaced(device="cpu")) == "cpu"
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert training_device(auto) == "cpu"
    monkeypatch.delenv("TRITON_INTERPRET")
    monkeypatch.setattr(devices, "running_cluster", lambda: "tcp://127.0.0.1:9")
    assert training_device(auto) == "cpu"
    assert training_device(ON_GPU) == "cuda"


@pytest.mark.parametrize("change", [{"hidden": 65}, {"hidden": 80, "dropout": 0.1}], ids=str)
def test_what_cannot_be_grouped_trains_on_the_cpu(change: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The forecasts are the CPU's to the bit, and the line says why."""
    model = ON_GPU.replaced(steps=2, **change)
    assert why_not_grouped(model)
    walk = SHORT.replaced(scheme="holdout", seeds=1)
    asked = walk_forward(MARKET, model, FEW, walk=walk, workers=1)
    assert f"on the CPU, as {why_not_grouped(model)} (1) ..." in capsys.readouterr().err
    plain = walk_forward(MARKET, model.replaced(device="cpu"), FEW, walk=walk, workers=1)
    assert asked.fingerprint == plain.fingerprint
    said = f"all 1 networks were trained on the CPU one by one, not in groups on a GPU: {why_not_grouped(model)}"
    assert said in asked.notes
    assert not any("GPU" in note for note in plain.notes)


@pytest.mark.parametrize(
    "words",
    [
        {"warm_start": True}, {"retrain": "drift"}, {"pooled": True, "warm_start": True},
        {"pooled": True, "retrain": "drift"},
    ],
    ids=str,
)  # fmt: skip
def test_chains_and_pools_say_so_too(words: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Models that wait for each other: one line says that they train on the CPU, and why, and so do the notes."""
    model, walk = ON_GPU.replaced(steps=2, hidden=65), SHORT.replaced(drift_window="5d", seeds=1, **words)
    made = walk_forward(MARKET, model, FEW, walk=walk, workers=1)
    assert "on the CPU, as a state of 65, above 64, is not trained in groups; rounds" in capsys.readouterr().err
    assert any("one by one, not in groups on a GPU: a state of 65, above 64" in note for note in made.notes)


def test_a_search_says_what_trains_where(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the sizes that a search may draw, those that cannot be grouped are named in its line."""
    walk = WalkForwardParams(train="25d", test="10d", embargo="1h")
    search = SearchParams(space={"hidden": [4, 80], "dropout": "0:0.2"}, features=False, folds=2)
    model = ON_GPU.replaced(steps=2)
    for device, said in (("cuda", True), ("cpu", False)):
        found = tune_model(MARKET, model.replaced(device=device), FEW, walk=walk, search=search, trials=1, workers=1)
        line = capsys.readouterr().err
        assert ("some on the CPU, as a state of 80, above 64, is not trained in groups" in line) == said
        assert len(found.table) == 2


def test_auto_says_why_a_gpu_that_is_there_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, or the CPU was asked for, there is nothing to say."""
    model = TINY.replaced(device="auto", hidden=65)
    assert why_on_cpu(model) == ""
    monkeypatch.delenv("TRITON_INTERPRET")
    assert why_on_cpu(model) == ""
    for name, there in (("_torch_cuda", "13.0"), ("_count_gpus", 1)):
        monkeypatch.setattr(devices, name, lambda value=there: value)
    assert why_on_cpu(model) == "a state of 65, above 64, is not trained in groups"
    assert why_on_cpu(model.replaced(hidden=64, dropout=0.1)) == ""
    assert why_on_cpu(model.replaced(device="cpu")) == ""


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Triton, no torch for CUDA, no device: what to do about each, and nothing is trained or written."""
    honest = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "triton" else honest(name))
    with pytest.raises(ParameterError, match=r'^model\.device = \'cuda\': needs Triton; pip install -e "\.\[gpu\]"$'):
        walked("cuda")
    monkeypatch.setattr(importlib.util, "find_spec", honest)
    monkeypatch.delenv("TRITON_INTERPRET")
    monkeypatch.setattr(devices, "_torch_cuda", lambda: "")
    with pytest.raises(ParameterError, match="the installed torch is built for the CPU alone; device = "):
        walked("cuda")
    monkeypatch.setattr(devices, "_torch_cuda", lambda: "13.0")
    monkeypatch.setattr(devices, "_count_gpus", lambda: 0)
    with pytest.raises(ParameterError, match=r'no CUDA device is there; device = "cpu" or "auto"'):
        walked("cuda")
    monkeypatch.setattr(devices, "_count_gpus", lambda: 1)
    assert missing_gpu() is None


def test_the_build_of_torch_is_read_without_torch() -> None:
    """What its file says is what torch says, and no driver is asked where there is none."""
    import torch

    assert devices._torch_cuda() == (torch.version.cuda or "")
    assert devices._count_gpus() == torch.cuda.device_count()


@pytest.mark.parametrize("pooled", [False, True])
def test_a_trained_model_says_where(pooled: bool, tmp_path: Path) -> None:
    """`train_model` in a group: the CPU's weights but for rounding; the file keeps where they were trained."""
    markets = [MARKET, planted_market(seed=2, symbol="OTHER")]
    words = {"features": FEW, "seeds": 2, "workers": 1, "pooled": pooled}
    there = train_model(markets, model=ON_GPU, **words)
    here = train_model(markets, model=ON_GPU.replaced(device="cpu"), **words)
    kept = load_model(save_model(there, tmp_path / "model.safetensors"))
    for symbol, one in there.symbols.items():
        for found, read, other in zip(
            one.members, kept.symbols[symbol].members, here.symbols[symbol].members, strict=True
        ):
            assert found.steps == other.steps
            assert max(np.abs(found.weights[name] - other.weights[name]).max() for name in found.weights) < 1e-4
            assert (found.device, read.device, other.device) == ("cpu, as a group", "cpu, as a group", "cpu")
