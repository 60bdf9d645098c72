"""The crossover strategy: its decisions bar by bar, its sizes and its exits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simple_market import Row, flat, forecasts, market, walk

from backtests import AccountParams, CostParams, Result, backtest
from foundation.errors import ParameterError
from models.forecasts import Forecasts
from strategies import CrossoverParams, LSTMCrossover, RiskParams

NO_COSTS = CostParams(slippage_bps=0.0)
# Fast above slow while the price rises, below while it falls.
RULE = CrossoverParams(fast=1, slow=2, average="sma", threshold="10bps")
PLAIN = RiskParams(sizing="leverage", leverage=1.0, stop_loss=None, take_profit=None, atr_bars=1)


def rising(count: int, start: float = 100.0, step: float = 1.0) -> list[Row]:
    """Bars that open where the last closed and move by a step; negative steps fall."""
    rows = []
    for number in range(count):
        a, b = start + step * number, start + step * (number + 1)
        rows.append((a, max(a, b), min(a, b), b))
    return rows


def play(
    rows: list[Row], means: Any, rule: CrossoverParams = RULE, risk: RiskParams = PLAIN, **contract: Any
) -> Result:
    """A backtest over a few bars with a forecast for every bar and no costs."""
    over = market(rows, **contract)
    return backtest(over, forecasts(over, means), rule, risk, AccountParams(cash=1000.0), NO_COSTS)


def trades(result: Result) -> list[tuple[int, str, str]]:
    """Bar, side and reason of every fill."""
    stamps = result.markets[0].candles.timestamp
    rows = [int(np.searchsorted(stamps, stamp.value)) for stamp in result.fills["timestamp"]]
    return list(zip(rows, result.fills["side"], result.fills["reason"], strict=True))


def test_long_needs_forecast_and_rising_averages_and_hold_keeps_the_position() -> None:
    """Entered the bar after both agree, kept while the forecast falls silent."""
    result = play(rising(8), [0, 0, 0, 0.002, 0, 0, 0, 0])
    assert trades(result) == [(4, "buy", "entry")]
    assert result.equity["position"].iloc[-1] > 0
    assert result.decisions["reason"].tolist()[-2:] == ["below threshold", "below threshold"]


def test_short_is_the_mirror() -> None:
    """Falling averages and a forecast below the negative threshold go short."""
    assert trades(play(rising(8, 200, -1), [0, 0, 0, -0.002, 0, 0, 0, 0])) == [(4, "sell", "entry")]


@pytest.mark.parametrize(
    ("means", "reason"), [(-0.002, "not confirmed"), (0.0005, "below threshold"), (np.nan, "no forecast")]
)
def test_without_agreement_nothing_is_traded(means: float, reason: str) -> None:
    """Rising averages with a short, a weak or no forecast: no order, and the reason is recorded."""
    values = [0.0005, *[means] * 7]
    result = play(rising(8), values)
    assert len(result.fills) == 0
    assert result.decisions["reason"].iloc[-1] == reason


@pytest.mark.parametrize(
    ("on_opposite", "kinds"), [("reverse", ["entry", "signal", "entry"]), ("close", ["entry", "signal"])]
)
def test_the_opposite_signal_reverses_or_closes(on_opposite: str, kinds: list[str]) -> None:
    """Long, then falling averages with a short forecast: reversed at the next open, or only closed."""
    rows = rising(5) + rising(5, 105, -1)
    rule = RULE.replaced(on_opposite=on_opposite)
    result = play(rows, [0, 0, 0.002, 0, 0, 0, -0.002, -0.002, -0.002, 0], rule)
    assert [kind for _, _, kind in trades(result)] == kinds
    side = result.equity["position"].iloc[-1]
    assert (side < 0) if on_opposite == "reverse" else (side == 0)


def test_after_a_stop_the_side_is_barred_until_the_signal_has_once_been_false() -> None:
    """Stopped while the signal still says long: no entry until it ends and comes back."""
    rows = [*rising(4), (104, 104.5, 95, 104.5), *rising(6, 104.5)]
    means = [0, 0, 0.002, 0.002, 0.002, 0.002, 0.002, 0.0, 0.002, 0.002, 0.002]
    result = play(rows, means, risk=PLAIN.replaced(stop_loss="5%"))
    assert trades(result)[:3] == [(3, "buy", "entry"), (4, "sell", "stop_loss"), (9, "buy", "entry")]
    assert result.decisions["reason"].tolist()[4:7] == ["barred after an exit"] * 3


def test_bars_before_the_averages_are_known_are_in_the_record_and_trade_nothing() -> None:
    """The first bar has no slow average: it is a decision like the others, and says why nothing is wanted."""
    result = play(rising(8), [0.002] * 8)
    assert len(result.decisions) == len(result.equity) == 8
    assert result.decisions["reason"].tolist()[:2] == ["averages not known yet", "long"]


def test_a_distance_in_atr_needs_an_atr() -> None:
    """While the average true range is unknown nothing is traded on it."""
    risk = PLAIN.replaced(stop_loss="2atr", atr_bars=5)
    result = play(rising(8), [0.002] * 8, risk=risk)
    assert trades(result) == [(6, "buy", "entry")]
    assert result.decisions["reason"].tolist()[1] == "size or exits not known yet"


def test_a_direction_that_is_not_traded_is_recorded_as_such() -> None:
    """Long only: a short signal is seen and not followed."""
    result = play(rising(8, 200, -1), [-0.002] * 8, RULE.replaced(direction="long"))
    assert len(result.fills) == 0
    assert result.decisions["reason"].iloc[-1] == "direction not traded"


def test_a_cross_is_needed_when_the_cross_confirms() -> None:
    """With confirmation = cross a forecast long after the cross trades nothing, one within 3 bars does."""
    rule = RULE.replaced(confirmation="cross", cross_bars=3)
    rows = rising(5, 105, -1) + rising(8, 100)
    late, early = np.zeros(13), np.zeros(13)
    late[9], early[7] = 0.002, 0.002
    assert trades(play(rows, late, rule)) == []
    assert trades(play(rows, early, rule)) == [(8, "buy", "entry")]


def test_risk_sizing_loses_the_risk_at_the_stop() -> None:
    """1 % of 1,000 at a stop 5 % below: 10 lost when stopped at a price that did not gap, fees included."""
    rows = [*rising(3), *flat(1, 103), (103, 103, 90, 95), *flat(2, 95)]
    risk = RiskParams(sizing="risk", risk_per_trade=0.01, leverage=10, stop_loss="5%", take_profit=None, atr_bars=1)
    over = market(rows, taker_fee=0.001, lot=0.0001, tick=0.01)
    result = backtest(
        over, forecasts(over, [0, 0, 0.002, 0, 0, 0, 0]), RULE, risk, AccountParams(cash=1000.0), NO_COSTS
    )
    assert trades(result) == [(3, "buy", "entry"), (4, "sell", "stop_loss")]
    assert result.equity["equity"].iloc[-1] == pytest.approx(990.0, abs=0.05)


def test_size_never_exceeds_leverage_times_equity() -> None:
    """A tight stop asks for a huge position; leverage 2 holds it at about twice the equity."""
    risk = RiskParams(sizing="risk", risk_per_trade=0.5, leverage=2, stop_loss="0.5%", take_profit=None, atr_bars=1)
    result = play([*rising(4), *flat(3, 104)], [0, 0, 0, 0.002, 0, 0, 0], risk=risk)
    fill = result.fills.iloc[0]
    assert fill["quantity"] * fill["price"] == pytest.approx(2000.0, rel=0.001)
    assert result.totals.shrunk == 0


def test_a_reversal_at_full_leverage_keeps_back_what_closing_costs() -> None:
    """At an unchanged price the new position is as large as cash allows, and the venue need not shrink it."""
    rows = [*rising(4), *flat(2, 104), (104, 104, 103, 103), (103, 103, 102, 102), *flat(3, 102)]
    over = market(rows, taker_fee=0.001)
    risk = PLAIN.replaced(leverage=3.0)
    result = backtest(over, forecasts(over, [0, 0, 0, 0.002, 0, 0, 0, -0.002, 0, 0, 0]), RULE, risk, costs=NO_COSTS)
    assert [kind for _, _, kind in trades(result)] == ["entry", "signal", "entry"]
    assert result.totals.shrunk == 0
    spent = result.equity["margin"].iloc[-1] / result.equity["cash"].iloc[-1]
    assert spent == pytest.approx(1.0, abs=0.001)


def test_parameters_are_checked_when_the_strategy_is_built() -> None:
    """A wrong parameter or a forecaster that cannot forecast is one line."""
    import backtrader as bt

    from backtests import CandleFeed, FuturesBroker

    for wrong, message in (
        ({"slow": 5}, "strategy.slow"),
        ({"forecaster": 3}, "forecast"),
        ({"leverage": -1.0}, "risk.leverage"),
    ):
        cerebro = bt.Cerebro()
        over = market(walk(60, 1))
        cerebro.adddata(CandleFeed(dataname=over))
        cerebro.broker = FuturesBroker()
        cerebro.addstrategy(LSTMCrossover, **{"forecaster": forecasts(over, np.zeros(60)), **wrong})
        with pytest.raises(ParameterError, match=message):
            cerebro.run()


@pytest.mark.parametrize("average", ["ema", "sma"])
def test_stepping_and_whole_array_averages_decide_the_same(average: str) -> None:
    """Backtrader's next mode gives the same fills as its runonce mode."""
    import backtrader as bt

    from backtests import CandleFeed, FuturesBroker

    over = market(walk(400, 5, volatility=0.02), taker_fee=0.0005)
    means = np.random.default_rng(6).normal(0, 0.002, 400)
    tables = []
    for once in (True, False):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(CandleFeed(dataname=over))
        cerebro.broker = FuturesBroker(slippage_bps=1.0)
        cerebro.addstrategy(
            LSTMCrossover, forecaster=forecasts(over, means), average=average, fast=5, slow=12, confirmation="cross"
        )
        tables.append(cerebro.run(runonce=once, preload=once)[0].broker.ledger.tables()[0])
    assert len(tables[0]) > 10
    assert tables[0].equals(tables[1])


@pytest.mark.parametrize("bars", [1, 3])
def test_a_position_is_closed_after_its_longest_time(bars: int) -> None:
    """Entered at the open of bar 4, held for so many closes, closed at the next open; the side is barred then."""
    result = play(rising(10), [0, 0, 0, *[0.002] * 7], risk=PLAIN.replaced(maximum_bars=bars))
    assert trades(result) == [(4, "buy", "entry"), (4 + bars, "sell", "time_exit")]
    assert result.decisions["reason"].tolist()[4 + bars] == "barred after an exit"


def test_no_entry_while_an_exit_cools_down() -> None:
    """Stopped on bar 4, signal gone on bar 5 and back from bar 6: five bars of cooldown put the entry on bar 10."""
    rows = [*rising(4), (104, 104.5, 95, 104.5), *rising(7, 104.5)]
    means = [0, 0, 0.002, 0.002, 0.002, 0, *[0.002] * 6]
    free = play(rows, means, risk=PLAIN.replaced(stop_loss="5%"))
    cooled = play(rows, means, risk=PLAIN.replaced(stop_loss="5%", cooldown_bars=5))
    assert [bar for bar, _, reason in trades(free) if reason == "entry"] == [3, 7]
    assert [bar for bar, _, reason in trades(cooled) if reason == "entry"] == [3, 10]
    assert cooled.decisions["reason"].tolist()[6:9] == ["cooling down after an exit"] * 3


def test_signals_count_only_inside_the_volatility_band() -> None:
    """With sigma 1 % a band from 120 bps up, or up to 80 bps, trades nothing; one around it trades."""
    for band, entries in (
        ({"minimum_sigma": "120bps"}, 0),
        ({"maximum_sigma": "80bps"}, 0),
        ({"minimum_sigma": "80bps"}, 1),
    ):
        result = play(rising(8), [0.002] * 8, RULE.replaced(**band))
        assert len(result.fills) == entries
        assert (result.decisions["reason"].iloc[-1] == "volatility outside its band") == (entries == 0)


@pytest.mark.parametrize(
    ("sizing", "settings", "notional"),
    [
        ("fraction", {"fraction": 0.2, "leverage": 2.0}, 400.0),
        ("forecast_volatility", {"target_volatility": 0.5, "leverage": 5.0}, 1000.0 * 0.5 / (0.01 * np.sqrt(8760))),
        ("atr_volatility", {"target_volatility": 0.5, "leverage": 5.0}, 1000.0 * 0.5 / (1 / 104 * np.sqrt(8760))),
        ("kelly", {"kelly_share": 0.05, "leverage": 5.0}, 1000.0 * 0.05 * 0.002 / 0.01**2),
        ("kelly", {"kelly_share": 1.0, "leverage": 2.0}, 2000.0),
    ],
)
def test_every_sizing_gives_the_notional_it_says(sizing: str, settings: Any, notional: float) -> None:
    """Equity 1,000, price 104, sigma 1 %, average true range 1, forecast 0.2 %; capped at leverage x equity."""
    risk = PLAIN.replaced(sizing=sizing, **settings)
    fill = play([*rising(4), *flat(3, 104)], [0, 0, 0, 0.002, 0, 0, 0], risk=risk).fills.iloc[0]
    assert fill["quantity"] * fill["price"] == pytest.approx(notional, rel=0.001)


@pytest.mark.parametrize(
    ("distance", "level"), [("5%", 98.8), ("10%margin", 98.8), ("2sigma", 101.92), ("3atr", 101.0)]
)
def test_stops_in_every_unit(distance: str, level: float) -> None:
    """From a fill at 104 with leverage 2, sigma 1 % and an average true range of 1."""
    rows = [*rising(4), (104, 104, 104, 104), (104, 104, 90, 95), (95, 95, 95, 95)]
    risk = PLAIN.replaced(stop_loss=distance, leverage=2.0)
    fill = play(rows, [0, 0, 0, 0.002, 0, 0, 0], risk=risk, tick=0.01).fills.iloc[1]
    assert fill["price"] == pytest.approx(level)


@pytest.mark.parametrize("on_opposite", ["reverse", "close"])
def test_a_signal_that_is_not_traded_still_closes_the_other_side(on_opposite: str) -> None:
    """Long only: the short signal closes the long at the next open, and opens nothing."""
    rows = rising(5) + rising(6, 105, -1)
    rule = RULE.replaced(direction="long", on_opposite=on_opposite)
    result = play(rows, [0, 0, 0.002, 0, 0, 0, *[-0.002] * 5], rule)
    assert [kind for _, _, kind in trades(result)] == ["entry", "signal"]
    assert result.equity["position"].iloc[-1] == 0.0


@pytest.mark.parametrize(("unit", "name"), [("0.6probability", "up_probability"), ("0.2position", "position")])
def test_a_chance_or_a_position_decides_where_the_threshold_says_so(unit: str, name: str) -> None:
    """Threshold units that are no returns look at what a model says instead of its mean, long and short alike."""
    rows = [*rising(8), *rising(8, 108.0, -1.0)]
    over = market(rows)
    said = {"up_probability": (0.5, 0.7, 0.3), "position": (0.0, 0.5, -0.5)}[name]
    values = np.full(16, said[0])
    values[3], values[12] = said[1:]
    series = forecasts(over, np.zeros(16)).series["TEST"]
    made = Forecasts({"TEST": replace(series, **{name: values})})
    result = backtest(over, made, RULE.replaced(threshold=unit), PLAIN, AccountParams(cash=1000.0), NO_COSTS)
    assert [(row, side) for row, side, _ in trades(result)] == [(4, "buy"), (13, "sell"), (13, "sell")]
    with pytest.raises(ParameterError, match=rf"strategy.threshold = '{unit}': needs forecasts with a {name}"):
        backtest(over, forecasts(over, np.zeros(16)), RULE.replaced(threshold=unit), PLAIN)


@pytest.mark.parametrize("written", ["0.4probability", "1.1probability", "1.5position"])
def test_thresholds_beyond_their_range(written: str) -> None:
    """A chance lies from one half to 1, a position from 0 to 1."""
    with pytest.raises(ParameterError, match=r"strategy.threshold = .* is out of range"):
        CrossoverParams(threshold=written)
