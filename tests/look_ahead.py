"""The check for look-ahead: change every bar after one, and see what was known at that one change with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from planted_market import other_after

from markets.market import Market

Observed = Mapping[str, npt.NDArray[np.generic]]


def what_changes(market: Market, row: int, observe: Callable[[Market], Observed]) -> set[str]:
    """The names of the observed arrays that differ when all bars after `row` are entirely others.

    `observe(market)` returns arrays by name. What is known at the close of bar `row` must not be
    among the names; what speaks of a later bar must.
    """
    before, after = observe(market), observe(other_after(market, row))
    assert before.keys() == after.keys()
    return {name for name in before if not np.array_equal(before[name], after[name], equal_nan=True)}
