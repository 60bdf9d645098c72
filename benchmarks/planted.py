"""Planted problems: series whose true expectation or volatility is known at every bar, made from a seed.

Each maker returns a Problem: log returns with what a network is shown of them, and the oracle, what is to be
expected of the next bar given all that happened so far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foundation.compilation import rule
from markets.candles import FloatArray
from models.parameters import LSTMParams
from models.samples import Sample, trailing_volatility, volatility_memory
from models.targets import relative_target
from models.variance import raw_columns, relative_columns

SIGMA = 0.005  # one bar's deviation, as a log return
R2 = 0.02  # the share of variance that momentum and the gated feature explain
DECAY = 0.9  # of the momentum
STAY = 0.99  # chance that a regime lasts another bar
PERSISTENCE = 0.8  # of the gated feature
TAIL = 5.0  # degrees of freedom of the noise
BURN_IN = 1000
TINY = 1e-12  # keeps the variance of a return of zero above it


@dataclass(frozen=True, eq=False)
class Problem:
    """`returns[t]`: the log return of bar t. `oracle[t]`: what is known at its close of the next one.

    `relative`: shown in units of volatility; `plain`: shown as it is; both (bars, columns).
    """

    returns: FloatArray
    oracle: FloatArray
    relative: FloatArray
    plain: FloatArray

    def sample(self, params: LSTMParams) -> Sample:
        """The sample of the problem, as a market's would be."""
        close = np.exp(np.cumsum(self.returns))
        volatility = trailing_volatility(close, params.volatility_bars)
        target = relative_target(np.append(self.returns[1:], np.nan), volatility)
        base = relative_columns(raw_columns(np.square(self.returns) + TINY, close, params), volatility, params)
        shown = np.column_stack((self.relative / volatility[:, None], self.plain, base)).astype(np.float32)
        stamps = np.arange(len(close), dtype=np.int64)
        memory = max(64, volatility_memory(params.volatility_bars))
        variance, har = np.square(target), base.shape[1]
        return Sample(stamps, 1, shown, target, target, variance, volatility, memory, "planted problem", har)


def momentum(bars: int, seed: int) -> Problem:
    """r_(t+1) = sigma (k m_t + e), m_t = 0.9 m_(t-1) + sqrt(1 - 0.81) r_t / sigma, e Student-t(5) of unit variance."""
    returns, oracle = _momentum(noise(bars, seed), np.sqrt(R2 / (1.0 - R2)), DECAY)
    return problem_of(returns, oracle)


def regimes(phi: float) -> Callable[[int, int], Problem]:
    """r_(t+1) = s_t phi r_t + e, e normal; s_t is 1 or -1 and stays with chance 0.99. Oracle: Hamilton's filter."""

    def make(bars: int, seed: int) -> Problem:
        random = np.random.default_rng(seed)
        noise, switch = random.standard_normal(bars + BURN_IN), random.random(bars + BURN_IN) > STAY
        returns, oracle = _regimes(noise, switch, phi, STAY)
        return problem_of(returns, oracle)

    return make


def gated(bars: int, seed: int) -> Problem:
    """r_(t+1) = sigma (k x_t [fast_t > slow_t] + e): a feature that counts only while EMA 20 is above EMA 50.

    x_t = 0.8 x_(t-1) + noise, of unit variance; the state of the crossover is shown, as 1 or -1.
    """
    shocks, drawn = noise(bars, seed), np.random.default_rng([seed, 1]).standard_normal(bars + BURN_IN)
    returns, oracle, feature, above = _gated(shocks, drawn, np.sqrt(2.0 * R2 / (1.0 - R2)), PERSISTENCE)
    shown = np.column_stack((feature, above))
    return problem_of(returns, oracle, shown[BURN_IN:])


def problem_of(returns: FloatArray, oracle: FloatArray, plain: FloatArray | None = None) -> Problem:
    """The problem after its burn-in, shown as the returns over 1, 4 and 16 bars and the return before."""
    logs = np.cumsum(returns)
    shown = [np.concatenate((np.zeros(lag), logs[lag:] - logs[:-lag])) for lag in (1, 4, 16)]
    relative = np.column_stack((*shown, np.concatenate(([0.0], shown[0][:-1]))))
    kept = slice(BURN_IN, None)
    nothing = np.empty((len(returns) - BURN_IN, 0))
    return Problem(
        SIGMA * returns[kept], SIGMA * oracle[kept], SIGMA * relative[kept], nothing if plain is None else plain
    )


def noise(bars: int, seed: int) -> FloatArray:
    """Student-t(5) noise of unit variance, the burn-in included."""
    drawn: FloatArray = np.random.default_rng(seed).standard_t(TAIL, bars + BURN_IN) * np.sqrt((TAIL - 2.0) / TAIL)
    return drawn


@rule(makes_arrays=True)
def _momentum(noise: FloatArray, strength: float, decay: float) -> tuple[FloatArray, FloatArray]:
    returns, oracle, trend = np.zeros(len(noise)), np.zeros(len(noise)), 0.0
    for t in range(len(noise)):
        returns[t] = strength * trend + noise[t]
        trend = decay * trend + np.sqrt(1.0 - decay * decay) * returns[t]
        oracle[t] = strength * trend
    return returns, oracle


@rule(makes_arrays=True)
def _regimes(noise: FloatArray, switch: FloatArray, phi: float, stay: float) -> tuple[FloatArray, FloatArray]:
    returns, oracle = np.zeros(len(noise)), np.zeros(len(noise))
    state, chance = 1.0, 0.5
    for t in range(1, len(noise)):
        returns[t] = state * phi * returns[t - 1] + noise[t]
        # Bayes with the normal density of the noise, then the chance of a switch.
        up = chance * np.exp(-0.5 * (returns[t] - phi * returns[t - 1]) ** 2)
        down = (1.0 - chance) * np.exp(-0.5 * (returns[t] + phi * returns[t - 1]) ** 2)
        known = up / (up + down)
        chance = stay * known + (1.0 - stay) * (1.0 - known)
        oracle[t] = (2.0 * chance - 1.0) * phi * returns[t]
        if switch[t]:
            state = -state
    return returns, oracle


@rule(makes_arrays=True)
def _gated(
    noise: FloatArray, drawn: FloatArray, strength: float, persistence: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    bars = len(noise)
    returns, oracle, feature, above = np.zeros(bars), np.zeros(bars), np.zeros(bars), np.zeros(bars)
    price = fast = slow = 0.0
    for t in range(1, bars):
        returns[t] = oracle[t - 1] + noise[t]
        price += returns[t]
        fast += 2.0 / 21.0 * (price - fast)
        slow += 2.0 / 51.0 * (price - slow)
        feature[t] = persistence * feature[t - 1] + np.sqrt(1.0 - persistence**2) * drawn[t]
        above[t] = 1.0 if fast > slow else -1.0
        oracle[t] = strength * feature[t] if fast > slow else 0.0
    return returns, oracle, feature, above


PROBLEMS: dict[str, Callable[[int, int], Problem]] = {
    "momentum": momentum,
    "regimes, phi 0.4": regimes(0.4),
    "regimes, phi 0.25": regimes(0.25),
    "gated feature": gated,
}
