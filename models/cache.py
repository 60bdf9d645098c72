"""Forecast cache: what each model of a walk-forward forecast, kept by the content that made it."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foundation.errors import DataError
from foundation.files import atomic_file, cache_home
from foundation.fingerprint import fingerprint, source_fingerprint
from markets.candles import FloatArray
from models.parameters import LSTMParams
from models.samples import Sample


class FoldForecast(NamedTuple):
    """What one model forecasts in one fold: the `columns` of its output, shape (test rows, columns).

    Mean, sigma and quantiles are in trailing volatilities. `steps`: the training steps after which its
    weights were best; 0 where training never helped.
    """

    columns: FloatArray
    steps: int


@dataclass(frozen=True, eq=False)
class FoldJob:
    """One model of a walk-forward, on its own: trained on the sample's rows before `last`, bar `last` the
    last one to touch it, `gap` rows between fit and validation; asked at the rows from `test_first` on.
    """

    sample: Sample
    last: int
    gap: int
    test_first: int
    scaling: str
    params: LSTMParams
    seed: int

    @property
    def key(self) -> str:
        """The fingerprint of everything that the forecasts depend on, and of the source that makes them."""
        sample, last = self.sample, self.last
        settings = [
            sample.first,
            sample.har,
            sample.content,
            last,
            self.gap,
            self.test_first,
            self.scaling,
            self.params.model_dump(mode="json"),
        ]
        targets = [sample.target[:last], sample.returns[:last], sample.variance[:last]]
        return fingerprint(sample.features, *targets, settings, self.seed, _source())


@cache
def _source() -> list[str]:
    return [source_fingerprint(Path(__file__).parent), version("torch")]


def entry_path(key: str) -> Path:
    """The file that keeps the forecasts of a job with this key."""
    return cache_home() / "forecasts" / key[:2] / f"{key}.npz"


def read_entry(path: Path, shape: tuple[int, int]) -> FoldForecast | None:
    """The forecasts in a file; None where it is absent or does not hold finite ones of this shape."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            columns, steps = np.asarray(arrays["columns"], np.float64), int(arrays["steps"])
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None
    whole = columns.shape == shape and bool(np.isfinite(columns).all()) and bool((columns[:, 1] > 0.0).all())
    return FoldForecast(columns, steps) if whole else None


def write_entry(path: Path, made: FoldForecast) -> None:
    """Keeps forecasts in a file that appears whole or not at all."""
    try:
        with atomic_file(path) as scratch:
            np.savez(scratch, columns=made.columns, steps=np.int64(made.steps))
    except OSError as error:
        fix = "set CROSSGATE_CACHE to a folder that can be written, or pass cache=False"
        raise DataError(path, f"cannot be written ({error.strerror})", fix=fix) from None
