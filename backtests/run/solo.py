"""Solo: one setting played by the kernel, with all its fills and its equity, to be set against Backtrader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.exchange.records import FILL, FILL_REASONS, Records, settings_record
from backtests.exchange.stage import set_stage
from backtests.kernel.kernel import TILE, play_settings
from backtests.kernel.scene import make_scene
from backtests.kernel.tally import TALLY
from backtests.kernel.trader import Setting
from backtests.kernel.wishes import make_wish
from backtests.run.agreement import NUMBERS, Account, first_difference
from backtests.run.result import Result
from markets.candles import FloatArray, IntArray, utc
from markets.market import Market
from models.forecasts import Forecasts
from strategies.parameters import CrossoverParams, RiskParams
from strategies.plan import risk_record
from strategies.steps import habits_record


@dataclass(frozen=True, eq=False)
class Solo:
    """What the kernel made of a setting: `fills` as in Result, `equity` at the close of the bars that open at `stamps`.

    `tally`: the TALLY record.
    """

    fills: pd.DataFrame
    stamps: IntArray
    equity: FloatArray
    tally: Records

    def account(self) -> Account:
        """The fills and the equity, to be held against another driver's."""
        return Account(self.fills, self.stamps, self.equity)

    def part_from(self, result: Result) -> str:
        """How a Result of Backtrader differs from this, in words; '' where every fill and equity are the same.

        Fills must be the same doubles, equity at every bar the same to 1e-9 of it.
        """
        found = first_difference(self.account(), account_of(result))
        return "" if found is None else f"{utc(found.timestamp)} UTC, {found.text}"


def account_of(result: Result) -> Account:
    """The fills and the equity of a Result."""
    stamps = pd.DatetimeIndex(result.equity["timestamp"]).as_unit("ns").asi8
    return Account(result.fills, stamps, result.equity["equity"].to_numpy())


def play_solo(
    markets: Sequence[Market],
    forecasts: Forecasts,
    strategy: CrossoverParams,
    risk: RiskParams,
    account: AccountParams,
    costs: CostParams,
) -> Solo:
    """One setting, played as `backtest` plays it, by the kernel."""
    stage = set_stage(markets, forecasts, costs, [strategy], [risk])
    settings = settings_record(account, costs)
    wish = make_wish(stage, forecasts, strategy, risk.atr_bars, costs)
    setting = Setting(risk_record(risk), habits_record(strategy, risk), settings)
    scene, count = make_scene(stage.fed, stage.first, costs.impact_window), len(stage.fed[0].candles)
    equity, room, logged = np.zeros(count), 1024, 1024
    while logged == room:
        room *= 4
        log, rows, tally = np.zeros(room, dtype=FILL), np.zeros(room, dtype=np.int64), np.zeros(1, dtype=TALLY)
        logged = play_settings(scene, wish, setting, account.cash, tally, equity, log, rows, TILE)
    stamps = stage.fed[0].candles.timestamp
    fills = _fills(log[:logged], stamps[rows[:logged]], [one.symbol for one in stage.fed])
    return Solo(fills, stamps[stage.first :], equity[stage.first :], tally)


def _fills(log: Records, stamps: IntArray, symbols: Sequence[str]) -> pd.DataFrame:
    """The fills with the columns of Result."""
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(stamps, utc=True, unit="ns"),
            "symbol": [symbols[s] for s in log["symbol"]],
            "side": np.where(log["side"] > 0, "buy", "sell"),
            "reason": [FILL_REASONS[reason] for reason in log["reason"]],
            **{name: log[name] for name in NUMBERS},
        }
    )
