"""The backtest as a whole: its accounts close, it repeats, and it refuses what it cannot know."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from simple_market import HOUR, START, flat, forecasts, market, walk

from backtests import AccountParams, CostParams, Result, backtest, run_baselines
from foundation.errors import DataError, LookAheadError, ParameterError
from markets.funding import Funding
from markets.market import Market
from models.forecasts import Bar, Forecast, Forecasts, ForecastSeries
from strategies import CrossoverParams, RiskParams
from strategies.averages import moving_average

RULE = CrossoverParams(fast=5, slow=12, threshold="5bps")
COSTS = CostParams(slippage_bps=2.0)


def noise(count: int, seed: int, size: float = 0.002) -> np.ndarray:
    """Forecasts that know nothing."""
    return np.random.default_rng(seed).normal(0, size, count)


def wild_market(seed: int, count: int = 600, **changes: Any) -> Market:
    """A volatile market with fees, clearance charges and large funding rates."""
    rates = np.random.default_rng(seed + 100).normal(0, 0.002, count)
    stamps = {row: float(rates[row]) for row in range(0, count, 8)}
    fees = {"taker_fee": 0.0005, "maker_fee": 0.0002, "liquidation_fee": 0.01, "minimum_notional": 5.0}
    return market(walk(count, seed, volatility=0.03), funding=stamps, **{**fees, **changes})


def identity_gap(result: Result) -> float:
    """The largest break of the accounting identity over all bars, as a fraction of equity."""
    stamps = result.equity["timestamp"]
    fills, payments = result.fills.groupby("timestamp"), result.funding.groupby("timestamp")
    earned = fills["realised_pnl"].sum() - fills["fee"].sum() - fills["liquidation_fee"].sum()
    earned = earned.reindex(stamps, fill_value=0.0).cumsum().to_numpy()
    paid = payments["payment"].sum().reindex(stamps, fill_value=0.0).cumsum().to_numpy()
    equity = result.equity["equity"].to_numpy()
    gap = result.account.cash + earned - paid + result.equity["unrealised"].to_numpy() - equity
    return float(np.max(np.abs(gap) / np.maximum(np.abs(equity), 1.0)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("leverage", [2.0, 40.0])
def test_the_accounting_identity_closes_at_every_bar(seed: int, leverage: float) -> None:
    """Realised profit - fees - charges - funding + unrealised is the change of equity, to 1e-9 at every bar."""
    over = wild_market(seed)
    risk = RiskParams(sizing="risk", risk_per_trade=0.1, leverage=leverage, stop_loss="10%", take_profit="4atr")
    result = backtest(over, forecasts(over, noise(600, seed)), RULE, risk, costs=COSTS)
    assert len(result.fills) > 10
    assert identity_gap(result) < 1e-9
    assert np.array_equal(result.equity["equity"], result.equity["cash"] + result.equity["unrealised"])
    assert result.equity["equity"].min() >= 0.0
    if leverage == 40.0:
        assert result.totals.liquidations > 0


def test_the_identity_check_sees_a_forgotten_fee() -> None:
    """The same check fails when one fee is taken out of the record."""
    over = wild_market(1)
    result = backtest(over, forecasts(over, noise(600, 1)), RULE, costs=COSTS)
    result.fills.loc[3, "fee"] = 0.0
    assert identity_gap(result) > 1e-9


def test_the_same_run_twice_leaves_the_same_record() -> None:
    """Fills, equity and decisions are equal to the last bit."""
    over = wild_market(2)
    first, second = (backtest(over, forecasts(over, noise(600, 2)), RULE, costs=COSTS) for _ in range(2))
    for name in ("fills", "equity", "decisions", "funding", "orders", "positions"):
        assert getattr(first, name).equals(getattr(second, name)), name


def _changed_after(over: Market, row: int, seed: int) -> Market:
    """The same market with all bars after a row replaced by another walk."""
    other = np.array(walk(len(over.candles), seed, volatility=0.05))
    kept = np.column_stack([getattr(over.candles, name) for name in ("open", "high", "low", "close")])
    kept[row + 1 :] = other[row + 1 :] * kept[row, 3] / other[row + 1, 0]
    rates = over.funding
    assert rates is not None
    changed = market([tuple(bar) for bar in kept.tolist()], taker_fee=0.0005, liquidation_fee=0.01)
    return Market(over.contract, changed.candles, changed.candles, rates)


@pytest.mark.parametrize("row", [60, 211, 350])
def test_decisions_and_orders_do_not_see_later_bars(row: int) -> None:
    """With every bar after t changed, decisions through t and fills through t are the same."""
    over = wild_market(3, 400)
    means = noise(400, 3)
    first = backtest(over, forecasts(over, means), RULE, costs=COSTS)
    changed = _changed_after(over, row, 9)
    second = backtest(changed, forecasts(changed, means), RULE, costs=COSTS)
    limit = first.equity["timestamp"].iloc[0] + (row - int(first.start - START) // HOUR) * np.timedelta64(HOUR, "ns")
    assert not first.decisions.equals(second.decisions)
    for name in ("decisions", "fills", "orders", "equity"):
        a, b = getattr(first, name), getattr(second, name)
        a, b = a[a["timestamp"] <= limit], b[b["timestamp"] <= limit]
        assert len(a) > 0 or name == "orders"
        assert a.reset_index(drop=True).equals(b.reset_index(drop=True)), name


def test_a_forecast_whose_model_has_seen_its_bar_is_refused() -> None:
    """A row that is not later than all that touched its model is a LookAheadError, however small the overlap."""
    stamps = START + HOUR * np.arange(5)
    fine = stamps - 1
    ForecastSeries(stamps, np.zeros(5), np.ones(5), fine, np.zeros(5))
    leaked = fine.copy()
    leaked[3] = stamps[3]
    with pytest.raises(LookAheadError, match="trained through 2024-01-01 03:00"):
        ForecastSeries(stamps, np.zeros(5), np.ones(5), leaked, np.zeros(5))


class Momentum:
    """A forecaster of a few lines: the next return is a tenth of the last one."""

    def __init__(self) -> None:
        self.last = float("nan")

    def forecast(self, bar: Bar) -> Forecast:
        mean = 0.1 * np.log(bar.close / self.last)
        self.last = bar.close
        return Forecast(mean, 0.01)


def test_any_forecaster_can_stand_in_for_the_lstm() -> None:
    """An object that is asked bar by bar gives the same run as its forecasts handed in as a table."""
    over = wild_market(4)
    asked = backtest(over, Momentum(), RULE, costs=COSTS)
    means = np.concatenate(([np.nan], 0.1 * np.log(over.candles.close[1:] / over.candles.close[:-1])))
    table = backtest(over, forecasts(over, means, first=1), RULE, costs=COSTS)
    assert len(asked.fills) > 10
    assert asked.fills.equals(table.fills)


def test_the_run_starts_at_the_first_forecast_with_averages_warm() -> None:
    """The first row of every table is the first bar with a forecast, and its averages know the earlier bars."""
    over = wild_market(5)
    result = backtest(over, forecasts(over, noise(600, 5), first=300), RULE, costs=COSTS)
    assert result.start == over.candles.timestamp[300]
    assert len(result.equity) == len(result.decisions) == 300
    assert result.decisions["slow"].notna().all()
    assert result.equity["equity"].iloc[0] == 10_000.0


def test_funding_that_is_missing_is_refused_or_said() -> None:
    """A hole in the settlements names where it is; "zero" plays it and notes it."""
    over = wild_market(6, 200)
    assert over.funding is not None
    keep = np.ones(len(over.funding), dtype=bool)
    keep[10:13] = False
    holed = Market(
        over.contract, over.candles, over.mark, Funding(over.funding.timestamp[keep], over.funding.rate[keep])
    )
    for market_without in (holed, Market(over.contract, over.candles, over.mark, None)):
        given = forecasts(market_without, noise(200, 6))
        with pytest.raises(DataError, match="has no settlement from 2024-01-"):
            backtest(market_without, given, RULE)
        result = backtest(market_without, given, RULE, account=AccountParams(missing_funding="zero"))
        assert any("played as zero" in note for note in result.notes)


def test_a_hole_before_the_first_bar_played_does_not_matter() -> None:
    """Settlements are only needed for the bars that are played."""
    over = wild_market(7, 200)
    assert over.funding is not None
    late = Market(over.contract, over.candles, over.mark, Funding(over.funding.timestamp[6:], over.funding.rate[6:]))
    assert not any("funding" in note for note in backtest(late, forecasts(late, noise(200, 7), first=60), RULE).notes)


def test_a_mark_that_the_last_price_stands_in_for_is_said() -> None:
    """Without mark candles every bar is counted in a note."""
    over = wild_market(8, 200)
    bare = Market(over.contract, over.candles, None, over.funding)
    result = backtest(bare, forecasts(bare, noise(200, 8)), RULE)
    assert any("mark price is missing" in note and "200 bars" in note for note in result.notes)


def test_leverage_above_the_contract_s_maximum_is_refused() -> None:
    """The line names the key, the value and the limit."""
    over = wild_market(9, 100, maximum_leverage=20.0)
    said = r"risk\.leverage = 25\.0: is above the maximum of test:TEST; .* at most 20"
    with pytest.raises(ParameterError, match=said):
        backtest(over, forecasts(over, noise(100, 9)), RULE, RiskParams(leverage=25.0))


def test_costs_override_the_contract_s_own() -> None:
    """With all fees and slippage at zero nothing is paid."""
    over = wild_market(10)
    free = CostParams(slippage_bps=0.0, taker_fee=0.0, maker_fee=0.0, liquidation_fee=0.0)
    result = backtest(over, forecasts(over, noise(600, 10)), RULE, costs=free)
    assert len(result.fills) > 10
    assert result.totals.fees == result.totals.slippage == result.totals.liquidation_charges == 0.0


def test_several_markets_share_one_account() -> None:
    """Two contracts trade out of one cash; the identity closes and positions stand per symbol."""
    pair = [wild_market(11, symbol="ONE"), wild_market(12, symbol="TWO")]
    series = {one.symbol: forecasts(one, noise(600, k)).series[one.symbol] for k, one in enumerate(pair)}
    result = backtest(pair, Forecasts(series), RULE, costs=COSTS)
    assert set(result.fills["symbol"]) == {"ONE", "TWO"}
    assert identity_gap(result) < 1e-9
    assert result.equity["position"].isna().all()
    assert len(result.positions) == 2 * len(result.equity)


def test_markets_of_one_account_have_equal_parts_of_it() -> None:
    """At full leverage the first of two markets leaves the second its half, and neither is shrunk."""
    pair = [market(flat(60), symbol="ONE"), market(flat(60), symbol="TWO")]
    series = {one.symbol: forecasts(one, np.full(60, 0.01)).series[one.symbol] for one in pair}
    rule, full = (
        CrossoverParams(rule="forecast", threshold="1bps"),
        RiskParams(sizing="leverage", leverage=2.0, stop_loss="off"),
    )
    result = backtest(
        pair, Forecasts(series), rule, full.replaced(take_profit="off"), costs=CostParams(slippage_bps=0.0)
    )
    notional = result.fills["quantity"] * result.fills["price"]
    assert notional.tolist() == [pytest.approx(10_000.0, rel=1e-3)] * 2
    assert result.totals.shrunk == 0


def test_the_averages_of_the_first_bar_played_know_the_whole_history() -> None:
    """They equal those over every earlier candle to the last digits, although only some of them are replayed."""
    over = wild_market(15, 2500)
    result = backtest(
        over, forecasts(over, noise(2500, 15), first=2400), CrossoverParams(fast=20, slow=50), costs=COSTS
    )
    whole = moving_average(over.candles.close.copy(), 50, True)[2400:]
    np.testing.assert_allclose(result.decisions["slow"], whole, rtol=1e-13)


def test_the_totals_are_sums_of_the_tables() -> None:
    """Fees, funding paid, slippage and charges in the totals are those of the fills and payments, with their signs."""
    over = wild_market(16)
    result = backtest(over, forecasts(over, noise(600, 16)), RULE, costs=COSTS)
    assert result.totals.funding == result.funding["payment"].sum() != 0.0
    assert result.totals.fees == result.fills["fee"].sum() > 0.0
    assert result.totals.slippage == result.fills["slippage"].sum() > 0.0
    market_fills = result.fills[result.fills["reason"].isin(["entry", "signal", "stop_loss"])]
    worse = 2e-4 / (1 + 2e-4 * np.where(market_fills["side"] == "buy", 1, -1))
    np.testing.assert_allclose(
        market_fills["slippage"], market_fills["quantity"] * market_fills["price"] * worse, rtol=1e-9
    )


def test_forecasts_of_other_values_have_another_fingerprint() -> None:
    """The fingerprint names the content: one value changed in the last digit changes it."""
    over = wild_market(17, 100)
    means = noise(100, 17)
    other = means.copy()
    other[50] = np.nextafter(other[50], 1.0)
    assert (
        forecasts(over, means).fingerprint == forecasts(over, means).fingerprint != forecasts(over, other).fingerprint
    )


def test_baselines_play_the_same_bars_with_the_same_costs() -> None:
    """Buy and hold buys once at leverage 1; each single rule trades without the other."""
    over = wild_market(13)
    result = backtest(over, forecasts(over, noise(600, 13)), RULE, costs=COSTS)
    baselines = run_baselines(result)
    assert list(baselines) == ["buy and hold", "crossover alone", "LSTM alone"]
    assert len(baselines["buy and hold"].fills) == 1
    assert all(one.start == result.start and len(one.equity) == len(result.equity) for one in baselines.values())
    assert len(baselines["LSTM alone"].fills) > len(result.fills)
    assert all(one.costs == result.costs and one.account == result.account for one in baselines.values())


def test_no_baseline_trades_before_the_first_forecast() -> None:
    """Rules that need no forecast wait for it too: their first order is decided at the first bar played."""
    over = wild_market(14)
    result = backtest(over, forecasts(over, noise(600, 14), first=300), RULE, costs=COSTS)
    for name, one in run_baselines(result).items():
        assert len(one.fills) > 0, name
        assert one.fills["timestamp"].min() > one.equity["timestamp"].iloc[0], name


def test_playing_forecasts_never_loads_torch() -> None:
    """A backtest on forecasts that are there imports neither torch nor matplotlib."""
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_engine import *\n"
        "over = wild_market(1, 120); backtest(over, forecasts(over, noise(120, 1)), RULE)\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Peeker:
    """Remembers every close it was shown, and forecasts the market that it was shown less of."""

    def __init__(self) -> None:
        self.closes: dict[int, float] = {}
        self.answers = 0

    def forecast(self, bar: Bar) -> Forecast:
        later = self.closes.get(bar.timestamp + HOUR)
        self.closes[bar.timestamp] = bar.close
        self.answers += later is not None
        return Forecast(0.01 if later is not None and later > bar.close else -0.01, 0.01)


def test_a_forecaster_of_several_markets_is_shown_them_side_by_side() -> None:
    """No bar of one market is shown before an earlier bar of another: what comes later is never known."""
    pair = [wild_market(18, 80, symbol="ONE"), wild_market(18, 80, symbol="TWO")]
    peeker = Peeker()
    backtest(pair, peeker, RULE, costs=COSTS)
    assert len(peeker.closes) == 80
    assert peeker.answers == 0


def test_forecasts_of_another_symbol_are_refused() -> None:
    """One line names the symbol without forecasts and those that have some."""
    over, other = wild_market(19, 60), wild_market(19, 60, symbol="OTHER")
    with pytest.raises(DataError, match="forecasts: hold none for OTHER; known: TEST"):
        backtest(other, forecasts(over, noise(60, 19)), RULE)


def test_what_must_be_known_of_the_forecasts_is_in_the_notes() -> None:
    """Notes that come with the forecasts stand in the result."""
    over = wild_market(20, 60)
    given = Forecasts(forecasts(over, noise(60, 20)).series, "noted", ("half of them are guesses",))
    assert "half of them are guesses" in backtest(over, given, RULE).notes


def test_a_ruined_account_is_said_to_be() -> None:
    """Liquidated with all its cash posted, it has nothing left: both stand in the notes, each once."""
    rows = [*flat(3), (100, 100, 50, 50), *flat(4, 50)]
    over = market(rows, liquidation_fee=0.03)
    risk = RiskParams(sizing="leverage", leverage=20.0, stop_loss="off", take_profit="off", atr_bars=1)
    rule = CrossoverParams(rule="forecast", threshold="1bps")
    result = backtest(over, forecasts(over, [0, 0.01, *[0] * 6]), rule, risk, costs=CostParams(slippage_bps=0.0))
    assert "a position was liquidated" in result.notes
    told = [note for note in result.notes if "ruined" in note]
    assert told == ["the account was ruined: equity reached zero and stayed there"]
    assert not any("liquidated" in note for note in backtest(over, forecasts(over, [0.0] * 8), rule, risk).notes)


def test_a_leverage_that_maintenance_eats_up_is_refused() -> None:
    """At 5 % maintenance 20x posts no more than the maintenance margin: such a position is gone at once."""
    over = wild_market(21, 60, maintenance_rate=0.05, maximum_leverage=50.0)
    with pytest.raises(ParameterError, match=r"risk\.leverage = 20\.0: posts no more margin .* below 20"):
        backtest(over, forecasts(over, noise(60, 21)), RULE, RiskParams(leverage=20.0))
