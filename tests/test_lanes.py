"""Lanes: eight doubles at once come to the bits of eight lone ones, in compiled code as in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation import lanes
from foundation.compilation import rule
from foundation.lanes import (
    WIDTH,
    bits_of,
    higher,
    highest,
    highest_before,
    lane_of,
    lanes_at,
    lanes_from,
    lanes_of,
    leading,
    put_lanes,
    where,
)

DOUBLES = st.lists(st.floats(-1e6, 1e6).filter(lambda one: abs(one) > 1e-6), min_size=WIDTH, max_size=WIDTH)


@rule
def reckon(rows: Any, line: Any, begin: int, byte: int) -> None:
    """All that lanes can do, from the first two rows into the others."""
    one, other = lanes_at(rows, 0), lanes_at(rows, 1)
    put_lanes(rows, 2, one + other * 3.0 - 2.5 / one)
    put_lanes(rows, 3, where((one < other) & (other > 0.0), one - other, 7.0))
    put_lanes(rows, 4, where(bits_of(byte), one, other))
    put_lanes(rows, 5, where(bits_of(byte), 1.5, lanes_from(line, begin)))
    rows[6, 0] = leading(one < other)
    rows[6, 1] = lane_of(one / other, 3)
    rows[6, 2] = leading(one > -1e9)
    put_lanes(rows, 7, higher(highest_before(one), lanes_of(rows[1, 0])))
    put_lanes(rows, 8, highest(other))


def lone(rows: Any, line: Any, begin: int, byte: int) -> None:
    """The same, double by double."""
    for k in range(WIDTH):
        one, other, set_here = float(rows[0, k]), float(rows[1, k]), byte >> k & 1
        rows[2, k] = one + other * 3.0 - 2.5 / one
        rows[3, k] = one - other if one < other and other > 0.0 else 7.0
        rows[4, k] = one if set_here else other
        rows[5, k] = 1.5 if set_here else line[begin + k]
    less = [one < other for one, other in zip(rows[0], rows[1], strict=True)]
    for k in range(WIDTH):
        rows[7, k], rows[8, k] = max([*rows[0, :k], rows[1, 0]]), max(rows[1])
    rows[6, :3] = (less.index(False) if False in less else WIDTH), rows[0, 3] / rows[1, 3], WIDTH


def reckoned(function: Any, one: list[float], other: list[float], begin: int, byte: int) -> bytes:
    """What a function writes, as bytes."""
    rows, line = np.zeros((9, WIDTH)), np.linspace(-1.0, 1.0, 2 * WIDTH)
    rows[0], rows[1] = one, other
    function(rows, line, begin, byte)
    return rows.tobytes()


@given(one=DOUBLES, other=DOUBLES, begin=st.integers(0, WIDTH), byte=st.integers(0, 255))
def test_lanes_are_lone_doubles(one: list[float], other: list[float], begin: int, byte: int) -> None:
    """Compiled, in plain Python, and double by double: the same bits."""
    expected = reckoned(lone, one, other, begin, byte)
    assert reckoned(reckon, one, other, begin, byte) == expected
    assert reckoned(reckon.py_func, one, other, begin, byte) == expected


# What a mistake in a function of lanes would make of it.
FAULTS: dict[str, Callable[..., Any]] = {
    "bits_of": lambda byte: lanes.bits_of(byte)[::-1],
    "higher": lambda one, _: one,
    "highest": lambda given: given,
    "highest_before": lambda given: np.maximum.accumulate(given),
    "lane_of": lambda given, _: lanes.lane_of(given, 0),
    "lanes_at": lambda rows, _: lanes.lanes_at(rows, 0),
    "lanes_from": lambda line, _: lanes.lanes_from(line, 0),
    "lanes_of": lambda _: lanes.lanes_of(0.0),
    "leading": lambda mask: int(mask.sum()),
    "put_lanes": lambda rows, row, given: lanes.put_lanes(rows, row, given[::-1]),
    "where": lambda mask, one, other: lanes.where(mask, other, one),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in one of the functions changes the bits of some example."""
    monkeypatch.setitem(reckon.py_func.__globals__, name, FAULTS[name])
    random = np.random.default_rng(1)
    examples = [(random.normal(size=WIDTH).tolist(), random.normal(size=WIDTH).tolist(), 3, 201) for _ in range(20)]
    assert any(reckoned(reckon.py_func, *one) != reckoned(lone, *one) for one in examples)


def test_rows_with_gaps_are_refused() -> None:
    """An array whose doubles do not follow each other, or other numbers, cannot be taken for lanes."""
    for rows in (np.zeros((7, 2 * WIDTH))[:, ::2], np.zeros((7, WIDTH), np.float32)):
        with pytest.raises(numba.TypingError):
            reckon(rows, np.zeros(2 * WIDTH), 0, 1)
