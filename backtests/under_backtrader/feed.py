"""The Backtrader feed of a market's candles."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import Any, NoReturn

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from backtests.under_backtrader.cursor import unshared
from foundation.errors import ParameterError
from markets.market import Market

MINUTE = 60_000_000_000
# Backtrader counts days from the year 1; this is 1970-01-01.
EPOCH_DAYS = 719_163.0
DAY = 86_400e9
_DATED = ("fromdate", "todate", "sessionstart", "sessionend", "filters")
_FIX = "cut the Market (market.rows(first, last)) or load it so (cg.load_market(..., start=, end=, bar=))"


class CandleFeed(bt.feed.DataBase):
    """A market as a Backtrader feed: `CandleFeed(dataname=market)`.

    Lines are filled as whole arrays. Bars are stamped with their OPEN time, in UTC; `next` runs at
    their close. `symbol` is the contract's, `open_time` the current bar's open in UTC nanoseconds.
    The exchange plays the bars of the market, so the strategy sees them all, as they are: dates, sessions, filters,
    resampling and replaying are refused. Cut or resample the Market; to look at longer bars beside: CoarserFeed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in _DATED:
            if getattr(self.p, name):
                raise ParameterError(name, "is not played by a CandleFeed", value=getattr(self.p, name), fix=_FIX)
        market = self.p.dataname
        if not isinstance(market, Market):
            raise ParameterError(
                "dataname", "should be a Market", value=market, fix="CandleFeed(dataname=cg.load_market(...))"
            )
        self.market = market
        self.symbol = self._name = market.symbol
        minutes = max(market.candles.bar // MINUTE, 1)
        self._timeframe = self.p.timeframe = bt.TimeFrame.Minutes
        self._compression = self.p.compression = minutes
        self._stamps = market.candles.timestamp
        self._cursor = 0
        # Whether lines that are filled at once are the candles themselves, which nobody writes to, or copies.
        self.shares = False
        # Found at once, where Backtrader looks for a line by its name in three places.
        self.__dict__.update({name: getattr(self.lines, name) for name in self.getlinealiases()})

    def __len__(self) -> int:
        """The bars that have closed."""
        return len(self.close)

    @cached_property
    def days(self) -> NDArray[np.float64]:
        """The opens of all bars as Backtrader counts time, in days."""
        return np.asarray(self.market.candles.timestamp / DAY + EPOCH_DAYS)

    @property
    def shown(self) -> NDArray[np.float64]:
        """What the line of times holds at every bar, in days."""
        return self.days

    @property
    def open_time(self) -> int:
        """The open of the current bar, UTC nanoseconds."""
        return int(self._stamps[len(self.lines[0]) - 1])

    def addfilter(self, p: Any, *arguments: Any, **options: Any) -> NoReturn:
        """Raises ParameterError: the exchange would play other bars than the strategy sees."""
        name = getattr(p, "__name__", p)
        raise ParameterError("filter", "is not played by a CandleFeed", value=name, fix=_FIX)

    addfilter_simple = addfilter

    def resample(self, **options: Any) -> NoReturn:
        """Raises ParameterError: the exchange would play other bars than the strategy sees."""
        fix = f'{_FIX}; to look at longer bars beside, add CoarserFeed(dataname=market, bar="4h")'
        raise ParameterError("resampledata", "is not played by a CandleFeed", value=self.symbol, fix=fix)

    def replay(self, **options: Any) -> NoReturn:
        """Raises ParameterError: the exchange would play other bars than the strategy sees."""
        fix = "give shorter bars as Market.finer, which say what came first inside a bar"
        raise ParameterError("replaydata", "is not played by a CandleFeed", value=self.symbol, fix=fix)

    def clone(self, **options: Any) -> NoReturn:
        """Raises ParameterError: Cerebro.resampledata and replaydata copy a feed that was added before."""
        fix = f'to look at longer bars beside, add CoarserFeed(dataname=market, bar="4h"); to trade them, {_FIX}'
        raise ParameterError("feed", "is not cloned, resampled or replayed", value=self.symbol, fix=fix)

    copyas = clone

    def start(self) -> None:
        """Before the first bar; raises ParameterError where dates or filters were set on it since."""
        changed = self._filters or self._ffilters or self.resampling or self.replaying
        if changed or self.p.fromdate is not None or self.p.todate is not None:
            raise ParameterError("feed", "shows other bars than its market has", value=self.symbol, fix=_FIX)
        super().start()
        self._cursor = 0

    def preload(self) -> None:
        """All bars are put into the lines at once."""
        self._cursor = len(self._stamps)
        for name, values in self._columns().items():
            line = getattr(self.lines, name)
            line.array = memoryview(values) if self.shares else array("d", values.tobytes())
            line.extension = 0
        self.home()

    def unshare(self) -> None:
        """Lines that are the candles themselves become copies, which may be written to and lengthened."""
        for line in self.lines.lines:
            line.array = unshared(line.array)

    def advance(self, size: int = 1, datamaster: Any = None, ticks: bool = True) -> None:
        """One bar on, without the tick attributes that only replaying needs."""
        super().advance(size, datamaster=datamaster, ticks=False)

    def _load(self) -> bool:
        if self._cursor >= len(self._stamps):
            return False
        for name, values in self._columns().items():
            getattr(self.lines, name)[0] = float(values[self._cursor])
        self._cursor += 1
        return True

    def _columns(self) -> dict[str, Any]:
        candles = self.market.candles
        columns = {name: getattr(candles, name) for name in ("open", "high", "low", "close", "volume")}
        columns["openinterest"] = np.broadcast_to(np.zeros(1), len(candles))
        columns["datetime"] = self.days
        return columns


class LateFeed(CandleFeed):
    """The same market seen a bar late: at the close of each bar its lines hold the bar before; the first bar twice."""

    @property
    def shown(self) -> NDArray[np.float64]:
        """The times of the bars before."""
        return np.concatenate((self.days[:1], self.days[:-1]))

    @property
    def open_time(self) -> int:
        """The open of the bar that is seen, UTC nanoseconds."""
        return int(self._stamps[max(len(self.lines[0]) - 2, 0)])

    def _columns(self) -> dict[str, Any]:
        return {name: np.concatenate((values[:1], values[:-1])) for name, values in super()._columns().items()}
