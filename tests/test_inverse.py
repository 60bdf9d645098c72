"""Inverse contracts under Backtrader: what trades, analyzers and the account say is the same, in coin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simple_market import contract, forecasts, market, walk
from test_broker import run

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.run.engine import backtest
from strategies.parameters import RiskParams
from strategies.plan import SITUATION, entry_size, risk_record

COIN: dict[str, Any] = {"kind": "inverse", "settlement": "BTC", "face": 100.0, "lot": 1.0, "tick": 0.5}
# Prices whose inverses are short: 1/20000, 1/25000, 1/40000.
ROWS = [(20_000.0,) * 4, (20_000.0,) * 4, (25_000.0,) * 4, (40_000.0,) * 4, (40_000.0,) * 4]


def close(strategy: Any) -> None:
    """Closes what is held."""
    strategy.close()


@pytest.mark.parametrize("side", [1, -1])
def test_profit_entry_and_fees_are_in_coin(side: int) -> None:
    """100 contracts at 20,000 and 100 at 25,000 are worth 0.9 coins; at 40,000 they are worth 0.5."""

    def add(strategy: Any) -> None:
        (strategy.buy if side > 0 else strategy.sell)(size=100, leverage=2)

    strategy = run(market(ROWS, **COIN, taker_fee=0.001), {0: add, 1: add, 3: close}, cash=10.0)
    table = strategy.broker.ledger.tables()[0]
    assert table["fee"].tolist() == pytest.approx([0.0005, 0.0004, 0.0005])
    assert table["realised_pnl"].tolist() == pytest.approx([0.0, 0.0, side * 0.4])
    (trade,) = strategy.trades
    assert trade.pnl == pytest.approx(side * 0.4)
    assert trade.pnlcomm == pytest.approx(side * 0.4 - 0.0014)
    assert strategy.broker.getvalue() == pytest.approx(10.0 + trade.pnlcomm)
    assert strategy.analyzers.trades.get_analysis().pnl.net.total == pytest.approx(trade.pnlcomm)


@pytest.mark.parametrize("side", [1, -1])
def test_what_is_held_is_valued_as_the_account_values_it(side: int) -> None:
    """Backtrader's position stands at the harmonic entry; its commission's profit is the account's unrealised one."""

    def add(strategy: Any) -> None:
        (strategy.buy if side > 0 else strategy.sell)(size=100, leverage=2)

    strategy = run(market(ROWS, **COIN), {0: add, 1: add}, cash=10.0)
    broker, feed = strategy.broker, strategy.datas[0]
    held = broker.getposition(feed)
    assert held.price == pytest.approx(200 * 100 / 0.9)
    info = broker.getcommissioninfo(feed)
    unrealised = info.profitandloss(held.size, held.price, feed.close[0])
    assert unrealised == pytest.approx(float(broker.account["unrealised"][0])) == pytest.approx(side * 0.4)
    assert float(broker.account["margin"][0]) == pytest.approx(0.45)
    assert broker.getvalue([feed]) == pytest.approx(side * 0.5)
    assert broker.getcash() == pytest.approx(10.0 - 0.45)
    assert info.getvaluesize(100, 20_000.0) == pytest.approx(0.5)


def situation(side: int, face: float, inverse: bool) -> Any:
    """A situation at a price of 20,000 with an equity of 2 in the settlement currency, without costs."""
    now = np.zeros(1, dtype=SITUATION)
    now["equity"], now["price"], now["side"], now["face"], now["inverse"] = 2.0, 20_000.0, side, face, inverse
    return now[0]


@pytest.mark.parametrize("side", [1, -1])
def test_sizes_of_inverse_contracts_count_contracts(side: int) -> None:
    """At leverage 3, 2 coins at 20,000 carry 120,000 USD: 1,200 contracts of 100 USD."""
    plan = risk_record(RiskParams(sizing="leverage", leverage=3.0))[0]
    assert entry_size(plan, situation(side, 100.0, inverse=True)) == pytest.approx(1200.0)
    plan = risk_record(RiskParams(sizing="fraction", fraction=0.25, leverage=2.0))[0]
    assert entry_size(plan, situation(side, 100.0, inverse=True)) == pytest.approx(200.0)


@pytest.mark.parametrize("side", [1, -1])
def test_a_stop_of_an_inverse_contract_loses_the_risk_in_coin(side: int) -> None:
    """The size risks 1 % of 2 coins between 20,000 and a stop 10 % away, where the worth is counted in coin."""
    plan = risk_record(RiskParams(sizing="risk", risk_per_trade=0.01, leverage=50.0, stop_loss="10%"))[0]
    size = entry_size(plan, situation(side, 100.0, inverse=True))
    stop = 20_000.0 * (1 - side * 0.1)
    assert abs(size * 100.0 * (1 / 20_000.0 - 1 / stop)) == pytest.approx(0.02)


@pytest.mark.parametrize("side", [1, -1])
def test_sizes_of_linear_contracts_count_their_face(side: int) -> None:
    """Contracts of 0.01 coins are a hundred times as many as coins, for every way of sizing."""
    for more in ({"sizing": "leverage"}, {"sizing": "risk", "stop_loss": "5%"}, {"sizing": "fraction"}):
        plan = risk_record(RiskParams(leverage=3.0, **more))[0]
        coins = entry_size(plan, situation(side, 1.0, inverse=False))
        assert entry_size(plan, situation(side, 0.01, inverse=False)) == pytest.approx(100 * coins)


def test_a_contract_says_its_coin() -> None:
    """An inverse contract that would settle in USDT is refused, and so is one of BitMEX with another face."""
    from foundation.errors import ParameterError

    with pytest.raises(ParameterError, match=r'contract\.settlement = .*name the coin, such as "BTC"'):
        contract(kind="inverse")
    with pytest.raises(ParameterError, match=r"contract\.method = .*face = 1\.0"):
        contract(method="bitmex", face=100.0, kind="inverse", settlement="BTC")
    with pytest.raises(ParameterError, match=r"contract\.maintenance_rate = 0\.01: is not that of the lowest"):
        contract(tiers=[{"floor": 0.0, "cap": 10.0, "rate": 0.02, "leverage": 20.0}])


def test_a_backtest_on_a_coin_account_is_in_coin() -> None:
    """Fills, costs, equity and the printed result are in the coin; every bar closes the accounting identity."""
    over = market(walk(400, seed=3), **COIN, taker_fee=0.0005, liquidation_fee=0.01, funding={8: 0.001, 16: -0.0005})
    asked = forecasts(over, np.where(np.arange(400) // 25 % 2 == 0, 0.02, -0.02), first=60)
    result = backtest(over, asked, account=AccountParams(cash=0.5), costs=CostParams(slippage_bps=2.0))
    fills = result.fills
    assert len(fills) > 10
    assert fills["notional"].to_numpy() == pytest.approx((fills["quantity"] * 100.0 / fills["price"]).to_numpy())
    assert fills["fee"].max() < 0.01
    earned = fills["realised_pnl"].sum() - fills["fee"].sum() - fills["liquidation_fee"].sum()
    last = result.equity.iloc[-1]
    paid = result.funding["payment"].sum()
    assert last["equity"] - 0.5 == pytest.approx(earned - paid + last["unrealised"], abs=1e-12)
    assert result.settlement == "BTC"
    assert "BTC" in str(result)
