"""The shortcut of one symbol: what takes it, and what leaves it for the exchange's own steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernel_cases import Match
from test_kernel_faults import loop_as_python, marked_apart, match, often_touched, played_by

from backtests.run import solo

NEAR: dict[str, Any] = {"sizing": "leverage", "leverage": 1.0, "stop_loss": "0.5%", "take_profit": "0.5%"}
BOTH: dict[str, Any] = {"stop_loss": "1%", "take_profit": "1%"}
FAR: dict[str, Any] = {"sizing": "leverage", "leverage": 40.0, "stop_loss": "off", "take_profit": "off"}
SMALL: dict[str, Any] = {**FAR, "sizing": "fraction", "fraction": 0.05}
QUICK: dict[str, Any] = {"rule": "crossover", "fast": 1, "slow": 2}
# What an account of one symbol can leave the shortcut for: the exchange's own step by module, of which `alone` plays
# the bar whole and `shortcut` only its inside.
STEPS = (("alone", "play_whole"), ("shortcut", "exit_inside"))


def untouched(one: Match) -> Match:
    """The same match on bars that all take fills."""
    last = one.markets[0].candles
    clean = replace(last, touched=np.zeros(len(last), dtype=bool))
    return replace(one, markets=(replace(one.markets[0], candles=clean),))


def smooth(one: Match, jump: float) -> Match:
    """The same match on bars that move little and open where the last one closed, but for a jump every 25 bars."""
    last = untouched(one).markets[0].candles
    k = np.arange(len(last))
    close = np.round((100.0 + 3.0 * np.sin(k / 9.0)) * (1.0 + jump * (k // 25 % 2)), 2)
    opened = np.where(k % 25 == 0, close, np.concatenate(([100.0], close[:-1])))
    columns = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close}
    made = replace(last, **columns)
    return replace(one, markets=(replace(one.markets[0], candles=made, mark=replace(made, source="case mark")),))


CASES: dict[str, tuple[Match, str]] = {
    "nothing out of the ordinary": (smooth(match(1, 1, BOTH, QUICK), 0.0), ""),
    "bars that take no fills": (often_touched(match(1, 1, NEAR, QUICK)), "play_whole"),
    "a gap beyond a stop": (smooth(match(1, 1, BOTH, {"rule": "crossover"}), 0.05), "play_whole"),
    "a liquidation at the open": (marked_apart(untouched(match(1, 1, SMALL, QUICK))), "play_whole"),
    "a stop and a target in one bar": (untouched(match(1, 1, NEAR, QUICK, wild=3.0)), "exit_inside"),
    "a liquidation inside a bar": (untouched(match(1, 1, SMALL, QUICK, wild=4.0)), "exit_inside"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_shortcut_is_taken_and_left(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars go by the shortcut, those that need more by the exchange's own steps, and both make Backtrader's fills."""
    one, step = CASES[case]
    parts = loop_as_python("shortcut", "from __future__ import annotations\n", "")
    taken = {name: 0 for _, name in STEPS} | {"play_short": 0}

    def counted(name: str, honest: Any) -> Any:
        def called(*given: Any) -> Any:
            found = honest(*given)
            taken[name] += 0 if name == "play_short" and not found else 1
            return found

        return called

    for module, name in (*STEPS, ("alone", "play_short")):
        monkeypatch.setattr(parts[module], name, counted(name, getattr(parts[module], name)))
    monkeypatch.setattr(solo, "play_settings", played_by(parts))
    assert one.kernel().part_from(one.backtrader()) == ""
    assert taken["play_short"] > 5
    assert taken[step] > 0 if step else taken["play_whole"] + taken["exit_inside"] == 0
