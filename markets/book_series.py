"""Book series: candles of a recording's trades, and what its book and trades said at the close of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from foundation.errors import DataError, ParameterError
from foundation.units import nanoseconds, parse_quantity
from markets.book_files import BookRecording, Trades, read_recording
from markets.candles import Candles, FloatArray, IntArray, duration
from markets.contract import Contract, find_contract
from markets.exogenous import Exogenous
from markets.market import Market
from markets.order_book import Level, OrderBook
from markets.store import resolve_data_folder

BOOK_UNITS = ("ms", "s", "m", "h", "d")


def load_book_market(
    contract: str | Contract,
    order_book: str | Path,
    *,
    bar: str = "1s",
    published_after: str,
    stale_after: str = "5s",
    depths: Sequence[int] = (1, 5, 20),
    data: str | Path | None = None,
) -> Market:
    """The market of a recorded order book: candles of its trades, and the series `book` joined to them.

    `order_book`: a file of messages, relative to the data folder, see `read_recording`. Durations have the units ms, s,
    m, h and d. For `published_after`, `stale_after` and `depths` see `book_series`. Raises DataError or ParameterError.
    """
    if not depths or min(depths) < 1 or len(set(depths)) < len(depths):
        raise ParameterError(
            "market.depths", "should be numbers of levels", value=list(depths), fix="such as [1, 5, 20]"
        )
    traded = find_contract(contract) if isinstance(contract, str) else contract
    recording = read_recording(resolve_data_folder(data) / Path(order_book).expanduser())
    candles = trade_candles(recording.trades, nanoseconds(bar), recording.source)
    lag = parse_quantity(published_after, BOOK_UNITS, positive=False)
    known = nanoseconds(lag) if lag.amount else 0
    series = book_series(recording, candles, depths, known, nanoseconds(stale_after))
    return Market(traded, candles, exogenous=(series,))


def trade_candles(trades: Trades, bar: int, source: str) -> Candles:
    """The candles of some trades, by the exchange's clock: every whole bar between the first trade and the last.

    A bar without a trade repeats the close before it, has no volume, and is flagged as touched: it takes no fills.
    """
    first, last = -(-int(trades.time[0]) // bar), int(trades.time[-1]) // bar
    if last - first < 2:
        raise DataError(source, f"spans fewer than two whole bars of {duration(bar)}", fix="record longer")
    edges = np.searchsorted(trades.time, bar * np.arange(first, last + 1))
    count = np.diff(edges)
    # The first whole bar opens at the first trade or later, so there is always a close before it.
    close = trades.price[edges[1:] - 1]
    opens, high, low, volume = close.copy(), close.copy(), close.copy(), np.zeros(len(close))
    full = np.flatnonzero(count)
    starts, price, size = edges[:-1][full], trades.price[: edges[-1]], trades.size[: edges[-1]]
    opens[full] = price[starts]
    high[full] = np.maximum.reduceat(price, starts)
    low[full] = np.minimum.reduceat(price, starts)
    volume[full] = np.add.reduceat(size, starts)
    stamps = bar * np.arange(first, last)
    return Candles(stamps, opens, high, low, close, volume, bar, touched=count == 0, source=source)


def book_series(
    recording: BookRecording, candles: Candles, depths: Sequence[int], published_after: int, stale_after: int
) -> Exogenous:
    """The exogenous series `book` of a recording: one row at the close of each bar at which its book was whole.

    A message is taken to be known `published_after` nanoseconds after the exchange's time of it, and a row holds what
    was known at the close. `spread_bps`: (ask - bid) / mid. `microprice_bps`: the distance of the microprice, the
    mean of bid and ask weighted by the quantity on the other side, from the mid. `imbalance_N`: (bids - asks) /
    (bids + asks) over the best N levels. `bid_slope`, `ask_slope`: log of the quantity that one basis point more of
    distance adds, a line through zero over the deepest N levels. `flow`: (bought - sold) / (bought + sold) in the bar,
    0 without a trade; `trades`: log(1 + their number). Raises DataError where the book is never whole at a close.
    """
    close = candles.timestamp + candles.bar
    rows, at, book = _states(recording, close, depths, published_after)
    if not rows:
        raise DataError(recording.source, "has no whole book at any close", fix="record a snapshot, and all updates")
    flow, count = _flow(recording.trades, close, candles.bar, published_after)
    names = ["spread_bps", "microprice_bps", *(f"imbalance_{depth}" for depth in depths), "bid_slope", "ask_slope"]
    values = dict(zip(names, np.array(rows).T, strict=True)) | {"flow": flow[at], "trades": count[at]}
    missing = len(close) - len(at)
    notes = [*book.notes(), f"{missing:,} of {len(close):,} bars without a whole book at their close"]
    lag = recording.clock_lag / 1e9
    notes.append(f"the recorder's clock was {abs(lag):.2f} s {'behind' if lag > 0 else 'after'} the exchange's")
    stamps = close[at]
    return Exogenous(
        "book", stamps, stamps, values, stale_after, source=recording.source, notes=(f"book: {'; '.join(notes)}",)
    )


def _states(
    recording: BookRecording, close: IntArray, depths: Sequence[int], published_after: int
) -> tuple[list[list[float]], IntArray, OrderBook]:
    """What the book looked like at each close at which it was whole, those closes, and the book after all updates."""
    book, rows, at = OrderBook(), [], []
    updates, known = iter(recording.updates), 0
    update = next(updates, None)
    for bar, time in enumerate(close.tolist()):
        while update is not None:
            # An update cannot be known before the one that it follows.
            known = max(known, update.time + published_after)
            if known > time:
                break
            book.apply(update)
            update = next(updates, None)
        if book.whole and not book.is_crossed:
            rows.append(_row(*book.top(max(depths)), depths))
            at.append(bar)
    return rows, np.array(at, dtype=np.int64), book


def _row(bids: list[Level], asks: list[Level], depths: Sequence[int]) -> list[float]:
    (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
    mid = (bid + ask) / 2.0
    micro = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
    row = [1e4 * (ask - bid) / mid, 1e4 * (micro - mid) / mid]
    for depth in depths:
        bought, sold = (sum(size for _, size in side[:depth]) for side in (bids, asks))
        row.append((bought - sold) / (bought + sold))
    return [*row, _slope(bids, mid), _slope(asks, mid)]


def _slope(levels: list[Level], mid: float) -> float:
    """log of the least-squares slope through zero of cumulated quantity on the distance from the mid, in bps."""
    distance = [1e4 * abs(price - mid) / mid for price, _ in levels]
    held, products = 0.0, 0.0
    for (_, size), far in zip(levels, distance, strict=True):
        held += size
        products += held * far
    return math.log(products / sum(far * far for far in distance))


def _flow(trades: Trades, close: IntArray, bar: int, published_after: int) -> tuple[FloatArray, FloatArray]:
    """Signed share of the volume of each bar's trades, and log(1 + their number), of those known at its close."""
    known = trades.time + published_after
    last = np.searchsorted(known, close, side="right")
    first = np.searchsorted(known, close - bar, side="right")
    signed = np.concatenate(([0.0], np.cumsum(trades.side * trades.size)))
    total = np.concatenate(([0.0], np.cumsum(trades.size)))
    flow: FloatArray = np.zeros(len(close))
    np.divide(signed[last] - signed[first], total[last] - total[first], out=flow, where=last > first)
    return flow, np.log1p(last - first)
