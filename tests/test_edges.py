"""Edges of an account: ruined with dust left, costs that take a whole price, rebates that pay for a stop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernel_cases import Match
from test_kernel import witness_difference
from test_kernel_faults import match

import strategies.lstm_crossover as module
from backtests import run_strategy
from backtests.exchange.parameters import CostParams
from backtests.kernel.tally import TALLY, rate
from backtests.run.recount import first_apart
from foundation.errors import ParameterError
from strategies.parameters import RiskParams
from strategies.plan import SITUATION, entry_size, risk_record
from strategies.rules import size_by_risk

FAR: dict[str, Any] = {"sizing": "leverage", "leverage": 45.0, "stop_loss": "off", "take_profit": "off"}


def told(one: Match) -> str:
    """The first metric of the kernel that is not what Backtrader comes to; '' where all are."""
    rated = rate(one.kernel().tally, one.markets[0].bars_per_year, one.account.cash)
    return first_apart({name: float(values[0]) for name, values in rated.items()}, one.backtrader())


@pytest.mark.parametrize("seed", [19, 93])
def test_a_ruined_account_gives_no_orders(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told of it is what the kernel counts; one that goes on ordering is refused again and again."""
    dusty = match(seed, 1, FAR, {"rule": "forecast"}, wild=6.0, margin="cross", lot=1e-6)
    assert 0.0 < dusty.kernel().equity[-1] < 1e-9
    result = dusty.backtrader()
    assert result.ruined
    assert told(dusty) == ""
    assert not (result.orders["reason"] == "account ruined").any()
    assert (result.decisions["reason"] == "no equity to trade").sum() > 0
    monkeypatch.setattr(module, "OF_ORDERS", ())
    assert told(dusty).startswith("refusals 1 and ")


def test_a_fall_of_a_residue_is_none() -> None:
    """A fall by one digit of a double gives no Calmar ratio, one by a millionth does."""
    tally = np.zeros(2, dtype=TALLY)
    tally["bars"], tally["trades"], tally["equity"], tally["average"] = 100, 1, 101.0, 100.0
    tally["deepest"] = 1.1e-16, 1e-6
    calmar = rate(tally, 8760.0, 100.0)["calmar"]
    assert np.isnan(calmar[0])
    assert calmar[1] > 0.0


def test_a_stop_that_rebates_pay_for_sizes_by_leverage() -> None:
    """The same under every driver: no loss at the stop is no bound."""
    assert size_by_risk(1000.0, 100.0, 1.0, 0.01, -0.01, 1) == np.inf
    assert size_by_risk(1000.0, 100.0, 1.0, 0.01, 0.0, 1) == 10.0
    risk = {"sizing": "risk", "stop_loss": "0.3%", "take_profit": "1%", "leverage": 2.0}
    one = match(3, 1, risk, {"rule": "crossover"}, slippage_bps=0.0)
    one = replace(one, costs=CostParams(slippage_bps=0.0, taker_fee=-0.005))
    solo = one.kernel()
    assert solo.part_from(one.backtrader()) == ""
    assert witness_difference(one, solo) == ""
    entry = solo.fills.iloc[0]
    assert entry["quantity"] * entry["price"] == pytest.approx(2.0 * one.account.cash, rel=0.05)


def test_a_half_spread_of_a_whole_price_is_refused() -> None:
    """For the project's strategy and for one's own; a size that rests on it is not known."""
    one = match(3, 1, FAR, {"rule": "crossover"})
    wide = replace(one, costs=CostParams(half_spread="20000tick"))
    for play in (wide.backtrader, wide.kernel):
        with pytest.raises(ParameterError, match=r"costs.half_spread = .*is all of ONE's lowest price"):
            play()
    with pytest.raises(ParameterError, match=r"costs.half_spread = .*is all of ONE's lowest price"):
        run_strategy(module.bt.Strategy, one.markets[0], None, one.account, wide.costs)
    now = np.zeros(1, dtype=SITUATION)
    now["equity"], now["price"], now["side"], now["face"], now["slippage"] = 1000.0, 100.0, -1.0, 1.0, 1.0
    assert np.isnan(entry_size(risk_record(RiskParams())[0], now[0]))
