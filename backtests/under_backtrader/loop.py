"""The fast loop of Cerebro: strategies, indicators and analyzers called as by Backtrader, and nothing else."""

from __future__ import annotations

import gc
import traceback
import warnings
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import backtrader as bt
from backtrader.metabase import ItemCollection

from backtests.under_backtrader.broker import FuturesBroker
from backtests.under_backtrader.coarser import CoarserFeed
from backtests.under_backtrader.cursor import Cursor, lines_of, stand_on, step_off
from backtests.under_backtrader.feed import CandleFeed
from backtests.under_backtrader.listeners import Listeners, hearing, telling
from backtests.under_backtrader.once import work_out
from foundation.errors import DataError, ParameterError

LOOPS = ("fast", "stock")
# What Backtrader's loop calls at every bar, and ours does not.
_STEPS = ("_next", "_oncepost")


class StockLoopWarning(UserWarning):
    """Said where a run asks for something that only Backtrader's own loop does, which then runs it."""


class Cerebro(bt.Cerebro):
    """Backtrader's Cerebro with a loop of our own: `loop="fast"`, or "stock" for Backtrader's.

    Made for CandleFeeds and a FuturesBroker. Every strategy, indicator, observer, analyzer, sizer and timer is called
    as by Backtrader, in the same order; what the fast loop does not do runs in Backtrader's, with a
    StockLoopWarning. No observers are added unless `stdstats=True` asks for them, or AnnualReturn reads one.
    """

    params = (("loop", "fast"), ("stdstats", False))
    observers: list[Any]

    def runstrategies(self, iterstrat: Any, predata: bool = False) -> Any:
        """Runs one set of strategies; raises ParameterError for a loop that is not known."""
        if self.p.loop not in LOOPS:
            raise ParameterError("loop", "is not known", value=self.p.loop, fix=f"allowed: {', '.join(LOOPS)}")
        if isinstance(self._broker, FuturesBroker):
            self._broker.sleeps = self.p.loop == "fast"
        for data in self.datas:
            if isinstance(data, CandleFeed):
                data.shares = self.p.loop == "fast"
        kept = self.observers
        if not self.p.stdstats and any(issubclass(kind, bt.analyzers.AnnualReturn) for kind, _, _ in self.analyzers):
            self.observers = [(False, bt.observers.Broker, (), {}), *kept]
        try:
            return super().runstrategies(iterstrat, predata)
        finally:
            self.observers = kept

    def _runonce(self, runstrats: list[Any]) -> None:
        _name_observers(runstrats)
        try:
            self._run_at_once(runstrats)
        except IndexError as error:
            _tell_short(runstrats, self.datas[0].buflen(), error)
            raise

    def _run_at_once(self, runstrats: list[Any]) -> None:
        if self.p.loop == "stock" or not runstrats:
            super()._runonce(runstrats)
            return
        reason = self._needs_stock(runstrats)
        if reason:
            self._leave_to_stock(reason)
            super()._runonce(runstrats)
            return
        for strategy in runstrats:
            work_out(strategy)
        # The feeds go before: timers see a new bar when strategies and indicators still stand on the one before.
        first, second, rows = self._broker.cursor, Cursor(), self.datas[0].buflen()
        moved = stand_on(first, [line for data in self.datas for line in lines_of(data)])
        moved += stand_on(second, self._own_lines(runstrats, rows))
        # What stands already is not looked through for garbage again and again while orders come and go.
        gc.freeze()
        try:
            self._play(first, second, rows)
        finally:
            gc.unfreeze()
            step_off(moved)

    def _runnext(self, runstrats: list[Any]) -> None:
        _name_observers(runstrats)
        if self.p.loop == "fast":
            self._leave_to_stock("runonce, preload, exactbars, live, or an indicator that has to be called bar by bar")
        super()._runnext(runstrats)

    def _leave_to_stock(self, reason: str) -> None:
        for data in self.datas:
            if isinstance(data, CandleFeed):
                data.unshare()
        text = f'Backtrader\'s own loop runs this, for: {reason}; Cerebro(loop="stock") says so without this warning'
        warnings.warn(text, StockLoopWarning, stacklevel=6)

    def _needs_stock(self, runstrats: list[Any]) -> str:
        """What a run asks for that the fast loop does not do; '' for nothing."""
        asked = {
            "a broker that is no FuturesBroker": not isinstance(self._broker, FuturesBroker),
            "feeds that are no CandleFeeds": not all(isinstance(data, CandleFeed) for data in self.datas),
            "feeds of longer bars": any(isinstance(data, CoarserFeed) for data in self.datas),
            "writers": bool(self.runwriters),
            "cheat_on_open": self.p.cheat_on_open,
            "timers that cheat": bool(self._timerscheat),
            "quicknotify": self.p.quicknotify,
            "lookahead": self.p.lookahead,
            "indicators that follow a part of another one": not all(map(_in_step, runstrats)),
            "a strategy with its own " + " and ".join(_STEPS): any(map(_own_steps, runstrats)),
        }
        return ", ".join(name for name, found in asked.items() if found)

    def _own_lines(self, runstrats: list[Any], rows: int) -> list[Any]:
        """The lines of strategies, which are made as long as the run, and of their indicators."""
        lines: list[Any] = []
        for strategy in runstrats:
            strategy.reset()
            for line in lines_of(strategy):
                shared = line is strategy.lines.datetime
                line.array = self.datas[0].lines.datetime.array if shared else array("d", [float("nan")]) * rows
            lines += lines_of(strategy)
            for indicator in strategy.getindicators():
                lines += lines_of(indicator)
        return lines

    def _play(self, first: Cursor, second: Cursor, rows: int) -> None:
        broker, playing, timers, runstrats = self._broker, self._broker.playing, self._timers, self.runningstrats
        days, news, listeners = (
            self.datas[0].lines.datetime.array,
            broker.notifications,
            list(map(Listeners, runstrats)),
        )
        broker.heard, broker.ends_heard = any(one.orders for one in listeners), any(one.ends for one in listeners)
        players, ears = zip(*map(player, runstrats, listeners), strict=True)
        hear = {None: ears[0], **dict(zip(runstrats, ears, strict=True))}
        for i in range(rows):
            first.at = i
            if i >= playing.wake:
                broker.next()
            while news:
                order = news.popleft()
                (hear.get(order.owner) or order.owner._addnotification)(order)
            if self._event_stop:
                return
            if timers:
                self._check_timers(runstrats, days[i])
            second.at = i
            for play in players:
                play(i)
                if self._event_stop:
                    return


class Enough(Exception):
    """A run has come as far as was asked; its strategies are not told that it is over, for it is not."""


class Until(bt.Analyzer):
    """Ends a run by Enough after the strategy's call at the bar of number `end`."""

    params = (("end", 0),)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        if self.strategy.env.broker.cursor.at >= self.p.end:
            raise Enough


class _Stats(ItemCollection):
    """A strategy's observers, which say of Backtrader's usual ones why they are not there."""

    def __getattr__(self, name: str) -> Any:
        if name in ("broker", "buysell", "trades", "datatrades"):
            fix = "Cerebro(stdstats=True) adds Backtrader's usual ones, cerebro.addobserver any"
            raise AttributeError(f"stats.{name} is an observer that was not added; {fix}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _name_observers(runstrats: list[Any]) -> None:
    for strategy in runstrats:
        strategy.stats.__class__ = _Stats


def _tell_short(runstrats: list[Any], rows: int, error: IndexError) -> None:
    """Raises DataError where Backtrader's indicators gave up for want of bars."""
    needed = max((max(one._minperiods) for one in runstrats), default=0)
    place = traceback.extract_tb(error.__traceback__)[-1].filename
    if needed > rows and Path(place).is_relative_to(Path(bt.__file__).parent):
        fix = "load more of the market, or shorten the indicators"
        raise DataError("bars", f"are {rows:,}, fewer than the {needed:,} an indicator needs", fix=fix) from error


def _own_steps(strategy: Any) -> bool:
    """Whether a strategy has its own way with what Backtrader calls at every bar around its `next`."""
    return any(getattr(type(strategy), name) is not getattr(bt.Strategy, name) for name in _STEPS)


def _in_step(strategy: Any) -> bool:
    """Whether every indicator moves on at every bar: its clock is a feed, or an indicator before it."""
    moving = {id(line) for data in strategy.datas for line in lines_of(data)}
    for indicator in strategy.getindicators():
        if id(lines_of(indicator._clock)[0]) not in moving:
            return False
        moving |= set(map(id, lines_of(indicator)))
    return True


def player(strategy: Any, listeners: Listeners) -> tuple[Callable[[int], None], Callable[[Any], None]]:
    """What a strategy does at the close of each bar, and how it takes an order with news.

    At a close: what it is told of the news, its own `next`, its analyzers and observers.
    """
    least, take, tell = max(strategy._minperiods), hearing(strategy), telling(strategy, listeners.values)
    analyzers, observers, always = listeners.analyzers, strategy.getobservers(), listeners.values
    news: list[Any] = []

    def hear(order: Any) -> None:
        news.append(order)
        take(order)

    def play(i: int) -> None:
        if news or always:
            tell()
        if i >= least:
            strategy.next()
        elif i == least - 1:
            strategy.nextstart()
        else:
            strategy._minperstatus = least - 1 - i
            strategy.prenext()
        if analyzers:
            _call(analyzers, least - 1 - i)
        if observers:
            strategy._next_observers(least - 1 - i, once=True)
        if news:
            # Backtrader would keep every order it told of to the end of the run.
            strategy._orderspending, strategy._tradespending = [], []
            news.clear()

    return play, hear


def _call(analyzers: Sequence[Any], status: int) -> None:
    for analyzer in analyzers:
        if status < 0:
            analyzer._next()
        elif status == 0:
            analyzer._nextstart()
        else:
            analyzer._prenext()
