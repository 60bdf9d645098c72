"""Calibration: intervals that hold what they promise, know no future, and step to the bounds of the batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from look_ahead import what_changes
from planted_faults import mutated
from planted_market import planted_market

from foundation.errors import ParameterError
from markets.candles import FloatArray
from markets.market import Market
from models import conformal
from models.calibration import Calibration, CalibrationParams, interval_bounds, with_intervals
from models.conformal import static_width
from models.forecasts import Bar, Forecasts, ForecastSeries

MARKET = planted_market(1500, seed=4)
RANDOM = np.random.default_rng(5)
MEAN = np.where(np.arange(1500) % 97 == 50, np.nan, 0.001 * RANDOM.standard_normal(1500))
SIGMA = 0.005 + 0.001 * RANDOM.random(1500)
SETTINGS = [
    CalibrationParams(window=60, least=20),
    CalibrationParams(scale="har", level=0.8, window=50, least=30, gamma=0.02),
    CalibrationParams(scale="sigma", window=200, least=40, gamma=0.0),
]


def forecasts(market: Market = MARKET, first: int = 0) -> Forecasts:
    """The forecasts of the market's bars that are not NaN, from a row on."""
    rows = np.flatnonzero(np.isfinite(MEAN) & (np.arange(len(MEAN)) >= first))
    stamps = market.candles.timestamp[rows]
    one = ForecastSeries(stamps, MEAN[rows], SIGMA[rows], stamps - 1, np.zeros(len(rows)))
    return Forecasts({market.symbol: one})


def bounds_of(market: Market, params: CalibrationParams) -> FloatArray:
    """The bounds of the same forecasts on a market of as many bars, or fewer."""
    candles, rows = market.candles, len(market.candles)
    return interval_bounds(candles.close, candles.high, candles.low, MEAN[:rows], SIGMA[:rows], params)


@pytest.mark.parametrize("params", SETTINGS, ids=lambda params: params.scale)
def test_stepping_comes_to_the_bounds_of_the_batch(params: CalibrationParams) -> None:
    """Shown bar after bar, a Calibration gives the interval of the whole series, to the last bit."""
    candles = MARKET.candles
    bounds = bounds_of(MARKET, params)
    calibration, stepped = Calibration(params), []
    columns = (getattr(candles, name).tolist() for name in ("timestamp", "open", "high", "low", "close", "volume"))
    for row, mean, sigma in zip(zip(*columns, strict=True), MEAN, SIGMA, strict=True):
        calibration.observe(Bar("TEST", *row))
        stepped.append(calibration.interval(mean, sigma))
    np.testing.assert_array_equal(stepped, bounds)
    assert np.isfinite(bounds[-300:]).all(axis=1).mean() > 0.9


@pytest.mark.parametrize("params", SETTINGS, ids=lambda params: params.scale)
def test_intervals_know_no_future(params: CalibrationParams) -> None:
    """The bounds issued up to a bar stand when all later bars change; those after it do not."""

    def observe(market: Market) -> dict[str, FloatArray]:
        bounds = bounds_of(market, params)
        return {"before": bounds[:1001], "after": bounds[1001:]}

    assert what_changes(MARKET, 1000, observe) == {"after"}


def plain_bounds(params: CalibrationParams) -> list[list[float]]:
    """The bounds by the text of the paper: lists, sorting and no state."""
    closes = MARKET.candles.close
    moves = [math.nan, *np.diff(np.log(closes)).tolist()]
    scores: list[float] = []
    aimed, pending, variance, bounds = 1.0 - params.level, (math.nan,) * 3, math.nan, []
    for t in range(len(closes)):
        if not math.isnan(pending[0]):
            score = abs(moves[t] - pending[0]) / pending[1]
            if not math.isnan(pending[2]):
                aimed += params.gamma * (1.0 - params.level - (score > pending[2]))
            scores.append(score)
        if t == params.ewma_bars:
            variance = float(np.mean(np.square(moves[1 : t + 1])))
        elif t > params.ewma_bars:
            variance += 2.0 / (params.ewma_bars + 1) * (moves[t] ** 2 - variance)
        scale, kept = math.sqrt(variance), sorted(scores[-params.window :])
        pending = (math.nan,) * 3
        if not math.isnan(MEAN[t]) and not math.isnan(scale):
            rank = math.ceil((len(kept) + 1) * (1.0 - aimed) - 1e-9)
            width = math.nan if len(kept) < params.least else math.inf if rank > len(kept) else kept[rank - 1]
            pending = (float(MEAN[t]), scale, width)
        bounds.append([MEAN[t] - pending[1] * pending[2], MEAN[t] + pending[1] * pending[2]])
    return bounds


@pytest.mark.parametrize("gamma", [0.005, 0.1])
def test_intervals_are_those_of_the_paper(gamma: float) -> None:
    """An account in plain Python, with sorted lists in place of the compiled state, comes to the same bounds."""
    params = CalibrationParams(window=60, least=20, gamma=gamma)
    plain = np.array(plain_bounds(params))
    np.testing.assert_allclose(bounds_of(MARKET, params), plain, rtol=1e-9)
    assert np.isinf(plain).any() == (gamma == 0.1)


def steps(module: Any, returns: FloatArray, gamma: float = 0.005) -> tuple[list[float], FloatArray]:
    """The widths that a module's steps issue for forecasts of zero in units of 1, and whether each held its return."""
    state, widths = module.conformal_state(0.9, 200), []
    for outcome in returns:
        widths.append(module.issue(state, 0.0, 1.0, 50))
        module.settle(state, outcome, 0.9, gamma)
    return widths, np.abs(returns) <= widths


def growing(rows: int = 4000) -> FloatArray:
    """Returns whose spread grows sixteen-fold, so that old errors are always too small."""
    grown: FloatArray = np.random.default_rng(3).standard_normal(rows) * np.exp2(np.arange(rows) / 1000.0)
    return grown


def test_adaptive_intervals_hold_their_level_while_the_spread_grows() -> None:
    """Coverage stays at 90 % because the share of misses aimed at falls; the same widths without it fall short."""
    assert steps(conformal, growing())[1][2000:].mean() == pytest.approx(0.9, abs=0.012)
    assert steps(conformal, growing(), gamma=0.0)[1][2000:].mean() < 0.885


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("missed = 1.0 if score > numbers[WIDTH] else 0.0", "missed = 1.0 - level"),
        ("numbers[MISSED] += gamma", "numbers[MISSED] -= gamma"),
        ("rank = math.ceil((kept + 1) * (1.0 - numbers[MISSED]) - 1e-9)", "rank = int(kept * 0.8)"),
        ("leaving != ring[at]", "False"),
    ],
)
def test_a_fault_in_the_intervals_is_seen(right: str, wrong: str) -> None:
    """Misses that do not count, count the wrong way, a rank too low, old scores that stay: the widths tell each."""
    returns = growing(900)
    honest, same = steps(conformal, returns)[0], steps(mutated("models.conformal", right, right), returns)[0]
    np.testing.assert_array_equal(same, honest)
    assert not np.array_equal(steps(mutated("models.conformal", right, wrong), returns)[0], honest, equal_nan=True)


def test_one_width_for_ever() -> None:
    """Split conformal takes the ceil((n + 1) level)-th score: of 9 at 90 % the largest, of 8 none is enough."""
    assert static_width(np.arange(1.0, 10.0), 0.9) == 9.0
    assert static_width(np.arange(1.0, 9.0), 0.9) == math.inf
    assert static_width(np.arange(1.0, 100.0), 0.9) == 90.0


def test_forecasts_get_quantiles_at_both_ends() -> None:
    """The bounds become quantiles at 5 % and 95 %, on the rows they belong to; strangers' rows have none."""
    made = forecasts()
    early = MARKET.rows(0, 1200)
    one = with_intervals(made, early).series["TEST"]
    assert one.levels == (0.05, 0.95)
    assert one.quantiles is not None
    bounds = bounds_of(early, CalibrationParams())
    rows = np.flatnonzero(np.isfinite(MEAN))
    np.testing.assert_array_equal(one.quantiles[rows < 1200], bounds[rows[rows < 1200]])
    assert np.isnan(one.quantiles[rows >= 1200]).all()
    assert with_intervals(made, MARKET, CalibrationParams(level=0.8)).series["TEST"].levels == (0.1, 0.9)


def test_a_reset_forgets_everything() -> None:
    """After a reset a calibration has no scale and no errors."""
    calibration = Calibration(CalibrationParams(window=20, least=20))
    bar = Bar("TEST", 0, 100.0, 101.0, 99.0, 100.0, 1.0)
    for close in 100.0 + np.sin(np.arange(80)):
        calibration.observe(bar._replace(close=float(close)))
        calibration.interval(0.0)
    assert calibration.interval(0.0).upper > 0.0
    calibration.reset()
    assert math.isnan(calibration.observe(bar))
    assert math.isnan(calibration.interval(0.0).upper)


def test_settings_say_what_is_allowed() -> None:
    """A level outside 0 to 1 is one clear line."""
    with pytest.raises(ParameterError, match=r"calibration.level = 1.5"):
        CalibrationParams(level=1.5)


def test_a_price_that_stands_still_has_an_interval() -> None:
    """Where the price never moves, the interval is the forecast itself, and nothing divides by zero."""
    price, nothing = np.full(1500, 9.0), np.zeros(1500)
    bounds = interval_bounds(price, price, price, nothing, nothing + 1.0, SETTINGS[0])
    np.testing.assert_array_equal(bounds[-100:], 0.0)
