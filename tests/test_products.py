"""Products: a tile of sums in registers is the product of matrices, compiled as in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from foundation.compilation import rule
from foundation.products import BESIDE, ROWS, WIDTH, power_of, put_products

BLOCKS = 3


@rule(contract=True)
def put(tile: Any, start: Any, step: int, seen: Any, blocks: int, weights: Any) -> None:
    """A tile of compiled sums."""
    put_products(tile, start, step, seen, blocks, weights)


@rule
def power(value: Any) -> Any:
    """A compiled power of two."""
    return power_of(value)


def arrays() -> tuple[Any, Any, Any, Any]:
    """A tile that holds something else, and what it is made of."""
    random = np.random.default_rng(3)
    tile = np.full((BESIDE, ROWS * WIDTH), 9.0, np.float32)
    shapes = (2 * ROWS, BESIDE, WIDTH), (BLOCKS, ROWS * WIDTH), (BLOCKS * WIDTH, BESIDE, WIDTH)
    start, seen, weights = (random.normal(size=shape).astype(np.float32) for shape in shapes)
    return tile, start, seen, weights


def error(function: Callable[..., None], step: int, blocks: int) -> float:
    """How far a tile lies from the product of matrices in float64."""
    tile, start, seen, weights = arrays()
    function(tile, start, step, seen, blocks, weights)
    rows = seen.reshape(BLOCKS, ROWS, WIDTH)[:blocks].transpose(1, 0, 2).reshape(ROWS, blocks * WIDTH)
    product = rows.astype(np.float64) @ weights[: blocks * WIDTH].reshape(-1, BESIDE * WIDTH).astype(np.float64)
    expected = start[np.arange(ROWS) * step] + product.reshape(ROWS, BESIDE, WIDTH)
    return float(np.abs(tile.reshape(BESIDE, ROWS, WIDTH).transpose(1, 0, 2) - expected).max())


@pytest.mark.parametrize("blocks", range(BLOCKS + 1))
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_tile_is_a_product(step: int, blocks: int) -> None:
    """Compiled and in plain Python, over no, some and all blocks, from one row of starts or several."""
    assert error(put, step, blocks) <= 1e-5
    assert error(put.py_func, step, blocks) <= 1e-5


@pytest.mark.parametrize("fault", ["a block less", "a block more", "starts in one row", "rows turned", "added to"])
def test_each_fault_is_seen(fault: str) -> None:
    """A tile of other blocks, starts or rows, or one that is added to what stood there, is far off."""

    def faulty(tile: Any, start: Any, step: int, seen: Any, blocks: int, weights: Any) -> None:
        before = tile.copy()
        blocks += {"a block less": -1, "a block more": 1}.get(fault, 0)
        if fault == "rows turned":
            seen = np.ascontiguousarray(seen.reshape(BLOCKS, ROWS, WIDTH)[:, ::-1]).reshape(BLOCKS, -1)
        put(tile, start, 0 if fault == "starts in one row" else step, seen, blocks, weights)
        if fault == "added to":
            tile += before

    assert error(faulty, 1, 2) > 0.1


def test_a_row_is_the_same_whatever_stands_beside_it() -> None:
    """To the bit: other rows of a tile change nothing, nor the row of the tile in which it stands."""
    tile, start, seen, weights = arrays()
    put(tile, start, 0, seen, BLOCKS, weights)
    turned, other = np.ascontiguousarray(seen.reshape(BLOCKS, ROWS, WIDTH)[:, ::-1]).reshape(BLOCKS, -1), tile.copy()
    put(other, start, 0, turned, BLOCKS, weights)
    rows, others = (one.reshape(BESIDE, ROWS, WIDTH) for one in (tile, other))
    assert np.array_equal(rows[:, 0], others[:, ROWS - 1])


def test_powers_of_two() -> None:
    """From the bits: 2^n of the sum of n and a number whose last bits are 127."""
    for n in range(-126, 128):
        shown = np.float32(2.0**23 + 2.0**22 + 127.0 + n)
        assert power(shown) == power_of(shown) == 2.0**n


def test_other_arrays_are_refused() -> None:
    """Doubles, and arrays with gaps, cannot be read as floats that follow each other."""
    tile, start, seen, weights = arrays()
    for wrong in (seen.astype(np.float64), np.zeros((BLOCKS, 2 * ROWS * WIDTH), np.float32)[:, ::2]):
        with pytest.raises(numba.TypingError):
            put(tile, start, 1, wrong, 1, weights)
