"""Own runs: a strategy written by hand, played on the futures account, to the Result that every run leaves."""

from __future__ import annotations

import contextlib
import io
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np

from backtests.exchange.parameters import AccountParams, CostParams
from backtests.exchange.stage import Stage, check_costs, first_bar, with_fees
from backtests.run.engine import loss_notes, run_notes, run_tables
from backtests.run.foresight import check_ahead
from backtests.run.own_strategy import OwnParams, check_strategy, describe_strategy, forecast_name, parameter_names
from backtests.run.result import Result
from backtests.run.tables import listed
from backtests.under_backtrader.broker import FuturesBroker
from backtests.under_backtrader.coarser import show_other
from backtests.under_backtrader.feed import CandleFeed, LateFeed
from backtests.under_backtrader.loop import Cerebro, Enough, StockLoopWarning
from foundation.errors import CrossgateError, LookAheadError
from markets.candles import utc
from markets.market import Market, common_span
from models.forecasts import Forecasts, no_forecasts
from strategies.lstm_crossover import LSTMCrossover

Prepare = Callable[[Any], None]


@dataclass(frozen=True, eq=False)
class OwnRun:
    """All that it takes to play a strategy written by hand once more.

    `markets`: over their common span, with the fees of the run. `prepare`: what is done to a Cerebro before it runs.
    `begin`: the open of the first bar with a forecast, UTC nanoseconds, 0 without any. `first`: the row of the
    first bar that counts. `other`: where `markets` are not the run's own, what makes them of those, and so of what
    CoarserFeeds show.
    """

    strategy: OwnParams
    markets: tuple[Market, ...]
    forecasts: Forecasts
    account: AccountParams
    costs: CostParams
    prepare: Prepare | None = None
    begin: int = 0
    first: int = 0
    other: Callable[[Market], Market] | None = None

    def play(
        self, *, loop: str = "fast", late: bool = False, decided: Sequence[Any] = (), told: list[Any] | None = None
    ) -> FuturesBroker:
        """The broker after the run; raises CrossgateError that names the bar and the line where the strategy stops.

        `late`: the strategy sees every bar when the next one has closed, and the account as it is. `decided`: a list a
        market that an LSTMCrossover puts its Decisions down in. `told`: a list in which to put down all that the
        exchange was told, see FuturesBroker.
        """
        cerebro = Cerebro(loop=loop)
        for market in self.markets:
            cerebro.adddata((LateFeed if late else CandleFeed)(dataname=market))
        cerebro.broker = FuturesBroker.of(self.account, self.costs, self.strategy.leverage)
        cerebro.addstrategy(self.strategy.kind, **self._handed(decided))
        if self.prepare is not None:
            self.prepare(cerebro)
        show_other(cerebro.datas, self.other)
        cerebro.broker.remembers, cerebro.broker.told = True, told
        try:
            ran = cerebro.run()
        except Enough:
            return cast("FuturesBroker", cerebro.broker)
        except Exception as error:
            raise _told(self, cerebro, error) from error
        if not ran:
            raise CrossgateError(f"{self.strategy.name}: no strategy took part in the run")
        broker: FuturesBroker = cerebro.broker
        return broker

    def again(self, **changes: Any) -> FuturesBroker:
        """The broker of the same run with some of its fields changed; what the strategy prints is not shown."""
        late, told = bool(changes.pop("late", False)), changes.pop("told", None)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", StockLoopWarning)
            return replace(self, **changes).play(late=late, told=told)

    def _handed(self, decided: Sequence[Any]) -> dict[str, Any]:
        kind, given = self.strategy.kind, self.strategy.given
        if self.strategy.forecasts:
            given.setdefault(str(forecast_name(kind)), self.forecasts)
            if "start" in parameter_names(kind):
                given.setdefault("start", self.begin)
        if decided and issubclass(kind, LSTMCrossover):
            given.setdefault("record", lambda number, row: decided[number].append(row))
        return given


def run_strategy(
    strategy: Any,
    market: Market | Sequence[Market],
    parameters: Mapping[str, Any] | None = None,
    account: AccountParams | None = None,
    costs: CostParams | None = None,
    *,
    leverage: float = 1.0,
    forecasts: Forecasts | None = None,
    prepare: Prepare | None = None,
    name: str | None = None,
    loop: Literal["fast", "stock"] = "fast",
    check: bool = True,
    config: dict[str, Any] | None = None,
) -> Result:
    """The Result of a `bt.Strategy` written by hand, on the same exchange and account as `backtest`.

    `parameters`: of its `params`, by name. `leverage`: of orders that name none. `forecasts`: handed to the strategy
    as its parameter `forecaster` or `forecasts`, with the open of the first bar that counts as `start`, if it has one.
    `prepare`: called with the Cerebro before it runs, to add analyzers, observers, sizers or timers. Figures start
    at the first bar that has a forecast; without forecasts, at the first at which all indicators are known; never after
    the first order. With `check` the strategy is played again with other bars after some of its own, up to
    where it has to give the same orders: raises LookAheadError where it does not. Raises CrossgateError, in one line,
    for whatever the strategy itself raises; and what `backtest` raises for markets, funding and accounts.
    """
    params = (
        strategy.loaded()
        if isinstance(strategy, OwnParams)
        else describe_strategy(strategy, parameters or {}, leverage, forecasts=forecasts is not None)
    )
    check_strategy(params)
    account, costs = account or AccountParams(), costs or CostParams()
    played = tuple(with_fees(one, costs) for one in common_span(listed(market)))
    check_costs(played, [costs])
    asked = no_forecasts(played) if forecasts is None else forecasts
    begin = 0 if forecasts is None else first_bar(played[0], forecasts)
    run = OwnRun(params, played, asked, account, costs, prepare, begin)
    decided: list[list[Any]] = [[] for _ in played]
    broker = run.play(loop=loop, decided=decided)
    run = replace(run, first=_first(run, broker))
    if check:
        check_ahead(run, broker)
    return _result(run, broker, decided, name or params.name.lower(), config)


def _first(run: OwnRun, broker: FuturesBroker) -> int:
    """The row from which figures count."""
    stamps = run.markets[0].candles.timestamp
    known = int(np.searchsorted(stamps, run.begin))
    if not run.strategy.forecasts:
        known = max(max(one._minperiods) for one in broker.cerebro.runningstrats) - 1
    ordered = [broker.given[0][0]] if broker.given else []
    return int(max(0, min([known, *ordered, len(stamps) - 1])))


def _result(
    run: OwnRun, broker: FuturesBroker, decided: Sequence[list[Any]], name: str, config: dict[str, Any] | None
) -> Result:
    start = int(run.markets[0].candles.timestamp[run.first])
    stage = Stage(run.markets, run.markets, start, run.first)
    notes = [*run_notes(run.markets, start, run.account), *run.forecasts.notes]
    record = run_tables(broker, decided, stage)
    ruined = bool(broker.account["ruined"][0])
    notes += loss_notes(record, run.account, ruined=ruined)
    return Result(
        name=name, markets=run.markets, forecasts=run.forecasts, strategy=run.strategy, risk=None, account=run.account,
        costs=run.costs, start=start, notes=tuple(notes), ruined=ruined, config=config or {}, own=run, **record,
    )  # fmt: skip


def _told(run: OwnRun, cerebro: Any, error: Exception) -> CrossgateError:
    """One line of what a strategy raised: the bar, the place in its file, and the error."""
    at = getattr(cerebro.broker.cursor, "at", -1)
    stamps = run.markets[0].candles.timestamp
    when = f"at the bar of {utc(int(stamps[at]))} UTC" if 0 <= at < len(stamps) else "before the first bar"
    file = str(run.strategy.path or "")
    own = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == file]
    place = f" ({run.strategy.path.name}, line {own[-1].lineno})" if own and run.strategy.path else ""
    told = str(error) if isinstance(error, CrossgateError) else f"{type(error).__name__}: {error}"
    kind = LookAheadError if isinstance(error, LookAheadError) else CrossgateError
    return kind(f"{run.strategy.name} stops {when}{place}: {told}")
