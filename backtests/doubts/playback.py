"""Playback: a run made ready to be played by the kernel again and again, with one thing changed at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.exchange.records import FILL, Records, settings_record
from backtests.exchange.stage import Stage, set_stage
from backtests.kernel.kernel import TILE, play_settings
from backtests.kernel.scene import Scene, make_scene
from backtests.kernel.tally import TALLY, rate
from backtests.kernel.trader import Setting, Wish
from backtests.kernel.wishes import make_wish
from backtests.run.result import Result
from foundation.errors import DataError
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.forecasts import Forecasts
from strategies.parameters import CrossoverParams, RiskParams
from strategies.plan import risk_record
from strategies.steps import habits_record

# The points in time at which a curve is kept, whatever its length.
POINTS = 240
_NONE = np.zeros(0)
_NO_FILLS, _NO_ROWS = np.zeros(0, dtype=FILL), np.zeros(0, dtype=np.int64)


class Outcome(NamedTuple):
    """What a playback came to: money in the settlement currency.

    `sharpe`: per year, 0 for an account that did nothing. `equity`: at the points of `Playback.points`, where it was
    asked for. `liquidations`: of positions.
    """

    profit: float
    total_return: float
    sharpe: float
    max_drawdown: float
    trades: int
    liquidations: int
    equity: FloatArray


class Recording(NamedTuple):
    """A playback in full: FILL records with the rows of their bars, equity at every row, and the TALLY record."""

    fills: Records
    rows: IntArray
    equity: FloatArray
    tally: Records


@dataclass(frozen=True, eq=False)
class Playback:
    """The markets, forecasts and tables of a run, and what the kernel takes of them.

    `stage`, `scene`, `wish`, `setting`: as the run itself was played.
    """

    markets: tuple[Market, ...]
    forecasts: Forecasts
    strategy: CrossoverParams
    risk: RiskParams
    account: AccountParams
    costs: CostParams
    stage: Stage
    scene: Scene
    wish: Wish
    setting: Setting

    @property
    def played(self) -> int:
        """How many bars are played."""
        return int(self.scene.bars.shape[1]) - self.scene.first

    @property
    def timestamp(self) -> IntArray:
        """The opens of the bars that are played, UTC nanoseconds."""
        return self.stage.fed[0].candles.timestamp[self.scene.first :]

    @cached_property
    def points(self) -> IntArray:
        """The bars, counted from the first one played, at which equity is kept: evenly spaced, with the last one."""
        return np.unique(np.linspace(0, self.played - 1, min(self.played, POINTS)).astype(np.int64))

    @cached_property
    def moves(self) -> FloatArray:
        """The log move of each close from the one before it, shape (symbols, bars); 0 at the first."""
        close = self.scene.close
        before = np.concatenate((close[:, :1], close[:, :-1]), axis=1)
        return np.asarray(np.log(close / before))

    def play(
        self,
        wish: Wish | None = None,
        scene: Scene | None = None,
        setting: Setting | None = None,
        *,
        curve: bool = False,
    ) -> Outcome:
        """What the account comes to with another wish, scene or setting; with `curve` its equity is kept."""
        tally, kept = self.tally(wish, scene, setting, curve=curve)
        return outcome_of(tally, self.stage.played[0].bars_per_year, self.account.cash, kept)

    def tally(
        self,
        wish: Wish | None = None,
        scene: Scene | None = None,
        setting: Setting | None = None,
        *,
        curve: bool = False,
    ) -> tuple[Records, FloatArray]:
        """The TALLY record of the same, and with `curve` equity at the points of this playback, else nothing."""
        tally = np.zeros(1, dtype=TALLY)
        equity = np.zeros(self.scene.bars.shape[1]) if curve else _NONE
        self._run(wish, scene, setting, tally, equity, _NO_FILLS, _NO_ROWS)
        return tally, equity[self.scene.first :][self.points].clip(0.0) if curve else _NONE

    def curve(self) -> FloatArray:
        """The equity of the run at every row of the markets that are fed; before the first bar played the cash."""
        equity = np.full(self.scene.bars.shape[1], self.account.cash)
        self._run(None, None, None, np.zeros(1, dtype=TALLY), equity, _NO_FILLS, _NO_ROWS)
        return equity

    def fills(
        self, wish: Wish | None = None, scene: Scene | None = None, setting: Setting | None = None
    ) -> tuple[Records, IntArray]:
        """All fills (FILL records) and the rows of the bars they were made on."""
        found = self._recorded(wish, scene, setting, _NONE)
        return found.fills, found.rows

    def record(self, wish: Wish | None = None, setting: Setting | None = None) -> Recording:
        """All that the kernel says of another wish or setting; before the first bar played equity is the cash."""
        return self._recorded(wish, None, setting, np.full(self.scene.bars.shape[1], self.account.cash))

    def _recorded(
        self, wish: Wish | None, scene: Scene | None, setting: Setting | None, equity: FloatArray
    ) -> Recording:
        room, logged = 1024, 1024
        while logged == room:
            room *= 4
            log, rows, tally = np.zeros(room, dtype=FILL), np.zeros(room, dtype=np.int64), np.zeros(1, dtype=TALLY)
            logged = self._run(wish, scene, setting, tally, equity, log, rows)
        return Recording(log[:logged], rows[:logged], equity, tally)

    def _run(
        self,
        wish: Wish | None,
        scene: Scene | None,
        setting: Setting | None,
        tally: Records,
        equity: FloatArray,
        log: Records,
        rows: IntArray,
    ) -> int:
        return int(
            play_settings(
                scene or self.scene, wish or self.wish, setting or self.setting, self.account.cash, tally, equity,
                log, rows, TILE,
            )
        )  # fmt: skip

    def setting_of(
        self,
        strategy: CrossoverParams | None = None,
        risk: RiskParams | None = None,
        account: AccountParams | None = None,
        costs: CostParams | None = None,
    ) -> Setting:
        """The setting with some of its tables changed."""
        return _setting(strategy or self.strategy, risk or self.risk, account or self.account, costs or self.costs)

    def wish_of(self, strategy: CrossoverParams, risk: RiskParams | None = None) -> Wish:
        """The wish of another strategy on the same forecasts and costs."""
        return make_wish(self.stage, self.forecasts, strategy, (risk or self.risk).atr_bars, self.costs)


def make_playback(
    markets: Sequence[Market],
    forecasts: Forecasts,
    strategy: CrossoverParams,
    risk: RiskParams,
    account: AccountParams,
    costs: CostParams,
) -> Playback:
    """The playback of a setting; raises what `backtest` raises for markets and forecasts that do not fit."""
    stage = set_stage(markets, forecasts, costs, [strategy], [risk])
    return Playback(
        markets=tuple(markets),
        forecasts=forecasts,
        strategy=strategy,
        risk=risk,
        account=account,
        costs=costs,
        stage=stage,
        scene=make_scene(stage.fed, stage.first, costs.impact_window),
        wish=make_wish(stage, forecasts, strategy, risk.atr_bars, costs),
        setting=_setting(strategy, risk, account, costs),
    )


def playback_of(result: Result) -> Playback:
    """The playback of a run; raises DataError for a strategy written by hand, which the kernel does not play."""
    if not isinstance(result.strategy, CrossoverParams) or result.risk is None:
        raise DataError(result.name, "was played by a strategy written by hand, which the kernel does not know")
    return make_playback(result.markets, result.forecasts, result.strategy, result.risk, result.account, result.costs)


def outcome_of(tally: Records, bars_per_year: float, cash: float, equity: FloatArray = _NONE) -> Outcome:
    """The outcome that one TALLY record holds."""
    found = {name: float(values[0]) for name, values in rate(tally, bars_per_year, cash).items()}
    return Outcome(
        found["final_equity"] - cash,
        found["total_return"],
        float(np.nan_to_num(found["sharpe"])),
        found["max_drawdown"],
        int(found["trades"]),
        int(found["liquidations"]),
        equity,
    )


def _setting(strategy: CrossoverParams, risk: RiskParams, account: AccountParams, costs: CostParams) -> Setting:
    return Setting(risk_record(risk), habits_record(strategy, risk), settings_record(account, costs))
