"""Devices: where networks train, on the CPU one by one or on a GPU as one program. Free of torch."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path

from foundation.cluster import running_cluster
from foundation.errors import ParameterError
from models.parameters import LSTMParams

# A state no larger than this: a program holds four square matrices of its size on the chip (models/grouped/kernels.py).
MOST_HIDDEN = 64


def training_device(params: LSTMParams) -> str:
    """Where networks of these settings train: "cuda", many as one program, or "cpu".

    `device = "auto"`: on a GPU where there is one with Triton and the settings can be grouped; with a cluster on the
    CPUs of its workers. "cuda" is taken at its word here, see `check_gpu`, but for settings that cannot be grouped.
    """
    if params.device == "cpu" or why_not_grouped(params):
        return "cpu"
    if params.device == "cuda":
        return "cuda"
    return "cpu" if running_cluster() or interpreted() or missing_gpu() else "cuda"


def why_not_grouped(params: LSTMParams) -> str:
    """Why networks of these settings cannot train as one program; empty where they can."""
    if params.hidden > MOST_HIDDEN:
        return f"a state of {params.hidden}, above {MOST_HIDDEN}, is not trained in groups"
    return ""


def why_on_cpu(params: LSTMParams) -> str:
    """Why networks of these settings train on the CPU where a GPU is asked for, or there under "auto"; else empty."""
    wanted = params.device == "cuda"
    if params.device == "auto":
        wanted = not (running_cluster() or interpreted() or missing_gpu())
    return why_not_grouped(params) if wanted else ""


def check_gpu() -> None:
    """Raises ParameterError, with what to do, where this machine cannot train in groups."""
    missing = missing_gpu()
    if missing:
        problem, fix = missing
        raise ParameterError("model.device", problem, value="cuda", fix=fix)


def missing_gpu() -> tuple[str, str] | None:
    """What this machine lacks to train in groups, and what to do; None where nothing is missing."""
    if importlib.util.find_spec("triton") is None:
        return "needs Triton", 'pip install -e ".[gpu]"'
    if interpreted():
        return None
    if not _torch_cuda():
        return "the installed torch is built for the CPU alone", 'device = "cpu", or a build of torch with CUDA'
    if not _count_gpus():
        return "no CUDA device is there", 'device = "cpu" or "auto"'
    return None


def interpreted() -> bool:
    """Whether Triton interprets its programs on the CPU, as tests do: slow, and equal but for rounding."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@cache
def _torch_cuda() -> str:
    """The CUDA version that torch is built for, read from its file without loading it; empty for a CPU build."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return ""
    place = Path(found.origin).with_name("version.py")
    spec = importlib.util.spec_from_file_location("crossgate_torch_version", place)
    if spec is None or spec.loader is None or not place.is_file():
        return ""
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(getattr(module, "cuda", None) or "")


@cache
def _count_gpus() -> int:
    """How many CUDA devices the driver shows this process; 0 without a driver."""
    if sys.platform != "linux":
        return 0
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
