"""The comparison with other engines: the same strategy makes the same fills under Backtrader's own account and ours."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The scripts of the benchmark that need nothing but our own environment."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("peer_work", "peer_crossgate", "peer_backtrader", "peers")
    return {name: importlib.import_module(name) for name in names}


def test_the_compared_run_makes_the_fills_of_backtrader(modules: dict[str, Any]) -> None:
    """Bar, side and price of every fill; stops, targets and reversals all happen; a difference would be counted."""
    market = modules["peer_work"].make_market(4000, swept=False)
    theirs = modules["peer_backtrader"].fills(market, 1)["fills"]
    ours = modules["peer_crossgate"].fills(market, 1)["fills"]
    assert len(ours) > 100
    shared, explained = modules["peers"].shared, modules["peers"].explained
    assert shared(ours, theirs) == (len(ours), [], [])
    moved = [*ours[1:], (3999, 1, 100.0)]
    assert [len(one) for one in shared(ours, moved)[1:]] == [1, 1]
    assert "1 only here, 1 only there" in explained(*shared(ours, moved)[1:])


def test_prices_of_the_compared_market_add_up_exactly(modules: dict[str, Any]) -> None:
    """Every price is a whole number of ticks of 1/128, and every bar holds its open and close."""
    market = modules["peer_work"].make_market(2000)
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(market[name] * 128, np.round(market[name] * 128))
    assert (market["low"] <= np.minimum(market["open"], market["close"])).all()
    assert (market["high"] >= np.maximum(market["open"], market["close"])).all()
    assert {-1.0, 1.0} <= set(market["many fills"].tolist())
