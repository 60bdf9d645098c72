"""Metrics against figures worked out by hand and against formulas written a second time."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from result_factory import FEE_RATE, HOUR, START, Trade, make_forecasts, make_market, make_result, make_trades

from reports.curves import EquityCurve
from reports.metrics import compute_metrics, curve_metrics, measure_skill
from strategies.parameters import CrossoverParams

NAMES = "total_return cagr sharpe sortino max_drawdown trades win_rate fees funding slippage liquidations"


def curve(*equity: float, cash: float = 100.0, bar: int = 24 * HOUR) -> EquityCurve:
    """A curve of daily equity."""
    return EquityCurve(START + bar * np.arange(len(equity)), np.array(equity), cash, bar)


def test_a_small_curve_gives_the_metrics_worked_out_by_hand() -> None:
    """100 -> 110 -> 99 -> 99 -> 118.8: returns +10 %, -10 %, 0, +20 %, deepest fall 10 %, two bars below the peak."""
    found = curve_metrics(curve(110.0, 99.0, 99.0, 118.8))
    deviation = math.sqrt((0.05**2 + 0.15**2 + 0.05**2 + 0.15**2) / 3)
    assert found["total_return"] == pytest.approx(0.188)
    assert found["final_equity"] == 118.8
    assert found["bars"] == 4
    assert found["cagr"] == pytest.approx(1.188 ** (365 / 4) - 1)
    assert found["volatility"] == pytest.approx(deviation * math.sqrt(365))
    assert found["sharpe"] == pytest.approx(0.05 / deviation * math.sqrt(365))
    assert found["sortino"] == pytest.approx(0.05 / math.sqrt(0.01 / 4) * math.sqrt(365))
    assert found["max_drawdown"] == pytest.approx(0.1)
    assert found["max_drawdown_bars"] == 2
    assert found["calmar"] == pytest.approx(found["cagr"] / 0.1)


def test_a_long_random_curve_agrees_with_pandas() -> None:
    """On 5,000 random hourly bars every ratio equals its formula written with pandas."""
    random = np.random.default_rng(5)
    series = pd.Series(1000 * np.cumprod(1 + random.normal(2e-5, 0.004, 5000)))
    found = curve_metrics(curve(*series, cash=1000.0, bar=HOUR))
    returns = pd.concat([pd.Series([1000.0]), series]).pct_change().dropna()
    peaks = pd.concat([pd.Series([1000.0]), series]).cummax()
    year = 24 * 365
    below = (pd.concat([pd.Series([1000.0]), series]) < peaks).to_numpy()
    longest = max(len(stretch) for stretch in "".join("x" if one else " " for one in below).split())
    assert found["sharpe"] == pytest.approx(returns.mean() / returns.std() * year**0.5)
    assert found["sortino"] == pytest.approx(returns.mean() / (returns.clip(upper=0) ** 2).mean() ** 0.5 * year**0.5)
    assert found["volatility"] == pytest.approx(returns.std() * year**0.5)
    assert found["max_drawdown"] == pytest.approx((1 - pd.concat([pd.Series([1000.0]), series]) / peaks).max())
    assert found["cagr"] == pytest.approx((series.iloc[-1] / 1000) ** (year / 5000) - 1)
    assert found["max_drawdown_bars"] == longest


def test_a_loss_from_the_first_bar_counts_from_the_starting_cash() -> None:
    """The starting cash is the first peak: a curve that only falls has its drawdown against it."""
    found = curve_metrics(curve(90.0, 80.0))
    assert found["max_drawdown"] == pytest.approx(0.2)
    assert found["max_drawdown_bars"] == 2


@pytest.mark.parametrize("equity", [(100.0, 100.0, 100.0), tuple(100 * 1.01**n for n in range(1, 9))])
def test_ratios_without_spread_are_undefined(equity: tuple[float, ...]) -> None:
    """Equity that never moves, or moves by the same fraction every bar, has no Sharpe and no Sortino."""
    found = curve_metrics(curve(*equity))
    assert found["sharpe"] is None
    assert found["sortino"] is None
    assert found["calmar"] is None


def test_growth_too_large_to_annualise_is_undefined() -> None:
    """Doubling within a minute has no CAGR that a number could hold."""
    assert curve_metrics(curve(200.0, bar=HOUR // 60))["cagr"] is None


def test_ruin_gives_minus_one_and_numbers_that_json_can_hold() -> None:
    """After equity reached zero returns are zero, growth is -100 %, and nothing is NaN or infinite."""
    result = make_result(make_market([100.0] * 6), [Trade(1, 10.0), Trade(3, -10.0, "liquidation", charge=20.0)])
    equity = result.equity.assign(equity=[10_000.0, 9_000.0, 5_000.0, 0.0, 0.0, 0.0])
    found = compute_metrics(replace(result, equity=equity, ruined=True))
    assert found["total_return"] == found["cagr"] == -1.0
    assert found["max_drawdown"] == 1.0
    assert found["ruined"] is True
    assert found["liquidations"] == 1
    assert found["liquidation_charges"] == 20.0
    json.dumps(found, allow_nan=False)


def test_without_trades_what_rests_on_them_is_undefined() -> None:
    """A run that never traded has zero trades and no Sharpe, win rate or profit factor; it still has a skill."""
    found = compute_metrics(make_result())
    undefined = ("sharpe", "sortino", "calmar", "win_rate", "profit_factor", "average_profit", "average_bars_held")
    assert [found[name] for name in undefined] == [None] * len(undefined)
    assert (found["trades"], found["open_trades"], found["total_return"], found["exposure"]) == (0, 0, 0.0, 0.0)
    assert found["skill"] is not None
    json.dumps(found, allow_nan=False)


def test_trades_costs_and_activity_by_hand() -> None:
    """Two closed trades and an open one on a staircase of prices, each figure worked out by hand."""
    market = make_market([100.0, 100.0, 110.0, 110.0, 105.0, 105.0, 120.0, 120.0])
    trades = [Trade(1, 10.0), Trade(3, -10.0, "take_profit"), Trade(4, 10.0), Trade(5, -20.0, "signal")]
    found = compute_metrics(make_result(market, trades, funding=[(2, 3.0)]))
    fees = FEE_RATE * (1000 + 1100 + 1100 + 2100)
    first, second = 100 - FEE_RATE * 2100, -50 - FEE_RATE * 2150
    assert found["fees"] == pytest.approx(fees)
    assert found["funding"] == 3.0
    assert (found["trades"], found["open_trades"], found["long_trades"], found["short_trades"]) == (3, 1, 2, 1)
    assert (found["win_rate"], found["long_win_rate"], found["short_win_rate"]) == (0.5, 0.5, None)
    assert found["average_win"] == found["largest_profit"] == pytest.approx(first)
    assert found["average_loss"] == found["largest_loss"] == pytest.approx(second)
    assert found["profit_factor"] == pytest.approx(first / -second)
    assert found["average_profit"] == pytest.approx((first + second) / 2)
    assert found["average_bars_held"] == 1.5
    assert found["exposure"] == 6 / 8
    final = 10_000 + 100 - 50 - 150 - 3.0 - fees
    assert found["final_equity"] == pytest.approx(final)
    assert found["days"] == pytest.approx(8 / 24)
    assert found["open_profit"] == pytest.approx(-150 - FEE_RATE * 1050)
    parts = found["long_profit"] + found["short_profit"] + found["open_profit"] - found["funding"]
    assert parts == pytest.approx(final - 10_000)
    held = compute_metrics(make_result(market, [Trade(1, 10.0)]))
    assert (held["trades"], held["open_trades"], held["long_profit"]) == (1, 1, 0.0)
    assert held["open_profit"] == pytest.approx(10 * 20.0 - FEE_RATE * 1000)
    average = float(make_result(market, trades, funding=[(2, 3.0)]).equity["equity"].mean())
    assert found["turnover"] == pytest.approx(5300 / average / (8 / 8760))


def test_skill_is_that_of_the_forecasts() -> None:
    """`skill` is what models.forecast_skill says, handed in or not, and None for a rule that asks no forecast."""
    result = make_result(make_market(bars=800, synthetic=True))
    (skill,) = measure_skill(result)
    assert compute_metrics(result)["skill"] == compute_metrics(result, skill)["skill"] == skill.skill
    blind = replace(result, strategy=CrossoverParams(rule="crossover"))
    assert compute_metrics(blind)["skill"] is None


def test_skill_of_several_markets_is_their_mean() -> None:
    """With two markets `skill` is the mean of both."""
    markets = [make_market(symbol=name, seed=seed, synthetic=True) for seed, name in enumerate(("AUSDT", "BUSDT"))]
    result = make_result(markets, forecasts=make_forecasts(markets))
    skills = measure_skill(result)
    assert compute_metrics(result)["skill"] == pytest.approx((skills[0].skill + skills[1].skill) / 2)
    assert compute_metrics(result)["exposure"] == 0.0


def test_every_promised_name_is_there() -> None:
    """Other programs read these names, so they stay."""
    found: Mapping[str, Any] = compute_metrics(make_result(trades=make_trades(500)))
    assert {*NAMES.split(), "final_equity", "bars", "skill"} <= set(found)


def test_months_compound_to_the_total_return() -> None:
    """The product of the monthly returns is the total return; so is the product of the yearly ones."""
    random = np.random.default_rng(2)
    equity = 100 * np.cumprod(1 + random.normal(0, 0.01, 800))
    line = curve(*equity)
    table = line.monthly_returns()
    months = table.drop(columns="year").to_numpy(dtype=float)
    assert np.nanprod(1 + months) - 1 == pytest.approx(line.total_return)
    assert np.prod(1 + table["year"].to_numpy(dtype=float)) - 1 == pytest.approx(line.total_return)
    assert int(np.isfinite(months).sum()) == 27
    january = equity[30] / 100 - 1
    assert table.loc[2023, 1] == pytest.approx(january)


def test_tails_and_ratios_agree_with_empyrical() -> None:
    """On 3,000 random days ratios, drawdown and tails are those of empyrical, with 365 days a year."""
    import empyrical

    random = np.random.default_rng(8)
    equity = 100.0 * np.cumprod(1.0 + random.standard_t(4, 3000) * 0.01 + 0.0004)
    made = curve(*equity)
    found, returns = curve_metrics(made), made.returns
    assert found["volatility"] == pytest.approx(empyrical.annual_volatility(returns, annualization=365))
    assert found["sharpe"] == pytest.approx(empyrical.sharpe_ratio(returns, annualization=365))
    assert found["sortino"] == pytest.approx(empyrical.sortino_ratio(returns, annualization=365))
    assert found["calmar"] == pytest.approx(empyrical.calmar_ratio(returns, annualization=365))
    assert found["cagr"] == pytest.approx(empyrical.cagr(returns, annualization=365))
    assert found["max_drawdown"] == pytest.approx(-empyrical.max_drawdown(returns))
    assert found["tail_ratio"] == pytest.approx(empyrical.tail_ratio(returns))
    assert found["value_at_risk"] == pytest.approx(-empyrical.value_at_risk(returns, 0.05))
    assert found["expected_shortfall"] == pytest.approx(-empyrical.conditional_value_at_risk(returns, 0.05), rel=2e-3)


def test_skewness_and_kurtosis_agree_with_scipy() -> None:
    """The moments of bar returns are scipy's, the kurtosis raw."""
    from scipy import stats

    made = curve(*(100.0 * np.cumprod(1.0 + np.random.default_rng(2).gamma(2.0, 0.01, 500) - 0.02)))
    found = curve_metrics(made)
    assert found["skewness"] == pytest.approx(stats.skew(made.returns))
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(made.returns, fisher=False))


def test_tails_worked_out_by_hand() -> None:
    """Of 100 daily returns the five worst are -10 to -6 %: below the 5 % quantile lie all of them."""
    returns = [*(-0.1 + 0.01 * k for k in range(5)), *[0.01] * 95]
    found = curve_metrics(curve(*(100.0 * np.cumprod(1.0 + np.array(returns)))))
    assert found["expected_shortfall"] == pytest.approx(0.08)
    assert found["value_at_risk"] == pytest.approx(0.06 - 0.07 * 0.95)
    below = 100.0 * np.cumprod(1.0 + np.array(returns))
    assert found["time_under_water"] == np.mean(below < np.maximum.accumulate(np.append(100.0, below))[1:])


def test_nothing_traded_has_no_tails() -> None:
    """Without a trade there is no risk to state."""
    found = curve_metrics(curve(100.0, 100.0, 100.0), traded=False)
    assert [found[name] for name in ("skewness", "value_at_risk", "expected_shortfall", "tail_ratio")] == [None] * 4
    assert found["time_under_water"] == 0.0


def test_streaks_and_payoff_worked_out_by_hand() -> None:
    """Profits +2 +4 -1 -1 -2 +3: payoff 3 over 4/3, streaks of 2 and 3, and each side's profit apart."""
    from reports.metrics import _trade_metrics

    profits, sides = [2.0, 4.0, -1.0, -1.0, -2.0, 3.0], ["long", "short", "long", "short", "short", "long"]
    day = pd.Timestamp("2024-01-01", tz="UTC")
    trades = pd.DataFrame({"profit": profits, "side": sides, "closed": day, "rate": [one / 100 for one in profits]})
    found = _trade_metrics(trades.assign(bars_held=1))
    assert found["payoff_ratio"] == pytest.approx(3.0 / (4.0 / 3.0))
    assert (found["longest_winning_streak"], found["longest_losing_streak"]) == (2, 3)
    assert (found["long_profit"], found["short_profit"]) == (4.0, 1.0)
    assert found["expectancy"] == pytest.approx(5.0 / 600.0)
