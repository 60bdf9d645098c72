"""The demo market: a synthetic perpetual from a seed, with a weak planted predictability whose truth is known."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from foundation.errors import ParameterError
from markets.candles import Candles, FloatArray, IntArray
from markets.contract import Contract
from markets.funding import Funding
from markets.market import Market

HOUR = 3_600_000_000_000
START = 1_640_995_200_000_000_000  # 2022-01-01 00:00 UTC
FIRST_PRICE = 30_000.0
MOST_PREDICTABLE = 0.2  # stronger trends feed on themselves until the price leaves every scale
STEPS = 30  # pieces of two minutes in a bar

_PRICE_DECIMALS, _VOLUME_DECIMALS = 2, 3  # those of the tick and the lot below

_SIGMA = 0.005  # standard deviation of an hour's log return where volatility is at its mean
_SHOCK, _MEMORY = 0.08, 0.90  # GARCH: weight of the last squared innovation, and of the last variance
_LARGEST_SHOCK = 16.0  # squared innovations above this count as this, so that variance stays finite
_TAIL = 5.0  # degrees of freedom of the innovations
_JUMP_CHANCE, _JUMP_LEAST, _JUMP_MOST = 0.0015, 4.0, 8.0  # per bar; size in standard deviations
_TREND = 0.85  # hourly decay of the trailing sum of past returns
_JOINT = 1.10  # E[s^2 tanh^2 m] / (E[s^2] E[tanh^2 m]), measured: strong trends go with high volatility
_SLOW_BASIS, _FAST_BASIS = 0.0006, 0.00015  # standard deviations of last over index, as fractions
_BASE_RATE = 0.0001  # funding rate while the basis is small
_RATE_LIMIT = 0.003

_CONTRACT = Contract(
    venue="synthetic",
    symbol="DEMOUSDT",
    tick=0.01,
    lot=0.001,
    minimum_quantity=0.001,
    minimum_notional=5.0,
    taker_fee=0.0005,
    maker_fee=0.0002,
    maintenance_rate=0.005,
    maximum_leverage=100.0,
    liquidation_fee=0.0125,
    source="invented for the synthetic demo market; no venue lists it",
)


class _Path(NamedTuple):
    """The hourly recursion of the generator; all arrays have one row for each bar."""

    close: FloatArray
    sigma: FloatArray
    mean: FloatArray
    oracle: FloatArray


class _Draws(NamedTuple):
    """The random numbers of a market; a shorter market has the first of those of a longer one."""

    pieces: FloatArray  # (bars, STEPS) innovations inside each bar, jumps included, unit variance a bar
    slow_basis: FloatArray  # (bars * STEPS,) standard normal
    fast_basis: FloatArray  # (bars * STEPS,) standard normal
    volume: FloatArray  # (bars,) standard normal


def demo_market(seed: int = 7, bars: int = 17_520, predictability: float = 0.02) -> Market:
    """A synthetic perpetual of 1h candles from 2022-01-01, with mark candles, funding and an oracle.

    Log return of bar t+1 = s_(t+1) (k tanh(m_t) + e_(t+1)), where s is a GARCH standard deviation
    with a daily pattern, e is Student-t noise with rare jumps and mean zero, and m_t sums past
    returns in units of s with weights 0.85^age. All but e is known at the close of bar t, so the
    expected log return of the next bar given the path is s_(t+1) k tanh(m_t): `Market.oracle`. k is
    set so that this explains about `predictability` of the variance of next-bar returns: from 0,
    for none, to 0.2. Prices are rounded to the tick, and each return starts from a rounded close.
    The same seed gives the same market; fewer `bars` give its beginning. Raises ParameterError.
    """
    _check(seed, bars, predictability)
    draws = _draw(seed, bars)
    path = _walk(draws.pieces.sum(axis=1), _strength(predictability))
    last = _inside(path, draws.pieces)
    candles = _last_candles(last, draws.volume)
    mark, basis = _mark_candles(last, draws, candles.timestamp)
    return Market(_CONTRACT, candles, mark, _funding(basis), synthetic=True, oracle=path.oracle)


def _check(seed: int, bars: int, predictability: float) -> None:
    for key, value, least, kind in (("seed", seed, 0, "0"), ("bars", bars, 2, "2")):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise ParameterError(f"demo.{key}", "is out of range", value=value, fix=f"a whole number from {kind}")
    if not 0.0 <= predictability <= MOST_PREDICTABLE:
        fix = f"a share of variance from 0 to {MOST_PREDICTABLE}, such as 0.02"
        raise ParameterError("demo.predictability", "is out of range", value=predictability, fix=fix)


def _draw(seed: int, bars: int) -> _Draws:
    inner, mixing, chance, jump, slow, fast, volume = np.random.default_rng(seed).spawn(7)
    tails = np.sqrt((_TAIL - 2.0) / mixing.chisquare(_TAIL, bars))
    pieces = inner.standard_normal((bars, STEPS)) * (tails / math.sqrt(STEPS))[:, None]
    when = chance.random(bars) < _JUMP_CHANCE
    where, size, side = (jump.random((bars, 3)) * (STEPS, _JUMP_MOST - _JUMP_LEAST, 2.0)).T
    jumps = when * (size + _JUMP_LEAST) * np.where(side < 1.0, -1.0, 1.0)
    pieces[np.arange(bars), where.astype(np.int64)] += jumps
    count = bars * STEPS
    return _Draws(pieces, slow.standard_normal(count), fast.standard_normal(count), volume.standard_normal(bars))


def _walk(innovations: FloatArray, strength: float) -> _Path:
    """The closes bar by bar, each stepped from the rounded one before it, so that rounding never adds up."""
    bars, tick, daily = len(innovations), _CONTRACT.tick, _daily_pattern()
    close, sigma, mean, oracle = (np.empty(bars) for _ in range(4))
    price, variance, trend, gain = FIRST_PRICE, 1.0, 0.0, math.sqrt(1.0 - _TREND**2)
    spread, drift = _SIGMA * daily[0], 0.0
    for t, innovation in enumerate(innovations.tolist()):
        sigma[t], mean[t] = spread, drift
        price = max(round(price * math.exp(drift + spread * innovation), _PRICE_DECIMALS), tick)
        close[t] = price
        trend = _TREND * trend + gain * (drift / spread + innovation)
        shock = min(innovation * innovation, _LARGEST_SHOCK)
        variance = 1.0 - _SHOCK - _MEMORY + variance * (_MEMORY + _SHOCK * shock)
        spread = _SIGMA * math.sqrt(variance) * daily[(t + 1) % 24]
        drift = spread * strength * math.tanh(trend)
        oracle[t] = drift
    return _Path(close, sigma, mean, oracle)


def _daily_pattern() -> list[float]:
    """Volatility by UTC hour, quiet at 04:00 and busy at 16:00; its mean square is one."""
    shape = [1.0 - 0.35 * math.cos(2.0 * math.pi * (hour - 4) / 24.0) for hour in range(24)]
    norm = math.sqrt(sum(value * value for value in shape) / 24.0)
    return [value / norm for value in shape]


def _strength(predictability: float) -> float:
    """The k at which k tanh(m) explains the wanted share of a return's variance.

    m feeds on itself: its variance v is found by bisection from v (1 - a^2) = c^2 n, where n is the
    variance of the noise and a the decay of m with the planted drift put in its linear form (m normal).
    """
    if predictability == 0.0:
        return 0.0
    jumps = (_JUMP_MOST**3 - _JUMP_LEAST**3) / (3.0 * (_JUMP_MOST - _JUMP_LEAST))
    noise = 1.0 + _JUMP_CHANCE * jumps
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()
    gain, low, high = math.sqrt(1.0 - _TREND**2), 1e-6, 1e6
    strength = 0.0
    for _ in range(200):
        variance = math.sqrt(low * high)
        known = np.tanh(math.sqrt(variance) * nodes)
        strength = math.sqrt(predictability / (1.0 - predictability) * noise / (_JOINT * float(weights @ known**2)))
        slope = float(weights @ (known * nodes)) / math.sqrt(variance)
        decay = _TREND + gain * strength * slope
        stable = decay < 1.0 and variance * (1.0 - decay**2) > gain**2 * noise
        low, high = (low, variance) if stable else (variance, high)
    return strength


def _inside(path: _Path, pieces: FloatArray) -> FloatArray:
    """The last price inside each bar, shape (bars, STEPS + 1): the open first, the rounded close last."""
    opens = np.concatenate(([FIRST_PRICE], path.close[:-1]))
    steps = path.mean[:, None] / STEPS + path.sigma[:, None] * pieces
    prices = np.column_stack((opens, opens[:, None] * np.exp(np.cumsum(steps, axis=1))))
    prices = _rounded(prices, _PRICE_DECIMALS)
    prices[:, -1] = path.close
    return prices


def _last_candles(last: FloatArray, noise: FloatArray) -> Candles:
    high, low = last.max(axis=1), last.min(axis=1)
    width = np.log(high / low) / _SIGMA
    volume = _rounded(900.0 * (0.1 + width) ** 0.8 * np.exp(0.35 * noise), _VOLUME_DECIMALS)
    stamps: IntArray = START + HOUR * np.arange(len(high), dtype=np.int64)
    source = "synthetic demo market"
    return Candles(stamps, last[:, 0], high, low, last[:, -1], volume, HOUR, source=source)


def _mark_candles(last: FloatArray, draws: _Draws, stamps: IntArray) -> tuple[Candles, FloatArray]:
    """Mark candles, and the slow basis at every step: last = index x exp(slow + fast), mark = smoothed index + slow."""
    slow = _SLOW_BASIS * _persistent(draws.slow_basis, 0.0012)
    fast = _FAST_BASIS * _persistent(draws.fast_basis, 0.13)
    index = np.log(last[:, 1:].ravel()) - slow - fast
    index = np.concatenate(([math.log(FIRST_PRICE)], index))
    mark = np.exp(_smooth(index, 0.5)[1:] + slow)
    ends = mark.reshape(-1, STEPS)
    opens = np.concatenate(([FIRST_PRICE], ends[:-1, -1]))
    prices = _rounded(np.column_stack((opens, ends)), _PRICE_DECIMALS)
    high, low, nothing = prices.max(axis=1), prices.min(axis=1), np.zeros(len(prices))
    source = "synthetic demo market (mark)"
    return Candles(stamps, prices[:, 0], high, low, prices[:, -1], nothing, HOUR, source=source), slow


def _funding(basis: FloatArray) -> Funding:
    """Settlements every 8 hours: the mean basis of the 8 hours before, drawn to the base rate by up to 5 bps."""
    per_stamp = 8 * STEPS
    count = -(-len(basis) // per_stamp)
    means = basis[: (count - 1) * per_stamp].reshape(count - 1, per_stamp).mean(axis=1)
    premium = np.concatenate(([_BASE_RATE], means))
    rate = premium + np.clip(_BASE_RATE - premium, -0.0005, 0.0005)
    stamps = START + 8 * HOUR * np.arange(count, dtype=np.int64)
    return Funding(stamps, np.round(np.clip(rate, -_RATE_LIMIT, _RATE_LIMIT), 8), "synthetic demo market (funding)")


def _rounded(values: FloatArray, decimals: int) -> FloatArray:
    result: FloatArray = np.maximum(np.round(values, decimals), 10.0**-decimals)
    return result


def _persistent(noise: FloatArray, weight: float) -> FloatArray:
    """White noise made persistent, with unit variance from the first value on."""
    spread = math.sqrt(weight / (2.0 - weight))
    scaled = noise / spread
    scaled[0] = noise[0]
    return _smooth(scaled, weight)


def _smooth(values: FloatArray, weight: float) -> FloatArray:
    """The exponential average of a series: each value counts `weight`, the average before it the rest."""
    import pandas as pd

    smoothed: FloatArray = pd.Series(values).ewm(alpha=weight, adjust=False).mean().to_numpy()
    return smoothed
