"""Forecast cache: each network of a walk-forward, and what it forecast, each kept by the content that made it."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from foundation.errors import DataError
from foundation.files import atomic_file, cache_home
from foundation.fingerprint import fingerprint, source_fingerprint
from markets.candles import FloatArray
from models.devices import gpu_name, installed_triton, training_device
from models.features import Float32Array
from models.fitted import TrainedNetwork, read_network
from models.parameters import WARM_UP, LSTMParams
from models.samples import Sample
from models.schedule import Rows, split_rows

# The modules that a training runs through or takes a constant from, and those that make forecasts of a network: a test
# watches both at work, and reads what they import.
TRAINS = (
    "training", "descent", "dropout", "losses", "network", "starts", "scaling", "variance", "leverage", "outputs",
    "fitted", "recurrence", "variance_level", "parameters", "samples",
)  # fmt: skip
# The libraries whose arithmetic a training rests on.
LIBRARIES = ("torch", "numpy", "scipy", "numba")
GROUPED = ("descent", "kernels", "launch", "network", "recurrence", "rows", "scan")
TRAINS_IN_GROUPS = tuple(f"grouped/{name}" for name in GROUPED)
FORECASTS = ("fold_forecasts", "fitted", "recurrence", "outputs", "variance", "leverage", "scaling")


class FoldForecast(NamedTuple):
    """What one model forecasts in one fold: the `columns` of its output, shape (test rows, columns), and the network.

    Mean, sigma and quantiles are in trailing volatilities.
    """

    columns: FloatArray
    network: TrainedNetwork

    @property
    def steps(self) -> int:
        """The training steps after which the network's weights were best; 0 where training never helped."""
        return self.network.steps


class Job(Protocol):
    """One network to be trained, on the rows of one market or of several, and asked for forecasts of each of them.

    `parts`: the work of each market; `rows`: the rows that fit and validate, of each; `shared`: whether one scaler
    serves all of them. `network_key`: the fingerprint of all that the network depends on.
    """

    @property
    def parts(self) -> Sequence[FoldJob]: ...
    @property
    def rows(self) -> list[tuple[Sample, Rows]]: ...
    @property
    def shared(self) -> bool: ...
    @property
    def network_key(self) -> str: ...


@dataclass(frozen=True, eq=False)
class FoldJob:
    """One model of a walk-forward, on its own: trained on the sample's rows before `last`, bar `last` the
    last one to touch it, `gap` rows between fit and validation; asked at the rows from `test_first` on.

    `before`: the network at whose weights training begins, if any.
    """

    sample: Sample
    last: int
    gap: int
    test_first: int
    scaling: str
    params: LSTMParams
    seed: int
    before: TrainedNetwork | None = None

    shared: ClassVar[bool] = False

    @property
    def parts(self) -> Sequence[FoldJob]:
        """The job itself."""
        return (self,)

    @cached_property
    def rows(self) -> list[tuple[Sample, Rows]]:
        """The sample with its rows that fit and validate; raises DataError where they are too few."""
        return [(self.sample, split_rows(self.sample, self.last, self.gap, self.params))]

    @cached_property
    def network_key(self) -> str:
        """The fingerprint of everything that the network depends on."""
        return network_key(self)

    @property
    def tested(self) -> int:
        """How many rows are to be forecast."""
        return len(self.sample) - self.test_first

    @property
    def shown(self) -> Float32Array:
        """What the network is shown for its forecasts: the test rows, and up to `replay` rows that warm the state."""
        return self.sample.features[max(self.sample.first, self.test_first - self.params.replay) :]


def network_key(job: Job) -> str:
    """The fingerprint of everything that a network depends on, and of nothing else.

    The rows that fit and validate, the settings that a training of this output reads, the seed, the weights to begin
    at, the source that trains and the libraries below it. The device counts: what the CPU makes is equal to the bit
    on one kind of processor, what a GPU or another kind makes is equal but for rounding.
    """
    lead = job.parts[0]
    device = training_device(lead.params)
    settings = [lead.scaling, job.shared, lead.params.used_in_training(), device, lead.seed]
    data = [one for part in job.rows for one in _training_rows(*part)]
    begun = [] if lead.before is None else [lead.before.weights[name] for name in sorted(lead.before.weights)]
    return fingerprint(settings, *data, *begun, training_source(device))


def _training_rows(sample: Sample, rows: Rows) -> list[Any]:
    """What a training reads of one market: the variance only where a base is fitted to it."""
    first = max(0, min(rows.fit_first, rows.check_first - WARM_UP))
    read = slice(first, rows.check_last)
    arrays = [sample.features, sample.target, sample.returns, *([sample.variance] if sample.har else [])]
    return [[row - first for row in rows], sample.har, *(one[read] for one in arrays)]


def forecast_key(network: str, job: FoldJob) -> str:
    """The fingerprint of a network's forecasts: the network, what it is shown, and the source that asks it."""
    return fingerprint(network, job.shown, job.tested, forecast_source())


@cache
def training_source(device: str) -> list[str]:
    """The fingerprint of the source that trains on a device, and the versions of the libraries that do the arithmetic.

    On a GPU also the version of Triton, and which card this machine has.
    """
    modules = TRAINS + (TRAINS_IN_GROUPS if device == "cuda" else ())
    below = [f"{name} {version(name)}" for name in LIBRARIES]
    below += [f"triton {installed_triton()}", gpu_name()] if device == "cuda" else []
    return [source_fingerprint(Path(__file__).parent, modules), *below]


@cache
def forecast_source() -> str:
    """The fingerprint of the source that makes the forecasts of a network."""
    return source_fingerprint(Path(__file__).parent, FORECASTS)


def network_keys(job: Job) -> list[str]:
    """The name under which the network is kept, as each market of the job is to use it."""
    return [fingerprint(job.network_key, number) for number in range(len(job.parts))]


def kept_networks(job: Job) -> list[TrainedNetwork] | None:
    """The network of a job as it is kept, for each of its markets; None where one is absent or damaged."""
    made = [_read_network(key, job.parts[0].params) for key in network_keys(job)]
    whole = [one for one in made if one is not None]
    return whole if len(whole) == len(made) else None


def keep_networks(job: Job, networks: Sequence[TrainedNetwork]) -> None:
    """Keeps a network, as each market of its job is to use it."""
    for key, network in zip(network_keys(job), networks, strict=True):
        record = np.array(json.dumps(network.record()))
        _write(_path("networks", key), {"record": record, **network.weights})


def kept_columns(key: str, job: FoldJob) -> FloatArray | None:
    """The forecasts that are kept under a key; None where they are absent or damaged."""
    kept = _read(_path("forecasts", key))
    columns = None if kept is None or "columns" not in kept else kept["columns"]
    if columns is None or columns.dtype != np.float64 or columns.shape != (job.tested, len(job.params.outputs)):
        return None
    whole = bool(np.isfinite(columns).all()) and bool((columns[:, 1] > 0.0).all())
    return columns if whole else None


def keep_columns(key: str, columns: FloatArray) -> None:
    """Keeps the forecasts of a network under a key."""
    _write(_path("forecasts", key), {"columns": columns})


def _read_network(key: str, params: LSTMParams) -> TrainedNetwork | None:
    kept = _read(_path("networks", key))
    if kept is None:
        return None
    try:
        return read_network(json.loads(str(kept.pop("record"))), kept, params)
    except (ValueError, KeyError, TypeError):
        return None


def _path(kind: str, key: str) -> Path:
    return cache_home() / kind / key[:2] / f"{key}.npz"


def _read(path: Path) -> dict[str, Any] | None:
    """The arrays in a file; None where it is absent or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Keeps arrays in a file that appears whole or not at all."""
    try:
        with atomic_file(path) as scratch:
            np.savez(scratch, **dict(arrays))
    except OSError as error:
        fix = "set CROSSGATE_CACHE to a folder that can be written, or pass cache=False"
        raise DataError(path, f"cannot be written ({error.strerror})", fix=fix) from None
