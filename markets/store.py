"""Loading: the market of a contract, from the store of a data folder, or from parquet files named by path.

A candle or mark file holds `timestamp, open, high, low, close, volume` (a mark file needs no
volume), a funding file `timestamp, funding_rate`. A bar's timestamp is its OPEN. A column `touched`
flags the bars that cleaning changed.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from foundation.errors import DataError, ParameterError, suggestion
from foundation.units import nanoseconds
from markets.alignment import align_mark
from markets.candles import Candles, IntArray, check_bars, check_order, duration, opens_beside, utc
from markets.contract import Contract, find_contract
from markets.contract_book import find_traded
from markets.decimal_points import find_lost_points
from markets.funding import Funding, in_percent
from markets.market import Market
from markets.resampling import resample
from markets.stored import StoredMarket
from markets.tables import read_table
from markets.tiers import read_margin_tiers, tiers_in_force

_PRICES = ("open", "high", "low", "close")


def load_market(
    contract: str | Contract,
    candles: str | Path | None = None,
    mark: str | Path | None = None,
    funding: str | Path | None = None,
    *,
    bar: str | None = None,
    data: str | Path | None = None,
    start: str | None = None,
    end: str | None = None,
    finer: str | Path | None = None,
    tiers: str | Path | None = None,
    tiers_date: str | None = None,
) -> Market:
    """The market of one contract, from the store of the data folder or from parquet files, checked row by row.

    `contract`: the key `venue:symbol` of a fetched or registered contract, or a Contract. Without `candles`,
    everything is looked up in the store: candles of length `bar` ("1h"; made of shorter ones where it has
    no such), mark, funding, finer candles and, for a key, margin brackets, where it has them. `candles`, `mark`,
    `funding`, `finer` (shorter candles of the same contract) may be paths instead, relative to the data folder
    (see `resolve_data_folder`); then the bar length is read off the stamps, and `bar` asks for longer bars. The
    market holds the candles, and finer ones, that open at or after `start` and before `end` (`2021-01-01` or
    ISO time, UTC where it names no zone); rows outside that span are not checked beyond their order.
    `tiers`: a CSV file of margin brackets, see `read_margin_tiers`; without it the contract's own count, of a
    registered contract those in the store, else those shipped. `tiers_date`: the day whose brackets are played.
    Raises DataError or ParameterError; repairs nothing.
    """
    span, length = _read_span(start, end), _read_bar(bar)
    folder = resolve_data_folder(data)
    traded = _traded(folder, contract, None if tiers is None else _locate(folder, tiers), tiers_date)
    stored = StoredMarket(folder, traded.venue, traded.symbol) if candles is None else None
    if candles is not None:
        bars = _read_candles(_locate(folder, candles), span)
        bars = bars if length is None else resample(bars, length)
    else:
        assert stored is not None
        bars = stored.candles(length, span)
    marks = None if mark is None else _read_candles(_locate(folder, mark), (None, None), volume=False)
    settlements = None if funding is None else _read_funding(_locate(folder, funding))
    shorter = None if finer is None else _read_candles(_locate(folder, finer), span)
    if stored is not None:
        if isinstance(contract, str) and tiers is None and tiers_date is None:
            traded = stored.with_tiers(traded, int(bars.timestamp[-1]) + bars.bar)
        marks = marks or stored.mark(bars)
        settlements = settlements or stored.funding()
        shorter = shorter or stored.finer(bars, lambda found: Market(traded, bars, finer=found))
    notes = [*(stored.notes if stored else ()), *(_check_mark(traded, bars, marks) if marks is not None else ())]
    return Market(traded, bars, marks, settlements, finer=shorter, notes=tuple(notes))


def _traded(folder: Path, contract: str | Contract, tiers: Path | None, date: str | None) -> Contract:
    """The contract with the brackets asked for; symbols as BTCUSDT, BTC/USDT:USDT or venue:symbol."""
    if tiers is None:
        if isinstance(contract, str):
            return find_traded(folder, contract) if date is None else find_contract(contract, date)
        if date is not None:
            raise ParameterError("tiers_date", "needs a file of brackets", value=date, fix="name it: tiers = ...")
        return contract
    traded = find_traded(folder, contract) if isinstance(contract, str) else contract
    tables = read_margin_tiers(tiers)
    names = (traded.key, traded.symbol, f"{traded.symbol.removesuffix(traded.settlement)}/{traded.settlement}")
    own = [one for one in tables if one.symbol in names or one.symbol.split(":")[0] in names]
    if not own:
        fix = suggestion(traded.symbol, {one.symbol for one in tables})
        raise ParameterError("tiers", f"holds no brackets of {traded.symbol}", value=str(tiers), fix=fix)
    if date is None:
        return traded.with_tiers(max(own, key=lambda one: one.date))
    return traded.with_tiers(tiers_in_force(own, own[0].symbol, date))


def resolve_data_folder(data: str | Path | None = None) -> Path:
    """The data folder: `data` itself, else `$CROSSGATE_DATA`, else `./data`."""
    named = data or os.environ.get("CROSSGATE_DATA") or "data"
    return Path(named).expanduser()


def bar_length(stamps: IntArray, source: str, first_row: int = 0) -> int:
    """The bar length of rising stamps in nanoseconds: their commonest step.

    Raises DataError for a single stamp, and where another step holds for two bars in a row: such
    a file holds two bar lengths.
    """
    if len(stamps) < 2:
        raise DataError(source, "holds one bar only", fix="hand in two or more, so that the bar length shows")
    steps = np.diff(stamps)
    lengths, counts = np.unique(steps, return_counts=True)
    bar = int(lengths[np.argmax(counts)])
    changed = (steps[1:] == steps[:-1]) & (steps[1:] != bar)
    if changed.any():
        row = int(np.argmax(changed))
        where = f"{duration(int(steps[row]))} at {utc(stamps[row])} UTC (row {first_row + row})"
        raise DataError(source, f"holds bars of {duration(bar)} and of {where}", fix="keep one bar length in a file")
    return bar


def _locate(folder: Path, name: str | Path) -> Path:
    path = folder / Path(name).expanduser()
    if not path.exists() and Path(name).exists():
        fix = f"paths start from the data folder {folder}: name another with --data DIR, or write an absolute path"
        raise DataError(path, f"there is no such file, though there is {name} from here", fix=fix)
    return path


def _read_candles(path: Path, span: tuple[int | None, int | None], *, volume: bool = True) -> Candles:
    needed = ("timestamp", *_PRICES, "volume") if volume else ("timestamp", *_PRICES)
    columns = read_table(path, needed, ("touched",))
    source, stamps = str(path), columns["timestamp"]
    if "touched" in columns:
        columns["touched"] = columns["touched"] != 0
    if not volume:
        columns["volume"] = np.zeros(len(stamps))
    check_order(stamps, source)
    first = 0 if span[0] is None else int(np.searchsorted(stamps, span[0]))
    last = len(stamps) if span[1] is None else int(np.searchsorted(stamps, span[1]))
    if last <= first:
        problem = f"has no bar in the chosen span; it holds {utc(stamps[0])} to {utc(stamps[-1])} UTC"
        raise DataError(path, problem, fix="move market.start or market.end")
    chosen: dict[str, Any] = {name: values[first:last] for name, values in columns.items()}
    bar = bar_length(chosen["timestamp"], source, first) if last - first > 1 else bar_length(stamps, source)
    check_bars(chosen, bar, source, first)
    beside = opens_beside(chosen["timestamp"], bar)
    if beside is not None:
        raise DataError(source, beside, fix="stamp bars at their opens, in UTC, or import the file with --stamps close")
    lost = find_lost_points(chosen)
    if lost is not None:
        where = f"at {utc(chosen['timestamp'][lost.row])} UTC (row {first + lost.row})"
        raise DataError(
            source, f"{where}: {lost.words()}", fix="fetch the file anew and keep it away from spreadsheets"
        )
    return Candles(**chosen, bar=bar, source=source)


def _read_funding(path: Path) -> Funding:
    columns = read_table(path, ("timestamp", "funding_rate"))
    found = in_percent(columns["funding_rate"])
    if found is not None:
        row, typical = found
        rate, stamp = columns["funding_rate"][row], columns["timestamp"][row]
        place = f"{rate:g} at {utc(stamp)} UTC (row {row}), typically {typical:g}"
        fix = "divide them by 100, or import the file with --rates percent (or fraction, if they are)"
        raise DataError(path, f"holds rates that look like percent: {place}", fix=fix)
    return Funding(columns["timestamp"], columns["funding_rate"], str(path))


def _check_mark(contract: Contract, candles: Candles, mark: Candles) -> list[str]:
    """What a reader must know of the mark price. Raises DataError for that of another contract, or one that lags."""
    _check_level(candles, mark)
    aligned = align_mark(candles, mark)
    notes = []
    for finding in aligned.findings if aligned else ():
        if finding.wrong:
            raise DataError(
                mark.source, finding.line(), fix=f"see how it lies to {candles.source}, and mend the stamps"
            )
        if finding.name == "outliers":
            notes.append(f"{contract.symbol} mark price: {finding.line()}")
    return notes


def _check_level(candles: Candles, mark: Candles) -> None:
    """Raises DataError where the mark is typically more than a factor of two away from the candles."""
    row = np.searchsorted(mark.timestamp, candles.timestamp, side="right") - 1
    known = (row >= 0) & (candles.timestamp < mark.timestamp[-1] + mark.bar)
    if not known.any():
        return
    ratio = float(np.median(mark.close[row[known]] / candles.close[known]))
    if not 0.5 < ratio < 2.0:
        problem = f"its prices are typically {ratio:.3g} times those of {candles.source}"
        raise DataError(mark.source, problem, fix="name the mark file of the same contract")


def _read_span(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    first, last = read_time("market.start", start), read_time("market.end", end)
    if first is not None and last is not None and first >= last:
        raise ParameterError("market.end", f"should be later than market.start = {start}", value=end)
    return first, last


def _read_bar(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return nanoseconds(text)
    except ValueError as error:
        raise ParameterError("market.bar", str(error), value=text, fix='such as "15m", "1h" or "1d"') from None


def read_time(key: str, text: str | None) -> int | None:
    """The UTC nanoseconds of a day or time that people write; `key` names it in the ParameterError."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        fix = 'a UTC day or time, such as "2021-01-01" or "2021-01-01 12:00"'
        raise ParameterError(key, "is not a day or a time", value=text, fix=fix) from None
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "ns").astype(np.int64))
