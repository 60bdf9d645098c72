"""Every registered feature is proven: causal, with the memory it declares, and the same bar by bar."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import talib
from planted_market import planted_market

from foundation.errors import DataError, LookAheadError, ParameterError
from markets.candles import Candles, FloatArray
from markets.funding import Funding
from markets.market import Market
from models import features as features_module
from models.features import feature, known_kinds, parse_column
from models.forecasts import Bar, market_bars
from models.inputs import Inputs
from models.proof import check_feature
from models.recursions import Average, EmaDistance
from models.stepping import FeatureStepper

# Periods for features that have no default; the others are proven with their defaults, and these.
WRITTEN = {"return": "3", "sma_distance": "9", "ema_distance": "5", "har": "8"}
MORE = ("rsi:4", "macd:3:6:2", "atr:4", "ema_spread:3:8", "ema_crossover:3:8", "sma_crossover:3:8", "har:1")
MORE = (*MORE, "lagged_return:3:2", "week_sine:7", "week_cosine:7", "volume:5", "bollinger:5", "vwap_distance:5")


def full_market(bars: int = 1500, seed: int = 3) -> Market:
    """A market with mark candles of two bars and settlements every eight hours."""
    market = planted_market(bars, seed=seed)
    candles, random = market.candles, np.random.default_rng(seed)
    stamps = candles.timestamp[::2]
    price = candles.close[1::2] * np.exp(random.normal(0, 1e-3, len(stamps)))
    mark = Candles(stamps, price, price, price, price, np.zeros(len(stamps)), 2 * candles.bar)
    settled = candles.timestamp[::8]
    return replace(market, mark=mark, funding=Funding(settled, random.normal(1e-4, 1e-4, len(settled))))


MARKET = full_market()


PROVEN = [*(f"{name}:{WRITTEN[name]}" if name in WRITTEN else name for name in sorted(known_kinds())), *MORE]


@pytest.mark.parametrize("name", PROVEN)
def test_every_feature_is_proven(name: str) -> None:
    """No later bar, stamp or mark changes it; its memory and its steps give its batch value to 1e-9."""
    check_feature(name, MARKET)
    values = parse_column(name).compute(MARKET)
    assert len(np.unique(values[np.isfinite(values)])) > 1, "a constant would prove nothing"


def test_steps_equal_the_batch_where_the_price_stands_still() -> None:
    """Every feature steps as it computes through a long stretch without a trade, and out of it."""
    c, flat = MARKET.candles, slice(400, 1000)
    columns = {name: getattr(c, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for name, values in columns.items():
        values[flat] = 0.0 if name == "volume" else c.close[399]
    columns["open"][1000] = c.close[399]
    columns["high"], columns["low"] = (
        best(columns["open"], columns["close"], columns[name])
        for best, name in ((lambda *one: np.max(one, axis=0), "high"), (lambda *one: np.min(one, axis=0), "low"))
    )
    still = replace(MARKET, candles=replace(c, **columns))
    chosen = [parse_column(name) for name in dict.fromkeys(PROVEN)]
    stepper = FeatureStepper(chosen, c.bar)
    stepped = np.array([stepper.step(bar) for bar in market_bars(still)])
    batch = np.column_stack([column.compute(still) for column in chosen])
    assert [one.name for one, row in zip(chosen, np.abs(stepped - batch).T, strict=True) if np.nanmax(row) > 1e-9] == []
    assert np.array_equal(np.isnan(stepped), np.isnan(batch))


def peek(inputs: Inputs) -> FloatArray:
    """The next bar's return."""
    return np.append(np.diff(np.log(inputs.close)), 0.0)


def normalised(inputs: Inputs) -> FloatArray:
    """Divided by the largest volume of the whole series."""
    return inputs.volume / inputs.volume.max()


def centred(inputs: Inputs) -> FloatArray:
    """A moving average with its window around the bar."""
    return np.convolve(inputs.close, np.ones(3) / 3.0, "same")


def own_length(inputs: Inputs) -> FloatArray:
    """Depends on how many bars there are, which no live bar can know."""
    return np.arange(len(inputs)) / len(inputs)


def next_funding(inputs: Inputs) -> FloatArray:
    """The funding rate an hour before its stamp."""
    rate = inputs.series("funding_rate")
    return np.append(rate[1:], rate[-1])


class SlowEma(EmaDistance):
    """A step with the weight of another average."""

    def __init__(self) -> None:
        self._average = Average(5, 0.3)


def ema(inputs: Inputs) -> FloatArray:
    """log(close / EMA_5)."""
    distance: FloatArray = np.log(inputs.close / talib.EMA(inputs.close, 5))
    return distance


def cumulative(inputs: Inputs) -> FloatArray:
    """A sum over everything since the first bar."""
    return np.cumsum(np.diff(np.log(inputs.close), prepend=math.log(inputs.close[0])))


@pytest.mark.parametrize(
    ("function", "more", "error", "said"),
    [
        (peek, {}, LookAheadError, "with other later bars"),
        (normalised, {}, LookAheadError, "with other later bars"),
        (centred, {"memory": 3}, LookAheadError, "with other later bars"),
        (own_length, {}, LookAheadError, "with no later bars"),
        (next_funding, {"needs": ("funding_rate",)}, LookAheadError, "with other later bars"),
        (cumulative, {}, DataError, "declare a longer memory"),
        (ema, {"warm_up": 4, "memory": 9}, DataError, "declare a longer memory"),
        (ema, {"warm_up": 4, "memory": 80, "step": SlowEma}, DataError, "mend its step"),
    ],
)
def test_the_proof_sees_planted_faults(function: Any, more: dict[str, Any], error: Any, said: str) -> None:
    """Look-ahead of five kinds, a memory that is too short, and a step that is another recursion are each caught."""
    warm_up, memory = more.pop("warm_up", 0), more.pop("memory", 1)
    feature(name="faulty", warm_up=lambda: warm_up, memory=lambda: memory, **more)(function)
    try:
        with pytest.raises(error, match=said):
            check_feature("faulty", MARKET)
    finally:
        del features_module._KINDS["faulty"]


def test_a_short_market_proves_nothing() -> None:
    """A market too short for a feature's memory is refused, not passed."""
    with pytest.raises(ParameterError, match="has 700 bars, and rsi:14 needs"):
        check_feature("rsi:14", MARKET.rows(0, 700))


def test_formulas_of_volatility_and_time() -> None:
    """Volatilities, HAR terms, averages and the clock are what their docstrings say, from plain definitions."""
    c = MARKET.candles
    moves = np.diff(np.log(c.close))
    assert last("realised_volatility:24") == pytest.approx(math.sqrt((moves[-24:] ** 2).mean()), rel=1e-12)
    assert last("har:168") == pytest.approx(math.log((moves[-168:] ** 2).mean()), rel=1e-12)
    ranges = np.log(c.high[-24:] / c.low[-24:]) ** 2
    assert last("parkinson:24") == pytest.approx(math.sqrt(ranges.mean() / (4 * math.log(2))), rel=1e-12)
    assert last("lagged_return:2:3") == pytest.approx(math.log(c.close[-4] / c.close[-6]), abs=1e-12)
    assert last("sma_spread:5:9") == pytest.approx(math.log(c.close[-5:].mean() / c.close[-9:].mean()), abs=1e-11)
    assert last("sma_crossover:5:9") == math.copysign(1.0, last("sma_spread:5:9"))
    assert last("ema_crossover:5:9") == math.copysign(1.0, last("ema_spread:5:9"))
    # 2024-01-01 was a Monday: the first bar of these markets closes at 01:00 on it.
    assert parse_column("week_sine").compute(MARKET)[0] == pytest.approx(math.sin(2 * math.pi / 168), abs=1e-12)
    assert parse_column("week_cosine:7").compute(MARKET)[11] == pytest.approx(-1.0, abs=1e-12)


def last(name: str) -> float:
    """A feature's newest value."""
    return float(parse_column(name).compute(MARKET)[-1])


def test_funding_is_known_at_its_stamp() -> None:
    """The rate stamped 08:00 is shown first by the bar that closes at 08:00, and by none before it."""
    assert MARKET.funding is not None
    values = parse_column("funding").compute(MARKET)
    assert values[:7].tolist() == [MARKET.funding.rate[0]] * 7
    assert values[7:15].tolist() == [MARKET.funding.rate[1]] * 8


def test_a_hole_in_funding_is_refused() -> None:
    """Funding may begin later than the candles, but a settlement missing later is an error with its time."""
    funding = MARKET.funding
    assert funding is not None
    late = replace(MARKET, funding=Funding(funding.timestamp[2:], funding.rate[2:]))
    assert np.isnan(parse_column("funding").compute(late)[:15]).all()
    holed = replace(MARKET, funding=Funding(np.delete(funding.timestamp, 5), np.delete(funding.rate, 5)))
    with pytest.raises(DataError, match="feature funding: is nan at row 40 of candles, 2024-01-02 16:00 UTC"):
        parse_column("funding").compute(holed)
    with pytest.raises(DataError, match="has no funding, which the features ask for"):
        parse_column("funding").compute(planted_market())


def test_the_basis_compares_one_moment() -> None:
    """A mark bar of two hours gives the basis at its close, held for one more candle."""
    assert MARKET.mark is not None
    values = parse_column("basis").compute(MARKET)
    exact = np.log(MARKET.candles.close[1::2] / MARKET.mark.close)
    assert np.isnan(values[0])
    assert values[1::2].tolist() == exact.tolist()
    assert values[2::2].tolist() == exact[:-1].tolist()


def test_a_mark_beside_the_grid_has_no_basis() -> None:
    """Mark bars that never close with a candle are refused by name, and leave a forecaster's bars as they are."""
    mark = MARKET.mark
    assert mark is not None
    beside = replace(MARKET, mark=replace(mark, timestamp=mark.timestamp + MARKET.candles.bar // 2))
    with pytest.raises(DataError, match="no bar of 2h that closes with a candle of 1h"):
        parse_column("basis").compute(beside)
    assert list(next(market_bars(beside)).known) == ["funding_rate"]
    assert list(next(market_bars(MARKET)).known) == ["funding_rate", "basis"]


@pytest.fixture
def stepper() -> FeatureStepper:
    """A stepper of a recursion, a window and a joined series."""
    return FeatureStepper([parse_column(name) for name in ("ema_distance:5", "parkinson:5", "funding")], 3_600 * 10**9)


def test_a_stepper_insists_on_order(stepper: FeatureStepper) -> None:
    """A bar twice, a gap, or a bar without a joined series is an error; after `reset` a gap is none."""
    bars = list(market_bars(MARKET))
    stepper.step(bars[0])
    with pytest.raises(DataError, match="reset after a gap"):
        stepper.step(bars[0])
    with pytest.raises(DataError, match="2024-01-01 02:00 UTC after 2024-01-01 00:00 UTC"):
        stepper.step(bars[2])
    stepper.reset()
    stepper.step(bars[2])
    with pytest.raises(DataError, match="a bar without funding_rate"):
        stepper.step(Bar(*bars[3][:7]))


def test_a_step_does_not_grow_with_history() -> None:
    """What a stepper keeps after 50 bars it keeps after 1,000: its buffers have a fixed size."""
    stepper = FeatureStepper([parse_column(name) for name in ("rsi:14", "bollinger:20", "har:24")], 3_600 * 10**9)
    sizes, spent = [], []
    for bar in market_bars(MARKET, ()):
        start = time.perf_counter()
        stepper.step(bar)
        spent.append(time.perf_counter() - start)
        sizes.append(stepper._tail._values.nbytes)
    assert len(set(sizes)) == 1
    assert np.median(spent[-200:]) < 3.0 * np.median(spent[100:300])
