"""backtesting.py at the work of the comparison: run by benchmarks/peers.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import peer_work as work
from backtesting import Backtest, Strategy

Columns = dict[str, np.ndarray]


class Reversal(Strategy):
    """Turns the position at every crossing, with a stop and a target on either side."""

    def init(self) -> None:
        self.side = self.I(lambda close: work.crossings(np.asarray(close), work.FAST, work.SLOW), self.data.Close)

    def next(self) -> None:
        side = self.side[-1]
        if not side:
            return
        position, price = self.position, self.data.Close[-1]
        if position.size * side < 0:
            position.close()
        elif position:
            return
        stop, target = work.levels(price, side)
        (self.buy if side > 0 else self.sell)(size=work.SIZE, sl=stop, tp=target)


def setting(sides: np.ndarray, stop: float, target: float, size: int) -> type[Strategy]:
    """A strategy that turns at given signals, with a stop and a target of a setting."""

    class Follower(Strategy):
        def init(self) -> None:
            self.row = self.I(lambda: np.arange(len(sides)), plot=False)

        def next(self) -> None:
            side = sides[int(self.row[-1])]
            if not side:
                return
            price = self.data.Close[-1]
            if self.position.size * side < 0:
                self.position.close()
            elif self.position:
                return
            levels = {"sl": price * (1 - side * stop), "tp": price * (1 + side * target)}
            (self.buy if side > 0 else self.sell)(size=size, **levels)

    return Follower


def frame(columns: Columns) -> pd.DataFrame:
    """The market as backtesting.py wants it."""
    names = ("open", "high", "low", "close", "volume")
    return pd.DataFrame({name.title(): columns[name] for name in names}, index=pd.to_datetime(columns["stamp"]))


def play(columns: Columns, strategy: type[Strategy]) -> Any:
    """A run with the account of the comparison."""
    account = {"cash": work.CASH, "commission": work.FEE, "margin": 1 / 3, "finalize_trades": False}
    return Backtest(frame(columns), strategy, **account).run()


def one_run(columns: Columns, rounds: int) -> dict[str, Any]:
    """The reversal under backtesting.py."""
    found, seconds = work.take(lambda given: play(given, Reversal), columns, rounds)
    return {"seconds": seconds, "value": float(found["Equity Final [$]"])}


def fills(columns: Columns, rounds: int) -> dict[str, Any]:
    """The fills of the reversal."""
    del rounds
    made: list[Any] = []
    for trade in play(columns, Reversal)["_trades"].itertuples():
        side = 1 if trade.Size > 0 else -1
        made += [(trade.EntryBar, side, trade.EntryPrice), (trade.ExitBar, -side, trade.ExitPrice)]
    return {"fills": sorted((int(bar), side, round(float(price), 4)) for bar, side, price in made)}


def sweep(columns: Columns, rounds: int) -> dict[str, Any]:
    """Three settings of each sweep, one after the other."""
    found: dict[str, Any] = {}
    for name in work.SWEEPS:
        chosen = [(work.STOPS[k], work.TARGETS[k]) for k in (0, 4, 9)]

        def run(given: Columns, name: str = name, chosen: Any = chosen) -> list[int]:
            return [len(play(given, setting(given[name], *one, work.SIZE))["_trades"]) for one in chosen]

        trades, seconds = work.take(run, columns, rounds)
        found[name] = {"seconds": seconds, "settings": len(chosen), "entries": float(np.mean(trades))}
    return found


if __name__ == "__main__":
    work.contest({"run": one_run, "fills": fills, "sweep": sweep})
