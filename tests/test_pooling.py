"""Pooling: one model for several markets learns more than each alone, and sees the future of none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from planted_market import FEW, SHORT, TINY, candles_around, other_after, planted_market

import models.pooling
import models.training
from foundation.errors import DataError, LookAheadError, ParameterError
from markets.market import Market
from models.forecasts import Forecasts
from models.parameters import LSTMParams, WalkForwardParams
from models.pooling import plan_pool
from models.samples import build_sample
from models.trained import train_model
from models.training import _chunk_starts
from models.walkforward import first_tests, walk_forward

POOL = SHORT.replaced(pooled=True, seeds=1)
ALPHA, BETA = planted_market(seed=1, symbol="ALPHA"), planted_market(seed=2, symbol="BETA")
# In the middle of the second test.
ROW = 700


def forecast(*markets: Market, **more: Any) -> Forecasts:
    """The forecasts of a pool of some markets."""
    settings: dict[str, Any] = {"walk": POOL, "workers": 1, "cache": False, **more}
    return walk_forward(list(markets), TINY, FEW, **settings)


def known_at(made: Forecasts, symbol: str, row: int) -> list[float]:
    """What was forecast for a symbol up to a row of ALPHA's clock."""
    series = made.series[symbol]
    known = series.timestamp <= ALPHA.candles.timestamp[row]
    assert known.any()
    return [*series.mean[known].tolist(), *series.sigma[known].tolist()]


def test_a_pool_of_one_is_that_one_alone() -> None:
    """One market in a pool has the forecasts that it has by itself, to the bit."""
    alone = walk_forward(ALPHA, TINY, FEW, walk=POOL.replaced(pooled=False), workers=1, cache=False)
    assert forecast(ALPHA).fingerprint == alone.fingerprint


def test_no_symbol_sees_the_future_of_another() -> None:
    """All later bars of BETA are other ones: up to then neither ALPHA's forecasts change nor BETA's; later ones do."""
    before, after = forecast(ALPHA, BETA), forecast(ALPHA, other_after(BETA, ROW))
    for symbol in ("ALPHA", "BETA"):
        assert known_at(before, symbol, ROW) == known_at(after, symbol, ROW)
    assert before.series["BETA"].mean.tolist() != after.series["BETA"].mean.tolist()
    # The check is not blind: bars that train the second fold change ALPHA's forecasts in it.
    earlier = forecast(ALPHA, other_after(BETA, 400))
    assert known_at(before, "ALPHA", 599) == known_at(earlier, "ALPHA", 599)
    assert known_at(before, "ALPHA", ROW) != known_at(earlier, "ALPHA", ROW)


def test_a_pool_that_trains_on_another_symbols_future_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the rows of BETA are cut by its own end instead of the common clock; ALPHA's forecasts betray it."""
    honest = models.pooling._split

    def own_clock(sample: Any, own: Any, check_first: int, gap: int) -> Any:
        rows, end = honest(sample, own, check_first, gap), own.test_last
        leaks = sample is samples["BETA"] and own.number == 1
        return rows._replace(fit_last=end - 50, check_first=end - 40, check_last=end) if leaks else rows

    def observed(*markets: Market) -> list[float]:
        samples.update({market.symbol: build_sample(market, FEW, TINY) for market in markets})
        monkeypatch.setattr("models.proof.build_sample", lambda market, *_: samples[market.symbol])
        return known_at(forecast(*markets), "ALPHA", ROW)

    samples: dict[str, Any] = {}
    monkeypatch.setattr(models.pooling, "_split", own_clock)
    assert observed(ALPHA, BETA) != observed(ALPHA, other_after(BETA, ROW))


def test_the_rows_of_a_pool_keep_their_distance() -> None:
    """Fit rows of every market end a gap before the first validation row of any, and these a gap before every test."""
    late = BETA.rows(150, 840)
    samples = {market.symbol: build_sample(market, FEW, TINY) for market in (ALPHA, late)}
    memory = max(sample.memory for sample in samples.values())
    for one in plan_pool(samples, POOL, TINY):
        times = {}
        for symbol, own, rows in zip(one.symbols, one.own, one.splits, strict=True):
            stamps, hour = samples[symbol].timestamp, samples[symbol].bar
            times[symbol] = [
                int(stamps[row]) // hour for row in (rows.fit_last - 1, rows.check_first, rows.check_last - 1)
            ]
            assert int(stamps[own.test_first]) // hour - times[symbol][2] == 1 + memory + 1
            assert one.fold.trained_through == int(stamps[rows.check_last]) + hour
        last_fit = max(fit for fit, _, _ in times.values())
        assert min(check for _, check, _ in times.values()) - last_fit == 1 + memory + 1


def test_no_chunk_lies_in_two_markets() -> None:
    """Chunks start where they end in the same market; a plain count of starts would run across the border."""
    params = LSTMParams(chunk=5, burn_in=2)
    starts = _chunk_starts([10, 7, 9], params)
    assert starts.tolist() == [0, 1, 2, 3, 10, 17, 18, 19]
    assert _chunk_starts([10], params).tolist() == [0, 1, 2, 3]


def weak_markets(count: int, bars: int) -> list[Market]:
    """Markets of one weak trend, each too short to learn it from."""
    return [planted_market(bars, seed=20 + k, trend=0.15, symbol=f"M{k}") for k in range(count)]


def oracle_ratio(made: Forecasts, markets: list[Market]) -> float:
    """E[2 f g - f^2] / E[g^2] of the forecasts f against the oracle g, over all symbols: 1 is all there is to know."""
    top, bottom = 0.0, 0.0
    for market in markets:
        assert market.oracle is not None
        series = made.series[market.symbol]
        truth = market.oracle[np.searchsorted(market.candles.timestamp, series.timestamp)]
        top += float((2.0 * series.mean * truth - series.mean**2).sum())
        bottom += float((truth**2).sum())
    return top / bottom


def test_pooling_helps_where_each_history_is_too_short() -> None:
    """Eight markets of 600 training bars with R2 near 2 %: together most of the oracle's skill, alone half."""
    markets = weak_markets(8, 1000)
    walk = WalkForwardParams(scheme="holdout", train="25d", seeds=1)
    model = TINY.replaced(steps=40, check=5, batch=32, learning_rate=0.003, averaging=0.0)
    ratios = {
        pooled: oracle_ratio(
            walk_forward(markets, model, FEW, walk=walk.replaced(pooled=pooled), workers=1, cache=False), markets
        )
        for pooled in (False, True)
    }
    assert ratios[True] > 0.7
    assert ratios[True] > ratios[False] + 0.2


def test_a_market_joins_when_it_has_rows_enough() -> None:
    """A market listed later takes part from the fold on in which it can train, and is forecast from there."""
    late = BETA.rows(200, 840)
    walk = POOL.replaced(test="5d")
    made = forecast(ALPHA, late, walk=walk)
    starts = {symbol: int(series.timestamp[0]) for symbol, series in made.series.items()}
    assert starts == first_tests([ALPHA, late], TINY, FEW, walk)
    assert starts["ALPHA"] == ALPHA.candles.timestamp[360]
    assert starts["BETA"] > starts["ALPHA"]
    assert (starts["BETA"] - starts["ALPHA"]) % (5 * 24 * ALPHA.candles.bar) == 0
    assert made.series["BETA"].timestamp[-1] == BETA.candles.timestamp[-1]
    with pytest.raises(ParameterError, match="BETA has 90 bars of 1h, too few to train and test in any fold"):
        forecast(ALPHA, BETA.rows(750, 840))


def test_what_a_pool_cannot_learn_is_said_before_it_trains(trainings: list[object]) -> None:
    """Barriers that the rows of all markets together seldom reach, and a market of which targets are not known.

    Barriers that one of two markets reaches are enough for both.
    """
    far = TINY.replaced(output="barrier", barrier_sigma=100.0, steps=1)
    said = r"^model\.barrier_sigma = 100\.0: lies so far off that 0 of [\d,]+ fit rows reach a barrier"
    with pytest.raises(ParameterError, match=said):
        walk_forward([ALPHA, BETA], far, FEW, walk=POOL, workers=1, cache=False)
    with pytest.raises(ParameterError, match=said):
        train_model([ALPHA, BETA], model=far, features=FEW, pooled=True, workers=1)
    touched = np.ones(len(BETA.candles), dtype=bool)
    mended = replace(BETA, candles=replace(BETA.candles, touched=touched))
    with pytest.raises(DataError, match=r"knows the targets of 0 of the \d+ fit rows before bar"):
        walk_forward([ALPHA, mended], TINY, FEW, walk=POOL, workers=1, cache=False)
    assert trainings == []
    random, rows = np.random.default_rng(3), np.arange(len(BETA.candles))
    there_and_back = 0.01 * (rows % 2) + np.cumsum(0.001 * random.standard_normal(len(rows)))
    calm = replace(BETA, candles=candles_around(100.0 * np.exp(there_and_back), random))
    near = far.replaced(barrier_sigma=4.0)
    alone = SHORT.replaced(seeds=1)
    with pytest.raises(ParameterError, match="reach a barrier"):
        walk_forward(calm, near, FEW, walk=alone, workers=1, cache=False)
    assert len(walk_forward([ALPHA, calm], near, FEW, walk=POOL, workers=1, cache=False).series) == 2


def test_markets_of_two_grids_are_no_pool() -> None:
    """Bars of another length, or that open at other minutes, are refused with the market's name."""
    half = ALPHA.candles.bar // 2
    moved = replace(BETA, candles=replace(BETA.candles, timestamp=BETA.candles.timestamp + half))
    with pytest.raises(DataError, match="BETA: has bars of 1h that do not open with those of the others"):
        forecast(ALPHA, moved)


def test_scaling_per_symbol_or_for_all() -> None:
    """Each symbol's scaler is fitted to its own rows, or one to those of all; weights are one set either way."""
    wild = planted_market(seed=5, symbol="WILD")
    own = train_model([ALPHA, wild], model=TINY, features=FEW, seeds=1, workers=1, pooled=True)
    one = train_model([ALPHA, wild], model=TINY, features=FEW, seeds=1, workers=1, pooled=True, pooled_scaling="pooled")
    centres = {
        name: [made.symbols[symbol].members[0].scaler.centre.tolist() for symbol in ("ALPHA", "WILD")]
        for name, made in (("own", own), ("one", one))
    }
    assert centres["own"][0] != centres["own"][1]
    assert centres["one"][0] == centres["one"][1]
    for made in (own, one):
        first, second = (made.symbols[symbol].members[0].weights for symbol in ("ALPHA", "WILD"))
        assert all(np.array_equal(first[name], second[name]) for name in first)
    assert (
        forecast(ALPHA, wild).fingerprint
        != forecast(ALPHA, wild, walk=POOL.replaced(pooled_scaling="pooled")).fingerprint
    )


def test_a_pooled_model_is_trained_through_the_last_bar_of_any() -> None:
    """A market that ends earlier counts as trained through the end of the one that ends last."""
    made = train_model([ALPHA.rows(0, 800), BETA], model=TINY, features=FEW, seeds=1, workers=1, pooled=True)
    end = int(BETA.candles.timestamp[-1]) + BETA.candles.bar
    assert {one.trained_through for one in made.symbols.values()} == {end}
    with pytest.raises(DataError, match="no bar is later than the training"):
        made.forecasts(ALPHA)
    with pytest.raises(DataError, match="BETA: has 100 bars of 1h, too few to fit and to validate with the others"):
        train_model([ALPHA, BETA.rows(740, 840)], model=TINY, features=FEW, seeds=1, workers=1, pooled=True)


def test_pooled_forecasts_are_kept_by_the_content_of_every_symbol(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A second call trains nothing; another bar of BETA trains the folds anew that it touches, for ALPHA too."""
    monkeypatch.setenv("CROSSGATE_CACHE", str(tmp_path))
    trained: list[int] = []
    honest = models.training.train_networks
    monkeypatch.setattr(models.training, "train_networks", lambda *call: trained.append(1) or honest(*call))
    first = forecast(ALPHA, BETA, cache=True)
    assert len(trained) == 2
    assert forecast(ALPHA, BETA, cache=True).fingerprint == first.fingerprint
    assert len(trained) == 2
    changed = forecast(ALPHA, other_after(BETA, 450), cache=True)
    assert len(trained) == 3
    assert known_at(changed, "ALPHA", 590) == known_at(first, "ALPHA", 590)
    for entry in tmp_path.rglob("*.npz"):
        entry.write_bytes(b"damage")
        break
    assert forecast(ALPHA, BETA, cache=True).fingerprint == first.fingerprint
    assert len(trained) <= 4


def test_pooled_forecasts_refuse_a_model_that_saw_their_bar() -> None:
    """The rows of a pool carry the end of the training of all markets, which every row has to be later than."""
    made = forecast(ALPHA, BETA)
    assert np.array_equal(made.series["ALPHA"].trained_through, made.series["BETA"].trained_through)
    with pytest.raises(LookAheadError, match="trained through"):
        replace(made.series["ALPHA"], trained_through=made.series["ALPHA"].timestamp)
