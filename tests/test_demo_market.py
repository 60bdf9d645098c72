"""The demo market: deterministic, consistent, with the facts of real markets and an exact oracle."""

import time

import numpy as np
import pytest

from foundation.errors import ParameterError
from markets.candles import FloatArray
from markets.demo import demo_market
from markets.market import Market

HOUR = 3_600_000_000_000


@pytest.fixture(scope="module")
def demo() -> Market:
    """The market that everybody sees first."""
    return demo_market()


def next_returns(market: Market) -> tuple[FloatArray, FloatArray]:
    """The log return of each bar after the first, and the oracle of the bar before it."""
    assert market.oracle is not None
    return np.diff(np.log(market.candles.close)), market.oracle[:-1]


def autocorrelation(values: FloatArray, lag: int) -> float:
    """The autocorrelation of a series at a lag in bars."""
    centred = values - values.mean()
    return float(centred[lag:] @ centred[:-lag] / (centred @ centred))


def test_the_demo_market_is_two_years_of_hours_and_says_it_is_synthetic(demo: Market) -> None:
    """17,520 hourly bars from 2022-01-01 with mark and funding; nothing lets it pass for a real market."""
    assert len(demo.candles) == 17_520
    assert demo.candles.bar == HOUR
    assert str(demo.candles.timestamp[0].astype("datetime64[ns]")).startswith("2022-01-01T00:00")
    assert demo.synthetic
    assert (demo.contract.venue, demo.contract.symbol) == ("synthetic", "DEMOUSDT")
    assert "synthetic" in demo.candles.source
    assert "synthetic" in demo.contract.source


def test_it_is_made_within_a_second() -> None:
    """Generation takes less than a second."""
    begun = time.perf_counter()
    demo_market(3)
    assert time.perf_counter() - begun < 1.0


def test_the_same_seed_gives_the_same_bytes(demo: Market) -> None:
    """Candles, mark, funding and oracle repeat exactly; another seed or strength gives another market."""
    again = demo_market()
    assert again.fingerprint == demo.fingerprint
    assert np.array_equal(next_returns(again)[1], next_returns(demo)[1])
    others = {demo_market(8).fingerprint, demo_market(predictability=0.0).fingerprint}
    assert len({demo.fingerprint, *others}) == 3


def test_a_shorter_market_is_the_beginning_of_a_longer_one(demo: Market) -> None:
    """What comes later changes nothing earlier: the first 1,000 bars and their oracle are those of two years."""
    short, head = demo_market(bars=1000), demo.rows(0, 1000)
    for name in ("timestamp", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(short.candles, name), getattr(head.candles, name))
    assert np.array_equal(short.mark_bars()[0], head.mark_bars()[0])
    assert np.array_equal(short.funding_bars()[0], head.funding_bars()[0])
    assert short.oracle is not None
    assert head.oracle is not None
    assert np.array_equal(short.oracle, head.oracle)


def test_prices_lie_on_the_tick_and_volume_on_the_lot(demo: Market) -> None:
    """Every price of candles and mark is a multiple of the tick, every volume of the lot and above zero."""
    assert demo.mark is not None
    for candles in (demo.candles, demo.mark):
        for prices in (candles.open, candles.high, candles.low, candles.close):
            ticks = prices / demo.contract.tick
            assert np.allclose(ticks, np.round(ticks), atol=1e-6, rtol=0)
    lots = demo.candles.volume / demo.contract.lot
    assert np.allclose(lots, np.round(lots), atol=1e-4, rtol=0)
    assert demo.candles.volume.min() > 0


def test_bars_join_and_have_a_path_inside(demo: Market) -> None:
    """Each bar opens at the last close, and most bars reach beyond their open and close on both sides."""
    candles = demo.candles
    assert np.array_equal(candles.open[1:], candles.close[:-1])
    above = candles.high > np.maximum(candles.open, candles.close)
    below = candles.low < np.minimum(candles.open, candles.close)
    assert above.mean() > 0.75
    assert below.mean() > 0.75


def test_the_mark_stays_near_the_last_price(demo: Market) -> None:
    """The mark has the candles' grid, lies within some basis points, and is smoother than the last price."""
    bars, stands_in = demo.mark_bars()
    assert not stands_in.any()
    away = np.abs(np.log(bars[:, 3] / demo.candles.close))
    assert 0.5e-4 < away.mean() < 10e-4
    assert np.quantile(away, 0.999) < 0.02
    assert np.mean(bars[:, 1] - bars[:, 2]) < np.mean(demo.candles.high - demo.candles.low)


def test_funding_settles_every_eight_hours_near_its_base_rate(demo: Market) -> None:
    """Stamps at 00, 08 and 16 UTC throughout; many rates are the base rate, all are clipped, both signs occur."""
    assert demo.funding is not None
    first, last = int(demo.candles.timestamp[0]), int(demo.candles.timestamp[-1]) + HOUR
    assert demo.funding.timestamp.tolist() == list(range(first, last, 8 * HOUR))
    assert demo.funding.missing(first, last, 8 * HOUR) is None
    rates = demo.funding.rate
    assert 0.4 < np.mean(rates == 0.0001) < 0.8
    assert np.abs(rates).max() <= 0.003
    assert rates.min() < 0 < rates.max()


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_returns_have_fat_tails_jumps_and_clustered_volatility(seed: int) -> None:
    """Kurtosis above 4, moves beyond eight deviations, and sizes that remember, with a daily pattern."""
    market = demo_market(seed)
    returns = next_returns(market)[0]
    scaled = (returns - returns.mean()) / returns.std()
    assert np.mean(scaled**4) > 4
    assert np.abs(scaled).max() > 8
    size = np.abs(returns)
    assert autocorrelation(size, 1) > 0.1
    assert autocorrelation(size, 24) > 0.05
    assert autocorrelation(size, 24) > autocorrelation(size, 12)
    assert np.corrcoef(market.candles.volume[1:], size)[0, 1] > 0.4
    assert 0.3 < returns.std() * np.sqrt(market.bars_per_year) < 0.9


def test_the_oracle_is_exact() -> None:
    """Over 210,000 bars the next return regressed on the oracle has slope one and no constant, within errors."""
    pairs = [next_returns(demo_market(seed)) for seed in range(100, 112)]
    realised, oracle = (np.concatenate(side) for side in zip(*pairs, strict=True))
    slope = float(oracle @ realised / (oracle @ oracle))
    rest = realised - slope * oracle
    error = float(np.sqrt(np.sum((oracle * rest) ** 2)) / (oracle @ oracle))
    assert error < 0.06
    assert abs(slope - 1.0) < 4 * error
    assert abs(rest.mean()) < 4 * rest.std() / np.sqrt(len(rest))


def test_the_oracle_holds_within_every_size_of_itself() -> None:
    """In each tenth of the oracle's values the mean next return is the mean oracle: it is right all along."""
    pairs = [next_returns(demo_market(seed, predictability=0.05)) for seed in range(200, 208)]
    realised, oracle = (np.concatenate(side) for side in zip(*pairs, strict=True))
    for part in np.array_split(np.argsort(oracle), 10):
        miss = realised[part] - oracle[part]
        assert abs(miss.mean()) < 4 * miss.std() / np.sqrt(len(miss))


@pytest.mark.parametrize("predictability", [0.005, 0.02, 0.1])
def test_the_oracle_explains_what_was_asked_for(predictability: float) -> None:
    """The oracle's share of the variance is near the nominal one, and it explains about as much of what came."""
    planted, explained = [], []
    for seed in range(6):
        realised, oracle = next_returns(demo_market(seed, predictability=predictability))
        planted.append(float(np.mean(oracle**2) / np.mean(realised**2)))
        explained.append(float(1 - np.sum((realised - oracle) ** 2) / np.sum(realised**2)))
    assert np.mean(planted) == pytest.approx(predictability, rel=0.08)
    assert np.mean(explained) == pytest.approx(predictability, rel=0.35)
    assert min(explained) > 0.3 * predictability
    assert max(explained) < 2.0 * predictability


@pytest.mark.parametrize("seed", [1, 7, 11])
def test_without_predictability_there_is_none(seed: int) -> None:
    """At zero the oracle is zero everywhere, and the trend that carries the signal elsewhere explains nothing."""
    market = demo_market(seed, predictability=0.0)
    realised, oracle = next_returns(market)
    assert not oracle.any()
    trend = np.sign(realised[:-1])
    gains = trend * realised[1:]
    assert abs(gains.mean()) < 3.5 * gains.std() / np.sqrt(len(gains))


def test_the_signal_is_momentum_that_prices_show(demo: Market) -> None:
    """A trailing sum of scaled past returns, made from closes alone, goes with the oracle: features can carry it."""
    realised, oracle = next_returns(demo)
    spread = np.sqrt(np.convolve(realised**2, np.ones(48) / 48)[: len(realised)] + 1e-12)
    trend = np.convolve(realised / spread, 0.85 ** np.arange(60))[: len(realised)]
    assert np.corrcoef(np.tanh(trend[100:-1] / 2), oracle[101:] / spread[100:-1])[0, 1] > 0.8


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"seed": -1}, r"^demo\.seed = -1: is out of range; a whole number from 0"),
        ({"seed": 1.5}, r"^demo\.seed = 1\.5"),
        ({"bars": 1}, r"^demo\.bars = 1: is out of range; a whole number from 2"),
        ({"bars": True}, r"^demo\.bars = True"),
        (
            {"predictability": -0.1},
            r"^demo\.predictability = -0\.1: is out of range; a share of variance from 0 to 0\.2",
        ),
        ({"predictability": 0.5}, r"^demo\.predictability = 0\.5"),
        ({"predictability": float("nan")}, r"^demo\.predictability = nan"),
    ],
)
def test_a_wrong_demo_is_named(wrong: dict[str, float], words: str) -> None:
    """A seed, length or strength out of range names itself, its value and what may be written."""
    with pytest.raises(ParameterError, match=words):
        demo_market(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("bars", [2, 7, 8, 9])
def test_a_few_bars_are_a_market_too(bars: int) -> None:
    """The shortest markets have funding for each eight hours begun, and an oracle at each bar."""
    market = demo_market(bars=bars)
    assert market.funding is not None
    assert market.oracle is not None
    assert len(market.funding) == -(-bars // 8)
    assert len(market.oracle) == bars
