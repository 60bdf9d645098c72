"""Alignments: what `crossgate data align` finds between the stored series of one contract, or of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from foundation.errors import DataError, ParameterError
from foundation.units import nanoseconds
from markets.alignment import Alignment, Finding, align_funding, align_mark, align_prices
from markets.candles import Candles, duration, utc
from markets.contract import registry
from markets.resampling import resample
from markets.stored import StoredMarket


def alignment_records(contracts: Sequence[str], bar: str | None, folder: Path) -> list[dict[str, Any]]:
    """One record for each pair of series that was held side by side; raises ParameterError or DataError."""
    if len(contracts) > 2:
        raise ParameterError("contracts", "are more than two", value=" ".join(contracts), fix="name one or two")
    length = None if bar is None else _length(bar)
    markets = [StoredMarket(folder, *_split(name)) for name in contracts]
    candles = [market.candles(length, (None, None)) for market in markets]
    if len(markets) == 2:
        bars = max(one.bar for one in candles)
        one, other = (resample(series, bars) for series in candles)
        return [_record(f"{markets[0].name} and {markets[1].name}", other, align_prices(one, other))]
    return _of_one(markets[0], candles[0])


def print_alignments(records: Sequence[dict[str, Any]]) -> None:
    """The records as people read them."""
    for record in records:
        figures = [
            f"{record[name]} {words}"
            for name, words in (("bars", "bars"), ("settlements", "settlements"))
            if name in record
        ]
        if record.get("ratio") is not None:
            figures.append(f"ratio {record['ratio']:.6g}")
        if record.get("correlation") is not None:
            figures.append(f"correlation of returns {record['correlation']:.4f} at a lag of {record['lag']} bars")
        typer.echo(f"{record['series']}: {', '.join(figures)}")
        for finding in record["findings"]:
            typer.echo(f"  {'wrong' if finding['wrong'] else 'note'}: {finding['text']}")
        if not record["findings"]:
            typer.echo("  nothing stands out")


def _of_one(market: StoredMarket, candles: Candles) -> list[dict[str, Any]]:
    records = []
    mark = market.mark(candles)
    aligned = None if mark is None else align_mark(candles, mark)
    if mark is not None and aligned is not None:
        records.append(_record(f"{market.name} candles and mark price", mark, aligned))
    funding = market.funding()
    if funding is not None:
        contract = registry().get(market.name)
        interval = nanoseconds("8h" if contract is None else contract.funding_interval)
        span = (int(candles.timestamp[0]), int(candles.timestamp[-1]) + candles.bar)
        findings = align_funding(funding, interval, *span)
        rule = f"{market.name} funding and its rule of one every {duration(interval)}"
        records.append({"series": rule, "settlements": len(funding), "findings": [_finding(one) for one in findings]})
    if not records:
        fix = "import its mark price or funding, or name a second contract"
        raise DataError(market.name, "has nothing in the store to hold its candles against", fix=fix)
    return records


def _record(name: str, other: Candles, found: Alignment) -> dict[str, Any]:
    return {
        "series": f"{name} in bars of {duration(other.bar)}",
        "bars": found.bars,
        "ratio": _number(found.ratio),
        "lag": found.lag,
        "correlation": _number(found.correlation),
        "correlation_aligned": _number(found.correlation_aligned),
        "largest": found.largest,
        "largest_at": None if found.largest_at is None else utc(found.largest_at),
        "missing": found.missing,
        "missing_other": found.missing_other,
        "findings": [_finding(one) for one in found.findings],
    }


def _finding(found: Finding) -> dict[str, Any]:
    places = [utc(place) for place in found.places]
    return {"name": found.name, "text": found.line(), "count": found.count, "places": places, "wrong": found.wrong}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _split(name: str) -> tuple[str, str]:
    venue, colon, symbol = name.partition(":")
    if not (venue and colon and symbol):
        raise ParameterError("contract", "is no VENUE:SYMBOL", value=name, fix="such as binance_usdm:BTCUSDT")
    return venue, symbol


def _length(bar: str) -> int:
    try:
        return nanoseconds(bar)
    except ValueError as error:
        raise ParameterError("bar", str(error), value=bar, fix='such as "1h"') from None
