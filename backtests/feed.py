"""The Backtrader feed of a market's candles."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from backtests.cursor import unshared
from foundation.errors import ParameterError
from markets.market import Market

_MINUTE = 60_000_000_000
# Backtrader counts days from the year 1; this is 1970-01-01.
_EPOCH_DAYS = 719_163.0
_DAY = 86_400e9


class CandleFeed(bt.feed.DataBase):
    """A market as a Backtrader feed: `CandleFeed(dataname=market)`.

    Lines are filled as whole arrays. Bars are stamped with their OPEN time, in UTC; `next` runs at
    their close. `symbol` is the contract's, `open_time` the current bar's open in UTC nanoseconds.
    Resampling and replaying are not supported: hand in candles of the length you want.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        market = self.p.dataname
        if not isinstance(market, Market):
            raise ParameterError(
                "dataname", "should be a Market", value=market, fix="CandleFeed(dataname=cg.load_market(...))"
            )
        self.market = market
        self.symbol = self._name = market.symbol
        minutes = max(market.candles.bar // _MINUTE, 1)
        self._timeframe = self.p.timeframe = bt.TimeFrame.Minutes
        self._compression = self.p.compression = minutes
        self._stamps = market.candles.timestamp
        self._cursor = 0
        # Whether lines that are filled at once are the candles themselves, which nobody writes to, or copies.
        self.shares = False
        # Found at once, where Backtrader looks for a line by its name in three places.
        self.__dict__.update({name: getattr(self.lines, name) for name in self.getlinealiases()})

    @cached_property
    def days(self) -> NDArray[np.float64]:
        """The opens of all bars as Backtrader counts time, in days."""
        return np.asarray(self.market.candles.timestamp / _DAY + _EPOCH_DAYS)

    @property
    def open_time(self) -> int:
        """The open of the current bar, UTC nanoseconds."""
        return int(self._stamps[len(self.lines[0]) - 1])

    def start(self) -> None:
        """Before the first bar."""
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
    def open_time(self) -> int:
        """The open of the bar that is seen, UTC nanoseconds."""
        return int(self._stamps[max(len(self.lines[0]) - 2, 0)])

    def _columns(self) -> dict[str, Any]:
        return {name: np.concatenate((values[:1], values[:-1])) for name, values in super()._columns().items()}
