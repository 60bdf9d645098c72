"""The benchmarks of skill in small: tests that keep their size where there is none, intervals that hold their level."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def nulls() -> dict[str, Any]:
    """The names of the benchmark of null markets."""
    return runpy.run_path(str(BENCHMARKS / "skill_nulls.py"))


@pytest.mark.parametrize("rolling", [True, False])
@pytest.mark.parametrize("kind", ["iid", "GARCH-t", "GARCH-t with drift"])
def test_false_alarms_are_as_rare_as_said(nulls: dict[str, Any], kind: str, rolling: bool) -> None:
    """On 300 markets that cannot be forecast each test sees skill in about 5 %, and never in many more or fewer."""
    found = nulls["measure"](kind, rolling, 300)
    assert all(0.015 < share < 0.1 for share in found[1:4])
    assert found.skill < 0.1
    assert found.pooled < 0.0


def test_the_verdict_of_the_benchmark_can_be_a_miss(nulls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Alarms outside the band on either side, and a pooled R2 above zero, are misses; figures inside are none."""
    judge, figures, band = nulls["judge"], nulls["Figures"], (0.0345, 0.0665)
    assert judge("rolling", "iid", figures(0.01, 0.05, 0.04, 0.04, (0.03, 0.03), 0.9, -0.01), band)
    for shares in (
        (0.03, 0.03, 0.04, 0.05),
        (0.0, 0.04, 0.02, 0.05),
        (0.0, 0.04, 0.05, 0.07),
        (0.07, 0.05, 0.05, 0.05),
    ):
        assert not judge("growing", "iid", figures(*shares, (0.03, 0.03), 0.9, -0.01), band)
    assert not judge("rolling", "iid", figures(0.05, 0.05, 0.04, 0.04, (0.03, 0.03), 0.9, 0.01), band)
    assert judge("rolling", "GARCH-t with drift", figures(0.05, 0.05, 0.04, 0.04, (0.03, 0.03), 0.9, 0.01), band)
    assert capsys.readouterr().out.count("MISSED") == 5


@pytest.mark.parametrize("name", ["zero", "0.01 x noise", "half the mean, 0.01 x noise"])
def test_models_that_learned_nothing_pass_for_skilled_seldom(nulls: dict[str, Any], name: str) -> None:
    """Forecasts that shrank to nothing alarm seldom, where Clark-West against the mean takes a sixth for skilled."""
    found = nulls["shrunken"]("iid", name, 300)
    assert found.evident <= found.skill < 0.1
    assert found.clark_west > 0.12
    assert nulls["judge_shrunken"](name, found, 0.1)
    assert not nulls["judge_shrunken"](name, found._replace(skill=found.clark_west), 0.1), "the old test is a miss"


def test_small_networks_pass_for_skilled_seldom(nulls: dict[str, Any]) -> None:
    """Of 30 networks trained on what cannot be forecast most stay where they began, and few are taken for skilled."""
    found, idle = nulls["networks"]("GARCH-t", 30)
    assert found.evident <= found.skill <= 0.2
    assert idle > 0.4


def test_skill_that_is_there_is_seen(nulls: dict[str, Any]) -> None:
    """Asking for both tests costs little of a planted momentum that Clark-West alone sees."""
    alone, both = nulls["power"]("the small model", 60)
    assert alone >= both > 0.8


def test_the_verdict_on_few_bars_can_be_a_miss(nulls: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Of 200 draws about as many alarm as said, on few bars too; more than the band has room for is a miss."""
    assert nulls["judge_few"](200, 0.12)
    assert not nulls["judge_few"](200, 0.01)
    assert capsys.readouterr().out.count("MISSED") >= 6


def test_the_small_model_is_least_squares_on_its_window(nulls: dict[str, Any]) -> None:
    """Its forecast rests on the constant and two lags of the last 250 rows whose outcome is known."""
    returns = nulls["draw"]("iid", 7)
    t = 250 + 20 * 5
    rows = range(t - 250, t)
    x = np.array([[1.0, returns[s], returns[s - 1]] for s in rows])
    slopes = np.linalg.lstsq(x, returns[t - 249 : t + 1], rcond=None)[0]
    assert nulls["small_model"](returns, True)[t] == pytest.approx(slopes @ [1.0, returns[t], returns[t - 1]])


def test_intervals_hold_their_level_through_a_doubling() -> None:
    """On one market of the benchmark of intervals, coverage and the worst 500 bars are near their targets."""
    intervals = runpy.run_path(str(BENCHMARKS / "intervals.py"))
    returns = intervals["doubling_returns"](3)
    coverage, worst = intervals["summary"](intervals["covered"](returns))
    assert 0.89 <= coverage <= 0.91
    assert worst >= 0.86
    assert intervals["summary"](intervals["static_cover"](returns))[0] < 0.85
