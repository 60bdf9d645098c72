"""Features of a user's own are held to their bars before anything trains: leaks are refused wherever they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib
from planted_market import SHORT, TINY, planted_market
from test_feature_registry import full_market

import models.proof
from foundation.errors import CrossgateError, DataError, LookAheadError
from markets.candles import FloatArray
from markets.funding import Funding
from models import features as registry
from models.features import feature, parse_column
from models.forecasts import market_bars
from models.inputs import Inputs, as_inputs
from models.parameters import FeatureParams
from models.proof import hold_to_its_bars, refuse_leaks
from models.stepping import FeatureStepper
from models.walkforward import walk_forward

MARKET = planted_market(3200)
DAY, HOUR = 86_400_000_000_000, 3_600_000_000_000


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """No feature that a test registers stays, and none counts as held already."""
    kinds = registry.known_kinds()
    models.proof._HELD.clear()
    yield
    registry.replace_kinds(kinds)


def own(function: Callable[..., Any], memory: int = 2, warm_up: int = 0, **more: Any) -> str:
    """The name under which a function is now a feature of a user's own."""
    feature(name="own", warm_up=lambda: warm_up, memory=lambda: memory, **more)(function)
    return "own"


def later_return(inputs: Inputs) -> FloatArray:
    """The next bar's return at each bar."""
    return np.append(np.diff(np.log(inputs.close)), 0.0)


def late(inputs: Inputs) -> FloatArray:
    """Looks ahead from bar 2,000 on."""
    return np.where(np.arange(len(inputs)) < 2000, 0.0, later_return(inputs))


def monthly(inputs: Inputs) -> FloatArray:
    """Looks ahead on one day of the month."""
    day = (inputs.timestamp // DAY).astype("datetime64[D]")
    return np.where((day - day.astype("datetime64[M]")).astype(int) == 24, later_return(inputs), 0.0)


def days_close(inputs: Inputs) -> FloatArray:
    """The close of the whole day at each of its bars."""
    _, first, day = np.unique(inputs.timestamp // DAY, return_index=True, return_inverse=True)
    last = np.append(first[1:], len(inputs)) - 1
    ahead: FloatArray = np.log(inputs.close[last][day] / inputs.close)
    return ahead


def tomorrow(inputs: Inputs) -> FloatArray:
    """The close a day later, and no bar between."""
    return np.log(np.append(inputs.close[24:], np.full(24, inputs.close[-1])) / inputs.close)


def length(inputs: Inputs) -> FloatArray:
    """Says how far the end is."""
    return np.arange(len(inputs)) / len(inputs)


def threshold(inputs: Inputs) -> FloatArray:
    """Measures each volume by those of the whole series."""
    return (inputs.volume > np.quantile(inputs.volume, 0.9)).astype(np.float64)


def slow(inputs: Inputs) -> FloatArray:
    """An average of 200 bars, of which two are declared."""
    return np.nan_to_num(talib.EMA(inputs.close, 200) / inputs.close)


def since_start(inputs: Inputs) -> FloatArray:
    """Measures each close by the first of the series."""
    moved: FloatArray = np.log(inputs.close / inputs.close[0])
    return moved


def restless(inputs: Inputs) -> FloatArray:
    """Another number at each call."""
    return np.random.default_rng().normal(size=len(inputs))


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (later_return, LookAheadError, "with other later bars"),
        (late, LookAheadError, "with other later bars"),
        (monthly, LookAheadError, "with other later bars"),
        (days_close, LookAheadError, "with other later bars"),
        (tomorrow, LookAheadError, "with other later bars"),
        (threshold, LookAheadError, "later bars"),
        (length, LookAheadError, "with no later bars"),
        (slow, DataError, "with other bars before the last 2, its memory; declare a longer memory"),
        (since_start, DataError, "declare a longer memory"),
        (restless, DataError, "gives other values when it is computed again"),
    ],
)
def test_a_leak_trains_nothing(function: Any, error: type[CrossgateError], said: str) -> None:
    """Wherever it begins, however rare it is and whichever way it leaks, a training refuses it in one line."""
    columns = FeatureParams(columns=("return:1", own(function)))
    with pytest.raises(error, match=rf"^feature own: .*{said}"):
        walk_forward(MARKET, TINY, columns, walk=SHORT, workers=1)


def test_a_look_ahead_at_any_hour_of_the_week_is_refused() -> None:
    """A look ahead at one row in 168, for each of the 168, with the memory of a week."""
    for hour in range(168):

        def weekly(inputs: Inputs, hour: int = hour) -> FloatArray:
            return np.where(inputs.timestamp // HOUR % 168 == hour, later_return(inputs), 0.0)

        kind = registry.FeatureKind("own", weekly, lambda: 0, lambda: 24, 0, False, {})
        with pytest.raises(LookAheadError):
            hold_to_its_bars(registry.Column("own", kind, ()), as_inputs(MARKET))


def honest_ema(inputs: Inputs) -> FloatArray:
    """log(close / EMA_5)."""
    distance: FloatArray = np.log(inputs.close / talib.EMA(inputs.close, 5))
    return distance


def deviation(inputs: Inputs) -> FloatArray:
    """A running deviation of prices in coin, whose rounding rests on all bars before."""
    spread: FloatArray = talib.STDDEV(inputs.close, 20)
    return spread


def clock(inputs: Inputs) -> FloatArray:
    """The hour of the day."""
    return (inputs.timestamp // HOUR % 24).astype(np.float64)


def carry(inputs: Inputs) -> FloatArray:
    """What funding was, and did since the bar before."""
    rate = inputs.series("funding_rate")
    change: FloatArray = rate - np.append(np.nan, rate[:-1])
    return change


def quiet(inputs: Inputs) -> FloatArray:
    """A constant."""
    same: FloatArray = np.full(len(inputs), 0.1) * 3.0
    return same


def by_volume(inputs: Inputs) -> FloatArray:
    """A ratio that other bars may leave without a value: twice no volume in a row."""
    share: FloatArray = inputs.volume / (inputs.volume + np.append(1.0, inputs.volume[:-1]))
    return share


@pytest.mark.parametrize(
    ("function", "more"),
    [
        (honest_ema, {"memory": 80, "warm_up": 4}),
        (deviation, {"memory": 20, "warm_up": 19}),
        (clock, {"memory": 1}),
        (carry, {"needs": ("funding_rate",)}),
        (quiet, {"memory": 1}),
        (by_volume, {}),
    ],
)
def test_an_honest_feature_is_let_be(function: Any, more: dict[str, Any]) -> None:
    """Rounding, a clock, a joined series that begins later, a constant and holes in made-up bars refuse nothing."""
    market = full_market()
    assert market.funding is not None
    volume = np.where(np.arange(len(market.candles)) % 3 == 0, 0.0, market.candles.volume)
    quieter = replace(market, candles=replace(market.candles, volume=volume))
    if function is carry:
        quieter = replace(quieter, funding=Funding(market.funding.timestamp[40:], market.funding.rate[40:]))
    hold_to_its_bars(parse_column(own(function, **more)), as_inputs(quieter, more.get("needs", ())))


def test_what_is_held_is_what_is_shown() -> None:
    """Held on one market, a feature is held anew on more bars of it, and not twice on the same."""
    held: list[int] = []

    def counted(inputs: Inputs) -> FloatArray:
        held.append(len(inputs))
        return late(inputs)

    columns = [parse_column(own(counted))]
    refuse_leaks(MARKET.rows(0, 1900), columns)
    calls = len(held)
    refuse_leaks(MARKET.rows(0, 1900), columns)
    assert len(held) == calls
    with pytest.raises(LookAheadError):
        refuse_leaks(MARKET, columns)


def test_rows_are_looked_at_all_over_the_market(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows, or as many bars of computing, as are said; each third of the market has its share."""
    honest, rows, bars = models.proof._windows, list[int](), list[int]()

    def counting(*call: Any) -> Any:
        made = honest(*call)
        rows.extend(made[2].tolist())
        bars.append(made[1] - made[0])
        return made

    monkeypatch.setattr(models.proof, "_windows", counting)
    for memory, least in ((2, 2 * models.proof.HELD_ROWS), (24, 1_300), (1000, 600)):
        rows.clear()
        bars.clear()
        hold_to_its_bars(parse_column(own(clock, memory=memory)), as_inputs(MARKET))
        assert len(rows) > least
        assert sum(bars) <= models.proof.HELD_BARS
        if memory < 1000:
            thirds = np.bincount(np.array(rows) * 3 // len(MARKET.candles), minlength=3)
            assert thirds.min() > 0.25 * len(rows)


def faulty(what: str) -> Callable[..., Any]:
    """A feature that does not work."""

    def fails(inputs: Inputs) -> Any:
        if what == "raises":
            raise KeyError("volumes")
        return {"words": ["a"] * len(inputs), "nothing": None, "shape": np.zeros(3)}[what]

    return fails


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raises", r"fails with KeyError: 'volumes' \(.*test_held_features\.py:\d+\); return one number a bar"),
        ("words", r"fails with ValueError: .*'a' \(.*test_held_features\.py:\d+\)"),
        ("nothing", r"fails with TypeError: .*\(.*test_held_features\.py:\d+\)|gave the shape \(\)"),
        ("shape", r"gave the shape \(3,\) for 3200 bars"),
    ],
)
def test_a_feature_that_fails_is_one_line(what: str, said: str) -> None:
    """It names the feature, what went wrong, and the file and line; the same where it is stepped."""
    column = parse_column(own(faulty(what)))
    with pytest.raises(DataError, match=rf"^feature own: ({said})") as caught:
        column.compute(MARKET)
    if what == "raises":
        line = int(str(caught.value).rpartition(".py:")[2].partition(")")[0])
        assert 'raise KeyError("volumes")' in Path(__file__).read_text().splitlines()[line - 1]
        stepper = FeatureStepper([column], HOUR)
        bar = next(iter(market_bars(MARKET, ())))
        with pytest.raises(DataError, match="fails with KeyError"):
            stepper.step(bar)


def test_a_fault_of_the_project_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in a shipped feature is no mistake of the user's, and is not dressed up as one."""
    column = parse_column("rsi:14")

    def broken(*_: Any) -> Any:
        return 1 / 0

    broken.__module__ = "models.indicators"
    with pytest.raises(ZeroDivisionError):
        replace(column, kind=replace(column.kind, compute=broken)).compute(MARKET)
    assert math.isfinite(column.compute(MARKET)[-1])
