"""Ground: what all settings of a search are played on, made once, and the settings played on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from backtests.exchange.records import Records, settings_record
from backtests.exchange.stage import Stage, check_costs, set_stage
from backtests.kernel.batch import play_batch
from backtests.kernel.scene import Scene, make_scene
from backtests.kernel.tally import TALLY
from backtests.kernel.trader import Setting, Wish
from backtests.kernel.wishes import make_wish
from backtests.run.tables import Tables
from backtests.searches.grid_records import grid_settings
from backtests.searches.grids import Grid
from foundation.trials import Span
from markets.candles import IntArray
from markets.market import Market
from models.forecasts import Forecasts
from strategies.plan import risk_record
from strategies.steps import habits_record


@dataclass(eq=False)
class Ground:
    """The markets and forecasts of a search, and the starting balance; it remembers the signals it made last."""

    stage: Stage
    forecasts: Forecasts
    scene: Scene
    cash: float
    _made: dict[tuple[object, ...], Wish] = field(default_factory=dict, repr=False)

    @property
    def bars(self) -> int:
        """How many bars of all symbols one setting is played over."""
        symbols, count = self.scene.bars.shape
        return int(symbols * (count - self.scene.first))

    @property
    def spans(self) -> list[Span]:
        """The contracts and times that are looked at."""
        candles = self.stage.played[0].candles
        last, bar = int(candles.timestamp[-1]), candles.bar
        return [Span.of_bars(one.trial_key, self.stage.start, last, bar) for one in self.stage.played]

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days."""
        return self.stage.played[0].bars_per_year

    def wish(self, one: Tables) -> Wish:
        """The wish of a setting, which others with the same signals share."""
        # Other threads may ask for other signals at the same time.
        made = self._made.get(one.signals)
        if made is None:
            made = make_wish(self.stage, self.forecasts, one.strategy, one.risk.atr_bars, one.costs)
            self._made.clear()
            self._made[one.signals] = made
        return made

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_made": {}, "forecasts": replace(self.forecasts, ensembles=None)}


def make_ground(markets: Sequence[Market], forecasts: Forecasts, tables: Sequence[Tables]) -> Ground:
    """The ground for settings such as `tables`; raises ParameterError or DataError where one cannot be played.

    The tables should hold every signal, every leverage, the dearest costs and the longest `impact_bars` that will be
    played.
    """
    base, window = tables[0], max(one.costs.impact_window for one in tables)
    strategies, risks = [one.strategy for one in tables], [one.risk for one in tables]
    stage = set_stage(markets, forecasts, base.costs, strategies, risks, impact_window=window)
    check_costs(stage.fed, dict.fromkeys(one.costs for one in tables), stage.first)
    if base.account.missing_funding == "refuse":
        for one in stage.played:
            one.check_funding(stage.start)
    scene = make_scene(stage.fed, stage.first, window)
    return Ground(stage, forecasts, scene, base.account.cash)


def grid_ground(markets: Sequence[Market], forecasts: Forecasts, grid: Grid) -> Ground:
    """The ground of all settings of a grid."""
    leverages = grid.parsed.get("risk.leverage", ())
    risks = [grid.base.risk.model_copy(update={"leverage": leverage}) for leverage in leverages]
    bounds = [Tables(grid.base.strategy, risk, grid.base.account, grid.base.costs) for risk in risks]
    return make_ground(markets, forecasts, [*grid.signals, *bounds])


def play_range(ground: Ground, grid: Grid, begin: int, end: int) -> Records:
    """The tallies of the settings of a grid from number `begin` up to, not including, `end`."""
    return play_numbers(ground, grid, np.arange(begin, end))


def play_numbers(ground: Ground, grid: Grid, numbers: IntArray) -> Records:
    """The tallies of some settings of a grid, by rising number."""
    parts = [np.zeros(0, dtype=TALLY)]
    for first in np.unique(numbers // grid.fast) * grid.fast:
        own = numbers[(numbers >= first) & (numbers < first + grid.fast)]
        tables = grid.tables(int(first))
        parts.append(play_batch(ground.scene, ground.wish(tables), grid_settings(grid, tables, own), ground.cash))
    return np.concatenate(parts)


def play_tables(ground: Ground, tables: Sequence[Tables]) -> Records:
    """The tallies of some settings, in their order; those that share signals are played together."""
    tallies = np.zeros(len(tables), dtype=TALLY)
    for rows in _shared(tables):
        settings = settings_of([tables[row] for row in rows])
        tallies[rows] = play_batch(ground.scene, ground.wish(tables[rows[0]]), settings, ground.cash)
    return tallies


def compile_kernel(ground: Ground, tables: Tables) -> None:
    """Has the kernel compiled, or loaded, by playing no setting: else each worker process would compile it anew."""
    none = Setting(*(records[:0] for records in settings_of([tables])))
    play_batch(ground.scene, ground.wish(tables), none, ground.cash)


def settings_of(tables: Sequence[Tables]) -> Setting:
    """The records of some settings, an array of each kind."""
    return Setting(
        np.concatenate([risk_record(one.risk) for one in tables]),
        np.concatenate([habits_record(one.strategy, one.risk) for one in tables]),
        np.concatenate([settings_record(one.account, one.costs) for one in tables]),
    )


def _shared(tables: Sequence[Tables]) -> Iterator[list[int]]:
    """The rows of settings with the same signals."""
    rows: dict[tuple[object, ...], list[int]] = {}
    for row, one in enumerate(tables):
        rows.setdefault(one.signals, []).append(row)
    yield from rows.values()
