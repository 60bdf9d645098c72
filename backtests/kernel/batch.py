"""Batch: settings that share their signals, played one after another by the kernel."""

from __future__ import annotations

import numpy as np

from backtests.exchange.records import FILL, Records
from backtests.kernel.kernel import TILE, play_settings
from backtests.kernel.scene import Scene
from backtests.kernel.tally import TALLY
from backtests.kernel.trader import Setting, Wish


def play_batch(scene: Scene, wish: Wish, settings: Setting, cash: float) -> Records:
    """The tallies of some settings, one TALLY record each."""
    tallies = np.zeros(len(settings.plan), dtype=TALLY)
    no_fills, no_rows = np.zeros(0, dtype=FILL), np.zeros(0, dtype=np.int64)
    play_settings(scene, wish, settings, cash, tallies, np.zeros(0), no_fills, no_rows, TILE)
    return tallies
