"""Finer candles decide which of two levels in a bar came first: bar tables on exchange and witness, and in the engine.

Tables are written for a long entered at 100 with a stop at 95 and a target at 105; a short plays them mirrored at 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from exchange_desk import ExchangeDesk
from simple_market import HOUR, START, contract, forecasts
from test_against_witness import first_difference

from backtests import AccountParams, CostParams, backtest
from backtests.exchange import records
from backtests.exchange.bars import BarSource
from backtests.exchange.records import FINER
from markets.candles import Candles
from markets.funding import Funding
from markets.market import Market
from strategies import CrossoverParams, RiskParams
from witness import WitnessAccount, WitnessBar, WitnessContract, WitnessFiner, WitnessOrder

Row = tuple[float, float, float, float]
PLAIN = WitnessContract(tick=1.0, lot=0.1, maintenance_rate=0.0625, maximum_leverage=10.0)
BOTH = pytest.mark.parametrize("side", [1, -1])
INTRABAR = pytest.mark.parametrize("intrabar", ["adverse", "favourable", "nearer_extreme"])
# The bar of every table: both levels are in it, and the low is nearer to the open.
BAR: Row = (100, 106, 95, 100)
STOP_FIRST: list[Row] = [(100, 101, 95, 96), (96, 106, 96, 100)]
TARGET_FIRST: list[Row] = [(100, 106, 99, 101), (101, 101, 95, 100)]
ONE_FINER: list[Row] = [(100, 101, 99, 100), (100, 106, 95, 100)]


def mirrored(row: Sequence[float]) -> Row:
    """The same bar for a short: up is down, about 100."""
    o, h, lo, c = (200 - price for price in row)
    return o, lo, h, c


def play(
    side: int,
    finer: Sequence[Row],
    marks: Sequence[tuple[float, float] | None] = (),
    leverage: float = 1.0,
    **more: Any,
) -> tuple[list[tuple[float, str]], tuple[int, int]]:
    """Closing price as for a long and the kind of exit, and how many bars were decided by finer bars and by assumption.

    `marks`: high and low of the mark in each finer bar; left out, those of the last price.
    """
    stop, target, bar_mark = more.pop("stop", 95.0), more.pop("target", 105.0), more.pop("mark", BAR)
    steps = []
    for row, mark in zip(finer, marks or [(row[1], row[2]) for row in finer], strict=True):
        o, high, low, _ = row if side > 0 else mirrored(row)
        known = mark if mark is None or side > 0 else (200 - mark[1], 200 - mark[0])
        steps.append(WitnessFiner(o, high, low, *(known or (None, None))))
    last, mark = (BAR, bar_mark) if side > 0 else (mirrored(BAR), mirrored(bar_mark))
    accounts: tuple[Any, Any] = (ExchangeDesk([PLAIN], 1000.0, **more), WitnessAccount([PLAIN], 1000.0, **more))
    for account in accounts:
        orders = [WitnessOrder(1, 0, "market", side, 1.0, leverage=leverage)]
        for number, kind, level in ((2, "stop", stop), (3, "limit", target)):
            price = level if side > 0 else 200 - level
            if level:
                orders.append(WitnessOrder(number, 0, kind, -side, 1.0, price=price, reduce_only=True, parent=1))  # type: ignore[arg-type]
        for order in orders:
            account.submit(order if isinstance(account, WitnessAccount) else SimpleNamespace(**vars(order)))
        account.play([WitnessBar(*last, *mark, finer=steps)])
    exchange, witness = accounts
    found = [(float(fill["price"]), int(fill["order"])) for _, fill in exchange.fills if not fill["opening"]]
    assert found == [(fill.price, fill.order or 0) for fill in witness.fills if not fill.opens]
    counts = tuple(int(exchange.account[name][0]) for name in ("decided_by_finer", "decided_by_assumption"))
    assert counts == (witness.decided_by_finer, witness.decided_by_assumption)
    kinds = {0: "liquidation", 2: "stop", 3: "target"}
    return [(price if side > 0 else 200 - price, kinds[order]) for price, order in found], (counts[0], counts[1])


@BOTH
@INTRABAR
@pytest.mark.parametrize("limit_fill", ["touch", "through"])
def test_finer_bars_say_which_came_first_whatever_is_assumed(side: int, intrabar: str, limit_fill: str) -> None:
    """The stop in the first half, or the target: no choice of `intrabar` or `limit_fill` changes it."""
    more = {"intrabar": intrabar, "limit_fill": limit_fill}
    assert play(side, STOP_FIRST, **more) == ([(95.0, "stop")], (1, 0))
    assert play(side, TARGET_FIRST, **more) == ([(105.0, "target")], (1, 0))


@BOTH
@pytest.mark.parametrize("finer", [[], ONE_FINER])
def test_without_them_or_with_both_in_one_of_them_the_assumption_decides(side: int, finer: list[Row]) -> None:
    """Adverse first; favourable first; the nearer extreme, which is the low: each counted as assumed."""
    for intrabar, outcome in (
        ("adverse", (95.0, "stop")), ("favourable", (105.0, "target")), ("nearer_extreme", (95.0, "stop")),
    ):  # fmt: skip
        assert play(side, finer, intrabar=intrabar) == ([outcome], (0, 1))


@BOTH
def test_the_nearer_extreme_is_that_of_the_finer_bar(side: int) -> None:
    """In the second half, which opens at 103, the high is the nearer extreme, though in the bar it was the low."""
    finer = [(100, 103, 100, 103), (103, 106, 95, 100)]
    assert play(side, finer, intrabar="nearer_extreme") == ([(105.0, "target")], (0, 1))


@BOTH
def test_a_bar_with_one_side_only_needs_no_finer_bars(side: int) -> None:
    """A target out of reach at 107: the stop fills as ever, and nothing is counted."""
    assert play(side, TARGET_FIRST, target=107.0) == ([(95.0, "stop")], (0, 0))


@BOTH
def test_a_target_through_by_a_tick_counts_as_in_reach_when_it_is_traded_through(side: int) -> None:
    """A target at 106 is touched by the high but not traded through: with `through` the bar holds the stop only."""
    assert play(side, TARGET_FIRST, target=106.0) == ([(106.0, "target")], (1, 0))
    assert play(side, TARGET_FIRST, target=106.0, limit_fill="through") == ([(95.0, "stop")], (0, 0))


@BOTH
def test_a_price_is_the_level_even_when_a_finer_bar_opens_beyond_it(side: int) -> None:
    """The second half opens at 94, beyond the stop: what came first is told, the price is still 95."""
    finer = [(100, 101, 99, 100), (96, 96, 95, 95), (96, 106, 96, 100)]
    assert play(side, finer) == ([(95.0, "stop")], (1, 0))


LIQUIDATED = {"leverage": 8.0, "stop": 0.0, "mark": (100.0, 106.0, 90.0, 100.0)}
# At leverage 8 a long from 100 is bankrupt at 87.5 and liquidated at 87.5 / 0.9375 = 93.33, a short at 105.88.


@BOTH
def test_a_liquidation_is_told_by_the_finer_mark(side: int) -> None:
    """The mark falls in the half after the target, in that of the target (which is assumed), or in the one before."""
    level = 87.5 / 0.9375 if side > 0 else 200 - 112.5 / 1.0625
    far = {**LIQUIDATED, "target": 105.0}
    assert play(side, TARGET_FIRST, [(106, 99), (101, 90)], **far) == ([(105.0, "target")], (1, 0))
    found, counts = play(side, TARGET_FIRST, [(101, 90), (106, 99)], **far)
    assert (found, counts) == ([(pytest.approx(level), "liquidation")], (0, 1))
    found, counts = play(side, [(100, 104, 95, 100), (100, 106, 99, 100)], [(101, 90), (106, 99)], **far)
    assert (found, counts) == ([(pytest.approx(level), "liquidation")], (1, 0))


@BOTH
def test_a_liquidation_whose_finer_mark_is_not_known_is_assumed(side: int) -> None:
    """Only the bar's mark is known: the assumption decides about the bar as a whole."""
    far = {**LIQUIDATED, "target": 105.0}
    assert play(side, TARGET_FIRST, [None, None], **far)[1] == (0, 1)
    assert play(side, TARGET_FIRST, [None, None], **far)[0][0][1] == "liquidation"
    assert play(side, TARGET_FIRST, [None, None], intrabar="favourable", **far)[0] == [(105.0, "target")]


@BOTH
def test_a_stop_needs_no_finer_mark(side: int) -> None:
    """With the liquidation out of reach a stop and a target are told by last prices alone."""
    assert play(side, TARGET_FIRST, [None, None]) == ([(105.0, "target")], (1, 0))


class OneLate(ExchangeDesk):
    """Each bar is told by the finer bars of the one before it."""

    before: Any = None

    def play(self, bars: Any) -> None:
        past, self.before = self.before or bars, bars
        steps = [getattr(bar, "finer", ()) for bar in past]
        super().play([SimpleNamespace(**{**vars(bar), "finer": s}) for bar, s in zip(bars, steps, strict=True)])


class Backwards(ExchangeDesk):
    """The finer bars are walked from the last to the first."""

    def play(self, bars: Any) -> None:
        super().play([SimpleNamespace(**{**vars(bar), "finer": tuple(bar.finer)[::-1]}) for bar in bars])


class Ignored(ExchangeDesk):
    """Finer bars are not looked at."""

    def play(self, bars: Any) -> None:
        super().play([SimpleNamespace(**{**vars(bar), "finer": ()}) for bar in bars])


class LastForMark(ExchangeDesk):
    """Liquidations inside a bar are told by finer last prices though the mark is not theirs."""

    def _take_finer(self, bars: Any, rows: Any) -> None:
        super()._take_finer(bars, rows)
        self.finer["mark_high"], self.finer["mark_low"] = self.finer["high"], self.finer["low"]


@pytest.mark.parametrize("fault", [OneLate, Backwards, Ignored, LastForMark])
def test_a_planted_fault_with_finer_bars_is_seen(fault: type[ExchangeDesk]) -> None:
    """On some of a few dozen lives each fault parts the exchange from the witness."""
    from market_cases import Weather, grow

    weather = Weather(volatility=0.03, gap=0.1, crash=0.1, flat=0.0, basis=0.01, funding=0.0, blocked=0.0)
    lives = (grow(seed, 1, 30, weather, ("bracket", "open", "moving_bracket"), 0.6, {}) for seed in range(60))
    assert any(first_difference(life, fault) for life in lives)


def finer_market(steps: Sequence[Row], mark: Candles | None = None, parts: int = 2) -> Market:
    """A market whose hours are made of `steps`."""
    o, h, lo, c = np.array(steps, dtype=float).T
    bar = HOUR // parts
    finer = Candles(START + bar * np.arange(len(o)), o, h, lo, c, np.ones(len(o)), bar)
    joined = (o[::parts], h.reshape(-1, parts).max(1), lo.reshape(-1, parts).min(1), c[parts - 1 :: parts])
    hours = Candles(START + HOUR * np.arange(len(o) // parts), *joined, np.ones(len(o) // parts), HOUR)
    stamps = START + 8 * HOUR * np.arange(1 + len(hours) // 8)
    return Market(contract(tick=1.0), hours, mark, Funding(stamps, np.zeros(len(stamps))), finer=finer)


CALM: list[Row] = [(100, 100, 100, 100), (100, 101, 100, 101), (101, 101, 101, 101), (101, 102, 101, 102)]


def result_of(market: Market) -> Any:
    """A result of one long entered at 102 at the open of the third hour, stop at 100, target at 105."""
    risk = RiskParams(sizing="leverage", leverage=1.0, stop_loss="1.9%", take_profit="2.9%", atr_bars=1)
    rule = CrossoverParams(fast=1, slow=2, average="sma", threshold="10bps")
    means = [0, 0.002, *[0] * (len(market.candles) - 2)]
    return backtest(
        market, forecasts(market, means), rule, risk, AccountParams(cash=1000.0), CostParams(slippage_bps=0.0)
    )


@pytest.mark.parametrize(("first", "reason"), [(0, "take_profit"), (1, "stop_loss")])
def test_the_engine_asks_the_finer_candles_of_the_market(first: int, reason: str) -> None:
    """Target in one half of the hour and stop in the other: the first of them closes, and the result says who told."""
    halves: list[Row] = [(102, 106, 102, 102), (102, 102, 99, 102)]
    result = result_of(finer_market([*CALM, *(halves if first == 0 else halves[::-1])]))
    assert result.fills["reason"].tolist() == ["entry", reason]
    assert (result.totals.decided_by_finer, result.totals.decided_by_assumption) == (1, 0)
    without = result_of(
        Market(*(getattr(result.markets[0], name) for name in ("contract", "candles", "mark", "funding")))
    )
    assert without.fills["reason"].tolist() == ["entry", "stop_loss"]
    assert (without.totals.decided_by_finer, without.totals.decided_by_assumption) == (0, 1)


def test_finer_records_hold_the_mark_where_it_is_known() -> None:
    """No mark: the last price stands in. A mark of the finer length: its extremes. One of hours: not known inside."""
    steps = [*CALM, (102, 106, 102, 102), (102, 102, 99, 102)]
    plain = finer_market(steps)
    assert plain.finer is not None
    shifted = Candles(
        plain.finer.timestamp, *(getattr(plain.finer, n) + 1.0 for n in ("open", "high", "low", "close")),
        plain.finer.volume, plain.finer.bar,
    )  # fmt: skip
    for mark, lows in ((None, plain.finer.low), (shifted, plain.finer.low + 1), (plain.candles, np.full(6, np.nan))):
        market = Market(plain.contract, plain.candles, mark, plain.funding, finer=plain.finer)
        source, bars = BarSource([market]), np.zeros((1, 3), dtype=records.BAR)
        source.write_all(bars)
        rows = source.finer
        np.testing.assert_array_equal(rows["mark_low"], lows)
        assert bars[0]["finer_first"].tolist() == [0, 2, 4]
        assert bars[0]["finer_count"].tolist() == [2, 2, 2]


def test_the_rows_of_several_markets_lie_one_after_the_other() -> None:
    """A market without finer candles has no rows; the next one's begin where the last one's end."""
    one = finer_market(CALM)
    bare = Market(one.contract, one.candles, None, one.funding)
    source, bars = BarSource([one, bare, one]), np.zeros((3, 2), dtype=records.BAR)
    source.write_all(bars)
    assert source.finer.dtype == FINER
    assert bars["finer_first"].tolist() == [[0, 2], [0, 0], [4, 6]]
    assert bars["finer_count"].tolist() == [[2, 2], [0, 0], [2, 2]]
