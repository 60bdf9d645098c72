"""Stored markets: the series of a data folder that make up a market, found by contract and bar instead of paths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from foundation.errors import DataError, ParameterError
from foundation.trials import SAME_CONTRACT
from markets.candles import Candles, duration, utc
from markets.contract import Contract
from markets.funding import Funding
from markets.resampling import check_coarser, resample
from markets.rows import Kind
from markets.series import SeriesInfo, SeriesKey, last_stamp, list_series, read_rows
from markets.tiers import NO_CAP, MarginTiers, maintenance_amounts

Span = tuple[int | None, int | None]


class StoredMarket:
    """What the store of a data folder holds of one contract, under its own name or else the one it is fetched by.

    `notes`: what must be known of what was chosen.
    """

    def __init__(self, folder: Path, venue: str, symbol: str) -> None:
        self.folder = folder
        self.venue = venue
        self.symbol = symbol
        self.notes: list[str] = []
        self.series = list_series(folder, venue, symbol)
        fetched = SAME_CONTRACT.get(self.name)
        if fetched is not None and not self.series:
            self.venue, _, self.symbol = fetched.partition(":")
            self.series = list_series(folder, self.venue, self.symbol)

    @property
    def name(self) -> str:
        """The contract's name, venue:symbol."""
        return f"{self.venue}:{self.symbol}"

    def candles(self, bar: int | None, span: Span) -> Candles:
        """The candles of a bar length: the stored ones, else made of the longest stored ones that divide it.

        Without `bar` those of the only length that is stored. Raises ParameterError or DataError.
        """
        held = self._bars("candles")
        if not held:
            raise DataError(f"{self.name} candles", f"are not in the store of {self.folder}", fix=self._near())
        lengths = ", ".join(duration(one) for one in held)
        if bar is None and len(held) > 1:
            raise ParameterError("market.bar", "is missing", fix=f"the store holds candles of {lengths}")
        wanted = bar or held[0]
        if wanted in held:
            return self._candles("candles", wanted, span)
        source = max((one for one in held if one < wanted and wanted % one == 0), default=None)
        if source is None:
            problem = f"is not among the stored candles of {self.name} and not made of any of them"
            raise ParameterError("market.bar", problem, value=duration(wanted), fix=f"the store holds {lengths}")
        check_coarser(source, wanted)
        self.notes.append(f"{self.symbol} candles of {duration(wanted)} were made of {duration(source)} candles")
        return resample(self._candles("candles", source, span), wanted)

    def mark(self, candles: Candles) -> Candles | None:
        """The mark prices over some candles, or None: of the longest bars that make up a candle, else the shortest."""
        held = self._bars("mark")
        if not held:
            return None
        within = [one for one in held if candles.bar % one == 0]
        bar = max(within) if within else min(held)
        first = int(candles.timestamp[0]) // bar * bar
        span = (first, int(candles.timestamp[-1]) + candles.bar)
        rows = [one for one in self.series if one.key.kind == "mark" and one.key.bar == bar]
        if rows[0].last < span[0] or rows[0].first >= span[1]:
            return None
        return self._candles("mark", bar, span)

    def funding(self) -> Funding | None:
        """All stored settlements, or None."""
        if not any(one.key.kind == "funding" for one in self.series):
            return None
        key = self._key("funding")
        rows = read_rows(self.folder, key)
        return Funding(rows["timestamp"], rows["funding_rate"], f"{key} in {self.folder}")

    def with_tiers(self, contract: Contract, end: int) -> Contract:
        """The contract with the stored brackets that were in force at `end` (UTC nanoseconds), if there are any.

        They are those last stated by then, else the first that were stated; the notes say when.
        """
        tables = stored_tiers(self.folder, self.venue, self.symbol)
        if not tables:
            return contract
        stated = max((stamp for stamp in tables if stamp <= end), default=min(tables))
        self.notes.append(f"{self.symbol} margin brackets are those of {tables[stated].date}")
        return contract.with_tiers(tables[stated])

    def finer(self, candles: Candles, accepts: Callable[[Candles], object]) -> Candles | None:
        """The shortest stored candles that divide some candles and can speak for them, or None.

        Candles with a gap in the span, and those that `accepts` raises DataError for, are left out, and
        the notes say so.
        """
        span = (int(candles.timestamp[0]), int(candles.timestamp[-1]) + candles.bar)
        for bar in [one for one in self._bars("candles") if one < candles.bar and candles.bar % one == 0]:
            info = next(one for one in self.series if one.key == self._key("candles", bar))
            if info.last < span[0] or info.first >= span[1]:
                continue
            try:
                found = self._candles("candles", bar, span)
                accepts(found)
            except DataError as error:
                self.notes.append(f"{self.symbol} candles of {duration(bar)} decide nothing inside a bar: {error}")
                continue
            return found
        return None

    def _candles(self, kind: Kind, bar: int, span: Span) -> Candles:
        key = self._key(kind, bar)
        rows = read_rows(self.folder, key, *span)
        source = f"{key} in {self.folder}"
        if len(rows["timestamp"]) == 0:
            info = next(one for one in self.series if one.key == key)
            problem = f"has no bar in the chosen span; it holds {utc(info.first)} to {utc(info.last)} UTC"
            raise DataError(source, problem, fix="move market.start or market.end")
        if kind == "mark":
            rows["volume"] = np.zeros(len(rows["timestamp"]))
        return Candles(**rows, bar=bar, source=source)

    def _bars(self, kind: Kind) -> list[int]:
        return sorted(one.key.bar for one in self.series if one.key.kind == kind and one.key.bar is not None)

    def _key(self, kind: Kind, bar: int | None = None) -> SeriesKey:
        return SeriesKey(self.venue, self.symbol, kind, bar)

    def _near(self) -> str:
        known = sorted({f"{one.key.venue}:{one.key.symbol}" for one in list_series(self.folder)})
        way = "crossgate data import --symbol puts files there; or name a file with candles = ..."
        return f"it holds {', '.join(known)}" if known else f"it is empty: {way}"


def stored_tiers(folder: str | Path, venue: str, symbol: str) -> dict[int, MarginTiers]:
    """The stored brackets of a contract by the moment they were stated at (UTC nanoseconds), the earliest first."""
    key = SeriesKey(venue, symbol, "tiers")
    if last_stamp(folder, key) is None:
        return {}
    rows = read_rows(folder, key)
    names = ("floor", "cap", "maintenance_rate", "maximum_leverage")
    tables = {}
    for stamp in np.unique(rows["timestamp"]).tolist():
        floors, caps, rates, leverages = (rows[name][rows["timestamp"] == stamp] for name in names)
        caps, amounts = np.where(np.isnan(caps), NO_CAP, caps), maintenance_amounts(floors, rates)
        source = f"{key} in {folder}"
        tables[stamp] = MarginTiers(symbol, utc(stamp)[:10], floors, caps, rates, leverages, amounts, source)
    return tables


def describe(info: SeriesInfo) -> dict[str, object]:
    """What a series is, as JSON takes it: times as text in UTC, the bar as a duration."""
    return {
        "venue": info.key.venue,
        "symbol": info.key.symbol,
        "kind": info.key.kind,
        "bar": None if info.key.bar is None else duration(info.key.bar),
        "rows": info.rows,
        "first": utc(info.first),
        "last": utc(info.last),
        "gaps": info.gaps,
        "missing": info.missing,
        "touched": info.touched,
        "revised": info.revised,
        "sources": list(info.sources),
        "fetched_at": utc(info.fetched_at // 1_000_000_000 * 1_000_000_000),
        "content": info.content,
    }
