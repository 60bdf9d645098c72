"""The benchmark of the verdict in small: nulls stop below rung 4, planted edges climb, and a miss is called one."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from types import SimpleNamespace as Told
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def ladder() -> Iterator[ModuleType]:
    """The benchmark as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("verdict_ladder")


def test_noise_does_not_climb(ladder: ModuleType) -> None:
    """None of four markets without an edge, traded on noise that lasts, climbs past rung 3."""
    found = ladder.measure(ladder.null_cases(8)[1::2], "nulls")
    assert ladder.climbed(found, 3) == 0.0


@pytest.mark.parametrize("kind", ["hidden_cases", "momentum_cases"])
def test_a_planted_edge_climbs(ladder: ModuleType, kind: str) -> None:
    """Three of three markets with an edge of a tenth of the variance climb past rung 3."""
    assert ladder.climbed(ladder.measure(getattr(ladder, kind)(3, 0.1), kind), 3) == 1.0


def test_a_hidden_edge_is_as_large_as_said(ladder: ModuleType) -> None:
    """The oracle explains the planted share of the returns that follow, and the returns before tell nothing of them."""
    shares, known = [], []
    for number in range(8):
        market = ladder.hidden_market(number, 0.1)
        returns, oracle = np.diff(np.log(market.candles.close))[100:], market.oracle[100:-1]
        shares.append(1.0 - np.mean((returns - oracle) ** 2) / np.mean(returns**2))
        known.append(np.corrcoef(returns[:-1], returns[1:])[0, 1])
    assert np.mean(shares) == pytest.approx(0.1, abs=0.03)
    assert abs(np.mean(known)) < 0.12


def test_a_miss_is_told(
    ladder: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nulls that climb, or pass the sealed stretch, and edges that do not climb are misses; weak edges bear none."""

    def all_stand_on(rung_of_null: int, rung_of_edge: int, sealed_of_null: str = "failed") -> bool:
        def judged(case: Any) -> Any:
            null = case.number < 1000
            rungs = [Told(state="passed")] * 8 + [Told(state=sealed_of_null if null else "passed")]
            verdict = Told(rung=rung_of_null if null else rung_of_edge, rungs=rungs)
            return Told(verdict=verdict, standing=Told(promise=None))

        monkeypatch.setattr(ladder, "judge_case", judged)
        met: bool = ladder.run(20, 10)
        return met

    assert all_stand_on(3, 4)
    assert not all_stand_on(4, 4)
    assert not all_stand_on(3, 3)
    assert not all_stand_on(3, 4, "passed")
    printed = capsys.readouterr().out
    assert printed.count("MISSED") == 1 + 6 + 1
    assert printed.count("target none") == 4 * (2 + 2 + 2)
    assert printed.count("none: the averages alone do as well") == 4 * 2


def test_every_edge_with_a_target_has_bars_enough(ladder: ModuleType) -> None:
    """A strength is held to the target on as many bars as it takes, and no strength goes without."""
    held = {share for share, bars, enough in ladder.EDGES if enough and bars * share >= ladder.ENOUGH}
    assert held == {share for share, *_ in ladder.EDGES}
    assert all(bars * share < ladder.ENOUGH for share, bars, enough in ladder.EDGES if not enough)


def test_a_market_is_as_long_as_asked(ladder: ModuleType) -> None:
    """Twice the bars are the same edge for longer."""
    for cases in (ladder.hidden_cases, ladder.momentum_cases):
        case = cases(1, 0.02, 900)[0]
        assert len(case.make(case.number).candles) == 900


def test_an_edge_vanishes_where_it_is_said_to(ladder: ModuleType) -> None:
    """Before its end the market is the one with the edge; after it returns are those without, and nothing is known."""
    edged, plain = ladder.hidden_market(3, 0.1), ladder.demo_market(3, ladder.BARS, 0.0)
    market = ladder.vanishing_market(3, 0.1, 0.5)
    end = ladder.FIRST + (ladder.BARS - ladder.FIRST) // 2
    assert np.array_equal(market.candles.close[: end + 1], edged.candles.close[: end + 1])
    after = [np.diff(np.log(one.candles.close[end:])) for one in (market, plain)]
    assert np.allclose(after[0], after[1], atol=1e-12)
    assert not market.oracle[end:].any()
    assert np.array_equal(market.oracle[:end], edged.oracle[:end])
    stale = ladder.stale_oracle(0.5, market, 3)[end:-1]
    assert abs(np.corrcoef(stale, after[0])[0, 1]) < 0.08


def test_most_vanished_edges_are_seen(ladder: ModuleType) -> None:
    """Of four runs whose edge vanished half way rung 4 stops three or more by itself."""
    assert ladder.alone(ladder.measure(ladder.vanishing_cases(4, 0.1, 0.5), "gone"), 4) <= 0.25
