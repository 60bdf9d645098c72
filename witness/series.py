"""The witness's series: a market's candles, mark, finer candles and funding, put together bar by bar.

The values are read in place from whatever holds them; how they go together is written from docs/fills.md:

- the mark of a bar is joined of all the mark bars in it; where one is missing, or they are longer, the last price
  stands in;
- a settlement is due at the bar's open, or else inside the bar in which it lies;
- finer bars count where all of them are held, cleaning touched none, and they make the candle to a millionth of a tick.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, overload

from witness.terms import TOLERANCE, WitnessBar, WitnessFiner

Prices = tuple[float, float, float, float]


class Rows:
    """Candles by row, their columns read in place; `bar`: the length of one, nanoseconds."""

    def __init__(self, candles: Any) -> None:
        self.bar = int(candles.bar)
        self.stamp, self.touched = memoryview(candles.timestamp), memoryview(candles.touched)
        self.open, self.high, self.low, self.close, self.volume = (
            memoryview(getattr(candles, name)) for name in ("open", "high", "low", "close", "volume")
        )

    def prices(self, row: int) -> Prices:
        """Open, high, low and close of a row."""
        return self.open[row], self.high[row], self.low[row], self.close[row]

    def inside(self, stamp: int, length: int) -> range:
        """The rows that fill a time from its first stamp on; none where one of them is missing."""
        first, count = bisect_left(self.stamp, stamp), length // self.bar
        held = first + count <= len(self.stamp) and self.stamp[first] == stamp
        return range(first, first + count) if held else range(0)

    def joined(self, rows: range) -> Prices:
        """One bar made of some rows: the first open, the extremes, the last close."""
        if len(rows) == 1:
            return self.prices(rows[0])
        high, low = max(self.high[rows.start : rows.stop]), min(self.low[rows.start : rows.stop])
        return self.open[rows.start], high, low, self.close[rows.stop - 1]


class LazyPath(Sequence[WitnessFiner]):
    """The finer bars inside a bar, put together when they are first asked for."""

    def __init__(self, make: Callable[[], list[WitnessFiner]]) -> None:
        self._make = make
        self._made: list[WitnessFiner] | None = None

    @property
    def steps(self) -> list[WitnessFiner]:
        """All of them."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, at: int) -> WitnessFiner: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[WitnessFiner]: ...
    def __getitem__(self, at: int | slice) -> WitnessFiner | Sequence[WitnessFiner]:
        return self.steps[at]


class MarketBars:
    """The bars of a market, as the witness takes them."""

    def __init__(self, market: Any) -> None:
        self.last, self.tick = Rows(market.candles), float(market.contract.tick)
        self.mark = None if market.mark is None else Rows(market.mark)
        self.finer = None if market.finer is None else Rows(market.finer)
        self.due, self.rates = ([], []) if market.funding is None else _funding(market.funding)

    def bar(self, row: int) -> WitnessBar:
        """The bar of a row of the candles."""
        last, stamp = self.last, self.last.stamp[row]
        mark = self.mark_of(stamp, last.bar)
        at_open = inside = 0.0
        for k in range(bisect_left(self.due, stamp), len(self.due)):
            if self.due[k] >= stamp + last.bar:
                break
            if self.due[k] == stamp:
                at_open += self.rates[k]
            else:
                inside += self.rates[k]
        finer = () if self.finer is None else LazyPath(lambda: self.path(row, mark is None))
        prices = last.prices(row)
        return WitnessBar(*prices, *(mark or prices), at_open, inside, bool(last.touched[row]), last.volume[row], finer)

    def mark_of(self, stamp: int, length: int) -> Prices | None:
        """The mark over a time; None where it is not known."""
        if self.mark is None or length % self.mark.bar:
            return None
        rows = self.mark.inside(stamp, length)
        return self.mark.joined(rows) if rows else None

    def path(self, row: int, stands_in: bool) -> list[WitnessFiner]:
        """The finer bars that count in a bar; `stands_in`: the last price stands in for its mark."""
        assert self.finer is not None
        last, finer = self.last, self.finer
        rows = finer.inside(last.stamp[row], last.bar)
        if not rows or last.touched[row] or any(finer.touched[rows.start : rows.stop]):
            return []
        apart = (abs(a - b) for a, b in zip(finer.joined(rows), last.prices(row), strict=True))
        if max(apart) > TOLERANCE * self.tick:
            return []
        found = []
        for k in rows:
            opened, high, low, _ = prices = finer.prices(k)
            mark = prices if stands_in else self.mark_of(finer.stamp[k], finer.bar)
            known = (None, None) if mark is None else mark[1:3]
            found.append(WitnessFiner(opened, high, low, *known))
        return found


def _funding(funding: Any) -> tuple[list[int], list[float]]:
    return funding.timestamp.tolist(), funding.rate.tolist()


class Said:
    """What a model said of each next bar, by the stamp of the bar at whose close it did."""

    NAMES = ("mean", "sigma", "up_probability", "position")

    def __init__(self, series: Any) -> None:
        self.stamp = memoryview(series.timestamp)
        columns = [getattr(series, name) for name in self.NAMES]
        self.columns = [None if one is None else memoryview(one) for one in columns]

    def at(self, stamp: int) -> tuple[float, ...]:
        """Mean, sigma, chance of a rise and position; NaN where it said none."""
        row = bisect_left(self.stamp, stamp)
        if row == len(self.stamp) or self.stamp[row] != stamp:
            return (float("nan"),) * len(self.NAMES)
        return tuple(float("nan") if one is None else one[row] for one in self.columns)
