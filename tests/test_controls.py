"""Controls: luck whose p-values are uniform where nothing is known, and small where something is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from null_markets import ACCOUNT, ALONE, RISK, STRATEGY, known_market, known_playback
from planted_faults import mutated

from backtests.doubts import controls
from backtests.doubts.baselines import run_baselines
from backtests.doubts.controls import BANDS, Controls, measure_controls, permutation
from backtests.doubts.playback import make_playback, playback_of
from backtests.doubts.simpler import play_baselines
from backtests.exchange.parameters import CostParams
from backtests.run.engine import backtest
from models.forecasts import Forecasts
from reports.metrics import baseline_metrics, compute_metrics
from strategies.parameters import CrossoverParams, RiskParams

NULLS, DRAWS = 40, 39


def p_values(
    module: Any, edge: float, markets: int, drift: float = 0.0, strategy: CrossoverParams = ALONE
) -> np.ndarray:
    """The p of random entries and of permuted forecasts, a row a market."""
    found = [
        module.measure_controls(known_playback(seed, edge, drift, strategy), runs=DRAWS, permutations=DRAWS, seed=seed)
        for seed in range(markets)
    ]
    return np.array([(one.random.p, one.permuted.p) for one in found])


@pytest.fixture(scope="module")
def nulls() -> np.ndarray:
    """The p-values of forecasts that know nothing, on markets that rise."""
    return p_values(controls, 0.0, NULLS, 3e-4, STRATEGY)


@pytest.mark.parametrize("kind", [0, 1])
def test_p_is_uniform_where_nothing_is_known(nulls: np.ndarray, kind: int) -> None:
    """Kolmogorov-Smirnov cannot tell the p-values from uniform ones, and few of them are small."""
    from scipy.stats import binom, kstest

    values = nulls[:, kind]
    assert kstest(values, "uniform").pvalue > 0.01
    assert (values <= 0.1).sum() <= binom.ppf(0.995, NULLS, 0.1)
    assert binom.ppf(0.005, NULLS, 0.5) <= (values <= 0.5).sum() <= binom.ppf(0.995, NULLS, 0.5)


def test_p_is_small_where_something_is_known() -> None:
    """Forecasts that know a part of what is to come beat luck on nearly every market."""
    found = p_values(controls, 0.5, 10)
    assert ((found <= 0.05).mean(axis=0) >= 0.9).all()


FAULTS = {
    "a run that is ranked from the wrong end": ("(sharpe >= ours.sharpe)", "(sharpe <= ours.sharpe)"),
    "turns that leave all in place": ("at = int(random.integers(least, max(count - least, least) + 1))", "at = 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_shows(fault: str) -> None:
    """Each of them leaves a true edge without a small p."""
    found = p_values(mutated("backtests.doubts.controls", *FAULTS[fault]), 0.5, 6)
    assert (found[:, 0] <= 0.05).mean() < 0.5


def test_random_entries_are_as_frequent_and_as_long() -> None:
    """A turned wish wants each side on as many bars in as many stretches; ours is not moved by being asked about."""
    playback = known_playback(3)
    draw = controls._turned(playback, np.random.default_rng(0))
    first, ours = playback.scene.first, playback.wish.sides[0]
    for _ in range(5):
        wish = draw()
        sides = wish.sides[0]
        assert (sides[:first] == 0).all()
        assert not np.array_equal(sides, ours)
        for side in (-1, 1):
            assert (sides == side).sum() == (ours == side).sum()
            assert abs(stretches(sides, side) - stretches(ours, side)) <= 1
        assert np.array_equal(wish.upcoming, controls.next_wanted(wish.sides))
    assert np.array_equal(playback.wish.sides[0], ours)


def stretches(sides: np.ndarray, side: int) -> int:
    """How many runs of bars want a side."""
    return int((np.diff((sides == side).astype(int), prepend=0) == 1).sum())


def test_changed_wishes_are_no_new_type_to_the_kernel() -> None:
    """All arrays of a drawn wish are writable and in order: others would compile the whole kernel once more."""
    playback = known_playback(3)
    draw = controls._turned(playback, np.random.default_rng(0))
    for name, array in (*playback.wish._asdict().items(), *draw()._asdict().items()):
        assert array.flags.writeable, name
        assert array.flags.c_contiguous, name


def test_signals_of_averages_do_not_look_ahead_when_turned() -> None:
    """No turn is shorter than the memory of the averages, either way; a short run keeps half of its turns."""
    playback = known_playback(3)
    least = controls.least_turn(playback)
    assert least == controls.MEMORIES * STRATEGY.slow == 30
    first, draw = playback.scene.first, controls._turned(playback, np.random.default_rng(1))
    ours, count = playback.wish.sides[0, first:], playback.played
    near = [np.roll(ours, -at) for at in (*range(least), *range(count - least + 1, count))]
    for _ in range(60):
        turned = draw().sides[0, first:]
        assert not any(np.array_equal(turned, one) for one in near)
    long = make_playback(playback.markets, playback.forecasts, STRATEGY.replaced(slow=300), RISK, ACCOUNT, CostParams())
    assert controls.least_turn(long) == long.played // 4


def test_sizes_that_rest_on_the_forecast_move_with_it() -> None:
    """Under Kelly sizing a turned wish carries its opinion along, in units of the sigma of the bar it comes to."""
    market, forecasts = known_market(3)
    risk = RiskParams(sizing="kelly")
    playback = make_playback([market], forecasts, STRATEGY, risk, ACCOUNT, CostParams())
    wish, first = controls._turned(playback, np.random.default_rng(0))(), playback.scene.first
    opinion, ours = ((one.mean / one.sigma)[0, first:] for one in (wish, playback.wish))
    assert not np.allclose(opinion, ours)
    assert np.allclose(np.sort(opinion), np.sort(ours))
    wanted = wish.sides[0, first:] != 0
    assert (np.sign(opinion[wanted]) == wish.sides[0, first:][wanted]).all()


def test_a_sigma_of_zero_is_no_opinion() -> None:
    """Turned or permuted, bars whose sigma is zero carry nothing along that a size could rest on."""
    market, forecasts = known_market(3)
    series = forecasts.series[market.symbol]
    still = np.arange(len(series)) % 10 == 0
    series = replace(series, sigma=np.where(still, 0.0, series.sigma))
    risk = RiskParams(sizing="kelly")
    playback = make_playback([market], Forecasts({market.symbol: series}), STRATEGY, risk, ACCOUNT, CostParams())
    turned, first = controls._turned(playback, np.random.default_rng(0))(), playback.scene.first
    zero = (playback.wish.sigma[0, first:] == 0.0).sum()
    assert zero > 5
    assert np.isnan(turned.mean[0, first:]).sum() == zero
    assert not np.isinf(turned.mean).any()
    found = measure_controls(playback, runs=3, permutations=3)
    assert np.isfinite(found.ours.profit)


def test_a_permutation_keeps_every_bar_and_blocks_together() -> None:
    """All bars are there once, and nearly all follow the bar that they followed."""
    order = permutation(1000, np.random.default_rng(1))
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert (np.diff(order) % 1000 == 1).sum() >= 1000 - controls.PIECES - 1
    assert np.array_equal(np.sort(permutation(7, np.random.default_rng(1))), np.arange(7))


def test_the_simpler_rules_are_those_of_backtrader() -> None:
    """Each baseline of the kernel ends with the equity of the same baseline in Backtrader, and ours with the run's."""
    market, forecasts = known_market(5)
    result = backtest(market, forecasts, STRATEGY, RISK, ACCOUNT)
    found = measure_controls(playback_of(result), runs=3, permutations=3)
    assert result.account.cash + found.ours.profit == pytest.approx(float(result.equity["equity"].iloc[-1]))
    for name, one in run_baselines(result).items():
        last = float(one.equity["equity"].iloc[-1])
        assert result.account.cash + found.simpler[name].profit == pytest.approx(last), name


@pytest.mark.parametrize("margin", ["isolated", "cross"])
def test_baselines_of_the_kernel_are_those_of_backtrader(margin: str) -> None:
    """Every fill is the same, equity at every bar to 1e-9, and so is every metric that a report shows of them."""
    market, forecasts = known_market(5)
    account = ACCOUNT.replaced(margin=margin)
    result = backtest(market, forecasts, STRATEGY, RISK, account)
    whole, quick = run_baselines(result), play_baselines(playback_of(result))
    assert list(whole) == list(quick) == ["buy and hold", "crossover alone", "LSTM alone"]
    for name, one in quick.items():
        pd.testing.assert_frame_equal(one.fills, whole[name].fills)
        pd.testing.assert_frame_equal(one.equity, whole[name].equity[["timestamp", "equity"]], rtol=1e-9)
        assert (one.strategy, one.risk) == (whole[name].strategy, whole[name].risk)
        ours, theirs = baseline_metrics(one, ()), compute_metrics(whole[name], ())
        assert theirs["trades"] > 0
        for figure, value in theirs.items():
            assert ours[figure] == (value and pytest.approx(value, rel=1e-9)), (name, figure)


def test_flipped_forecasts_lose_what_forecasts_gain() -> None:
    """With a strong edge and no costs the run turned upside down loses."""
    market, forecasts = known_market(2, edge=0.7)
    costs = CostParams(slippage_bps=0.0)
    found = measure_controls(make_playback([market], forecasts, ALONE, RISK, ACCOUNT, costs), runs=3, permutations=3)
    assert found.ours.profit > 0.0 > found.simpler["sign-flipped"].profit


def test_the_fan_holds_quantiles_of_equity_at_few_points() -> None:
    """Bands rise with their level, start near the cash and end where the draws end; equal seeds give equal bits."""
    playback = known_playback(4)
    one, again = (measure_controls(playback, runs=50, permutations=5, seed=9) for _ in range(2))
    other = measure_controls(playback, runs=50, permutations=5, seed=10)
    fan = one.random.fan
    assert fan.bands.shape == (len(BANDS), len(playback.points))
    assert (np.diff(fan.bands, axis=0) >= 0.0).all()
    assert fan.bands[:, -1] == pytest.approx(np.quantile(one.random.total_return, BANDS) * 1e4 + 1e4)
    assert fan.ours[-1] == pytest.approx(1e4 + one.ours.profit)
    assert np.array_equal(fan.bands, again.random.fan.bands)
    assert not np.array_equal(fan.bands, other.random.fan.bands)
    assert one.random.place == (one.random.total_return < one.ours.total_return).mean()


@pytest.mark.parametrize("rule", ["buy_and_hold", "crossover"])
def test_rules_that_ask_no_forecast(rule: str) -> None:
    """They have no permuted forecasts; what is always held is as good at any time, so that p is 1."""
    market, forecasts = known_market(6)
    strategy = CrossoverParams(fast=5, slow=15, rule=rule)
    risk = RiskParams(sizing="leverage", leverage=1.0, stop_loss="off", take_profit="off")
    found: Controls = measure_controls(
        make_playback([market], forecasts, strategy, risk, ACCOUNT, CostParams()), runs=20
    )
    assert found.permuted is None
    assert "sign-flipped" not in found.simpler
    if rule == "buy_and_hold":
        assert found.random.p == 1.0
