"""Layout: rows of records written and read as bytes hold what numpy finds in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.exchange import records
from backtests.exchange.layout import Layout, bytes_of

KIND = records.ORDER
NAMES = tuple(KIND.names or ())
Write = Callable[[Layout, memoryview, int, dict[str, Any]], None]


def values_of(names: list[str]) -> dict[str, Any]:
    """Another number for each field; whole ones, which all fields hold."""
    return {name: NAMES.index(name) + 1 for name in names}


def written(names: list[str], write: Write) -> dict[str, float]:
    """What numpy finds in the second of three rows after it was written; the others stay as they are."""
    rows = np.zeros(3, dtype=KIND)
    rows[:] = tuple(range(50, 50 + len(NAMES)))
    before = rows.copy()
    write(Layout("Row", KIND), bytes_of(rows), 1, values_of(names))
    assert rows[[0, 2]].tobytes() == before[[0, 2]].tobytes()
    return {name: float(rows[name][1]) for name in NAMES}


@given(names=st.lists(st.sampled_from(NAMES), unique=True))
def test_a_row_holds_what_was_written_and_else_zeros(names: list[str]) -> None:
    """In whatever order fields are named; what was in the row before is gone."""
    expected = dict.fromkeys(NAMES, 0.0) | values_of(names)
    assert written(names, Layout.write) == expected


def unsorted(layout: Layout, content: memoryview, row: int, values: dict[str, Any]) -> None:
    """A writer that takes values in the order in which they come."""
    layout._struct(layout._sorted(values)).pack_into(content, row * layout.size, *values.values())


def shifted(layout: Layout, content: memoryview, row: int, values: dict[str, Any]) -> None:
    """A writer into the next row."""
    Layout.write(layout, content, row + 1, values)


@pytest.mark.parametrize("fault", [unsorted, shifted])
def test_each_fault_is_seen(fault: Write) -> None:
    """Values put down in the wrong fields, or in another row."""
    names = ["quantity", "id", "side"]
    expected = dict.fromkeys(NAMES, 0.0) | values_of(names)
    with pytest.raises(AssertionError):
        assert written(names, fault) == expected


def test_rows_are_read_whole_or_in_part() -> None:
    """All fields by name, or some of them."""
    rows = np.zeros(2, dtype=KIND)
    rows["id"], rows["status"], rows["price"] = (7, 8), (1, 2), (0.5, 1.5)
    layout = Layout("Row", KIND)
    assert [(one.id, one.status, one.price) for one in layout.read_all(bytes_of(rows), 2)] == [(7, 1, 0.5), (8, 2, 1.5)]
    assert layout.reader("id", "status", "price")(bytes_of(rows), 2) == [(7, 1, 0.5), (8, 2, 1.5)]
    assert layout.reader("id", "status")(bytes_of(rows), 1) == [(7, 1)]
    with pytest.raises(ValueError, match="in the order of memory"):
        layout.reader("status", "id")
