"""Coarser bars made of finer ones, stamped at their open on the clock of UTC."""

from __future__ import annotations

from foundation.errors import DataError, ParameterError
from markets.candles import SECOND, Candles, duration, utc

_DAY = 86_400 * SECOND
_WEEK = 7 * _DAY
_COLUMNS = ("open", "high", "low", "close", "volume", "touched")
_FIRST_MONDAY = 4 * _DAY  # 1970-01-05


def resample(candles: Candles, bar: int) -> Candles:
    """The candles in bars of `bar` nanoseconds: first open, highest high, lowest low, last close, summed volume.

    Bars begin at 00:00 UTC and every `bar` after it, weeks on Monday. A bar that is not held from
    its open to its close is not made, so the first may begin later and the last end earlier than the
    candles. It is touched where one of its parts is. Each is known at its close, as its last part is.
    Raises ParameterError for a length that does not divide a day (or is a week) or is no multiple of
    the candles', and DataError where no bar is whole or the candles stand off the grid.
    """
    if bar == candles.bar:
        return candles
    check_coarser(candles.bar, bar)
    anchor = _FIRST_MONDAY if bar == _WEEK else 0
    stamps = candles.timestamp
    if (int(stamps[0]) - anchor) % candles.bar:
        problem = f"opens at {utc(stamps[0])} UTC, so that no bar of {duration(bar)} begins at 00:00 UTC"
        raise DataError(candles.source, problem, fix="use candles stamped at whole bars from 00:00 UTC")
    parts = bar // candles.bar
    first = (-(int(stamps[0]) - anchor) // candles.bar) % parts
    count = (len(candles) - first) // parts
    if count <= 0:
        held = f"{utc(stamps[0])} to {utc(stamps[-1])} UTC"
        raise DataError(candles.source, f"holds no whole bar of {duration(bar)} ({held})", fix="choose a longer span")
    last = first + count * parts

    tables = {name: getattr(candles, name)[first:last].reshape(count, parts) for name in _COLUMNS}
    return Candles(
        timestamp=stamps[first:last:parts],
        open=tables["open"][:, 0],
        high=tables["high"].max(axis=1),
        low=tables["low"].min(axis=1),
        close=tables["close"][:, -1],
        volume=tables["volume"].sum(axis=1),
        bar=bar,
        touched=tables["touched"].any(axis=1),
        source=f"{candles.source} in bars of {duration(bar)}",
    )


def check_coarser(bar: int, coarser: int) -> None:
    """Raises ParameterError where bars of length `bar` do not make whole bars of `coarser`."""
    if coarser != _WEEK and (coarser <= 0 or _DAY % coarser):
        fix = "a length that divides a day, such as 4h or 1d, or 7d"
        raise ParameterError("bar", "is no length to resample to", value=duration(coarser), fix=fix)
    if coarser % bar or coarser < bar:
        fix = f"a multiple of {duration(bar)}"
        raise ParameterError("bar", f"is not made of bars of {duration(bar)}", value=duration(coarser), fix=fix)
