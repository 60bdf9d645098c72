"""The Backtrader strategy: an LSTM's forecast, confirmed by a moving-average crossover."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import backtrader as bt
import numpy as np

from foundation.errors import ParameterError
from models.forecasts import NO_FORECAST, Bar, Forecast, Forecaster, checked, read_answer
from strategies import averages, rules
from strategies.outlook import Outlook
from strategies.parameters import CrossoverParams, RiskParams
from strategies.plan import DISTANCES, EXIT, MOST_EXITS, SITUATION, plan_entry, risk_record
from strategies.reasons import NO_EQUITY, OF_STEP, REASONS, UNKNOWN, UNSIZED, reason_of
from strategies.sides import unsaid
from strategies.steps import (
    CLOSE_AND_ENTER,
    CLOSE_FOR_SIGNAL,
    ENTER,
    LEAVE,
    habits_record,
    new_memory,
    next_step_at,
    remember_entry_at,
    remember_exit_at,
)

# Steps that give an order.
OF_ORDERS = (LEAVE, CLOSE_FOR_SIGNAL, CLOSE_AND_ENTER, ENTER)
Notify = TypeVar("Notify", bound=Callable[..., None])
# Exits that no signal asked for.
UNASKED = ("stop_loss", "take_profit", "liquidation", "time_exit")


def of_ends(notify: Notify) -> Notify:
    """Marks a `notify_order` that does nothing about orders which have not ended: of those it need not be told."""
    vars(notify)["of_ends"] = True
    return notify


class MovingAverage(bt.Indicator):
    """The simple or exponential average of the close."""

    lines: Any = ("average",)
    params = (("period", 20), ("exponential", True))

    def __init__(self, *datas: Any, **options: Any) -> None:
        super().__init__(*datas, **options)
        self.addminperiod(self.p.period)

    def nextstart(self) -> None:
        closes = np.array(self.data.close.get(size=self.p.period))
        self.lines.average[0] = averages.window_mean(closes, self.p.period - 1, self.p.period)

    def next(self) -> None:
        if self.p.exponential:
            self.lines.average[0] = averages.ema_step(self.lines.average[-1], self.data.close[0], self.p.period)
        else:
            self.nextstart()

    def oncestart(self, start: int, end: int) -> None:
        closes = np.array(self.data.close.array)
        _fill(self.lines.average, averages.moving_average(closes, self.p.period, self.p.exponential))

    def once(self, start: int, end: int) -> None:
        """Everything was computed at once in `oncestart`."""


class AverageTrueRange(bt.Indicator):
    """Wilder's average true range."""

    lines: Any = ("atr",)
    params = (("period", 14),)

    def __init__(self, *datas: Any, **options: Any) -> None:
        super().__init__(*datas, **options)
        self.addminperiod(self.p.period + 1)

    def _range(self, ago: int) -> float:
        return averages.true_range(self.data.high[ago], self.data.low[ago], self.data.close[ago - 1])

    def nextstart(self) -> None:
        ranges = np.array([self._range(ago) for ago in range(1 - self.p.period, 1)])
        self.lines.atr[0] = averages.window_mean(ranges, self.p.period - 1, self.p.period)

    def next(self) -> None:
        self.lines.atr[0] = averages.wilder_step(self.lines.atr[-1], self._range(0), self.p.period)

    def oncestart(self, start: int, end: int) -> None:
        high, low, close = (np.array(line.array) for line in (self.data.high, self.data.low, self.data.close))
        _fill(self.lines.atr, averages.average_true_range(high, low, close, self.p.period))

    def once(self, start: int, end: int) -> None:
        """Everything was computed at once in `oncestart`."""


def _fill(line: Any, values: Any) -> None:
    line.array[:] = type(line.array)("d", values.tobytes())


class Decision(NamedTuple):
    """What was known and wanted at the close of one bar; a row of the decisions table."""

    timestamp: int
    close: float
    mean: float
    sigma: float
    threshold: float
    fast: float
    slow: float
    signal: int
    reason: str


@dataclass
class Memory:
    """One symbol's lines, and what the strategy remembers of it between two bars.

    `terms`: of its contract and candles, as a situation has them: face, whether it is inverse, bars in a year.
    """

    terms: tuple[float, ...]
    prices: tuple[Any, ...]
    fast: Any
    slow: Any
    atr: Any
    forecast: Forecast = NO_FORECAST
    before: int = 0
    age: int = averages.NO_CROSS
    state: Any = field(default_factory=lambda: new_memory(1))
    entries: list[Any] = field(default_factory=list)
    outlook: Outlook | None = None
    wake: int = 0


def _defaults(*tables: type[CrossoverParams] | type[RiskParams]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, one.get_default()) for table in tables for name, one in table.model_fields.items())


class LSTMCrossover(bt.Strategy):
    """Asks its forecaster at the close of every bar, and trades what the averages confirm.

    `forecaster`: any Forecaster. The other parameters are those of CrossoverParams and RiskParams.
    `start`: UTC nanoseconds of the first bar at which it may decide. `record`: called with the symbol's
    number and a Decision at every bar. Orders are decided at the close and filled at the next open.
    `outlooks`: one Outlook a feed, in which all decisions stand already; then the forecaster is not asked, `decide` and
    `record` are not called, `act` only at bars where something can come of it, and reasons are written there.
    With several feeds each is given an equal share of the equity.
    Use with CandleFeed and FuturesBroker, which know the contract and price exits from the entry's fill.
    """

    params = (
        ("forecaster", None),
        ("start", 0),
        ("record", None),
        ("outlooks", None),
        *_defaults(CrossoverParams, RiskParams),
    )

    def __init__(self) -> None:
        if not isinstance(self.p.forecaster, Forecaster):
            raise ParameterError(
                "forecaster", "has no method forecast(bar)", value=self.p.forecaster, fix="hand in a Forecaster"
            )
        self.crossover = CrossoverParams(**{name: getattr(self.p, name) for name in CrossoverParams.model_fields})
        self.risk = RiskParams(**{name: getattr(self.p, name) for name in RiskParams.model_fields})
        outlooks = self.p.outlooks or [None] * len(self.datas)
        self.memories = [self._memory(data, one) for data, one in zip(self.datas, outlooks, strict=True)]
        self.by_symbol = {data.symbol: memory for data, memory in zip(self.datas, self.memories, strict=True)}
        self.decider = rules.DECIDERS.index(self.crossover.rule)
        self.cross_bars = self.crossover.cross_bars if self.crossover.confirmation == "cross" else 0
        self.threshold_unit = rules.THRESHOLD_UNITS.index(self.crossover.threshold.unit)
        self.sigma_band = self.crossover.sigma_band
        self.plan, self.habits = risk_record(self.risk), habits_record(self.crossover, self.risk)
        self.exits = np.zeros(MOST_EXITS, dtype=EXIT)
        self.situation = np.zeros(1, dtype=SITUATION)
        self.ask: Callable[[Bar], Any] = self.p.forecaster.forecast
        # The next bar at which anything could come of an outlook.
        self.wake = 0

    def _memory(self, data: Any, outlook: Outlook | None) -> Memory:
        """The lines that decisions on a feed rest on; no averages where the decisions stand already."""
        prices = (data.open, data.high, data.low, data.close, data.volume)
        lines: Any = (None, None, None)
        if outlook is None:
            exponential = self.crossover.average == "ema"
            lines = (
                MovingAverage(data, period=self.crossover.fast, exponential=exponential).lines.average,
                MovingAverage(data, period=self.crossover.slow, exponential=exponential).lines.average,
                AverageTrueRange(data, period=self.risk.atr_bars).lines.atr,
            )
        contract = data.market.contract
        terms = (contract.face, contract.kind == "inverse", data.market.bars_per_year)
        return Memory(terms, prices, lines[0], lines[1], lines[2], outlook=outlook)

    def start(self) -> None:
        """Finds the places to look at, now that the feeds hold all their bars."""
        self.cursor = self.broker.cursor

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        row = self.cursor.at
        if row < self.wake:
            return
        if self.p.outlooks is not None:
            for data, memory in zip(self.datas, self.memories, strict=True):
                if row >= memory.wake:
                    self.follow(data, memory, row)
            self.wake = min(memory.wake for memory in self.memories)
            return
        for number, (data, memory) in enumerate(zip(self.datas, self.memories, strict=True)):
            decision = self.decide(data, memory)
            reason = self.act(data, memory, decision.signal) or decision.reason
            if self.p.record is not None:
                self.p.record(number, decision._replace(reason=reason))

    def follow(self, data: Any, memory: Memory, row: int) -> None:
        """Acts on what the outlook wants at a bar, and finds the next bar at which anything could come of it."""
        outlook: Any = memory.outlook
        said = self.act(data, memory, outlook.sides[row])
        if said:
            outlook.reasons[row] = REASONS.index(said)
        if memory.entries or memory.state["barred"][0]:
            memory.wake = row + 1
            return
        size, longs, shorts = self.getposition(data).size, outlook.longs[row + 1], outlook.shorts[row + 1]
        if not size:
            memory.wake = min(longs, shorts)
            return
        memory.wake = shorts if size > 0 else longs
        if self.risk.maximum_bars:
            memory.wake = min(memory.wake, int(memory.state["entered"][0]) + self.risk.maximum_bars - 2)

    def decide(self, data: Any, memory: Memory) -> Decision:
        """What is wanted at the close of this bar: long, short or, with signal 0, to hold."""
        stamp = data.open_time
        bar = Bar(data.symbol, stamp, *[line[0] for line in memory.prices])
        forecast = memory.forecast = checked(read_answer(self.ask(bar), bar), data.symbol, stamp)
        mean, sigma = forecast.mean, forecast.sigma
        fast, slow = memory.fast[0], memory.slow[0]
        side, memory.before, memory.age = averages.crossing_step(fast, slow, memory.before, memory.age)
        confirmed = averages.confirmation(side, memory.age, self.cross_bars)
        threshold = rules.threshold_return(
            self.crossover.threshold.amount, self.threshold_unit, self.broker.cost_rate(data), sigma
        )
        score = self._score(forecast)
        wanted = rules.signal(score, threshold, confirmed, self.decider) if stamp >= self.p.start else 0
        if not self.sigma_band[0] <= sigma <= self.sigma_band[1] and self.decider < 2:
            wanted = 0
        reason = self._reason(bar, forecast, threshold, wanted)
        if math.isnan(slow):
            reason = UNKNOWN
        return Decision(stamp, bar.close, mean, sigma, threshold, fast, slow, wanted, REASONS[reason])

    def _score(self, forecast: Forecast) -> float:
        """What is held against the threshold; raises ParameterError where a forecast does not say it."""
        score = rules.score(forecast.mean, forecast.up_probability, forecast.position, self.threshold_unit)
        if math.isnan(score) and not math.isnan(forecast.mean) and self.decider < 2:
            raise unsaid(self.crossover)
        return float(score)

    def _reason(self, bar: Bar, forecast: Forecast, threshold: float, wanted: int) -> int:
        """Why a side is wanted or none, a number of REASONS."""
        quiet = self.sigma_band[0] <= forecast.sigma <= self.sigma_band[1]
        early, score = bar.timestamp < self.p.start, self._score(forecast)
        return reason_of(wanted, early, self.decider, score, forecast.mean, threshold, quiet, self.habits[0])

    def act(self, data: Any, memory: Memory, wanted: int) -> str:
        """Gives the orders for a wanted side; returns why nothing was done about one, else ''."""
        size, waiting = self.getposition(data).size, any(order.alive() for order in memory.entries)
        held = int(math.copysign(1, size)) if size else 0
        step = next_step_at(memory.state, self.habits, wanted, held, waiting, len(data))
        if step in OF_ORDERS and self.broker.account["ruined"][0]:
            return REASONS[NO_EQUITY]
        if step in (LEAVE, CLOSE_FOR_SIGNAL, CLOSE_AND_ENTER):
            memory.entries = [self.close(data, reason="time_exit" if step == LEAVE else "signal", reduce_only=True)]
        if step in (ENTER, CLOSE_AND_ENTER):
            return self.enter(data, memory, wanted)
        return REASONS[OF_STEP[step]] if step in OF_STEP else ""

    def enter(self, data: Any, memory: Memory, side: int) -> str:
        """A market order at the next open, its stop and targets priced from the fill; or why there is none."""
        size, count = plan_entry(self.plan, self.look(data, memory, side), self.exits)
        if math.isnan(size):
            return REASONS[UNSIZED]
        if size <= 0.0:
            return REASONS[NO_EQUITY]
        order, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        entry = order(data=data, size=size, reason="entry", leverage=self.risk.leverage, transmit=count == 0)
        memory.entries.append(entry)
        for number, (target, share, *given) in enumerate(self.exits[:count].tolist(), 1):
            kind, reason = (bt.Order.Limit, "take_profit") if target else (bt.Order.Stop, "stop_loss")
            distances = {name: one for name, one in zip(DISTANCES, given, strict=True) if one}
            leave(
                data=data, size=size * share, exectype=kind, parent=entry, transmit=number == count, reason=reason,
                **distances,
            )  # fmt: skip
        return ""

    def look(self, data: Any, memory: Memory, side: int) -> Any:
        """The situation that sizes rest on; its equity is what is left when an opposite position is closed."""
        price, now = data.close[0], self.situation
        closing = self.broker.notional(data, self.getposition(data).size, price) * self.broker.cost_rate(data)
        equity = self.broker.getvalue() / len(self.datas) - closing
        if memory.outlook is None:
            atr, mean, sigma = memory.atr[0], memory.forecast.mean, memory.forecast.sigma
        else:
            row, outlook = self.cursor.at, memory.outlook
            atr, mean, sigma = outlook.atr[row], outlook.mean[row], outlook.sigma[row]
        rates = self.broker.fee_rate(data), self.broker.slippage_rate(data)
        face, inverse, bars_per_year = memory.terms
        # In the order of the record.
        now[0] = (equity, price, side, *rates, face, inverse, atr, mean, sigma, bars_per_year)
        return now

    @of_ends
    def notify_order(self, order: Any) -> None:
        """Keeps what the next decisions need; an exit that was not asked for bars its side until the signal ends."""
        if order.alive():
            return
        memory = self.by_symbol[order.data.symbol]
        memory.entries, memory.wake = [entry for entry in memory.entries if entry.ref != order.ref], 0
        self.wake = 0
        reason = order.info.get("reason")
        if order.status != order.Completed:
            return
        if reason == "entry":
            remember_entry_at(memory.state, len(order.data))
        elif reason != "take_profit" or order.size * self.getposition(order.data).size >= 0.0:
            remember_exit_at(memory.state, len(order.data), -1 if order.isbuy() else 1, reason not in UNASKED)
