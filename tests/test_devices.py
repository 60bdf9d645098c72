"""Devices: a walk-forward on a GPU is that on the CPU but for rounding, is kept apart, and what is missing is said."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grouped_cases import off_chip, small_job
from planted_market import FEW, SHORT, TINY, planted_market

import models.devices as devices
from foundation.errors import ParameterError
from models.devices import Driver, check_gpu, missing_gpu, training_device, why_gpu_is_idle, why_on_cpu
from models.grouped.launch import stream_grouped
from models.model_search import tune_model
from models.parameters import WalkForwardParams
from models.search_parameters import SearchParams
from models.storage import load_model, save_model
from models.trained import train_model
from models.walkforward import walk_forward

ON_GPU = TINY.replaced(device="cuda", start="zero")
MARKET = planted_market()
GPU = Driver(1, (9, 0), (13, 0))


def with_gpu(monkeypatch: pytest.MonkeyPatch, driver: Driver = GPU, built: str = "13.0") -> None:
    """A machine whose driver and torch say this, and which has Triton and a compiler."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("CC", "cc")
    monkeypatch.setattr(devices, "_driver", lambda: driver)
    monkeypatch.setattr(devices, "_torch_cuda", lambda: built)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts with an empty cache, and groups train on the scan."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path))
    monkeypatch.setenv("CROSSGATE_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setattr("models.grouped.recurrence.on_chip", off_chip)


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
    """Never the interpreter, never on a cluster; a device that is named is taken at its word."""
    auto = TINY.replaced(device="auto")
    assert (training_device(auto), why_on_cpu(auto)) == ("cpu", "TRITON_INTERPRET is set")
    with_gpu(monkeypatch)
    assert (training_device(auto), why_on_cpu(auto)) == ("cuda", "")
    assert training_device(auto.replaced(device="cpu")) == "cpu"
    assert training_device(auto.replaced(hidden=1024, layers=4, dropout=0.5)) == "cuda"
    monkeypatch.setattr(devices, "running_cluster", lambda: "tcp://127.0.0.1:9")
    assert training_device(auto) == "cpu"
    assert "a cluster trains on its CPUs" in why_on_cpu(auto)
    assert (training_device(ON_GPU), why_on_cpu(ON_GPU)) == ("cuda", "")


MISSING: dict[str, tuple[dict[str, Any], str, str]] = {
    "no device": ({"driver": Driver()}, "no CUDA device is there", 'device = "cpu" or "auto"'),
    "an old device": (
        {"driver": Driver(1, (6, 1), (12, 8))}, "the GPU is of compute capability 6.1, below 7.5",
        'device = "cpu" or "auto"',
    ),
    "torch for the CPU": (
        {"built": ""}, "a GPU is there, but the installed torch is built for the CPU alone",
        "a build of torch with CUDA",
    ),
    "an old driver": (
        {"driver": Driver(1, (9, 0), (12, 8))},
        "the driver of the GPU knows CUDA 12.8, and the installed torch is built for 13.0",
        "a newer driver, or a build of torch for an older CUDA",
    ),
    "no Triton": ({"triton": None}, "Triton is not installed", 'pip install -e ".[gpu]"'),
    "an old Triton": ({"triton": "3.1.0"}, "Triton 3.1.0 is older than 3.7", 'pip install -e ".[gpu]"'),
    "no compiler": ({"compiler": None}, "Triton finds no C compiler", "install gcc, or set CC"),
    "Apple": (
        {"platform": "darwin"}, "GPUs are used on Linux alone (those of Apple are not used)",
        'device = "cpu" or "auto"',
    ),
    "Windows": ({"platform": "win32"}, "GPUs are used on Linux alone", 'device = "cpu" or "auto"'),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_is_said_in_one_line(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ "cuda" is refused with what to do, and nothing is trained; "auto" trains on the CPU and says why."""
    words, problem, fix = MISSING[case]
    with_gpu(monkeypatch, words.get("driver", GPU), words.get("built", "13.0"))
    monkeypatch.setattr(devices.sys, "platform", words.get("platform", "linux"))
    if "triton" in words:
        honest = importlib.util.find_spec
        there = words["triton"]
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "triton" and not there else honest(name)
        )
        monkeypatch.setattr(devices, "version", lambda _: there)
    if "compiler" in words:
        monkeypatch.delenv("CC")
        monkeypatch.setattr(devices.shutil, "which", lambda _: None)
    with pytest.raises(ParameterError) as said:
        check_gpu()
    assert str(said.value).startswith(f"model.device = 'cuda': {problem}; {fix}")
    auto = TINY.replaced(device="auto", steps=1)
    walk_forward(MARKET, auto, FEW, walk=SHORT.replaced(scheme="holdout", seeds=1), workers=1)
    assert f"Training models for TEST on the CPU, as {problem} (1) ..." in capsys.readouterr().err
    assert why_on_cpu(auto.replaced(device="cpu")) == ""


def test_nothing_is_missing_on_a_machine_with_all() -> None:
    """A GPU, a torch for CUDA and Triton; in the interpreter Triton alone."""
    with pytest.MonkeyPatch.context() as patch:
        with_gpu(patch)
        assert missing_gpu() is None
        with_gpu(patch, Driver(2, (7, 5), (12, 6)), "12.6")
        assert missing_gpu() is None
        patch.setattr(devices, "_driver", Driver)
        patch.setenv("TRITON_INTERPRET", "1")
        assert missing_gpu() is None


def test_a_run_notes_a_gpu_that_stands_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none there is nothing to note, and forecasts are the same on every such machine."""
    auto, walk = TINY.replaced(device="auto", steps=1), SHORT.replaced(scheme="holdout", seeds=1)
    with_gpu(monkeypatch, Driver())
    assert why_gpu_is_idle(auto) == ""
    plain = walk_forward(MARKET, auto, FEW, walk=walk, workers=1)
    assert not any("GPU" in note for note in plain.notes)
    with_gpu(monkeypatch, built="")
    idle = walk_forward(MARKET, auto, FEW, walk=walk, workers=1)
    assert "all 1 networks were trained on the CPU one by one, not in groups on a GPU: a GPU is there, but" in str(
        idle.notes
    )
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert why_gpu_is_idle(auto) == ""


@pytest.mark.parametrize("change", [{"hidden": 65}, {"hidden": 80, "dropout": 0.1, "layers": 2}], ids=str)
def test_wide_states_train_in_groups(change: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """States that the kernels do not hold: the CPU's forecasts but for rounding, and the note of a group."""
    model, walk = ON_GPU.replaced(steps=3, **change), SHORT.replaced(scheme="holdout", seeds=2)
    there = walk_forward(MARKET, model, FEW, walk=walk, workers=1)
    assert "Training models for TEST in groups on a GPU (2) ..." in capsys.readouterr().err
    assert any("2 of 2 networks were trained in groups on a GPU" in note for note in there.notes)
    here = walk_forward(MARKET, model.replaced(device="cpu"), FEW, walk=walk, workers=1)
    one, other = there.series["TEST"], here.series["TEST"]
    assert np.abs((one.mean - other.mean) / other.sigma).max() < 1e-4


@pytest.mark.parametrize(
    "words",
    [
        {"warm_start": True}, {"retrain": "drift"}, {"pooled": True, "warm_start": True},
        {"pooled": True, "retrain": "drift"},
    ],
    ids=str,
)  # fmt: skip
def test_chains_and_pools_say_so_too(
    words: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Models that wait for each other: one line says that they train on the CPU, and why."""
    with_gpu(monkeypatch, Driver())
    model, walk = TINY.replaced(steps=2), SHORT.replaced(drift_window="5d", seeds=1, **words)
    walk_forward(MARKET, model, FEW, walk=walk, workers=1)
    assert "on the CPU, as no CUDA device is there: one after another (each" in capsys.readouterr().err


def test_a_search_says_what_trains_where(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In its one line; where the CPU was asked for there is nothing to say."""
    with_gpu(monkeypatch, Driver())
    walk = WalkForwardParams(train="25d", test="10d", embargo="1h")
    search = SearchParams(space={"hidden": [4, 8]}, features=False, folds=2)
    for device, said in (("auto", True), ("cpu", False)):
        model = TINY.replaced(steps=2, device=device)
        tune_model(MARKET, model, FEW, walk=walk, search=search, trials=1, workers=1)
        assert ("on the CPU, as no CUDA device is there" in capsys.readouterr().err) == said


class FakeDriver:
    """What stands in for libcuda.so.1."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing

    def cuInit(self, _: int) -> int:  # noqa: N802
        return int(self.failing == "init")

    def cuDeviceGetCount(self, made: Any) -> int:  # noqa: N802
        made._obj.value = 2
        return 100 if self.failing == "count" else 0

    def cuDriverGetVersion(self, made: Any) -> int:  # noqa: N802
        made._obj.value = 12080
        return 0

    def cuDeviceGetAttribute(self, made: Any, attribute: int, device: int) -> int:  # noqa: N802
        assert device == 0
        made._obj.value = {75: 8, 76: 9}[attribute]
        return 0

    def cuDeviceGetName(self, made: Any, length: int, device: int) -> int:  # noqa: N802
        assert (length, device) == (len(made), 0)
        made.value = b"NVIDIA L4"
        return int(self.failing == "name")


def test_the_driver_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices, generation and version as the driver writes them; nothing where it is not there or fails."""
    ask = devices._driver.__wrapped__
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: FakeDriver())
    assert ask() == Driver(2, (8, 9), (12, 8), "NVIDIA L4")
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: FakeDriver("name"))
    assert ask() == Driver(2, (8, 9), (12, 8))
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: FakeDriver("init"))
    assert ask() == Driver()
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: FakeDriver("count"))
    assert ask().devices == 0
    monkeypatch.setattr(devices.sys, "platform", "darwin")
    assert ask() == Driver()


def test_a_gpu_that_torch_cannot_use_is_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels for a GPU are never given tensors of the CPU: the driver shows one, and torch does not take it."""
    import torch

    with_gpu(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match=r"torch cannot use the GPU that the driver shows; see nvidia-smi"):
        next(stream_grouped([small_job(ON_GPU)], False))


def test_the_build_of_torch_is_read_without_torch() -> None:
    """What its file says is what torch says, and no driver is asked where there is none."""
    import torch

    assert devices._torch_cuda() == (torch.version.cuda or "")
    assert devices._driver().devices == torch.cuda.device_count()


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
