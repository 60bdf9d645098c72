"""Scaling: what brings features to a common size, fitted on training rows only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foundation.errors import DataError
from markets.candles import FloatArray
from models.features import Float32Array

# Centre and spread of each column, from training rows of shape (rows, columns).
_FITS: dict[str, Callable[[FloatArray], tuple[FloatArray, FloatArray]]] = {
    "standard": lambda rows: (rows.mean(axis=0), rows.std(axis=0)),
    "minmax": lambda rows: ((rows.max(axis=0) + rows.min(axis=0)) / 2.0, (rows.max(axis=0) - rows.min(axis=0)) / 2.0),
    "robust": lambda rows: (np.median(rows, axis=0), np.subtract(*np.percentile(rows, [75, 25], axis=0))),
}


@dataclass(frozen=True, eq=False)
class Scaler:
    """A straight line for each column: scaled = (value - centre) / spread.

    `standard`: mean and deviation; `minmax`: middle and half of the range, so that training rows
    come to lie from -1 to 1; `robust`: median and interquartile range. A column that does not vary
    in the training rows has the spread 1, so that it is scaled to 0 there.
    """

    scaling: str
    centre: FloatArray
    spread: FloatArray

    def apply(self, values: Float32Array) -> Float32Array:
        """The scaled values, float32, of the same shape (rows, columns)."""
        return ((values - self.centre) / self.spread).astype(np.float32)

    def record(self) -> dict[str, Any]:
        """The scaler as plain values for JSON."""
        return {"scaling": self.scaling, "centre": self.centre.tolist(), "spread": self.spread.tolist()}


def fit_scaler(scaling: str, rows: Float32Array) -> Scaler:
    """The scaler that `standard`, `minmax` or `robust` fits to training rows, shape (rows, columns)."""
    if len(rows) == 0 or not np.isfinite(rows).all():
        raise DataError("training rows", f"{len(rows)} of them cannot fit a scaler", fix="finite rows, at least one")
    centre, spread = _FITS[scaling](rows.astype(np.float64))
    # A spread within rounding of the values' own size is none.
    still = spread <= 1e-9 * np.abs(centre)
    return Scaler(scaling, centre, np.where(still | (spread == 0.0), 1.0, spread))


def read_scaler(record: Mapping[str, Any]) -> Scaler:
    """The scaler that `Scaler.record` wrote."""
    return Scaler(str(record["scaling"]), np.array(record["centre"], float), np.array(record["spread"], float))
