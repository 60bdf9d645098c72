"""Forecast cache: each network of a walk-forward and what it forecast, kept by the content that made them."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from foundation.errors import DataError
from foundation.files import atomic_file, cache_home
from foundation.fingerprint import fingerprint, source_fingerprint
from markets.candles import FloatArray
from models.devices import training_device
from models.fitted import TrainedNetwork, read_network
from models.parameters import LSTMParams
from models.samples import Sample


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

    @property
    def key(self) -> str:
        """The fingerprint of everything that the forecasts depend on, and of the source that makes them.

        The device counts: what the CPU makes is equal to the bit everywhere, what a GPU makes by rounding only.
        """
        sample, last = self.sample, self.last
        settings = [
            sample.first,
            sample.har,
            sample.content,
            last,
            self.gap,
            self.test_first,
            self.scaling,
            self.params.without_device(),
            training_device(self.params),
        ]
        targets = [sample.target[:last], sample.returns[:last], sample.variance[:last]]
        begun = [] if self.before is None else [self.before.weights[name] for name in sorted(self.before.weights)]
        return fingerprint(sample.features, *targets, settings, self.seed, *begun, source())


@cache
def source() -> list[str]:
    """The fingerprint of the source that makes forecasts, and the version of torch."""
    return [source_fingerprint(Path(__file__).parent), version("torch")]


def entry_path(key: str) -> Path:
    """The file that keeps the forecasts of a job with this key."""
    return cache_home() / "forecasts" / key[:2] / f"{key}.npz"


def read_entry(path: Path, shape: tuple[int, int], params: LSTMParams) -> FoldForecast | None:
    """What a file keeps of a job with these settings; None where it is absent, damaged, or not of this shape."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        columns, record = np.asarray(kept.pop("columns"), np.float64), json.loads(str(kept.pop("record")))
        network = read_network(record, kept, params)
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None
    whole = columns.shape == shape and bool(np.isfinite(columns).all()) and bool((columns[:, 1] > 0.0).all())
    return FoldForecast(columns, network) if whole else None


def write_entry(path: Path, made: FoldForecast) -> None:
    """Keeps a network and its forecasts in a file that appears whole or not at all."""
    contents: dict[str, Any] = {"record": np.array(json.dumps(made.network.record())), **made.network.weights}
    try:
        with atomic_file(path) as scratch:
            np.savez(scratch, columns=made.columns, **contents)
    except OSError as error:
        fix = "set CROSSGATE_CACHE to a folder that can be written, or pass cache=False"
        raise DataError(path, f"cannot be written ({error.strerror})", fix=fix) from None
