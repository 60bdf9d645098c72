"""Ruin: distances that can be worked out by hand, and odds that agree with the truth of markets that are simulated."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from null_markets import known_playback
from planted_faults import mutated
from simple_market import HOUR, START, contract, flat, forecasts, market, walk
from tiny_runs import CASH, NO_COSTS, level, tiny

from backtests.doubts import ruin
from backtests.doubts.distance import measure_distance
from backtests.doubts.playback import Playback, make_playback
from backtests.doubts.resampling import block_order, resampled
from backtests.doubts.ruin import RuinOdds, ruin_odds
from backtests.doubts.stop_limits import stop_limits
from backtests.exchange.parameters import AccountParams
from backtests.kernel.trader import LONG, OTHER, SHORT
from backtests.kernel.wishes import next_wanted
from backtests.run.engine import backtest
from markets.candles import Candles
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries
from strategies.parameters import CrossoverParams, RiskParams

DEVIATION, MAINTENANCE, HORIZON = 0.02, 0.01, 200
HOLD = CrossoverParams(rule="buy_and_hold")
ZERO = AccountParams(missing_funding="zero")


def held_market(leverage: float, drift: float = 0.0) -> Playback:
    """A long that is held over normal returns whose mean and deviation are exactly known; closes are the extremes."""
    random = np.random.default_rng(8)
    moves = random.standard_normal(4000)
    moves = drift + DEVIATION * (moves - moves.mean()) / moves.std()
    close = 50_000.0 * np.exp(np.cumsum(moves))
    opened = np.concatenate(([50_000.0], close[:-1]))
    stamps = START + HOUR * np.arange(len(close))
    bars = Candles(stamps, opened, np.maximum(opened, close), np.minimum(opened, close), close, np.ones(4000), HOUR)
    made = Market(contract(tick=1e-9, maximum_leverage=20.0, maintenance_rate=MAINTENANCE), bars)
    rows = np.zeros(4000, dtype=np.int64)
    told = Forecasts({"TEST": ForecastSeries(stamps, np.zeros(4000), np.ones(4000), stamps - 1, rows)})
    risk = RiskParams(sizing="leverage", leverage=leverage, stop_loss="off", take_profit="off")
    return make_playback([made], told, HOLD, risk, ZERO, NO_COSTS)


def odds_of(module: Any, leverage: float, monkeypatch: pytest.MonkeyPatch) -> RuinOdds:
    """The odds of that long over HORIZON bars."""
    monkeypatch.setattr(module, "HORIZON_BARS", HORIZON)
    found: RuinOdds = module.ruin_odds(held_market(leverage), paths=200, seed=3)
    return found


def true_liquidation(leverage: float) -> float:
    """By the reflection principle, the barrier moved as only bars are looked at (Broadie, Glasserman, Kou 1997)."""
    barrier = -math.log((1.0 - 1.0 / leverage) / (1.0 - MAINTENANCE)) if leverage > 1.0 else math.inf
    spread = DEVIATION * math.sqrt(HORIZON)
    return 2.0 * NormalDist().cdf(-(barrier + 0.5826 * DEVIATION) / spread) if barrier < math.inf else 0.0


def true_fall(count: int = 4000) -> float:
    """The share of simulated longs at leverage 1 that fall by half from a peak within the horizon."""
    paths = np.cumsum(DEVIATION * np.random.default_rng(1).standard_normal((count, HORIZON)), axis=1)
    peaks = np.maximum.accumulate(np.maximum(paths, 0.0), axis=1)
    return float(((paths - peaks).min(axis=1) <= math.log(0.5)).mean())


def test_odds_are_those_of_the_simulated_market(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shares of liquidated and halved longs lie within three standard errors of the truth at each leverage."""
    found = odds_of(ruin, 3.0, monkeypatch)
    assert found.bars == HORIZON
    assert [one.leverage for one in found.odds] == [1.0, 2.0, 3.0, 5.0, 10.0, 20.0]
    assert found.own.leverage == 3.0
    for one in found.odds:
        truth = true_liquidation(one.leverage)
        assert one.paths == (200 + ruin.MORE_PATHS if one is found.own else 200)
        error = math.sqrt(max(truth * (1.0 - truth), 0.005) / one.paths)
        assert abs(one.liquidation - truth) < 3.0 * error + 0.02, one
    truth = true_fall()
    assert abs(found.odds[0].fall - truth) < 3.0 * math.sqrt(truth * (1.0 - truth) / found.odds[0].paths) + 0.02
    assert all(a.liquidation <= b.liquidation for a, b in zip(found.odds, found.odds[1:], strict=False))


FAULTS = {
    "paths played at the run's own leverage": ("replaced(leverage=one)", "replaced(leverage=playback.risk.leverage)"),
    "liquidations overlooked": ('["liquidations"] > 0', '["liquidations"] > 1'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_shows(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them moves the odds at leverage 20 or 1 far from the truth."""
    found = odds_of(mutated("backtests.doubts.ruin", *FAULTS[fault]), 3.0, monkeypatch)
    apart = [abs(one.liquidation - true_liquidation(one.leverage)) for one in (found.odds[0], found.odds[-1])]
    assert max(apart) > 0.2


def test_equal_seeds_give_equal_odds() -> None:
    """Odds depend on the seed and on nothing else."""
    playback = known_playback(1, 0.2)
    one, again, other = (ruin_odds(playback, paths=20, seed=seed) for seed in (4, 4, 5))
    assert one == again
    assert one != other
    assert one.bars == playback.played


def test_more_paths_at_the_own_leverage_leave_the_others_as_they_are() -> None:
    """The first paths are the same with and without more, which go into the run's own odds alone."""
    playback = held_market(3.0)
    few, many = (ruin_odds(playback, paths=6, more=more, seed=1) for more in (0, 30))
    assert [one for one in many.odds if one is not many.own] == [one for one in few.odds if one is not few.own]
    assert (few.own.paths, many.own.paths) == (6, 36)
    whole = ruin_odds(playback, paths=36, more=0, seed=1)
    assert many.own == whole.own
    assert 0.0 < many.own.liquidation < 1.0


def test_blocks_are_geometric_and_cover_everything() -> None:
    """Rows follow one another but for one in `block`, go on at the start, and are drawn evenly."""
    random = np.random.default_rng(2)
    order = block_order(100, 200_000, 20.0, random)
    breaks = (np.diff(order) % 100 != 1).mean()
    assert breaks == pytest.approx(0.05 * 0.99, rel=0.05)
    counts = np.bincount(order, minlength=100)
    assert counts.min() > 0.8 * counts.mean()


def test_a_path_in_the_old_order_is_the_run() -> None:
    """Drawn in their own order, bars give the fills of the run: moves, marks, funding, signals and ranges are kept."""
    rows = walk(300, 4)
    over = market(rows, funding={row: 1e-4 * row for row in range(8, 300, 8)})
    told = forecasts(over, np.random.default_rng(1).normal(0, 0.002, 300), first=40)
    strategy = CrossoverParams(fast=3, slow=8, threshold="2bps")
    playback = make_playback([over], told, strategy, RiskParams(), AccountParams(), NO_COSTS)
    scene, wish = resampled(playback, np.arange(playback.played))
    again, ours = playback.play(wish, scene), playback.play()
    assert again.trades == ours.trades > 5
    assert again.profit == pytest.approx(ours.profit, rel=1e-6)
    assert np.allclose(wish.atr, playback.wish.atr, equal_nan=True)
    assert np.array_equal(scene.bars["funding_open"], playback.scene.bars["funding_open"])


def test_paths_start_where_the_run_starts_and_stay_on_ticks() -> None:
    """The first bar of a path moves away from the last close before the run; all prices are whole ticks above zero."""
    playback = known_playback(2)
    scene, _ = resampled(playback, block_order(playback.played, 100, 10.0, np.random.default_rng(0)))
    first = playback.scene.first
    before = playback.scene.close[0, first - 1]
    assert scene.bars["open"][0, first] == pytest.approx(before, rel=0.05)
    ticks = scene.bars["close"][0] / 0.1
    assert np.allclose(ticks, np.round(ticks), atol=1e-6)
    assert scene.bars.shape[1] == first + 100


def two_markets() -> Playback:
    """Two markets of different ticks, funding on some bars, with signals of both sides."""
    random, due = np.random.default_rng(5), dict.fromkeys(range(8, 200, 8), 1e-4)
    first, second = (
        market(walk(200, 4), funding=due, symbol="A"),
        market(walk(200, 5), funding=due, symbol="B", tick=0.25),
    )
    series = {
        one.symbol: forecasts(one, random.normal(0, 0.002, 200), 40).series[one.symbol] for one in (first, second)
    }
    strategy = CrossoverParams(fast=3, slow=8, threshold="2bps")
    return make_playback([first, second], Forecasts(series), strategy, RiskParams(), AccountParams(), NO_COSTS)


def test_paths_are_what_their_formula_says() -> None:
    """Two markets, bars in a random order: prices, ranges, signals and what is due as worked out column by column."""
    playback, prices = two_markets(), ("open", "high", "low", "close")
    order = np.random.default_rng(6).integers(playback.played, size=120)
    base, first = playback.scene, playback.scene.first
    kept = np.concatenate((np.arange(first), first + order))
    scene, wish = resampled(playback, order)
    for s, tick in enumerate(one.contract.tick for one in playback.markets):
        close, scale = base.close[s], np.ones(len(kept))
        moves = np.log(close[first + order] / close[first + order - 1])
        path = close[first - 1] * np.exp(np.concatenate(([0.0], np.cumsum(moves)[:-1])))
        scale[first:] = path / close[first + order - 1]
        for name in (*prices, *(f"mark_{price}" for price in prices)):
            expected = np.maximum(np.round(base.bars[name][s, kept] * scale / tick), 1.0) * tick
            assert np.array_equal(scene.bars[name][s], expected), name
        assert np.array_equal(wish.atr[s], playback.wish.atr[s, kept] * scale, equal_nan=True)
    for name in ("blocked", "funded", "funding_open", "funding_inside"):
        assert np.array_equal(scene.bars[name], base.bars[name][:, kept]), name
    for ours, theirs in zip(wish[:3], playback.wish[:3], strict=True):
        assert np.array_equal(ours, theirs[:, kept], equal_nan=True)
    assert len(set(wish.sides[:, first:].ravel().tolist())) > 1


def test_a_scene_is_what_its_text_says() -> None:
    """Extremes of both prices, of every bar and of eight at a time, and the bars at which funding is due, in turn."""
    playback = two_markets()
    scene, _ = resampled(playback, block_order(playback.played, 101, 10.0, np.random.default_rng(0)))
    bars, count = scene.bars, scene.bars.shape[1]
    low, high = np.minimum(bars["low"], bars["mark_low"]), np.maximum(bars["high"], bars["mark_high"])
    assert np.array_equal(scene.low, low)
    assert np.array_equal(scene.high, high)
    assert scene.lows[0].tolist() == [low[0, k : k + 8].min() for k in range(0, count - 7, 8)]
    assert scene.highs[0].tolist() == [high[0, k : k + 8].max() for k in range(0, count - 7, 8)]
    rows = np.flatnonzero(bars["funded"][0] != 0)
    assert len(rows) > 5
    assert scene.events["row"][0].tolist() == [*rows.tolist(), count]
    assert scene.turn[0].tolist() == [int((rows < row).sum()) for row in range(count)]
    for name in ("mark_open", "mark_close", "funding_open", "funding_inside"):
        assert np.array_equal(scene.events[name][0, :-1], bars[name][0, rows]), name
    assert np.array_equal(scene.mark, bars["mark_close"])
    assert bars.ctypes.data % 64 == 0


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=30))
def test_the_next_wanted_bar_is_the_next(sides: list[int]) -> None:
    """At every bar the next one at which long or short is wanted, itself included, and the next of another side."""
    count, found = len(sides), next_wanted(np.array([sides], dtype=np.int8))
    for k in range(count):
        rows = range(k, count)
        assert found[LONG, 0, k] == next((j for j in rows if sides[j] > 0), count)
        assert found[SHORT, 0, k] == next((j for j in rows if sides[j] < 0), count)
        assert found[OTHER, 0, k] == next((j for j in rows if sides[j] != sides[k]), count)


@pytest.mark.parametrize(("side", "leverage"), [(1, 10.0), (-1, 10.0), (1, 3.0)])
def test_the_leverage_at_which_a_stop_meets_liquidation(side: int, leverage: float) -> None:
    """A stop 5 % away and 1 % maintenance: a long's liquidation at (1 - 1/L) / 0.99 meets 0.95, a short's 1.05."""
    risk = RiskParams(sizing="leverage", leverage=leverage, stop_loss="5%", take_profit="off")
    found = stop_limits(tiny(flat(6), {1: side}, risk, maximum_leverage=50.0))
    assert found is not None
    truth = 1.0 / (1.0 - 0.99 * 0.95) if side > 0 else 1.0 / (1.05 * 1.01 - 1.0)
    assert found.least == found.median == pytest.approx(truth, rel=1e-3)
    assert (found.beyond, found.entries) == (float(leverage > truth), 1)


def test_stops_in_ranges_and_margin_have_limits_of_their_own() -> None:
    """2 % as a range of bars meets liquidation where 2 % does; a stop at half the margin never does in reach."""
    rows = [(100.0, 101.0, 99.0, 100.0)] * 40
    limits = {}
    for stop in ("1atr", "2%", "50%margin"):
        risk = RiskParams(sizing="leverage", leverage=5.0, stop_loss=stop, take_profit="off", atr_bars=5)
        limits[stop] = stop_limits(tiny(rows, {30: 1}, risk, maximum_leverage=40.0))
    least = {stop: found.least for stop, found in limits.items() if found is not None}
    assert least["1atr"] == pytest.approx(least["2%"], rel=1e-6)
    assert least["50%margin"] == 40.0
    assert stop_limits(tiny(rows, {30: 1})) is None
    cross = AccountParams(cash=CASH, margin="cross")
    assert stop_limits(tiny(rows, {30: 1}, RiskParams(stop_loss="2%"), account=cross)) is None


@pytest.mark.parametrize("side", [1, -1])
def test_the_distance_to_liquidation_bar_by_bar(side: int) -> None:
    """At leverage 5 a long from 100 is liquidated at 80 / 0.99; a bar whose worst mark is 90 is that far from it."""
    rows = [*flat(3), (100.0, 110.0, 90.0, 100.0), *flat(4)]
    over = market(rows)
    means = np.zeros(len(rows))
    means[1] = side * 0.01
    risk = RiskParams(sizing="leverage", leverage=5.0, stop_loss="off", take_profit="off", atr_bars=1)
    rule = CrossoverParams(fast=1, slow=2, threshold="1bps", rule="forecast")
    result = backtest(over, forecasts(over, means), rule, risk, AccountParams(cash=CASH), NO_COSTS)
    found = measure_distance(result.markets, result.positions, result.equity, 1)[0]
    liquidation = 80.0 / 0.99 if side > 0 else 120.0 / 1.01
    nearest = (90.0 - liquidation if side > 0 else liquidation - 110.0) / 100.0
    assert (found.held, found.safe) == (6, 0)
    assert found.rates[0] == pytest.approx(nearest, abs=1e-3)
    assert found.rates[-1] == pytest.approx(abs(100.0 - liquidation) / 100.0, abs=1e-3)
    assert found.atrs[0] == pytest.approx(nearest * 100.0 / 20.0, abs=1e-3)
    assert np.isnan(found.path[:2]).all()
    assert np.nanmin(found.path) == found.rates[0]
    assert np.nanmin(found.atr_path) == found.atrs[0]
    assert found.margin[1] == pytest.approx(1.0, abs=1e-2)


def test_margin_in_use_through_time() -> None:
    """The largest share in each stretch, of all positions together; 0 where none is posted, unknown without equity."""
    over = market(level(100.0, 6))
    result = backtest(over, forecasts(over, np.zeros(6)), account=AccountParams(cash=CASH))
    stamps = result.equity["timestamp"]
    equity = result.equity.assign(
        margin=[0.0, 10.0, 30.0, 20.0, 0.0, 5.0], equity=[100.0, 100.0, 100.0, 50.0, 50.0, 0.0]
    )
    found = measure_distance(result.markets, result.positions, equity, 1)[0]
    assert found.margin == (pytest.approx(0.3), pytest.approx(0.4))
    assert found.timestamp.tolist() == pd.DatetimeIndex(stamps).as_unit("ns").asi8.tolist()
    np.testing.assert_allclose(found.margin_path, [0.0, 0.1, 0.3, 0.4, 0.0, np.nan])
    longer = pd.concat([equity.assign(timestamp=stamps + pd.Timedelta(minutes=step)) for step in (0, 30)])
    longer = longer.sort_values("timestamp").assign(margin=np.arange(12.0), equity=100.0)
    found = measure_distance(result.markets, result.positions, longer, 1)[0]
    np.testing.assert_allclose(found.margin_path, 0.01 * np.arange(1.0, 12.0, 2.0))


def test_nothing_held_has_no_distance() -> None:
    """Without a position there is nothing to be far from."""
    over = market(level(100.0, 6))
    result = backtest(over, forecasts(over, np.zeros(6)), account=AccountParams(cash=CASH))
    found = measure_distance(result.markets, result.positions, result.equity, 14)[0]
    assert found.held == 0
    assert np.isnan(found.rates).all()
    assert found.margin == (0.0, 0.0)
