"""Agreement of two accounts: the first bar at which they part, whatever parts there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from simple_market import HOUR, START

from backtests.run.agreement import NUMBERS, Account, farthest, first_difference


def account(bars: int = 6, fills: tuple[int, ...] = (1, 3), **changes: Any) -> Account:
    """An account with fills on some bars; `changes`: a column, the row of the fill, its value."""
    stamps = START + HOUR * np.arange(bars)
    table = pd.DataFrame(
        {
            "timestamp": pd.to_datetime(stamps[list(fills)], utc=True, unit="ns"),
            "symbol": "ONE",
            "side": "buy",
            "reason": "entry",
            **{name: np.arange(1.0, len(fills) + 1) for name in NUMBERS},
        }
    )
    for name, (row, value) in changes.items():
        table.loc[row, name] = value
    return Account(table, stamps, np.full(bars, 1000.0))


@pytest.mark.parametrize(
    ("other", "bar", "said"),
    [
        (account(price=(1, 2.0 + 1e-12)), 3, "fill 2: price 2.0 and 2.000000000001"),
        (account(reason=(0, "signal"), quantity=(0, 9.0)), 1, "fill 1: reason entry and signal, quantity 1.0 and 9.0"),
        (account(fills=(1,)), 3, "2 fills and 1"),
        (account(fills=(1, 2)), 2, "fill 2: timestamp"),
        (
            account()._replace(equity=np.array([1000.0] * 4 + [1000.00001] * 2)),
            4,
            "bar 5: equity 1000.0 and 1000.00001",
        ),
        (account(bars=5), 5, "6 bars and 5"),
        (account(fills=(1, 3), cash=(1, 0.0))._replace(equity=np.full(6, 999.0)), 0, "bar 1: equity 1000.0 and 999.0"),
        (account()._replace(equity=np.array([1000.0] * 3 + [np.nan] * 3)), 3, "bar 4: equity 1000.0 and nan"),
    ],
)
def test_the_first_bar_that_parts_is_found(other: Account, bar: int, said: str) -> None:
    """Fills to the last bit and in their order, equity to 1e-9, bars that only one has; from either side."""
    found = first_difference(account(), other)
    assert found is not None
    assert (found.timestamp - START) // HOUR == bar
    assert found.text.startswith(said)
    back = first_difference(other, account())
    assert back is not None
    assert back.timestamp == found.timestamp


def test_the_same_account_does_not_part() -> None:
    """Nor does one whose equity lies closer than 1e-9; the distance is told."""
    near = account()._replace(equity=np.full(6, 1000.0 * (1 + 1e-10)))
    assert first_difference(account(), near) is None
    assert farthest(account(), near) == pytest.approx(1e-10, rel=1e-3)
    assert farthest(account(), account()) == 0.0
