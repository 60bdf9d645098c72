"""Witnessing: a run in the terms of the plain-Python witness, and what the witness comes to.

This is all that stands between a run and the witness: its own values are handed over, and fills come back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from backtests.exchange.records import EXIT_DISTANCES, FILL_REASONS, ORDER_KINDS, STOP_DISTANCES
from backtests.run.agreement import NUMBERS, Account
from backtests.run.own_run import OwnRun
from foundation.progress import progress
from markets.candles import IntArray
from witness import Fill, WitnessOrder, WitnessPlayback, WitnessTrader

# What an order is called by the broker and by the witness alike; what it does not say has the witness's default.
_SAME = (
    "id", "symbol", "side", "quantity", "price", "limit", "leverage", "share", "group", "trail_amount", "trail_rate",
    *EXIT_DISTANCES, *STOP_DISTANCES,
)  # fmt: skip


def witnessed(witness: WitnessTrader | WitnessPlayback) -> Account:
    """The fills and the equity of the witness, after it has played its bars."""
    for _ in progress(witness.steps(), "Playing it by the plain-Python witness, bar by bar", len(witness)):
        pass
    stamps, first = np.array(witness.stamps), witness.first
    return Account(_fills(witness.account.fills, witness.symbols, stamps), stamps[first:], np.array(witness.curve))


def playback_of(own: OwnRun) -> WitnessPlayback:
    """The witness of a strategy written by hand: it is given the orders that Backtrader is given, run once more."""
    told: list[tuple[int, dict[str, Any] | int]] = []
    broker = own.again(told=told)
    given = [(bar, one if isinstance(one, int) else _order_of(one)) for bar, one in told]
    return WitnessPlayback(own.markets, given, own.account, own.costs, own.first, broker.cursor.at + 1)


def _order_of(values: Mapping[str, Any]) -> WitnessOrder:
    """An order of the exchange in the witness's words."""
    given = {name: values[name] for name in _SAME if name in values}
    given |= {name: values[name] for name in ("expires", "due") if values.get(name)}
    kind: Any = ORDER_KINDS[values["kind"]]
    reduces, parent, tag = bool(values["reduce_only"]), values["parent"] or None, FILL_REASONS[values["reason"]]
    return WitnessOrder(kind=kind, reduce_only=reduces, parent=parent, tag=tag, **given)


def _fills(fills: Sequence[Fill], symbols: Sequence[str], stamps: IntArray) -> pd.DataFrame:
    """The witness's fills with the columns of Result that are compared."""
    rows = np.array([fill.bar for fill in fills], dtype=np.int64)
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(stamps[rows], utc=True, unit="ns"),
            "symbol": [symbols[fill.symbol] for fill in fills],
            "side": ["buy" if fill.side > 0 else "sell" for fill in fills],
            "reason": [fill.reason for fill in fills],
            **{name: np.array([getattr(fill, name) for fill in fills], dtype=np.float64) for name in NUMBERS},
        }
    )
