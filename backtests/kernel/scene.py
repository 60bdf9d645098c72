"""Scene: the markets of a run as compiled code looks at them, prepared once for all settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from backtests.exchange.bars import BarSource, parts_of
from backtests.exchange.records import BAR, REAL, WHOLE, Records, contract_record
from foundation.lanes import WIDTH
from markets.candles import BoolArray, FloatArray, IntArray
from markets.market import Market

# The blocks of time for which a run's returns are summed.
BLOCKS = 16
# Bytes of a cache line.
LINE = 64
# A bar that is always looked at, because funding is due or cleaning has touched it: what is asked of it, in one line.
EVENT = np.dtype(
    [(name, WHOLE) for name in ("row", "blocked")]
    + [(name, REAL) for name in ("mark_open", "mark_close", "funding_open", "funding_inside")]
    + [("unused", WHOLE, (2,))]
)


class Scene(NamedTuple):
    """What all settings of a sweep share; arrays have shape (symbols, bars) where nothing else is said.

    `bars`, `finer` (rows,), `contracts` (symbols,): records of the exchange. `low`, `high`: the lower and the
    higher of last and mark price in a bar. `lows`, `highs` (symbols, bars // WIDTH): those of WIDTH bars at a time.
    `events` (symbols, the most of them and one): EVENT records in time order, then such of the row after the last bar.
    `turn`: the number of the next event, that of this bar included.
    `close`: the last price. `mark`: the mark price at the close. `years` (symbols,): bars per year. `first`: the row of
    the first bar played. `edges` (BLOCKS,): the last row of each block of time.
    """

    bars: Records
    finer: Records
    contracts: Records
    low: FloatArray
    high: FloatArray
    lows: FloatArray
    highs: FloatArray
    events: Records
    turn: IntArray
    close: FloatArray
    mark: FloatArray
    years: FloatArray
    first: int
    edges: IntArray


def make_scene(markets: Sequence[Market], first: int, impact_bars: int = 0) -> Scene:
    """The scene of markets with the same bars, played from row `first` on; `impact_bars` as in BarSource."""
    bars = _room((len(markets), len(markets[0].candles)))
    source = BarSource(markets, impact_bars, first)
    source.write_all(bars)
    contracts = np.concatenate([contract_record(market.contract) for market in markets])
    return scene_of(bars, source.finer, contracts, np.array([market.bars_per_year for market in markets]), first)


def scene_of(bars: Records, finer: Records, contracts: Records, years: FloatArray, first: int) -> Scene:
    """The scene of the exchange's records, as Scene has them."""
    shape, played = bars.shape, bars.shape[1] - first
    low, high, close, mark = (np.zeros(shape) for _ in range(4))
    special = np.zeros(shape, dtype=np.bool_)
    for part in parts_of(shape[1]):
        some = bars[:, part]
        low[:, part] = np.minimum(some["low"], some["mark_low"])
        high[:, part] = np.maximum(some["high"], some["mark_high"])
        close[:, part], mark[:, part] = some["close"], some["mark_close"]
        special[:, part] = (some["funded"] != 0) | (some["blocked"] != 0)
    turn = np.zeros(shape, dtype=np.int64)
    np.cumsum(special[:, :-1], axis=1, out=turn[:, 1:])
    return Scene(
        bars=aligned(bars),
        finer=finer,
        contracts=contracts,
        low=low,
        high=high,
        lows=_by_blocks(low).min(axis=2),
        highs=_by_blocks(high).max(axis=2),
        events=_events_of(bars, special),
        turn=turn,
        close=close,
        mark=mark,
        years=years,
        first=first,
        edges=first + np.arange(1, BLOCKS + 1) * played // BLOCKS - 1,
    )


def _by_blocks(values: FloatArray) -> npt.NDArray[Any]:
    """Values of shape (symbols, bars) by blocks of WIDTH bars, shape (symbols, blocks, WIDTH); without the rest."""
    symbols, count = values.shape
    return values[:, : count - count % WIDTH].reshape(symbols, -1, WIDTH)


def _events_of(bars: Records, special: BoolArray) -> Records:
    """`Scene.events`."""
    symbols, count = bars.shape
    found = np.zeros((symbols, int(special.sum(axis=1).max()) + 1), dtype=EVENT)
    found["row"] = count
    for s in range(symbols):
        rows = np.flatnonzero(special[s])
        found["row"][s, : len(rows)] = rows
        for name in ("blocked", "mark_open", "mark_close", "funding_open", "funding_inside"):
            found[name][s, : len(rows)] = bars[name][s, rows]
    return found


def aligned(bars: Records) -> Records:
    """The records where cache lines begin: as they are, or a copy."""
    if bars.flags.c_contiguous and bars.ctypes.data % LINE == 0:
        return bars
    found = _room(bars.shape)
    # As bytes: field by field it takes fifty times as long.
    found.view(f"V{BAR.itemsize}")[:] = bars.view(f"V{BAR.itemsize}")
    return found


def _room(shape: tuple[int, ...]) -> Records:
    """Room for bars whose records begin where cache lines do."""
    size = math.prod(shape) * BAR.itemsize
    room = np.zeros(size + LINE, dtype=np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size].view(BAR).reshape(shape)
