"""Settings that are played side by side come to the same bits as one after the other, wherever tiles end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_kernel_faults import match, plain

from backtests.exchange.records import FILL
from backtests.exchange.stage import set_stage
from backtests.kernel.kernel import GROUP, play_settings
from backtests.kernel.scene import make_scene
from backtests.kernel.tally import TALLY
from backtests.kernel.wishes import make_wish
from backtests.run.tables import Tables
from backtests.searches.ground import settings_of
from foundation.lanes import WIDTH

LADDER = [{"distance": "0.5%", "share": 0.3}, {"distance": "1%", "share": 0.3}]
RISKS: list[dict[str, Any]] = [
    {"take_profit": "1%", "trailing_stop": "1%"},
    {"take_profit": "off", "targets": LADDER, "maximum_bars": 5, "cooldown_bars": 2},
    {"take_profit": "3%", "break_even": "0.5%"},
    {"sizing": "leverage", "leverage": 40.0, "take_profit": "off"},
]


def tallies(symbols: int, count: int, tile: int, play: Callable[..., Any] = play_settings) -> np.ndarray:
    """What some settings come to on a wild market."""
    one = match(3, symbols, {}, {"rule": "crossover", "fast": 1, "slow": 3})
    tables = []
    for k in range(count):
        risk = {"stop_loss": f"{0.4 + 0.05 * (k // len(RISKS)):g}%", **RISKS[k % len(RISKS)]}
        tables.append(Tables(one.strategy, one.risk.model_validate(risk), one.account, one.costs))
    stage = set_stage(one.markets, one.forecasts, one.costs, [one.strategy], [table.risk for table in tables])
    wish = make_wish(stage, one.forecasts, one.strategy, one.risk.atr_bars, one.costs)
    found, log = np.zeros(count, dtype=TALLY), np.zeros(0, dtype=FILL)
    scene, rows = make_scene(stage.fed, stage.first), np.zeros(0, dtype=np.int64)
    play(scene, wish, settings_of(tables), one.account.cash, found, np.zeros(0), log, rows, tile)
    return found


@pytest.mark.parametrize("symbols", [1, 2])
def test_tiles_change_nothing(symbols: int) -> None:
    """More settings than stand side by side, by tiles of any length, and fewer of them: the same bits."""
    expected = tallies(symbols, GROUP + 6, 10_000)
    assert (expected["trades"] > 5).all()
    assert len(np.unique(expected["equity"])) > GROUP // 2
    for tile in (1, 7, 64, 1000):
        assert tallies(symbols, GROUP + 6, tile).tobytes() == expected.tobytes()
    for count in (1, 5, WIDTH, WIDTH + 1):
        assert tallies(symbols, count, 64).tobytes() == expected[:count].tobytes()


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("kernel", "desks.account[k : k + 1]", "desks.account[:1]"),
        ("kernel", "desks.positions[k * symbols : (k + 1) * symbols]", "desks.positions[:symbols]"),
        ("kernel", "desks.orders[k * room : (k + 1) * room]", "desks.orders[:room]"),
        ("kernel", "books.memory[k * symbols : (k + 1) * symbols]", "books.memory[:symbols]"),
        ("kernel", "play_until(play, group.reached[k],", "play_until(play, start,"),
        ("kernel", "course.end, k % WIDTH)", "course.end, 0)"),
        ("kernel", "Running(group.sums[front // WIDTH], group", "Running(group.sums[0], group"),
        ("kernel", "group.now[front // WIDTH])", "group.now[0])"),
        ("kernel", "running, k % WIDTH, scene", "running, 0, scene"),
        (
            "alone",
            "    give_orders(play.setting.plan[0], desk, book, 0, move)\n    return i, logged",
            "    return i, logged",
        ),
    ],
)
def test_settings_that_share_a_state_are_seen(module: str, right: str, wrong: str) -> None:
    """Accounts, positions, orders or memories of one setting in the hands of the next change what comes out; and so do
    moves that a tile's end has lost.
    """
    assert tallies(1, 9, 10, plain(module, right, wrong)).tobytes() != tallies(1, 9, 1000).tobytes()


def test_what_comes_after_a_tile_waits() -> None:
    """Funding beyond the end of a tile, paid before the next begins, has no room in what the tile holds."""
    with pytest.raises(IndexError):
        tallies(1, 9, 10, plain("holding", "    end = min(end, play.course.end)\n", "", lowest="course"))
