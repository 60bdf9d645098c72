"""Stage: the markets of a run made ready to be played, the same for every driver of the exchange."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backtests.exchange.parameters import CostParams
from foundation.errors import DataError, ParameterError, suggestion
from markets.candles import utc
from markets.market import Market, common_span
from models.forecasts import Forecasts
from strategies.parameters import CrossoverParams, RiskParams

# After this many times the longest average, its start shows in the last digits of a double at most.
WARM_UP_AVERAGES = 20


@dataclass(frozen=True)
class Stage:
    """The markets of a run: `played` over their common span with the fees of the run, `fed` from the warm-up on.

    `start`: open of the first bar played, UTC nanoseconds. `first`: its row in the markets that are fed.
    """

    played: tuple[Market, ...]
    fed: tuple[Market, ...]
    start: int
    first: int


def set_stage(
    markets: Sequence[Market],
    forecasts: Forecasts,
    costs: CostParams,
    strategies: Sequence[CrossoverParams],
    risks: Sequence[RiskParams],
    *,
    impact_window: int | None = None,
) -> Stage:
    """The stage of some markets, on which each of the strategies and risks can be played.

    Averages are warmed up before the first forecast, as `warm_up` says. `impact_window`: the longest that will be
    played, by default that of `costs`. Raises ParameterError for a
    leverage above a contract's maximum and for costs that take a whole price, DataError for forecasts that do not fit
    the markets.
    """
    played = [with_fees(one, costs) for one in common_span(markets)]
    for one in played:
        for risk in risks:
            risk.check_leverage(one.contract)
        if one.symbol not in forecasts.series:
            raise DataError("forecasts", f"hold none for {one.symbol}", fix=suggestion(one.symbol, forecasts.series))
    start = first_bar(played[0], forecasts)
    first = int(np.searchsorted(played[0].candles.timestamp, start))
    check_costs(played, [costs], first)
    window = costs.impact_window if impact_window is None else impact_window
    longest = max(warm_up(one, risk.atr_bars, window) for one in strategies for risk in risks)
    begin = max(0, first - longest)
    fed = tuple(one.rows(begin, len(one.candles)) for one in played)
    return Stage(tuple(played), fed, start, first - begin)


def warm_up(strategy: CrossoverParams, atr_bars: int, impact_window: int) -> int:
    """The bars before the first one played that averages are worked out over, and the impact of a size."""
    return max(WARM_UP_AVERAGES * max(strategy.slow, atr_bars), impact_window + 1)


def check_costs(markets: Sequence[Market], costs: Iterable[CostParams], first: int = 0) -> None:
    """Raises ParameterError for a half-spread that takes a whole price of the bars from row `first` on."""
    lowest = [float(one.candles.low[first:].min()) for one in markets]
    for one in costs:
        for market, low in zip(markets, lowest, strict=True):
            if one.slippage_rate(low, market.contract.tick) >= 1.0:
                problem = f"with the slippage is all of {market.symbol}'s lowest price played, {low:g}"
                fix = "give a smaller one"
                raise ParameterError("costs.half_spread", problem, value=str(one.half_spread), fix=fix)


def with_fees(market: Market, costs: CostParams) -> Market:
    """The market with the fees of a run."""
    named = {name: getattr(costs, name) for name in ("taker_fee", "maker_fee", "liquidation_fee")}
    given = {name: value for name, value in named.items() if value is not None}
    return replace(market, contract=market.contract.replaced(**given)) if given else market


def first_bar(market: Market, forecasts: Forecasts) -> int:
    """The open of the first bar of the span that has a forecast."""
    stamps = market.candles.timestamp
    row = int(np.searchsorted(stamps, forecasts.start))
    if row >= len(stamps):
        raise DataError(
            "forecasts",
            f"start at {utc(forecasts.start)} UTC, after the last candle",
            fix="use forecasts for these candles",
        )
    return int(stamps[row])
