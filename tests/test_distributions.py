"""Histograms of trades: no trade is lost, none counted twice, and no bin holds gains and losses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_factory import make_market, make_result, make_trades

from backtests.run.result import Result
from reports.distributions import MOST_BINS, draw_distributions, holding_edges, return_edges
from reports.figures import NARROW, WIDE
from reports.findings import Findings
from reports.sections.activity import distributions
from reports.trades import list_trades


@given(st.lists(st.floats(-0.9, 5.0), min_size=1, max_size=300))
def test_every_return_has_one_bin(rates: list[float]) -> None:
    """All returns lie inside the edges, and zero is an edge."""
    values = np.array(rates)
    edges = return_edges(values)
    assert np.histogram(values, edges)[0].sum() == len(values)
    assert (np.diff(edges) > 0.0).all()
    assert np.abs(edges).min() == pytest.approx(0.0, abs=1e-12)
    assert len(edges) <= MOST_BINS + 3


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300))
def test_every_holding_time_has_one_bin(bars: list[int]) -> None:
    """All holding times lie inside bins of equally many whole bars."""
    edges = holding_edges(np.array(bars))
    assert np.histogram(bars, edges)[0].sum() == len(bars)
    assert set(np.diff(edges)) == {edges[1] - edges[0]}
    assert len(edges) <= MOST_BINS + 2


@pytest.mark.parametrize("sheet", [WIDE, NARROW])
def test_the_bars_of_the_figure_add_up_to_the_trades(sheet: object) -> None:
    """The heights of both histograms are the counts of trades, and each stands above zero."""
    random = np.random.default_rng(3)
    rate, bars = random.normal(0.001, 0.02, 200), random.integers(0, 90, 200)
    for axes in draw_distributions(rate, bars, sheet).axes:  # type: ignore[arg-type]
        heights = [path.vertices[:, 1].max() for path in axes.collections[0].get_paths()]
        assert sum(heights) == 200
        assert min(heights) > 0


def test_a_run_without_closed_trades_has_no_such_section() -> None:
    """Nothing is drawn where nothing was closed; with trades the caption says their median and mean."""
    assert distributions(known(make_result())) is None
    found = distributions(known(make_result(make_market(), make_trades(500))))
    assert found is not None
    assert "median" in found.parts[0].caption  # type: ignore[attr-defined]


def known(result: Result) -> Findings:
    """Findings that hold the trades of a run alone."""
    return cast(Findings, SimpleNamespace(trades=list_trades(result)))
