"""Devices: where networks train, on the CPU one by one or on a GPU as one program. Free of torch."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from foundation.cluster import running_cluster
from foundation.errors import ParameterError
from models.parameters import LSTMParams

# The oldest generation of GPUs that Triton compiles for, and the oldest Triton that the kernels were written for.
OLDEST_GPU, OLDEST_TRITON = (7, 5), (3, 7)


class Driver(NamedTuple):
    """What NVIDIA's driver shows this process: its CUDA version, how many devices, generation and name of the first."""

    devices: int = 0
    generation: tuple[int, int] = (0, 0)
    cuda: tuple[int, int] = (0, 0)
    name: str = ""


def training_device(params: LSTMParams) -> str:
    """Where networks of these settings train: "cuda", many as one program, or "cpu".

    `device = "auto"`: on a GPU where there is one with all that it takes; with a cluster on the CPUs of its workers.
    "cuda" is taken at its word here, see `check_gpu`. Whatever the CPU trains can train in a group.
    """
    return "cpu" if params.device == "cpu" or why_on_cpu(params) else "cuda"


def why_on_cpu(params: LSTMParams) -> str:
    """Why "auto" has networks train on the CPU; empty where it does not, or the device was named."""
    if params.device != "auto":
        return ""
    if running_cluster():
        return 'a cluster trains on its CPUs unless model.device = "cuda"'
    if interpreted():
        return "TRITON_INTERPRET is set"
    missing = missing_gpu()
    return missing[0] if missing else ""


def why_gpu_is_idle(params: LSTMParams) -> str:
    """As `why_on_cpu`, but empty where there is no GPU anyway: what a reader of the forecasts should know."""
    return why_on_cpu(params) if not interpreted() and _driver().devices else ""


def check_gpu() -> None:
    """Raises ParameterError, with what to do, where this machine cannot train in groups."""
    missing = missing_gpu()
    if missing:
        problem, fix = missing
        raise ParameterError("model.device", problem, value="cuda", fix=fix)


def missing_gpu() -> tuple[str, str] | None:
    """What this machine lacks to train in groups, and what to do; None where nothing is missing."""
    return _missing_triton() if interpreted() else _missing_device() or _missing_torch() or _missing_triton()


def _missing_device() -> tuple[str, str] | None:
    """Whether there is a GPU of NVIDIA that is new enough."""
    if sys.platform != "linux":
        apple = " (those of Apple are not used)" if sys.platform == "darwin" else ""
        return f"GPUs are used on Linux alone{apple}", 'device = "cpu" or "auto"'
    found = _driver()
    if not found.devices:
        return "no CUDA device is there", 'device = "cpu" or "auto"'
    if found.generation < OLDEST_GPU:
        problem = f"the GPU is of compute capability {_dotted(found.generation)}, below {_dotted(OLDEST_GPU)}"
        return problem, 'device = "cpu" or "auto"'
    return None


def _missing_torch() -> tuple[str, str] | None:
    """Whether the installed torch can use the GPU: its major version of CUDA must not be above the driver's."""
    built, there = _torch_cuda(), _driver().cuda
    if not built:
        return "a GPU is there, but the installed torch is built for the CPU alone", "a build of torch with CUDA"
    if int(built.split(".")[0]) > there[0]:
        problem = f"the driver of the GPU knows CUDA {_dotted(there)}, and the installed torch is built for {built}"
        return problem, "a newer driver, or a build of torch for an older CUDA"
    return None


def _missing_triton() -> tuple[str, str] | None:
    """Whether Triton is there, and what it compiles its launchers with."""
    install = 'pip install -e ".[gpu]"'
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed", install
    installed = installed_triton()
    if installed and tuple(int(part) for part in installed.split(".")[:2]) < OLDEST_TRITON:
        return f"Triton {installed} is older than {_dotted(OLDEST_TRITON)}", install
    if interpreted():
        return None
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return "Triton finds no C compiler", "install gcc, or set CC"
    return None


def installed_triton() -> str:
    """The version of Triton; empty where it came under another name, such as that of a nightly build."""
    try:
        return version("triton")
    except PackageNotFoundError:
        return ""


def gpu_name() -> str:
    """What the card is called on which networks train in groups here; empty without one, or where it is interpreted."""
    return "" if interpreted() else _driver().name


def _dotted(numbers: tuple[int, int]) -> str:
    return f"{numbers[0]}.{numbers[1]}"


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
def _driver() -> Driver:
    """What the driver shows this process; nothing without one. Opens no device."""
    if sys.platform != "linux":
        return Driver()
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Driver()
    if library.cuInit(0) != 0:
        return Driver()
    count = _asked(library.cuDeviceGetCount)
    known = _asked(library.cuDriverGetVersion)
    # Attributes 75 and 76 of a device are the two parts of its compute capability.
    parts = [_asked(library.cuDeviceGetAttribute, number, 0) if count else 0 for number in (75, 76)]
    name = ctypes.create_string_buffer(256)
    named = bool(count) and library.cuDeviceGetName(name, len(name), 0) == 0
    said = name.value.decode("utf-8", "replace") if named else ""
    return Driver(count, (parts[0], parts[1]), (known // 1000, known % 1000 // 10), said)


def _asked(function: Any, *more: int) -> int:
    """The number that a function of the driver writes; 0 where it fails."""
    made = ctypes.c_int(0)
    return made.value if function(ctypes.byref(made), *more) == 0 else 0
