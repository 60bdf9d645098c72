"""Features: their formulas, warm-up and memory, and the names people write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from planted_market import candles_around, planted_market

from foundation.errors import DataError, ParameterError
from markets.candles import Candles, FloatArray
from markets.store import load_market
from models import features as features_module
from models.features import compute_features, feature, parse_column, parse_columns
from models.parameters import FeatureParams

NAMES = ("return:1", "return:24", "sma_distance:20", "ema_distance:20", "rsi:14", "macd", "atr:14", "bollinger")
NAMES = (*NAMES, "vwap_distance:24", "volume:24", "ema_distance:100", "rsi:2", "atr:2", "macd:5:35:5")
CANDLES = planted_market(2600, seed=5).candles


@pytest.fixture
def own() -> Iterator[str]:
    """A feature that a user adds."""

    @feature(warm_up=lambda bars: bars - 1, memory=lambda bars: bars)
    def range_position(candles: Candles, bars: int = 3) -> FloatArray:
        """Position of the close between the lowest low and the highest high."""
        values = np.full(len(candles), np.nan)
        for t in range(bars - 1, len(candles)):
            low, high = candles.low[t - bars + 1 : t + 1].min(), candles.high[t - bars + 1 : t + 1].max()
            values[t] = (candles.close[t] - low) / (high - low)
        return values

    yield "range_position"
    del features_module._KINDS["range_position"]


def last_value(name: str, candles: Candles) -> float:
    """A feature's newest value."""
    return float(parse_column(name).compute(candles)[-1])


@pytest.mark.parametrize("name", NAMES)
def test_memory(name: str) -> None:
    """Over a tail as long as its memory a feature has its whole-series value, to 1e-9."""
    column = parse_column(name)
    whole = column.compute(CANDLES)
    for end in (column.memory + 5, 1500, 2222, 2600):
        tail = CANDLES.rows(max(0, end - column.memory), end)
        assert abs(column.compute(tail)[-1] - whole[end - 1]) <= 1e-9


@pytest.mark.parametrize("name", ["return:3", "sma_distance:6", "bollinger:6", "vwap_distance:6", "volume:6"])
def test_memory_is_not_longer_than_said(name: str) -> None:
    """A windowed feature needs every bar of its memory: over one bar less it has no value."""
    column = parse_column(name)
    assert column.memory == column.warm_up + 1
    assert np.isnan(column.compute(CANDLES.rows(100, 100 + column.warm_up))).all()


@pytest.mark.parametrize("name", NAMES)
def test_warm_up(name: str) -> None:
    """A feature has no value during its warm-up and a finite one at every row after it."""
    column = parse_column(name)
    values = column.compute(CANDLES)
    assert np.isnan(values[: column.warm_up]).all()
    assert np.isfinite(values[column.warm_up :]).all()


def test_memory_on_recorded_candles(data_folder: Path) -> None:
    """The memory holds on real candles too, which are wilder than random ones."""
    path = "ohlcv/binance_um_BTCUSDT_1h.parquet"
    candles = load_market("binance_usdm:BTCUSDT", path, data=data_folder, end="2021-01-01").candles
    for column in parse_columns(NAMES):
        whole = column.compute(candles)
        for end in (4512, 4520, 9000, len(candles)):
            tail = candles.rows(end - column.memory, end)
            assert abs(column.compute(tail)[-1] - whole[end - 1]) <= 1e-9, column.name


def test_formulas() -> None:
    """Each feature is what its docstring says, worked out here from plain definitions."""
    c, close = CANDLES, CANDLES.close
    window, typical = close[-20:], (c.high + c.low + c.close)[-24:] / 3.0
    assert last_value("return:5", c) == pytest.approx(np.log(close[-1] / close[-6]), abs=1e-12)
    assert last_value("sma_distance:20", c) == pytest.approx(np.log(close[-1] / window.mean()), abs=1e-10)
    assert last_value("bollinger:20", c) == pytest.approx((close[-1] - window.mean()) / (2 * window.std()), abs=1e-9)
    vwap = (typical * c.volume[-24:]).sum() / c.volume[-24:].sum()
    assert last_value("vwap_distance:24", c) == pytest.approx(np.log(close[-1] / vwap), abs=1e-12)
    volumes = c.volume[-24:]
    assert last_value("volume:24", c) == pytest.approx((volumes[-1] - volumes.mean()) / volumes.std(), abs=1e-9)


def test_recursive_formulas() -> None:
    """The exponential features are plain recursions, whatever library computes them."""
    c, close = CANDLES, CANDLES.close
    average = recursive(close, 2 / 21)
    assert last_value("ema_distance:20", c) == pytest.approx(np.log(close[-1] / average[-1]), abs=1e-9)
    changes = np.diff(close)
    up, down = recursive(np.maximum(changes, 0), 1 / 14)[-1], recursive(np.maximum(-changes, 0), 1 / 14)[-1]
    assert last_value("rsi:14", c) == pytest.approx((up - down) / (up + down), abs=1e-9)
    ranges = np.maximum(c.high[1:], close[:-1]) - np.minimum(c.low[1:], close[:-1])
    assert last_value("atr:14", c) == pytest.approx(recursive(ranges, 1 / 14)[-1] / close[-1], abs=1e-9)
    line = recursive(close, 2 / 13) - recursive(close, 2 / 27)
    histogram = (line[-1] - recursive(line, 2 / 10)[-1]) / close[-1]
    assert last_value("macd", c) == pytest.approx(histogram, abs=1e-9)


def recursive(values: FloatArray, weight: float) -> FloatArray:
    """An exponential average that starts at the first value."""
    out = values.copy()
    for k in range(1, len(values)):
        out[k] = out[k - 1] + weight * (values[k] - out[k - 1])
    return out


@pytest.mark.parametrize("price", [1e-5, 100.0, 3e4])
def test_still_market(price: float) -> None:
    """A price that stands still, untraded, gives zeros, not rounding noise and not a hole."""
    count = 300
    flat = np.full(count, price * 1.1)
    candles = Candles(CANDLES.timestamp[:count], flat, flat, flat, flat, np.zeros(count), CANDLES.bar)
    for name in NAMES:
        column = parse_column(name)
        assert np.abs(column.compute(candles)[column.warm_up :]).max() <= 1e-12, name


def test_features_do_not_depend_on_the_price_level() -> None:
    """A coin worth 0.00001 has the features of one worth 20,000: nothing is lost to small numbers."""
    c = CANDLES
    small = Candles(c.timestamp, c.open * 1e-9, c.high * 1e-9, c.low * 1e-9, c.close * 1e-9, c.volume, c.bar)
    for name in ("bollinger", "rsi:14", "atr:14", "macd", "vwap_distance:24"):
        column = parse_column(name)
        np.testing.assert_allclose(column.compute(small), column.compute(c), atol=1e-8)


def test_matrix() -> None:
    """The matrix is float32, aligned with the candles, read-only, with the longest warm-up and memory."""
    matrix = compute_features(CANDLES, parse_columns(("return:1", "macd", "atr:14")))
    assert matrix.values.shape == (len(CANDLES), 3)
    assert matrix.values.dtype == np.float32
    assert matrix.names == ("return:1", "macd:12:26:9", "atr:14")
    assert matrix.warm_up == 33
    assert matrix.memory == max(column.memory for column in matrix.columns)
    with pytest.raises(ValueError, match="read-only"):
        matrix.values[0] = 1.0


def test_own_feature(own: str) -> None:
    """A decorated function is a feature, with its defaults, in FeatureParams too."""
    column = parse_column(own)
    assert (column.name, column.warm_up, column.memory) == ("range_position:3", 2, 3)
    assert FeatureParams(columns=[own, "return:1"]).columns == (own, "return:1")
    values = column.compute(CANDLES)[2:]
    assert ((values >= 0) & (values <= 1)).all()


def test_a_feature_with_a_hole_is_refused() -> None:
    """A feature that is not finite after its warm-up raises an error that names it and the row."""

    @feature(name="holed", warm_up=lambda: 1, memory=lambda: 2)
    def holed(candles: Candles) -> FloatArray:
        return np.where(np.arange(len(candles)) == 7, np.nan, 1.0)

    try:
        with pytest.raises(DataError, match=r"feature holed: is nan at row 7"):
            parse_column("holed").compute(candles_around(np.full(20, 5.0), np.random.default_rng(0)))
    finally:
        del features_module._KINDS["holed"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ret:1", r'did you mean "return"\?'),
        ("return", r'takes 1 number\(s\) of bars; write "return:bars"'),
        ("rsi:14:2", r"takes 1 number\(s\)"),
        ("rsi:0", "from 2 to 5000"),
        ("rsi:-3", "from 2 to 5000"),
        ("rsi:1.5", "from 2 to 5000"),
        ("return:99999", "from 1 to 5000"),
        ("macd:26:12:9", "fast average that is not shorter"),
        ("", "names no feature"),
    ],
)
def test_wrong_columns(text: str, message: str) -> None:
    """A column that cannot be is refused in one line that names the key and the fix."""
    with pytest.raises(ParameterError, match=message) as caught:
        FeatureParams(columns=[text])
    assert caught.value.key == "features.columns"
    assert "\n" not in str(caught.value)


def test_columns_are_written_once() -> None:
    """The same feature under two spellings is refused, and so is an empty list."""
    with pytest.raises(ParameterError, match="stands there twice"):
        FeatureParams(columns=["macd", "macd:12:26:9"])
    with pytest.raises(ParameterError, match=r"features\.columns"):
        FeatureParams(columns=[])
