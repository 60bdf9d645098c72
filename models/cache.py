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
    """What one model forecasts in one fold: `means` (test rows,), standardised; and its `deviation`.

    With the trailing volatility v_t: expected log return = v_t x mean_t, sigma = v_t x deviation.
    `steps`: the training steps after which its weights were best; 0 where training never helped.
    """

    means: FloatArray
    deviation: float
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
        sample = self.sample
        settings = [
            sample.first,
            self.last,
            self.gap,
            self.test_first,
            self.scaling,
            self.params.model_dump(mode="json"),
        ]
        return fingerprint(sample.features, sample.target[: self.last], settings, self.seed, _source())


@cache
def _source() -> list[str]:
    return [source_fingerprint(Path(__file__).parent), version("torch")]


def entry_path(key: str) -> Path:
    """The file that keeps the forecasts of a job with this key."""
    return cache_home() / "forecasts" / key[:2] / f"{key}.npz"


def read_entry(path: Path, rows: int) -> FoldForecast | None:
    """The forecasts in a file; None where it is absent or does not hold `rows` finite ones."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            means, deviation = np.asarray(arrays["means"], np.float64), float(arrays["deviation"])
            steps = int(arrays["steps"])
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None
    whole = means.shape == (rows,) and bool(np.isfinite(means).all()) and 0.0 < deviation < np.inf
    return FoldForecast(means, deviation, steps) if whole else None


def write_entry(path: Path, made: FoldForecast) -> None:
    """Keeps forecasts in a file that appears whole or not at all."""
    try:
        with atomic_file(path) as scratch:
            np.savez(scratch, means=made.means, deviation=np.float64(made.deviation), steps=np.int64(made.steps))
    except OSError as error:
        fix = "set CROSSGATE_CACHE to a folder that can be written, or pass cache=False"
        raise DataError(path, f"cannot be written ({error.strerror})", fix=fix) from None
