"""Backtrader at its best settings at the work of the comparison: run by benchmarks/peers.py."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import peer_work as work
from peer_reversal import Recorded, Reversal

Columns = dict[str, np.ndarray]


def cerebro(columns: Columns, strategy: Any) -> Any:
    """Preloaded, indicators at once, no observers; Backtrader's own broker and feed."""
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: columns[name] for name in names}, index=pd.to_datetime(columns["stamp"]))
    made = bt.Cerebro(stdstats=False, runonce=True, preload=True)
    made.adddata(bt.feeds.PandasData(dataname=frame))
    made.broker.setcash(work.CASH)
    made.broker.setcommission(commission=work.FEE)
    made.addstrategy(strategy)
    return made


def one_run(columns: Columns, rounds: int) -> dict[str, Any]:
    """The reversal under Backtrader."""

    def run(given: Columns) -> float:
        ready = cerebro(given, Reversal)
        ready.run()
        return float(ready.broker.getvalue())

    value, seconds = work.take(run, columns, rounds)
    return {"seconds": seconds, "value": value}


def fills(columns: Columns, rounds: int) -> dict[str, Any]:
    """The fills of the reversal."""
    del rounds
    return {"fills": cerebro(columns, Recorded).run()[0].fills}


if __name__ == "__main__":
    work.contest({"run": one_run, "fills": fills})
