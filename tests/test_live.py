"""The live forecaster: bar by bar it says what the whole series says, and a strategy trades the same on either."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from planted_market import FEW, SHORT, TINY, planted_market
from simple_market import HOUR

import models.live
from backtests import AccountParams, CostParams, backtest
from foundation.errors import DataError
from markets.market import Market
from models.calibration import CalibrationParams
from models.features import Float32Array
from models.forecasts import Forecaster, Forecasts, ForecastSeries, collect_forecasts, market_bars
from models.live import LiveForecaster, LiveForecasters
from models.parameters import FeatureParams, LSTMParams
from models.trained import train_model
from models.walkforward import walk_forward, walk_forward_models
from strategies import CrossoverParams, RiskParams

MARKET = planted_market(trend=0.6)
MODEL = TINY.replaced(start="zero", steps=40, check=20)
OUTPUTS: dict[str, dict[str, Any]] = {
    "mean": {},
    "gaussian": {"variance_base": "har", "har_bars": (1, 5, 22)},
    "student": {"variance_base": "har", "har_bars": (2, 7), "range_measure": "true_range"},
    "quantiles": {"levels": (0.1, 0.5, 0.9), "layers": 2},
    "volatility": {"variance_base": "leverage", "har_bars": (2, 5)},
    "barrier": {"barrier_bars": 3, "barrier_sigma": 1.0},
    "position": {"head": "linear"},
}
NAMES = ("mean", "sigma", "quantiles", "up_probability", "position")


@cache
def models_of(model: LSTMParams) -> LiveForecasters:
    """The live forecasters of a tiny walk-forward, trained once."""
    return walk_forward_models(MARKET, model, FEW, walk=SHORT, workers=1)


def live_models(model: LSTMParams = MODEL) -> LiveForecasters:
    """The same before their first bar."""
    made = models_of(model)
    made.reset()
    return made


@cache
def whole_forecasts(model: LSTMParams = MODEL) -> Forecasts:
    """The walk-forward's forecasts, made once."""
    return walk_forward(MARKET, model, FEW, walk=SHORT, workers=1, cache=False)


def same(stepped: ForecastSeries, whole: ForecastSeries) -> None:
    """Two series say the same of the bars of the first, but for the rounding of features bar by bar."""
    rows = np.searchsorted(whole.timestamp, stepped.timestamp)
    for name in NAMES:
        one, other = getattr(stepped, name), getattr(whole, name)
        assert (one is None) == (other is None), name
        if one is not None:
            np.testing.assert_allclose(one / stepped.sigma.mean(), other[rows] / stepped.sigma.mean(), atol=2e-6)


@pytest.mark.parametrize("output", OUTPUTS)
def test_live_is_the_walk_forward(output: str) -> None:
    """Every output, shown bar by bar through all refits, is the walk-forward's forecast of the same bars."""
    model = MODEL.replaced(output=output, **OUTPUTS[output])
    whole = whole_forecasts(model).series["TEST"]
    live = live_models(model)
    assert isinstance(live, Forecaster)
    stepped = collect_forecasts(live, MARKET).series["TEST"]
    assert np.array_equal(stepped.timestamp, whole.timestamp[-len(stepped) :])
    assert len(stepped) >= len(whole) - 100, "only the first bars wait for an interval"
    same(stepped, whole)
    assert np.ptp(whole.mean if output != "volatility" else whole.sigma) > 0.0


def test_the_same_orders() -> None:
    """A live forecaster and precomputed forecasts lead to the same stream of orders, and to equal fills."""
    whole = whole_forecasts()
    rule = CrossoverParams(fast=2, slow=5, threshold="1bps")
    risk = RiskParams(sizing="kelly", leverage=3.0, stop_loss="2atr", take_profit="3sigma")
    settings = (rule, risk)
    one = backtest(MARKET, whole, *settings, AccountParams(missing_funding="zero"), CostParams(slippage_bps=1.0))
    other = backtest(
        MARKET, live_models(), *settings, AccountParams(missing_funding="zero"), CostParams(slippage_bps=1.0)
    )
    assert len(one.fills) > 50
    assert one.fills.equals(other.fills)
    assert_frame_equal(one.orders, other.orders, check_exact=False, rtol=1e-9, atol=1e-9)


def test_another_batch_changes_no_forecast() -> None:
    """What stands beside a bar changes nothing: alone, in any piece of the series, with other symbols, to the bit."""
    member = train_model(MARKET, model=MODEL, features=FEW, seeds=1, workers=1).symbols["TEST"].members[0]
    rows: Float32Array = np.random.default_rng(2).normal(size=(200, 2)).astype(np.float32)
    whole = member.forecast(rows, member.fresh_state())
    for cuts in ((1, 50), (7,), tuple(range(1, 200))):
        state = member.fresh_state()
        parts = [member.forecast(part, state) for part in np.split(rows, cuts)]
        assert np.array_equal(np.concatenate(parts), whole)
    other = planted_market(840, seed=3, symbol="OTHER")
    both = walk_forward([MARKET, other], MODEL, FEW, walk=SHORT, workers=1, cache=False)
    alone = whole_forecasts()
    assert np.array_equal(both.series["TEST"].mean, alone.series["TEST"].mean)


def stepped_means(live: LiveForecasters, market: Market = MARKET) -> np.ndarray:
    """The mean at every bar, NaN where there is none."""
    return np.array([live.forecast(bar).mean for bar in market_bars(market)])


def test_a_swap_replays_the_inputs_alone() -> None:
    """A model that takes over is shown the inputs of the last 128 bars; features and calibration go on as they are."""
    live = live_models()
    bars = list(market_bars(MARKET))
    for bar in bars[:599]:
        live.forecast(bar)
    one: LiveForecaster = live._live["TEST"]
    stepper, calibration, warmed = one.inputs.stepper, one.calibration, one.networks.warmed
    assert warmed > 300
    live.forecast(bars[599])
    before = one.networks.cells
    live.forecast(bars[600])
    assert one.networks.cells is not before
    assert one.inputs.stepper is stepper
    assert one.calibration is calibration
    assert one.networks.warmed == 128 + 1


@pytest.mark.parametrize("fault", ["no replay", "short replay", "state kept over a swap", "no swap"])
def test_faults_of_a_swap_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up that is left out, or shorter than the replay, old states and an old model all show in the forecasts."""
    right = stepped_means(live_models())
    honest = LiveForecaster.swap

    def faulty(self: LiveForecaster, model: Any) -> None:
        rows, cells = list(self.inputs.rows), self.networks.cells
        if fault == "no swap" and rows:
            return
        if fault == "no replay":
            self.inputs.rows.clear()
        if fault == "short replay":
            while len(self.inputs.rows) > 3:
                self.inputs.rows.popleft()
        honest(self, model)
        self.networks.warmed = 1000 if rows else 0
        self.inputs.rows.extend(rows if not self.inputs.rows else ())
        if fault == "state kept over a swap" and rows:
            self.networks.cells = cells

    monkeypatch.setattr(models.live.LiveForecaster, "swap", faulty)
    wrong = stepped_means(live_models())
    assert np.array_equal(wrong[:360], right[:360], equal_nan=True)
    assert not np.allclose(wrong[600:620], right[600:620], rtol=0, atol=1e-9)


def test_a_gap_resets_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a hole of some hours all states begin anew; one that is carried over the hole is seen."""
    bars = list(market_bars(MARKET))
    shown = bars[:500] + [bar._replace(timestamp=bar.timestamp + 5 * HOUR) for bar in bars[500:]]
    anew = live_models()
    expected = [anew.forecast(bar).mean for bar in shown[500:]]
    live = live_models()
    held = [live.forecast(bar).mean for bar in shown][500:]
    assert np.array_equal(held, expected, equal_nan=True)
    assert np.isnan(held[:128]).all()
    honest = LiveForecaster.swap

    def carries_on(self: LiveForecaster) -> None:
        self.inputs.stepper.reset()
        if not self.networks.cells:
            honest(self, self._model)

    monkeypatch.setattr(LiveForecaster, "_start_afresh", carries_on)
    faulty = live_models()
    carried = [faulty.forecast(bar).mean for bar in shown][500:]
    assert not np.array_equal(carried, expected, equal_nan=True)


def test_a_bar_that_a_stream_shows_twice() -> None:
    """It is answered as before, and changes nothing of the bars after it; another bar of its time is an error."""
    bars, once, twice = list(market_bars(MARKET)), live_models(), walk_forward_models(MARKET, MODEL, FEW, walk=SHORT)
    expected = [once.forecast(bar).mean for bar in bars[:620]]
    held = [twice.forecast(bar).mean for bar in bars[:600]]
    assert [twice.forecast(bars[599]).mean for _ in range(2)] == expected[599:600] * 2
    held += [twice.forecast(bar).mean for bar in bars[600:620]]
    assert np.isfinite(held[610])
    assert np.array_equal(held, expected, equal_nan=True)
    with pytest.raises(DataError, match=r"TEST: has another bar at .*; show each bar once, when it is finished"):
        twice.forecast(bars[619]._replace(close=bars[619].close * 1.001))
    assert twice.forecast(bars[619]).mean == expected[619]


def test_a_live_forecaster_knows_funding_and_every_unit() -> None:
    """Features over plain units and other windows step as they are computed whole."""
    features = FeatureParams(columns=("return:1", "rsi:5", "vwap_distance:9", "macd:3:6:2"), units="plain")
    trained = train_model(MARKET.rows(0, 500), model=MODEL, features=features, seeds=1, workers=1)
    whole: Forecasts = trained.forecasts(MARKET)
    same(collect_forecasts(trained, MARKET).series["TEST"], whole.series["TEST"])


def test_a_pool_bar_by_bar() -> None:
    """The models of a pooled walk-forward, shown the bars of all its markets, say what it says of each."""
    pair = [planted_market(trend=0.6), planted_market(700, seed=2, symbol="OTHER", trend=0.6)]
    settings: dict[str, Any] = {
        "walk": SHORT.replaced(pooled=True),
        "calibration": CalibrationParams(level=0.8, least=20),
    }
    whole = walk_forward(pair, MODEL, FEW, workers=1, cache=False, **settings)
    stepped = collect_forecasts(walk_forward_models(pair, MODEL, FEW, workers=1, cache=False, **settings), pair)
    for symbol in ("TEST", "OTHER"):
        assert whole.series[symbol].levels == stepped.series[symbol].levels == (0.1, 0.9)
        assert len(stepped.series[symbol]) >= len(whole.series[symbol]) - 20
        same(stepped.series[symbol], whole.series[symbol])
