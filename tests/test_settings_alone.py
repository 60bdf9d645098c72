"""A setting is played or refused alone as it is in a sweep or a tuning: by the bars that it is played on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_cases import forecasts, market

import backtests.exchange.impact
from backtests import backtest, sweep, tune
from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.solo import play_solo
from backtests.run.tables import Tables
from backtests.searches.grids import Grid
from backtests.searches.ground import grid_ground, play_range
from foundation.errors import DataError, ParameterError
from foundation.trials import TrialLedger
from markets.candles import FloatArray
from markets.market import Market
from models.forecasts import Forecasts
from strategies.parameters import CrossoverParams, RiskParams

# Averages over 10 bars are warmed up from row 620 on, over 30 bars from row 220 on; the first forecast is at row 820.
BARS, FIRST, QUICK, SLOW = 960, 820, 10, 30
RISK = RiskParams(atr_bars=3, stop_loss="2%", take_profit="2%")
STRATEGY = CrossoverParams(fast=2, slow=QUICK, threshold="0.5bps", rule="crossover")
IMPACT = CostParams(impact=0.5, impact_bars=24)


def over(first: int = 0, last: int = 0) -> tuple[Market, Forecasts]:
    """A market without volume on the rows from `first` to before `last`, and forecasts from FIRST on."""
    random = np.random.default_rng(4)
    made = market(random, "ONE", BARS, 1.0)
    volume = made.candles.volume.copy()
    volume[first:last] = 0.0
    silent = replace(made, candles=replace(made.candles, volume=volume))
    return silent, forecasts(random, (silent,), FIRST)


def swept(scene: tuple[Market, Forecasts], folder: Path, **axes: Any) -> Any:
    """A sweep over the length of the slow average."""
    axes = {"strategy.slow": [QUICK, SLOW], **{name.replace("__", "."): values for name, values in axes.items()}}
    return sweep(*scene, STRATEGY, RISK, costs=IMPACT, over=axes, ledger=TrialLedger(folder), workers=1)


# Of the warm-up over 10 bars the first rows, and some of that over 30 bars alone.
@pytest.mark.parametrize("silence", [(615, 625), (300, 350)])
def test_no_volume_in_the_warm_up_stops_nothing(silence: tuple[int, int], tmp_path: Path) -> None:
    """Impact is asked for from the first bar played on, alone by either driver and in a sweep, to the same money."""
    scene = over(*silence)
    found = swept(scene, tmp_path)
    for number in range(2):
        tables = found.grid.tables(number)
        words = (tables.strategy, tables.risk, tables.account, tables.costs)
        equity = backtest(*scene, *words).equity["equity"].iloc[-1]
        assert found.table.loc[number, "final_equity"] == pytest.approx(equity, rel=1e-9)
        assert play_solo([scene[0]], scene[1], *words).equity[-1] == pytest.approx(equity, rel=1e-9)
    assert found.table["trades"].min() > 5


def test_an_impact_that_is_asked_for_in_the_warm_up_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked from the first bar that is fed on, a setting of a sweep is refused alone."""
    scene, honest = over(615, 625), backtests.exchange.impact.checked_impact_units

    def everywhere(candles: Any, bars: int, first: int = 0) -> FloatArray:
        del first
        return honest(candles, bars)

    monkeypatch.setattr("backtests.exchange.bars.checked_impact_units", everywhere)
    grid = Grid(Tables(STRATEGY, RISK, AccountParams(), IMPACT), {"strategy.slow": [QUICK, SLOW]})
    assert len(play_range(grid_ground([scene[0]], scene[1], grid), grid, 0, 2)) == 2
    with pytest.raises(DataError, match="hold no volume"):
        backtest(*scene, STRATEGY, RISK, costs=IMPACT)


def test_no_volume_on_bars_that_are_played_is_refused_everywhere(tmp_path: Path) -> None:
    """The bar after the first that is played may fill: 24 silent bars before it are said, alone and in a sweep."""
    scene = over(FIRST - 23, FIRST + 1)
    told = rf"hold no volume, or no move, in the 24 bars before .* UTC \(row {201}\)"
    with pytest.raises(DataError, match=told):
        backtest(*scene, STRATEGY, RISK, costs=IMPACT)
    with pytest.raises(DataError, match="hold no volume"):
        swept(scene, tmp_path)
    assert len(swept(over(FIRST - 24, FIRST), tmp_path)) == 2


WIDE = "8000tick"


def fallen(first: int, last: int) -> tuple[Market, Forecasts]:
    """A market at half the price on the rows from `first` to before `last`, where a half-spread of WIDE takes all."""
    scene = over()
    candles = scene[0].candles
    rows = np.arange(BARS)
    scale = np.where((rows >= first) & (rows < last), 0.5, 1.0) * 100.0 / candles.low.min()
    columns = {name: np.round(getattr(candles, name) * scale, 2) for name in ("open", "high", "low", "close")}
    return replace(scene[0], candles=replace(candles, **columns), mark=None), scene[1]


def every_way(scene: tuple[Market, Forecasts], folder: Path) -> dict[str, Any]:
    """WIDE alone by either driver, and among the settings of a sweep and a tuning."""
    costs, ledger = CostParams(half_spread=WIDE), TrialLedger(folder)
    values, words = {"costs.half_spread": ["off", "1tick", WIDE]}, {"ledger": ledger, "workers": 1}
    return {
        "backtest": lambda: backtest(*scene, STRATEGY, RISK, costs=costs),
        "kernel": lambda: play_solo([scene[0]], scene[1], STRATEGY, RISK, AccountParams(), costs),
        "sweep": lambda: sweep(*scene, STRATEGY, RISK, over=values, **words),
        "tune": lambda: tune(*scene, STRATEGY, RISK, over=values, trials=3, **words),
    }


@pytest.mark.parametrize("way", ["backtest", "kernel", "sweep", "tune"])
def test_a_half_spread_of_a_whole_price_is_refused_everywhere(way: str, tmp_path: Path) -> None:
    """Where a bar that is played comes to half the price; what came to it in the warm-up stops nothing."""
    told = rf"costs.half_spread = '{WIDE}': with the slippage is all of ONE's lowest price played, \d\d\.?\d*"
    with pytest.raises(ParameterError, match=told):
        every_way(fallen(BARS - 3, BARS), tmp_path)[way]()
    assert TrialLedger(tmp_path).batches() == []
    assert every_way(fallen(700, 710), tmp_path)[way]() is not None


def test_costs_that_take_a_whole_price_together_are_refused(tmp_path: Path) -> None:
    """A tuning that varies slippage and half-spread looks at the largest of both: neither of them takes it alone."""
    scene, words = over(), {"ledger": TrialLedger(tmp_path), "workers": 1, "trials": 3}
    low = float(scene[0].candles.low[FIRST:].min())
    space = {"costs.half_spread": f"1tick:{95.0 * low:.0f}tick", "costs.slippage_bps": "0:900"}
    with pytest.raises(ParameterError, match="is all of ONE's lowest price played"):
        tune(*scene, STRATEGY, RISK, over=space, **words)
    alone = {"costs.half_spread": space["costs.half_spread"]}
    assert len(tune(*scene, STRATEGY, RISK, over=alone, **words)) == 3
