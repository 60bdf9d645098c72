"""A plain-Python trader on the witness account: what LSTMCrossover does, written again from its documentation.

It shares no code with the strategy, the kernel or the exchange; it knows one market at a time or several.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from kernel_cases import Match

from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessOrder
from witness.cross import CrossAccount
from witness.terms import WitnessFiner

WARM_UP = 20


@dataclass
class Side:
    """What is remembered of one symbol."""

    barred: int = 0
    entered: int = 0
    left: int = -(10**9)
    orders: list[Any] = field(default_factory=list)


def average(closes: list[float], period: int, kind: str) -> list[float]:
    """The simple or exponential average; NaN before it is known."""
    found = [math.nan] * len(closes)
    for k in range(period - 1, len(closes)):
        if kind == "ema" and k >= period:
            found[k] = found[k - 1] + 2.0 / (period + 1.0) * (closes[k] - found[k - 1])
        else:
            total = 0.0
            for value in closes[k - period + 1 : k + 1]:
                total += value
            found[k] = total / period
    return found


def true_range_average(candles: Any, period: int) -> list[float]:
    """Wilder's average of the true range, from its mean over bars 1 to `period` on."""
    found, ranges = [math.nan] * len(candles), [0.0]
    for k in range(1, len(candles)):
        before = float(candles.close[k - 1])
        ranges.append(max(float(candles.high[k]), before) - min(float(candles.low[k]), before))
        if k == period:
            total = 0.0
            for value in ranges[1 : period + 1]:
                total += value
            found[k] = total / period
        elif k > period:
            found[k] = (found[k - 1] * (period - 1.0) + ranges[k]) / period
    return found


def slip_rate(match: Match, price: float) -> float:
    """What a taker pays at a price beside its fee and its impact, as a fraction of it."""
    spread, fixed = match.costs.half_spread, match.costs.slippage_bps / 1e4
    if spread is None:
        return fixed
    tick = match.markets[0].contract.tick
    return fixed + (spread.amount * tick / price if spread.unit == "tick" else spread.amount / 1e4)


def wanted(match: Match, market: Any, fee: float, first: int) -> list[int]:
    """What the forecast and the averages want at every close."""
    p, closes = match.strategy, [float(one) for one in market.candles.close]
    fast, slow = average(closes, p.fast, p.average), average(closes, p.slow, p.average)
    mean, sigma = match.forecasts.on(market)
    slips = [slip_rate(match, close) for close in closes]
    sides, last, crossed = [], 0, None
    for k in range(len(closes)):
        side = 1 if fast[k] > slow[k] else -1 if fast[k] < slow[k] else 0
        if side and side != last:
            crossed, last = (k if last else crossed), side
        fresh = crossed is not None and k - crossed < p.cross_bars
        confirmed = side if p.confirmation == "state" or fresh else 0
        amount = p.threshold.amount
        threshold = {"bps": amount / 1e4, "cost": amount * 2 * (fee + slips[k]), "sigma": amount * sigma[k]}[
            p.threshold.unit
        ]
        said = 1 if mean[k] > threshold else -1 if mean[k] < -threshold else 0
        side = {"confirmed": said if said == confirmed else 0, "forecast": said, "crossover": confirmed}.get(p.rule, 1)
        least, most = p.sigma_band
        outside = p.rule in ("confirmed", "forecast") and not least <= sigma[k] <= most
        sides.append(0 if k < first or outside else side)
    return sides


def mark_rows(series: Any, stamp: int, length: int) -> slice:
    """The rows of a series that lie in the candle that opens at a stamp."""
    first = int((series.timestamp < stamp).sum())
    return slice(first, first + int(((series.timestamp >= stamp) & (series.timestamp < stamp + length)).sum()))


def finer_of(market: Any, stamp: int, marks: range) -> list[WitnessFiner]:
    """The finer bars of the candle that opens at a stamp; none where there are none, or cleaning touched one."""
    if market.finer is None:
        return []
    rows = range(len(market.finer))[mark_rows(market.finer, stamp, market.candles.bar)]
    if market.finer.touched[rows].any():
        return []
    found, known = [], len(marks) == len(rows)
    for k, row in enumerate(rows):
        prices = [float(getattr(market.finer, name)[row]) for name in ("open", "high", "low")]
        mark = [float(getattr(market.mark, name)[marks[k]]) if known else None for name in ("high", "low")]
        found.append(WitnessFiner(*prices, *mark))
    return found


@dataclass
class WitnessTrader:
    """The trader on its account: `curve` holds the equity at every bar from the first forecast on."""

    match: Match
    account: WitnessAccount = field(init=False)
    curve: list[float] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        match, contracts = self.match, [one.contract for one in self.match.markets]
        names = (
            "tick", "lot", "minimum_quantity", "minimum_notional", "taker_fee", "maker_fee", "liquidation_fee", "kind",
            "face", "method", "vintage", "maintenance_rate", "maximum_leverage", "maximum_market_quantity",
        )  # fmt: skip
        self.contracts = [
            WitnessContract(
                **{name: getattr(one, name) for name in names},
                tiers=tuple((row.floor, row.cap, row.rate, row.leverage) for row in one.tiers),
            )
            for one in contracts
        ]
        costs = match.costs
        spread = {} if costs.half_spread is None else {costs.half_spread.unit: costs.half_spread.amount}
        cash, rules = match.account.cash, {"intrabar": match.account.intrabar, "limit_fill": match.account.limit_fill}
        kind = CrossAccount if match.account.margin == "cross" else WitnessAccount
        self.account = kind(
            self.contracts, cash, **rules, slippage_bps=costs.slippage_bps, half_spread_bps=spread.get("bps", 0.0),
            half_spread_ticks=spread.get("tick", 0.0), impact=costs.impact, impact_bars=costs.impact_bars,
        )  # fmt: skip
        stamps = match.markets[0].candles.timestamp
        self.first = int((stamps < match.forecasts.start).sum())
        longest = WARM_UP * max(match.strategy.slow, match.risk.atr_bars)
        begin = max(0, self.first - max(longest, costs.impact_bars + 1 if costs.impact else 0))
        self.markets = [one.rows(begin, len(stamps)) for one in match.markets]
        self.first -= begin
        self.memory = [Side() for _ in self.markets]
        self.given: dict[int, tuple[str, Any]] = {}

    def play(self) -> WitnessTrader:
        """Itself, after the whole match."""
        bars = [self.bars_of(one) for one in self.markets]
        fees = [one.taker_fee for one in self.contracts]
        sides = [wanted(self.match, one, fee, self.first) for one, fee in zip(self.markets, fees, strict=True)]
        ranges = [true_range_average(one.candles, self.match.risk.atr_bars) for one in self.markets]
        said = [self.match.forecasts.on(one) for one in self.markets]
        for k in range(len(bars[0])):
            seen = len(self.account.fills)
            self.account.play([rows[k] for rows in bars])
            for fill in self.account.fills[seen:]:
                self.learn(fill, k + 1)
            if k >= self.first:
                self.curve.append(self.account.equity)
            for s in range(len(self.markets)):
                if not self.account.ruined:
                    spreads = [one if one**2 > 0 else math.nan for one in (float(said[s][1][k]), ranges[s][k])]
                    known = (float(said[s][0][k]), *spreads)
                    self.act(s, k + 1, sides[s][k], float(self.markets[s].candles.close[k]), known)
        return self

    @staticmethod
    def bars_of(market: Any) -> list[WitnessBar]:
        """The market's bars as the witness takes them; funding every eight hours at a bar's open."""
        due = dict(zip(market.funding.timestamp.tolist(), market.funding.rate.tolist(), strict=True))
        found = []
        for k, stamp in enumerate(market.candles.timestamp.tolist()):
            last = [float(getattr(market.candles, name)[k]) for name in ("open", "high", "low", "close")]
            rows = range(len(market.mark))[mark_rows(market.mark, stamp, market.candles.bar)]
            mark = [float(market.mark.open[rows[0]]), 0.0, 0.0, float(market.mark.close[rows[-1]])]
            mark[1], mark[2] = max(market.mark.high[rows].tolist()), min(market.mark.low[rows].tolist())
            more = {"blocked": bool(market.candles.touched[k]), "volume": float(market.candles.volume[k])}
            more["finer"] = finer_of(market, stamp, rows)
            found.append(WitnessBar(*last, *mark, funding_open=due.get(stamp, 0.0), **more))
        return found

    def learn(self, fill: Any, bars: int) -> None:
        """A fill is remembered; what no signal asked for bars its side."""
        memory, tag = self.memory[fill.symbol], "liquidation"
        if fill.order is not None:
            tag, order = self.given[fill.order]
            if self.account.orders[order.id].state != "filled":
                return
            tag = "liquidation" if fill.reason == "liquidation" else tag
        if tag == "entry":
            memory.entered = bars
        elif tag != "take_profit" or not self.account.positions[fill.symbol].side * fill.side < 0:
            memory.left = bars
            memory.barred = -fill.side if tag != "signal" else memory.barred

    def act(self, s: int, bars: int, side: int, price: float, known: tuple[float, float, float]) -> None:
        """What is done at a close about a wanted side."""
        memory, p, risk = self.memory[s], self.match.strategy, self.match.risk
        if memory.barred and side != memory.barred:
            memory.barred = 0
        if any(self.account.orders[one].open for one in memory.orders):
            return
        memory.orders = []
        held = self.account.positions[s].side
        opens = p.direction == "both" or p.direction == ("long" if side > 0 else "short")
        if side in (0, held):
            if held and risk.maximum_bars and bars - memory.entered + 1 >= risk.maximum_bars:
                self.close(s, "time_exit")
        elif held:
            self.close(s, "signal")
            if p.on_opposite == "reverse" and opens and side != memory.barred:
                self.enter(s, side, price, known)
            else:
                memory.barred = side
        elif opens and side != memory.barred and bars - memory.left >= risk.cooldown_bars:
            self.enter(s, side, price, known)

    def close(self, s: int, tag: str) -> None:
        """The position is closed at the next open."""
        position = self.account.positions[s]
        self.give(tag, symbol=s, kind="market", side=-position.side, quantity=abs(position.quantity), reduce_only=True)

    def give(self, tag: str, **order: Any) -> int:
        """The number of an order that the account has taken."""
        self.number += 1
        made = WitnessOrder(id=self.number, leverage=self.match.risk.leverage, tag=tag, **order)
        self.given[made.id] = (tag, made)
        self.account.submit(made)
        if made.kind == "market":
            self.memory[order["symbol"]].orders.append(made.id)
        return made.id

    def enter(self, s: int, side: int, price: float, known: tuple[float, float, float]) -> None:
        """An entry with its stop and targets, where everything they rest on is known."""
        size, risk = self.size(s, side, price, known), self.match.risk
        stop = risk.stop_loss or risk.trailing_stop
        levels = [
            ("stop_loss", 1.0, stop, (risk.trailing_stop, risk.trailing_after, risk.break_even)),
            *(("take_profit", one.share, one.distance, ()) for one in risk.targets),
            ("take_profit", 1.0, risk.take_profit, ()),
        ]
        exits = [
            (tag, share, self.away(level, known), [self.away(one, known) for one in moves])
            for tag, share, level, moves in levels
            if level is not None and any(self.away(level, known))
        ]
        figures = [size, *(sum(away) + sum(map(sum, moves)) for _, _, away, moves in exits)]
        if any(math.isnan(one) for one in figures) or size <= 0:
            return
        parent = self.give("entry", symbol=s, kind="market", side=side, quantity=size)
        for tag, share, away, moves in exits:
            moving = {}
            for name, (rate, amount) in zip(("trailing", "trailing_after", "break_even"), moves, strict=False):
                moving |= {f"{name}_rate": rate, name: amount}
            self.give(
                tag, symbol=s, kind="stop" if tag == "stop_loss" else "limit", side=-side, quantity=size * share,
                reduce_only=True, parent=parent, share=share, offset_rate=away[0], offset=away[1], **moving,
            )  # fmt: skip

    def away(self, distance: Any, known: tuple[float, float, float]) -> tuple[float, float]:
        """A distance as a rate of price and an amount."""
        if distance is None:
            return 0.0, 0.0
        amount, (_, sigma, spread) = distance.amount, known
        return {
            "%": (amount / 100.0, 0.0),
            "%margin": (amount / 100.0 / self.match.risk.leverage, 0.0),
            "atr": (0.0, amount * spread),
            "sigma": (amount * sigma, 0.0),
        }[distance.unit]

    def worth(self, s: int, price: float) -> float:
        """What a quantity of 1 is worth."""
        contract = self.contracts[s]
        return contract.face / price if contract.kind == "inverse" else contract.face * price

    def size(self, s: int, side: int, price: float, known: tuple[float, float, float]) -> float:
        """The quantity to open."""
        (mean, sigma, spread), risk, fee = known, self.match.risk, self.contracts[s].taker_fee
        slip, position = slip_rate(self.match, price), self.account.positions[s]
        closing = abs(position.quantity) * self.worth(s, price) * (fee + slip)
        equity, unit = max(0.0, self.account.equity / len(self.markets) - closing), self.worth(s, price)
        filled = self.worth(s, price * (1 + side * slip))
        most = equity / (filled / risk.leverage + filled * fee)
        year = math.sqrt(self.markets[0].bars_per_year)
        if risk.sizing == "leverage":
            return most
        if risk.sizing == "risk":
            rate, amount = self.away(risk.stop_loss or risk.trailing_stop, known)
            stop = self.worth(s, max(price - side * (price * rate + amount), 1e-9 * price))
            quantity = equity * risk.risk_per_trade / (abs(stop - unit) + (fee + slip) * (unit + stop))
        elif risk.sizing == "fraction":
            quantity = equity * risk.fraction * risk.leverage / unit
        elif risk.sizing == "kelly":
            quantity = equity * min(risk.kelly_share * abs(mean / sigma**2), risk.leverage) / unit
        else:
            volatility = (sigma if risk.sizing == "forecast_volatility" else spread / price) * year
            quantity = equity * risk.target_volatility / volatility / unit
        return most if quantity > most else quantity
