"""The Backtrader feed of a market's longer bars, which a strategy looks at beside those that it trades."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtests.under_backtrader.feed import DAY, EPOCH_DAYS, MINUTE, CandleFeed
from foundation.errors import ParameterError
from foundation.units import nanoseconds
from markets.market import Market
from markets.resampling import resample


class CoarserFeed(CandleFeed):
    """The bars of a market in a longer length: `CoarserFeed(dataname=market, bar="4h")`, after the CandleFeeds.

    `market`: one with the same bars as those traded. A bar comes when the last of its parts has closed, and carries
    that part's open as its time, so that none is seen before it is over; `open_time` is its own open. Bars begin as in
    `markets.resampling.resample`, and only whole ones are shown. Indicators on it count its own bars. It is only looked
    at: an order on it is refused. Backtrader's own loop runs it. Raises ParameterError for a length that
    is no multiple of the market's bars.
    """

    params = (("bar", None),)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        try:
            length = nanoseconds(self.p.bar)
        except (TypeError, ValueError) as error:
            raise ParameterError("bar", "is no length of bars", value=self.p.bar, fix='such as "4h"') from error
        self._length = length
        self._name = f"{self.symbol} {self.p.bar}"
        self._compression = self.p.compression = max(length // MINUTE, 1)
        self.show(self.market)

    def show(self, market: Market) -> None:
        """Before a run: the longer bars of this market, in the place of those that it was made of."""
        self.parts = market.candles
        candles = resample(self.parts, self._length)
        self.market = replace(market, candles=candles, mark=None, funding=None, finer=None, oracle=None)
        self._stamps = candles.timestamp
        self.__dict__.pop("days", None)

    @cached_property
    def days(self) -> NDArray[np.float64]:
        """The opens of the last part of each bar as Backtrader counts time, in days."""
        last = self._stamps + (self.market.candles.bar - self.parts.bar)
        return np.asarray(last / DAY + EPOCH_DAYS)


def show_other(feeds: Sequence[Any], other: Callable[[Market], Market] | None) -> None:
    """Has each CoarserFeed among some feeds show what `other` makes of the market it was given; that itself for None.

    One that was given a market of another feed shows that as it is: what is played is other bars already.
    """
    played = [feed.market for feed in feeds if not isinstance(feed, CoarserFeed)]
    for feed in feeds:
        if isinstance(feed, CoarserFeed):
            given: Market = feed.p.dataname
            feed.show(given if other is None or any(given is one for one in played) else other(given))
