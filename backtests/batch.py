"""Batch: settings that share their signals, played one after another by the kernel."""

from __future__ import annotations

import numpy as np

from backtests.kernel import play_setting
from backtests.records import FILL, Records
from backtests.scene import Scene
from backtests.tally import TALLY
from backtests.trader import Setting, Wish
from foundation.compilation import rule
from markets.candles import FloatArray, IntArray


def play_batch(scene: Scene, wish: Wish, settings: Setting, cash: float) -> Records:
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
