"""Sweep: many settings of one strategy on the same forecasts, played by the kernel, the best one by Backtrader too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from backtests.grids import Grid, Tables
from backtests.kernel import play_setting
from backtests.parameters import AccountParams, CostParams
from backtests.records import FILL, Records, settings_record
from backtests.scene import Scene, make_scene
from backtests.solo import play_solo
from backtests.stage import Stage, set_stage
from backtests.tally import TALLY, rate
from backtests.trader import Setting, Wish
from backtests.wishes import make_wish
from foundation.compilation import rule
from foundation.errors import CrossgateError, ParameterError, suggestion
from foundation.fingerprint import fingerprint
from foundation.parallel import run_all
from foundation.trials import Span, TrialLedger, batch_of
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.forecasts import Forecasts
from strategies.parameters import CrossoverParams, RiskParams
from strategies.plan import risk_record
from strategies.steps import habits_record

# Settings played in one piece of work, and the bars times settings below which no other process is asked for help.
PIECE, SMALL = 2000, 50_000_000


@dataclass(frozen=True, eq=False)
class Sweep:
    """What the settings of a grid came to.

    `table`: a row a setting, its values by `table.key`, then its metrics as in metrics.json, NaN where undefined, and
    `plateau`: the worst Sharpe ratio among the setting and its neighbours, one step away on any axis. `blocks`: sums of
    bar returns, shape (settings, 16), for the probability of overfitting. `trials`: all that the ledger
    holds for these contracts and times, this sweep included.
    """

    grid: Grid
    table: pd.DataFrame
    blocks: FloatArray
    trials: int

    def best(self, metric: str = "sharpe", count: int = 10) -> pd.DataFrame:
        """The settings with the highest values of a metric, or of "plateau"; raises ParameterError for another word."""
        if metric not in self.table or metric in self.grid.axes:
            known = [str(name) for name in self.table if name not in self.grid.axes]
            raise ParameterError("metric", "is not known", value=metric, fix=suggestion(metric, known))
        return self.table.sort_values(metric, ascending=False, kind="stable", na_position="last").head(count)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """What each value of each axis does on its own: the median, worst and best Sharpe over all else."""
        rows = []
        for name, values in self.grid.axes.items():
            for value in values:
                ratios = self.table.loc[self.table[name] == value, "sharpe"]
                rows.append((name, value, ratios.median(), ratios.min(), ratios.max()))
        return pd.DataFrame(rows, columns=["axis", "value", "median", "worst", "best"])

    def __str__(self) -> str:
        shown = [*self.grid.axes, "total_return", "sharpe", "plateau", "max_drawdown", "trades", "liquidations"]
        head = f"{len(self.table):,} settings; {self.trials:,} trials on this data in the ledger"
        return f"{head}\n{self.best()[shown].to_string(index=False, float_format=lambda value: f'{value:.4g}')}"


def sweep(
    market: Market | Sequence[Market],
    forecasts: Forecasts,
    strategy: CrossoverParams | None = None,
    risk: RiskParams | None = None,
    account: AccountParams | None = None,
    costs: CostParams | None = None,
    *,
    over: Mapping[str, Sequence[Any]],
    workers: int | None = None,
    ledger: TrialLedger | None = None,
) -> Sweep:
    """Every combination of the values in `over`, by `table.key`, on the same markets and forecasts.

    Nothing is trained. The settings are played by the compiled kernel, whose fills are those of `backtest`; the one
    with the best Sharpe ratio is played again by Backtrader, and a single fill that differs raises CrossgateError.
    All settings are put down in the `ledger` of trials. Raises ParameterError for a value that no table takes.
    """
    base = Tables(
        strategy or CrossoverParams(), risk or RiskParams(), account or AccountParams(), costs or CostParams()
    )
    grid = Grid(base, over)
    markets = [market] if isinstance(market, Market) else list(market)
    tables = [base.changed(point) for point in grid.points()]
    stage = set_stage(markets, forecasts, base.costs, [one.strategy for one in tables], [one.risk for one in tables])
    for one in stage.played:
        if base.account.missing_funding == "refuse":
            one.check_funding(stage.start)
    tallies = _play(stage, forecasts, tables, base.account.cash, workers)
    table = _table(grid, tallies, stage.played[0].bars_per_year, base.account.cash)
    _replay(markets, forecasts, tables, table)
    trials = _record(ledger or TrialLedger(), stage, forecasts, grid, table, tallies)
    return Sweep(grid, table, tallies["blocks"], trials)


def _play(stage: Stage, forecasts: Forecasts, tables: Sequence[Tables], cash: float, workers: int | None) -> Records:
    impact_bars = max(one.costs.impact_window for one in tables)
    scene, pieces = make_scene(stage.fed, stage.first, impact_bars), []
    for wish, part in _groups(stage, forecasts, tables):
        starts = range(0, len(part), PIECE)
        pieces += [(scene, wish, _settings(part[begin : begin + PIECE]), cash) for begin in starts]
    small = len(tables) * scene.bars.size < SMALL
    results = run_all(play_piece, pieces, f"Playing {len(tables):,} settings", 1 if small else workers)
    return np.concatenate(results)


def _groups(stage: Stage, forecasts: Forecasts, tables: Sequence[Tables]) -> Iterator[tuple[Wish, list[Tables]]]:
    """The settings that share their signals, with those signals; such settings follow one another."""
    part: list[Tables] = []
    for one in tables:
        if part and _signals(one) != _signals(part[0]):
            yield _wish(stage, forecasts, part[0]), part
            part = []
        part.append(one)
    yield _wish(stage, forecasts, part[0]), part


def _signals(one: Tables) -> tuple[Any, ...]:
    return one.strategy, one.risk.atr_bars, one.costs


def _wish(stage: Stage, forecasts: Forecasts, one: Tables) -> Wish:
    return make_wish(stage, forecasts, one.strategy, one.risk.atr_bars, one.costs)


def _settings(tables: Sequence[Tables]) -> Setting:
    """The records of some settings, an array of each kind."""
    return Setting(
        np.concatenate([risk_record(one.risk) for one in tables]),
        np.concatenate([habits_record(one.strategy, one.risk) for one in tables]),
        np.concatenate([settings_record(one.account, one.costs) for one in tables]),
    )


def play_piece(scene: Scene, wish: Wish, settings: Setting, cash: float) -> Records:
    """The tallies of some settings, one TALLY record each."""
    tallies = np.zeros(len(settings.plan), dtype=TALLY)
    play_settings(scene, wish, settings, cash, tallies, np.zeros(0), np.zeros(0, dtype=FILL), np.zeros(0, np.int64))
    return tallies


@rule
def play_settings(
    scene: Scene,
    wish: Wish,
    settings: Setting,
    cash: float,
    tallies: Records,
    equity: FloatArray,
    log: Records,
    rows: IntArray,
) -> None:
    """Plays one setting after another; `equity`, `log` and `rows` are empty: nothing but the tallies is kept."""
    for k in range(len(tallies)):
        one = Setting(settings.plan[k : k + 1], settings.habits[k : k + 1], settings.settings[k : k + 1])
        play_setting(scene, wish, one, cash, tallies[k : k + 1], equity, log, rows)


def _table(grid: Grid, tallies: Records, bars_per_year: float, cash: float) -> pd.DataFrame:
    table = pd.DataFrame(list(grid.points()), columns=list(grid.axes))
    for name, values in rate(tallies, bars_per_year, cash).items():
        table[name] = values
    table.insert(len(grid.axes), "plateau", _plateau(table["sharpe"].to_numpy(), grid.shape))
    return table


def _plateau(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """The worst value among each cell of the grid and its neighbours, corners included; NaN where one has none."""
    cells = np.where(np.isnan(values), -np.inf, values).reshape(shape)
    for axis in range(cells.ndim):
        edge = [(1, 1) if one == axis else (0, 0) for one in range(cells.ndim)]
        wide = np.moveaxis(np.pad(cells, edge, mode="edge"), axis, 0)
        cells = np.moveaxis(np.minimum(np.minimum(wide[:-2], wide[1:-1]), wide[2:]), 0, axis)
    return np.where(np.isneginf(cells), np.nan, cells).ravel()


def _replay(markets: Sequence[Market], forecasts: Forecasts, tables: Sequence[Tables], table: pd.DataFrame) -> None:
    """Raises CrossgateError when Backtrader does not come to the figures of the best setting."""
    from backtests.engine import backtest

    if not table["sharpe"].notna().any():
        return
    row = int(table["sharpe"].argmax())
    one = tables[row]
    solo = play_solo(markets, forecasts, one.strategy, one.risk, one.account, one.costs)
    result = backtest(markets, forecasts, one.strategy, one.risk, one.account, one.costs, name="replay")
    part = solo.part_from(result)
    if part:
        raise CrossgateError(f"setting {row}: kernel and Backtrader part, {part}; please report this")


def _record(
    ledger: TrialLedger, stage: Stage, forecasts: Forecasts, grid: Grid, table: pd.DataFrame, tallies: Records
) -> int:
    """All trials on these contracts and times, after the sweep was put down in the ledger."""
    last = int(stage.played[0].candles.timestamp[-1])
    spans = [Span(one.trial_key, stage.start, last) for one in stage.played]
    base = grid.base
    fixed = [one.model_dump(mode="json") for one in (base.strategy, base.risk, base.account, base.costs)]
    content = fingerprint([one.fingerprint for one in stage.played], forecasts.fingerprint, fixed, grid.record())
    ratios = table["sharpe"].to_numpy() / np.sqrt(stage.played[0].bars_per_year)
    ledger.record(batch_of("sweep", spans, grid.record(), content, ratios), tallies["blocks"])
    return ledger.tried(spans).trials
