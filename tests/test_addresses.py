"""Addresses: compiled code finds the records of an array where they lie, and nothing else is handed over."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np
import pytest
from simple_market import flat, market

from backtests.exchange import records
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.kernel import playing
from foundation import addresses
from foundation.addresses import address_of, records_at
from foundation.compilation import rule
from foundation.errors import CrossgateError

PLACE = np.dtype([("first", np.int64), ("second", np.int64), ("rows", np.int64), ("columns", np.int64)])
KIND = np.dtype([("flag", np.int8), ("value", np.float64), ("number", np.int64)])


@rule
def reckon(places: Any) -> float:
    """Reads an array of one dimension and one of two, and writes to both."""
    at = places[0]
    line, table = records_at(at.first, (at.rows,), KIND), records_at(at.second, (at.rows, at.columns), KIND)
    total = 0.0
    for row in range(at.rows):
        for column in range(at.columns):
            total += line[row].value * table[row, column].number - table[row, column].flag
            table[row, column].value = total
        line[row].number += row
    return total


def filled(shape: tuple[int, ...], seed: int) -> Any:
    """An array of random records."""
    random, made = np.random.default_rng(seed), np.zeros(shape, dtype=KIND)
    made["flag"], made["value"] = random.integers(-9, 9, shape), random.normal(size=shape)
    made["number"] = random.integers(-9, 9, shape)
    return made


def direct(line: Any, table: Any) -> float:
    """The same on the arrays themselves."""
    total = 0.0
    for row in range(len(line)):
        for column in range(table.shape[1]):
            total += line["value"][row] * table["number"][row, column] - table["flag"][row, column]
            table["value"][row, column] = total
        line["number"][row] += row
    return total


def reckoned(function: Any, opened: bool, columns: int = 4) -> tuple[float, bytes, bytes]:
    """What a function finds at the addresses of two arrays, and what is in them then."""
    line, table = filled((3,), 1), filled((3, columns), 2)
    places = np.zeros(1, dtype=PLACE)
    places["first"], places["second"] = address_of(line, KIND), address_of(table, KIND)
    places["rows"], places["columns"] = table.shape
    found = function(places.view(np.recarray) if opened else places)
    return float(found), line.tobytes(), table.tobytes()


def expected(columns: int = 4) -> tuple[float, bytes, bytes]:
    """The same of the arrays themselves."""
    line, table = filled((3,), 1), filled((3, columns), 2)
    return direct(line, table), line.tobytes(), table.tobytes()


def plain(look: Any = addresses.records_at) -> Any:
    """The rule in plain Python, where records are opened so that fields are attributes; `look`: what finds them."""
    function: Any = reckon
    names = function.py_func.__globals__ | {"records_at": lambda *given: look(*given).view(np.recarray)}
    return FunctionType(function.py_func.__code__, names)


@pytest.mark.parametrize("columns", [0, 1, 4])
def test_records_are_found_where_they_lie(columns: int) -> None:
    """Read and written, compiled and in plain Python, also where there are none."""
    assert reckoned(reckon, False, columns) == expected(columns)
    assert reckoned(plain(), True, columns) == expected(columns)


FAULTS: dict[str, Any] = {
    "a table that lies on its side": lambda at, shape, kind: addresses.records_at(at, shape[::-1], kind).T,
    "a row too far": lambda at, shape, kind: addresses.records_at(at + kind.itemsize, (shape[0] - 1, *shape[1:]), kind),
    "a copy": lambda at, shape, kind: addresses.records_at(at, shape, kind).copy(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_seen(fault: str) -> None:
    """A mistake in where records are looked for changes what is found or written, or leaves the array."""
    try:
        found = reckoned(plain(FAULTS[fault]), True)
    except IndexError:
        return
    assert found != expected()


@pytest.mark.parametrize("wrong", ["kind", "gaps", "read-only"])
def test_an_array_that_would_be_misread_is_not_handed_over(wrong: str) -> None:
    """Other records, every second one, and one that compiled code must not write to."""
    array = np.zeros(4, dtype=PLACE if wrong == "kind" else KIND)
    array.flags.writeable = wrong != "read-only"
    with pytest.raises(CrossgateError, match="cannot be handed over"):
        address_of(array[::2] if wrong == "gaps" else array, KIND)


@pytest.mark.parametrize("name", list(records.RUN))
def test_every_array_of_a_run_is_handed_over_as_it_is(name: str) -> None:
    """Its address stands in the record; in the place of it, other records are refused."""
    one = playing.Playing([market(flat(9))], AccountParams(), CostParams(), np.zeros(1, dtype=records.ACCOUNT))
    assert one._handed[name][0] == getattr(one, name).ctypes.data
    setattr(one, name, getattr(one, name).view(np.uint8))
    with pytest.raises(CrossgateError, match="cannot be handed over"):
        records.hand_over(one._handed, one)


def test_more_orders_than_there_was_room_for_are_handed_over_anew() -> None:
    """A run with 200 orders at once: all are found where they have moved to."""
    one = playing.Playing([market(flat(9))], AccountParams(), CostParams(), np.zeros(1, dtype=records.ACCOUNT))
    one.account["cash"] = one.account["equity"] = 1e6
    for number in range(1, 201):
        values = {
            "id": number,
            "kind": records.LIMIT,
            "side": 1,
            "status": records.LIVE,
            "quantity": 1.0,
            "price": 50.0,
        }
        one.order({**values, "leverage": 1.0, "group": number})
    one.play(0)
    one.withdraw(150)
    ended = [ref for ref, status, remark in one.states() if status == records.CANCELLED]
    assert (len(one.states()), ended) == (200, [150])
    assert one._handed["orders"][0] == one.orders.ctypes.data
