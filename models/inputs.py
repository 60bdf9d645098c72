"""Inputs: what is known of a market at the close of each of its bars; all that a feature may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foundation.errors import DataError, suggestion
from foundation.units import nanoseconds
from markets.candles import Candles, FloatArray, IntArray, duration
from markets.market import Market

COLUMNS = ("open", "high", "low", "close", "volume")
# Settlements are stamped to the minute.
SLACK = 60_000_000_000


@dataclass(frozen=True, eq=False)
class Inputs:
    """The bars of one market and the series joined to them, one value a bar.

    `timestamp`: bar OPEN, UTC nanoseconds, `bar` apart. `known`: series by name, float64, worth at row t
    what was public at the close of bar t; NaN where nothing was. `source` names the candles in errors.
    """

    timestamp: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    bar: int
    known: Mapping[str, FloatArray] = field(default_factory=dict)
    source: str = "candles"

    def __len__(self) -> int:
        return len(self.timestamp)

    def rows(self, first: int, last: int) -> Inputs:
        """The rows from `first` up to, not including, `last`."""
        arrays: dict[str, Any] = {name: getattr(self, name)[first:last] for name in ("timestamp", *COLUMNS)}
        known = {name: values[first:last] for name, values in self.known.items()}
        return Inputs(**arrays, bar=self.bar, known=known, source=self.source)

    def series(self, name: str) -> FloatArray:
        """A joined series by name; raises DataError where the market has none."""
        if name not in self.known:
            raise DataError(self.source, f"has no {name} joined to it", fix=suggestion(name, self.known))
        return self.known[name]


def as_inputs(source: Market | Candles | Inputs, names: Iterable[str] = ()) -> Inputs:
    """The inputs of a market, with the joined series of some names; of candles alone, without any.

    Raises DataError for a series that the market does not have.
    """
    if isinstance(source, Inputs):
        return source
    market = source if isinstance(source, Market) else None
    candles = source.candles if isinstance(source, Market) else source
    known = _joined(market, list(names), candles.source)
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    return Inputs(candles.timestamp, *columns, bar=candles.bar, known=known, source=candles.source)


def _joined(market: Market | None, names: list[str], source: str) -> dict[str, FloatArray]:
    """Joined series of a market by name, worth at row t what was public at the close of bar t."""
    if names and market is None:
        raise DataError(source, f"is candles alone; {names[0]} comes with a Market", fix="hand in the Market")
    if not names or market is None:
        return {}
    known: dict[str, FloatArray] = {}
    for one in market.exogenous:
        if set(names) & set(one.columns):
            known |= one.joined(market.candles.timestamp + market.candles.bar)
    for name, join in _OWN.items():
        if name in names:
            known[name] = join(market)
    for name in names:
        if name not in known:
            fix = suggestion(name, series_names(market)) if series_names(market) else "join one with with_exogenous"
            raise DataError(market.symbol, f"has no series {name}", fix=fix)
    return {name: known[name] for name in names}


def series_names(market: Market) -> list[str]:
    """The names of the series that a market can join to its bars."""
    names = [] if market.funding is None else ["funding_rate"]
    names += ["basis"] if market.mark is not None and _on_grid(market.candles, market.mark) else []
    return names + [name for one in market.exogenous for name in one.columns]


def input_notes(market: Market, names: Iterable[str]) -> list[str]:
    """What a reader must know of the joined series that some features look at: what was found, what stood in."""
    notes: list[str] = []
    wanted = set(names)
    for one in market.exogenous:
        if not wanted & set(one.columns):
            continue
        notes += one.notes
        share = one.neutral_share(market.candles.timestamp + market.candles.bar)
        if share > 0.0 and one.neutral is not None:
            what = f"of {market.symbol}: nothing fresh was known at {share:.1%} of the bars"
            notes.append(f"{one.name} {what}, where {one.neutral:g} stands in")
    return notes


def funding_known(market: Market) -> FloatArray:
    """The rate of the newest settlement stamped at or before each close; NaN before the first and after a hole.

    A rate is taken to be unknown before its stamp, and to hold no longer than the contract's interval.
    """
    funding = market.funding
    if funding is None:
        raise DataError(market.symbol, "has no funding, which the features ask for", fix="name market.funding")
    close = market.candles.timestamp + market.candles.bar
    row = np.searchsorted(funding.timestamp, close, side="right") - 1
    age = close - funding.timestamp[np.maximum(row, 0)]
    fresh = (row >= 0) & (age <= nanoseconds(market.contract.funding_interval) + SLACK)
    return np.where(fresh, funding.rate[np.maximum(row, 0)], np.nan)


def basis_known(market: Market) -> FloatArray:
    """log(last / mark) where the newest mark bar closed, at or before each close; NaN before the first, after a hole.

    Both prices are those of one moment, the close of the mark bar, so that coarse mark bars give an older basis
    and no false one. It is held for the length of a mark bar. Raises DataError where no candle closes with a mark bar.
    """
    candles, mark = market.candles, market.mark
    if mark is None:
        raise DataError(market.symbol, "has no mark candles, which the features ask for", fix="name market.mark")
    close, known_at = candles.timestamp + candles.bar, mark.timestamp + mark.bar
    at = np.minimum(np.searchsorted(close, known_at), len(close) - 1)
    both = close[at] == known_at
    if not _on_grid(candles, mark):
        problem = f"has no bar of {duration(mark.bar)} that closes with a candle of {duration(candles.bar)}"
        raise DataError(mark.source, problem, fix="name mark candles on the same grid")
    if not both.any():
        return np.full(len(close), np.nan)
    when, basis = known_at[both], np.log(candles.close[at[both]] / mark.close[both])
    row = np.searchsorted(when, close, side="right") - 1
    fresh = (row >= 0) & (close - when[np.maximum(row, 0)] < max(mark.bar, candles.bar))
    return np.where(fresh, basis[np.maximum(row, 0)], np.nan)


def _on_grid(candles: Candles, mark: Candles) -> bool:
    """Whether some mark bar closes when a candle of this grid does."""
    return bool(((mark.timestamp + mark.bar - candles.timestamp[0]) % candles.bar == 0).any())


_OWN: dict[str, Callable[[Market], FloatArray]] = {"funding_rate": funding_known, "basis": basis_known}
