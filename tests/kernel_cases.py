"""Random markets, signals and settings for which the kernel is held to Backtrader."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from finer_cases import PARTS, finer_bars
from hypothesis import strategies as st

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.engine import backtest
from backtests.run.result import Result
from backtests.run.solo import Solo, play_solo
from markets.candles import Candles
from markets.contract import Contract
from markets.funding import Funding
from markets.market import Market
from models.forecasts import Forecasts, ForecastSeries
from strategies.parameters import SIZINGS, CrossoverParams, RiskParams

SYMBOLS = ("ONE", "TWO", "THREE", "FOUR", "FIVE")
HOUR = 3_600_000_000_000
START = 1_700_006_400_000_000_000


@dataclass(frozen=True, repr=False)
class Match:
    """A setting on some markets, to be played by both drivers; `seed` grew the markets and forecasts."""

    seed: int
    markets: tuple[Market, ...]
    forecasts: Forecasts
    strategy: CrossoverParams
    risk: RiskParams
    account: AccountParams
    costs: CostParams

    def __repr__(self) -> str:
        bars = len(self.markets[0].candles)
        traded, finer = self.markets[0].contract, self.markets[0].finer is not None
        market = f"{len(self.markets)} x {bars} bars, finer {finer}, {traded}"
        return f"Match({self.seed}, {market}, {self.strategy}, {self.risk}, {self.account}, {self.costs})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def backtrader(self) -> Result:
        """What Backtrader makes of it."""
        return backtest(self.markets, self.forecasts, self.strategy, self.risk, self.account, self.costs)

    def kernel(self) -> Solo:
        """What the kernel makes of it."""
        return play_solo(self.markets, self.forecasts, self.strategy, self.risk, self.account, self.costs)


def candles(random: np.random.Generator, bars: int, wild: float) -> tuple[Candles, Candles]:
    """Candles with gaps and crashes, and mark candles a basis away from them."""
    moves = random.standard_t(3, bars) * 0.004 * wild
    moves[random.random(bars) < 0.01] *= 8.0
    close = 100.0 * np.exp(np.cumsum(np.clip(moves, -0.5, 0.5)))
    gap = np.where(random.random(bars) < 0.1, random.normal(0.0, 0.004 * wild, bars), 0.0)
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(gap)
    wick = np.abs(random.normal(0.0, 0.003 * wild, (2, bars)))
    high, low = np.maximum(opened, close) * np.exp(wick[0]), np.minimum(opened, close) * np.exp(-wick[1])
    columns = [np.round(one, 2) for one in (opened, high, low, close)]
    stamps = START + HOUR * np.arange(bars)
    basis = np.exp(random.normal(0.0, 0.0007 * wild, bars))
    mark = [one * basis for one in columns]
    mark[1], mark[2] = np.maximum.reduce(mark), np.minimum.reduce(mark)
    touched = random.random(bars) < 0.01
    touched[: bars // 7] = False
    # So that impact knows a volume and a move from the first bar played on, over three bars, too.
    for k in np.flatnonzero(touched):
        touched[k] = not touched[k - 2 : k].any()
    volume = random.uniform(1.0, 50.0, bars)
    last = Candles(stamps, *columns, volume=volume, bar=HOUR, touched=touched, source="case")
    return last, Candles(stamps, *mark, volume=np.zeros(bars), bar=HOUR, source="case mark")


def market(
    random: np.random.Generator, symbol: str, bars: int, wild: float, finer: str = "none", **contract: Any
) -> Market:
    """A market of random candles with funding every eight hours, and with finer candles where `finer` says so."""
    last, mark = candles(random, bars, wild)
    due = last.timestamp[::8]
    funding = Funding(due, random.normal(0.0, 3e-4, len(due)), "case")
    figures = {"tick": 0.01, "lot": 0.01, "taker_fee": 5e-4, "maker_fee": 2e-4, "maintenance_rate": 0.01}
    traded = Contract(venue="case", symbol=symbol, maximum_leverage=50.0, **{**figures, **contract})
    parts, marks = finer_candles(random, last, mark) if finer != "none" else (None, mark)
    return Market(traded, last, marks if finer == "marked" else mark, funding, finer=parts)


def finer_candles(random: np.random.Generator, last: Candles, mark: Candles) -> tuple[Candles, Candles]:
    """Finer candles that make the candles, some of them touched by cleaning, and their mark candles."""
    chance, rows, basis = Random(int(random.integers(2**32))), [], mark.close / last.close
    for k in range(len(last)):
        bar = {name: float(getattr(last, name)[k]) for name in ("open", "high", "low", "close")}
        parts = finer_bars(chance, bar | {"mark_low": bar["low"], "mark_high": bar["high"]}, 0.01)
        closes = [*(part["open"] for part in parts[1:]), bar["close"]]
        rows += [(part["open"], part["high"], part["low"], close) for part, close in zip(parts, closes, strict=True)]
    prices, length = np.array(rows).T, HOUR // PARTS
    stamps, none = last.timestamp[0] + length * np.arange(len(rows)), np.zeros(len(rows))
    touched = random.random(len(rows)) < 0.01
    finer = Candles(stamps, *prices, volume=none, bar=length, touched=touched, source="case finer")
    return finer, Candles(
        stamps, *(prices * np.repeat(basis, PARTS)), volume=none, bar=length, source="case finer mark"
    )


# Brackets by cap as a multiple of the starting balance: maintenance rate, highest leverage.
BRACKETS = ((2.0, 0.01, 50.0), (10.0, 0.02, 25.0), (40.0, 0.05, 10.0), (90.0, 0.1, 4.0))


def brackets(cash: float) -> list[dict[str, float]]:
    """Brackets that positions of an account reach; beyond the last one there is none."""
    floors = [0.0, *(times * cash for times, _, _ in BRACKETS)]
    return [
        {"floor": floor, "cap": times * cash, "rate": rate, "leverage": leverage}
        for floor, (times, rate, leverage) in zip(floors, BRACKETS, strict=False)
    ]


def forecasts(random: np.random.Generator, markets: tuple[Market, ...], start: int, zeros: float = 0.0) -> Forecasts:
    """Noise that follows the last move a little, some of it missing; the part `zeros` of it has a sigma of 0."""
    series = {}
    for one in markets:
        stamps = one.candles.timestamp[start:]
        moves = np.diff(np.log(one.candles.close), prepend=np.log(one.candles.close[0]))[start:]
        mean = 0.1 * moves + random.normal(0.0, 5e-4, len(stamps))
        kept = random.random(len(stamps)) > 0.02
        kept[0] = True
        sigma = random.uniform(0.002, 0.012, len(stamps))
        if zeros:
            sigma *= random.random(len(stamps)) > zeros
        said = {"up_probability": 0.5 + 0.5 * np.tanh(300.0 * mean[kept]), "position": np.tanh(500.0 * mean[kept])}
        series[one.symbol] = ForecastSeries(
            stamps[kept], mean[kept], sigma[kept], stamps[kept] - 1, np.zeros(kept.sum()), **said
        )
    return Forecasts(series, "case")


DISTANCES = ("0.3%", "1%", "4%", "9%", "0.5atr", "2atr", "1sigma", "3sigma", "10%margin")


@st.composite
def risks(draw: Any) -> RiskParams:
    """Any sizing with any exits that go together."""
    distance = st.sampled_from(DISTANCES)
    sizing = draw(st.sampled_from(["leverage", *SIZINGS]))
    stop = draw(distance if sizing == "risk" else st.one_of(st.none(), distance))
    trail = draw(st.one_of(st.none(), distance))
    after = draw(st.one_of(st.none(), distance)) if stop and trail else None
    even = draw(st.one_of(st.none(), distance)) if stop or trail else None
    shares = draw(st.lists(st.sampled_from([0.2, 0.3, 1 / 3]), max_size=3))
    return RiskParams(
        sizing=sizing,
        leverage=draw(st.sampled_from([1.0, 3.0, 20.0, 45.0])),
        risk_per_trade=draw(st.sampled_from([0.005, 0.05])),
        stop_loss=stop or "off",
        take_profit=draw(st.one_of(st.just("off"), distance)),
        trailing_stop=trail or "off",
        trailing_after=after or "off",
        break_even=even or "off",
        targets=[{"distance": draw(distance), "share": share} for share in shares],
        atr_bars=draw(st.sampled_from([3, 14])),
        maximum_bars=draw(st.sampled_from([0, 0, 2, 15])),
        cooldown_bars=draw(st.sampled_from([0, 0, 1, 6])),
    )


@st.composite
def strategies(draw: Any) -> CrossoverParams:
    """Any way to decide."""
    return CrossoverParams(
        fast=draw(st.sampled_from([2, 5])),
        slow=draw(st.sampled_from([6, 12])),
        average=draw(st.sampled_from(["ema", "sma"])),
        confirmation=draw(st.sampled_from(["state", "cross"])),
        threshold=draw(st.sampled_from(["0.5bps", "0.2cost", "0.05sigma", "0.53probability", "0.1position"])),
        on_opposite=draw(st.sampled_from(["reverse", "close"])),
        direction=draw(st.sampled_from(["both", "both", "long", "short"])),
        maximum_sigma=draw(st.sampled_from(["off", "off", "80bps"])),
        rule=draw(st.sampled_from(["confirmed", "forecast", "crossover", "buy_and_hold"])),
    )


@st.composite
def matches(draw: Any) -> Match:
    """A whole setting on one to five markets, linear or inverse, isolated or cross."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    bars, wild = draw(st.sampled_from([60, 150, 400])), draw(st.sampled_from([0.3, 1.0, 3.0]))
    inverse = draw(st.booleans())
    contract = {"kind": "inverse", "settlement": "COIN", "face": 10.0, "lot": 1.0} if inverse else {}
    cash = 50.0 if inverse else 10_000.0
    contract |= draw(st.sampled_from([{}, {"minimum_notional": 5.0}, {"liquidation_fee": 0.01}]))
    contract |= draw(st.sampled_from([{}, {}, {"tiers": brackets(cash)}]))
    contract |= draw(st.sampled_from([{}, {}, {"method": "closing_fee"}, {"method": "bybit"}]))
    contract |= draw(st.sampled_from([{}, {}, {"maximum_market_quantity": 300.0}]))
    contract |= {} if inverse else draw(st.sampled_from([{}, {}, {"lot": 0.07}]))
    contract["finer"] = draw(st.sampled_from(["none", "plain", "marked"]))
    symbols = SYMBOLS[: draw(st.sampled_from([1, 1, 2, 3, 5]))]
    markets = tuple(market(random, symbol, bars, wild, **contract) for symbol in symbols)
    return Match(
        seed,
        markets,
        forecasts(random, markets, bars // 6, draw(st.sampled_from([0.0, 0.0, 0.1]))),
        draw(strategies()),
        draw(risks()),
        AccountParams(
            cash=cash,
            margin=draw(st.sampled_from(["isolated", "isolated", "cross"])),
            intrabar=draw(st.sampled_from(["adverse", "favourable", "nearer_extreme"])),
            limit_fill=draw(st.sampled_from(["touch", "through"])),
        ),
        CostParams(
            slippage_bps=draw(st.sampled_from([0.0, 1.0, 20.0])),
            half_spread=draw(st.sampled_from(["off", "off", "2tick", "3bps"])),
            impact=draw(st.sampled_from([0.0, 0.0, 0.5])),
            impact_bars=draw(st.sampled_from([3, 24])),
            taker_fee=draw(st.sampled_from([None, None, -1e-4, 0.0])),
            maker_fee=draw(st.sampled_from([None, None, -1e-4])),
        ),
    )
