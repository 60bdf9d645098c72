"""vectorbt at the work of the comparison: run by benchmarks/peers.py."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import peer_work as work
import vectorbt as vbt

Columns = dict[str, np.ndarray]


def sweep(columns: Columns, rounds: int) -> dict[str, Any]:
    """All settings of both sweeps by `from_signals`, filled at the next open; a leverage is a larger size."""
    found = {}
    grid = np.array(list(itertools.product(work.STOPS, work.TARGETS, work.LEVERAGES)))
    for name in work.SWEEPS:

        def run(given: Columns, name: str = name) -> Any:
            signal = np.concatenate(([0.0], given[name][:-1]))
            wanted = {"entries": (signal > 0)[:, None], "short_entries": (signal < 0)[:, None]}
            prices = {side: given[side][:, None] for side in ("open", "high", "low")}
            return vbt.Portfolio.from_signals(
                given["close"][:, None], **wanted, **prices, price=given["open"][:, None],
                sl_stop=grid[None, :, 0], tp_stop=grid[None, :, 1], size=work.SIZE * grid[None, :, 2],
                stop_entry_price="fillprice", upon_opposite_entry="reverse", fees=work.FEE, init_cash=work.CASH,
                freq="1min",
            )  # fmt: skip

        portfolio, seconds = work.take(run, columns, rounds)
        entries = len(portfolio.entry_trades.records) / len(grid)
        found[name] = {"seconds": seconds, "settings": len(grid), "entries": entries}
    return found


if __name__ == "__main__":
    work.contest({"sweep": sweep})
