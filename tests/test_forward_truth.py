"""Walk-forward tuning held to what was planted: its stitched curve shows an edge that is there and no other.

The bars are cut from a walk of 30 steps an hour, so that a stop or a target inside a bar is met where a walk meets it:
bars whose extremes hardly pass their closes would let stops earn by themselves.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from planted_faults import mutated
from simple_market import HOUR, START, contract

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.searches import forward
from backtests.searches.forward import Forward
from foundation.trials import TrialLedger
from markets.candles import Candles
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries
from strategies.parameters import CrossoverParams, RiskParams

BARS, STEPS, FIRST, SIGMA = 1500, 30, 60, 0.005
SEEDS = range(6)
OVER = {"strategy.threshold": "0.5bps:30bps", "risk.stop_loss": "0.5%:6%", "risk.take_profit": "0.5%:8%"}


class Ratios(NamedTuple):
    """Mean yearly Sharpe ratios over the seeds: on the past that chose, on the bars that followed, with hindsight."""

    inside: float
    outside: float
    hindsight: float


def planted(seed: int, edge: float) -> tuple[Market, Forecasts]:
    """A walk, and forecasts that know `edge` of the deviation of each next bar; 0: nothing."""
    random = np.random.default_rng([seed, 21])
    opinion = np.zeros(BARS)
    for t in range(1, BARS):
        opinion[t] = 0.8 * opinion[t - 1] + 0.6 * random.standard_normal()
    steps = random.normal(0.0, SIGMA / np.sqrt(STEPS), (BARS, STEPS))
    steps[1:] += SIGMA * edge * opinion[:-1, None] / STEPS
    path = 20_000.0 * np.exp(np.cumsum(steps)).reshape(BARS, STEPS)
    close = path[:, -1]
    opens = np.concatenate(([20_000.0], close[:-1]))
    high, low = np.maximum(opens, path.max(axis=1)), np.minimum(opens, path.min(axis=1))
    stamps = START + HOUR * np.arange(BARS)
    candles = Candles(stamps, opens, high, low, close, np.full(BARS, 1e6), HOUR)
    rows, none = slice(FIRST, None), np.zeros(BARS - FIRST, dtype=np.int64)
    known = ForecastSeries(
        stamps[rows], 0.3 * SIGMA * opinion[rows], np.full(BARS - FIRST, SIGMA), stamps[rows] - 1, none
    )
    return Market(contract(), candles, synthetic=True), Forecasts({"TEST": known})


def play(module: object, seed: int, edge: float, folder: Path) -> Forward:
    """A walk-forward tuning of threshold, stop and target."""
    found: Forward = module.tune_forward(  # type: ignore[attr-defined]
        *planted(seed, edge), CrossoverParams(rule="forecast"), RiskParams(), AccountParams(missing_funding="zero"),
        CostParams(slippage_bps=0.0), over=OVER, folds=3, trials=25, seed=seed,
        ledger=TrialLedger(folder / f"{edge}-{seed}"),
    )  # fmt: skip
    return found


def ratios(module: object, edge: float, folder: Path) -> Ratios:
    """What the tunings of all seeds come to in the mean."""
    found = [play(module, seed, edge, folder) for seed in SEEDS]
    assert min(int(one.folds["trades"].sum()) for one in found) >= 20
    return Ratios(
        float(np.mean([one.inside for one in found])),
        float(np.mean([one.curve.sharpe for one in found])),
        float(np.mean([one.hindsight.sharpe for one in found])),
    )


@cache
def honest(edge: float, folder: Path) -> Ratios:
    """The ratios of the true module, made once."""
    return ratios(forward, edge, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the ledgers lie."""
    return tmp_path_factory.mktemp("ledgers")


# The mean of six ratios of 1,080 hours each has a standard error of sqrt(8760 / 1080 / 6) = 1.2.
NOISE = 1.2
# What is within it.
MOST = 1.5 * NOISE


def test_without_an_edge_only_the_past_shines(folder: Path) -> None:
    """Forecasts that know nothing: what was chosen shone on the past, and is within noise of zero afterwards."""
    found = honest(0.0, folder)
    assert found.inside > 3.0
    assert abs(found.outside) < MOST
    assert found.inside - found.outside > MOST


def test_an_edge_shows_on_what_followed(folder: Path) -> None:
    """Forecasts that know 15 % of each bar's deviation: the stitched curve earns beyond noise, the past yet more."""
    found = honest(0.15, folder)
    assert found.outside > 4.0 * NOISE
    assert found.inside > found.outside
    assert found.outside > honest(0.0, folder).outside + 4.0 * NOISE


def test_a_choice_that_sees_its_fold_finds_an_edge_where_none_is(tmp_path: Path) -> None:
    """With the planted fault the stitched curve without an edge leaves the noise, so the test above would fail."""
    faulty = mutated(
        "backtests.searches.forward", "zip(borders[:-1], told, strict=True)", "zip(borders[1:], told, strict=True)"
    )
    found = ratios(faulty, 0.0, tmp_path)
    assert found.outside > MOST
