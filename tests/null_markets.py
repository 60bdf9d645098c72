"""Markets with forecasts that know nothing, or a known part of what is to come, small enough for simulations."""

from __future__ import annotations

import numpy as np
from planted_market import candles_around
from simple_market import contract

from backtests.doubts.playback import Playback, make_playback
from backtests.exchange.parameters import AccountParams, CostParams
from markets.candles import FloatArray
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries
from strategies.parameters import CrossoverParams, RiskParams

BARS, FIRST = 400, 60
SIGMA = 0.005
STRATEGY = CrossoverParams(fast=5, slow=15, threshold="5bps")
ALONE = STRATEGY.replaced(rule="forecast")
RISK = RiskParams(sizing="leverage", leverage=2.0)
ACCOUNT = AccountParams(missing_funding="zero")


def known_market(seed: int, edge: float = 0.0, drift: float = 0.0) -> tuple[Market, Forecasts]:
    """A market of volatility that clusters, and forecasts that come in stretches and grow with volatility.

    `edge`: the deviation of what forecasts truly know of the next return, in units of its own; 0: they know
    nothing. `drift`: the mean return of a bar.
    """
    random = np.random.default_rng([seed, 7])
    shocks = random.standard_t(5, BARS) * np.sqrt(0.6)
    opinion, deviation = np.zeros(BARS), np.full(BARS, SIGMA)
    returns = np.zeros(BARS)
    for t in range(1, BARS):
        opinion[t] = 0.8 * opinion[t - 1] + 0.6 * random.standard_normal()
        grown = 0.8 + 0.1 * shocks[t - 1] ** 2
        deviation[t] = np.sqrt(0.1 * SIGMA**2 + grown * deviation[t - 1] ** 2)
        returns[t] = drift + deviation[t] * (edge * opinion[t - 1] + shocks[t])
    candles = candles_around(20_000.0 * np.exp(np.cumsum(returns)), random)
    ahead = np.append(deviation[1:], deviation[-1])
    return Market(contract(), candles, synthetic=True), forecasts_of(candles.timestamp, 0.1 * opinion * ahead, ahead)


def forecasts_of(stamps: FloatArray, mean: FloatArray, sigma: FloatArray) -> Forecasts:
    """Forecasts from row FIRST on."""
    rows = slice(FIRST, None)
    none = np.zeros(len(stamps) - FIRST, dtype=np.int64)
    return Forecasts({"TEST": ForecastSeries(stamps[rows], mean[rows], sigma[rows], stamps[rows] - 1, none)})


def known_playback(seed: int, edge: float = 0.0, drift: float = 0.0, strategy: CrossoverParams = STRATEGY) -> Playback:
    """The playback of such a market."""
    market, forecasts = known_market(seed, edge, drift)
    return make_playback([market], forecasts, strategy, RISK, ACCOUNT, CostParams())
