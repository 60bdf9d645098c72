"""Result: everything that one backtest left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markets.candles import utc

if TYPE_CHECKING:
    import pandas as pd

    from backtests.exchange.parameters import AccountParams, CostParams
    from backtests.run.own_run import OwnRun
    from backtests.run.own_strategy import OwnParams
    from backtests.under_backtrader.ledger import Totals
    from markets.market import Market
    from models.forecasts import Forecasts
    from strategies.parameters import CrossoverParams, RiskParams


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The full record of one backtest. All timestamps in the tables are bar OPEN, UTC.

    `fills`: timestamp, symbol, side (buy | sell), quantity, price, reason (entry | signal | stop_loss |
    trailing_stop | break_even | take_profit | time_exit | liquidation | order), fee, realised_pnl (before
    fees), position (after), cash (after), slippage, liquidation_fee, bound (1 for a
    liquidation that rests on the bound alone, else 0), notional (the value of the fill),
    spread_cost and impact_cost (both parts of the slippage).
    `equity`: timestamp, equity, cash, margin, unrealised, position, mark, liquidation_price: one row
    per bar, at the bar's close; equity = cash + unrealised, margin is the part of cash that is posted.
    With several symbols the last three are NaN here and stand in `positions`.
    `positions`: timestamp, symbol, position, mark, liquidation_price, margin, unrealised.
    `decisions`: timestamp, symbol, close, mean, sigma, threshold, fast, slow, signal (-1 | 0 | 1), reason.
    `orders`: what was refused, shrunk, cancelled or expired: timestamp, symbol, side, quantity, status, reason, kind,
    price, and the position and cash of that moment.
    `funding`: timestamp, symbol, position, mark, rate, payment (positive when paid), cash (after).
    `start`: open of the first bar played, UTC nanoseconds; every market also holds earlier bars.
    `notes`: what a reader must know first, such as a mark price for which the last price stood in.
    `ruined`: whether equity reached zero; the account then stays there.
    `own`: of a strategy written by hand, all that it takes to play it once more; it has no `risk` table, its decisions
    are not told (but for an LSTMCrossover), and without forecasts its `forecasts` say nothing.
    """

    name: str
    markets: tuple[Market, ...]
    forecasts: Forecasts
    strategy: CrossoverParams | OwnParams
    risk: RiskParams | None
    account: AccountParams
    costs: CostParams
    start: int
    decisions: pd.DataFrame
    orders: pd.DataFrame
    fills: pd.DataFrame
    equity: pd.DataFrame
    positions: pd.DataFrame
    funding: pd.DataFrame
    totals: Totals
    notes: tuple[str, ...] = ()
    ruined: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    own: OwnRun | None = None

    @property
    def synthetic(self) -> bool:
        """Whether any market was made by a generator."""
        return any(market.synthetic for market in self.markets)

    @property
    def settlement(self) -> str:
        """The currency of all money here."""
        return self.markets[0].contract.settlement

    def __repr__(self) -> str:
        equity = self.equity["equity"]
        end = utc(self.equity["timestamp"].iloc[-1].value)
        return (
            f"<Result {self.name}: {utc(self.start)} to {end} UTC, {len(equity):,} bars, "
            f"equity {self.account.cash:,.2f} -> {float(equity.iloc[-1]):,.2f} {self.settlement}>"
        )

    def __str__(self) -> str:
        return _told_by(self)


# What `print(result)` says. What a run came to is worked out further to the right than this room may look: the front
# door hands it in.
_told_by: Callable[[Result], str] = repr


def tell_by(told: Callable[[Result], str]) -> None:
    """Lets `print(result)` say what a function makes of a result."""
    global _told_by
    _told_by = told
