"""Scalers: what they do to training rows, and that they survive storage."""

from __future__ import annotations

import json

import numpy as np
import pytest

from foundation.errors import DataError
from models.scaling import fit_scaler, read_scaler

ROWS = np.random.default_rng(3).lognormal(0.0, 1.0, (500, 3)).astype(np.float32)


def test_standard() -> None:
    """Standard scaling gives training rows the mean 0 and the deviation 1."""
    scaled = fit_scaler("standard", ROWS).apply(ROWS)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, atol=1e-5)


def test_minmax() -> None:
    """Min-max scaling puts training rows between -1 and 1, and later ones where they belong, unclipped."""
    scaler = fit_scaler("minmax", ROWS)
    scaled = scaler.apply(ROWS)
    np.testing.assert_allclose(scaled.min(axis=0), -1.0, atol=1e-5)
    np.testing.assert_allclose(scaled.max(axis=0), 1.0, atol=1e-5)
    assert scaler.apply(ROWS.max(axis=0, keepdims=True) * 3).min() > 1.5


def test_robust() -> None:
    """Robust scaling gives the median 0 and the interquartile range 1, whatever one outlier does."""
    outlier = ROWS.copy()
    outlier[0] = 1e6
    scaled = fit_scaler("robust", ROWS).apply(ROWS)
    np.testing.assert_allclose(np.median(scaled, axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.subtract(*np.percentile(scaled, [75, 25], axis=0)), 1.0, atol=1e-5)
    np.testing.assert_allclose(fit_scaler("robust", outlier).spread, fit_scaler("robust", ROWS).spread, rtol=0.02)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust"])
def test_a_constant_column(scaling: str) -> None:
    """A column that does not vary in the training rows is scaled to zero, not to infinity."""
    rows = np.full((50, 2), 0.1, dtype=np.float32)
    assert (fit_scaler(scaling, rows).apply(rows) == 0.0).all()


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust"])
def test_storage(scaling: str) -> None:
    """A scaler that went through JSON scales to the same bits, in float32."""
    scaler = fit_scaler(scaling, ROWS)
    again = read_scaler(json.loads(json.dumps(scaler.record())))
    assert again.scaling == scaling
    assert np.array_equal(scaler.apply(ROWS), again.apply(ROWS))
    assert again.apply(ROWS).dtype == np.float32


def test_rows_that_cannot_fit() -> None:
    """No rows, or a hole in them, is an error and not a scaler."""
    with pytest.raises(DataError, match="cannot fit a scaler"):
        fit_scaler("standard", ROWS[:0])
    with pytest.raises(DataError, match="cannot fit a scaler"):
        fit_scaler("standard", np.full((3, 1), np.nan, dtype=np.float32))
