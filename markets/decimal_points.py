"""Lost decimal points: prices that stand a power of ten away from those around them, as a spreadsheet leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from markets.candles import BoolArray, FloatArray

_PRICES = ("open", "high", "low", "close")
_BLOCK = 32
_AROUND = 4
# How near a power of ten a ratio has to be, in powers, and the least power that counts.
_NEAR = 0.15
_LEAST = 0.85


@dataclass(frozen=True)
class LostPoint:
    """The first price that lost its decimal point, and how many did.

    `row`, `column`, `value`: where and what it is; `around`: the level of prices there.
    """

    row: int
    column: str
    value: float
    around: float
    cells: int
    rows: int

    def words(self) -> str:
        """What is wrong, without the place."""
        return (
            f"{self.column} is {self.value:.12g} where prices stand near {self.around:.6g}: it lost its decimal point, "
            f"as in a spreadsheet ({self.cells:,} prices in {self.rows:,} rows)"
        )


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def find_lost_points(columns: Mapping[str, Any]) -> LostPoint | None:
    """The first of the prices that lost their decimal point, or None.

    A price counts where it stands a power of ten away from the median of the 32 bars around it (or of the
    288 bars around those, where the 32 are themselves a power away from them), and where the step is sharp:
    inside its bar, or between bars at one end of a stretch of such bars. A crash goes down in smaller steps.
    """
    prices = np.stack([columns[name] for name in _PRICES], axis=1)
    rows = len(prices)
    around = _levels(prices)
    suspect = np.flatnonzero((prices.max(axis=1) > around * 5) | (prices.min(axis=1) < around / 5))
    if suspect.size == 0:
        return None
    off: BoolArray = np.zeros((rows, 4), dtype=np.bool_)
    off[suspect] = _power_apart(np.log10(prices[suspect] / around[suspect, None]))
    sharp = np.log10(prices.max(axis=1) / prices.min(axis=1)) > _LEAST
    middle = np.log10(np.median(prices, axis=1))
    step = np.abs(np.diff(middle)) > _LEAST
    stretch = _stretches(off.any(axis=1))
    ends = sharp | np.append(step, False) | np.insert(step, 0, False)
    real = np.zeros(int(stretch.max()) + 1, dtype=np.bool_)
    real[np.unique(stretch[ends])] = True
    real[0] = False
    off &= real[stretch][:, None]
    if not off.any():
        return None
    row, column = (int(part[0]) for part in np.nonzero(off))
    count = int(off.any(axis=1).sum())
    return LostPoint(row, _PRICES[column], float(prices[row, column]), float(around[row]), int(off.sum()), count)


def _levels(prices: FloatArray) -> FloatArray:
    """The level of prices around each row: the median of its block, or of the blocks around one that is off."""
    rows = len(prices)
    padded = np.full((-(-rows // _BLOCK) * _BLOCK, 4), np.inf)
    padded[:rows] = np.where(prices > 0, prices, np.inf)
    blocks = padded.reshape(-1, _BLOCK * 4)
    known = np.isfinite(blocks).sum(axis=1)
    level = np.sort(blocks, axis=1)[np.arange(len(blocks)), np.maximum(known - 1, 0) // 2]
    if len(level) > 2:
        width = min(2 * _AROUND + 1, len(level))
        first = np.clip(np.arange(len(level)) - width // 2, 0, len(level) - width)
        wide = np.median(level[first[:, None] + np.arange(width)], axis=1)
        level = np.where(_power_apart(np.log10(level / wide)), wide, level)
    repeated: FloatArray = np.repeat(level, _BLOCK)[:rows]
    return repeated


def _power_apart(powers: FloatArray) -> BoolArray:
    apart: BoolArray = np.isfinite(powers) & (np.abs(powers - np.rint(powers)) < _NEAR) & (np.abs(powers) > _LEAST)
    return apart


def _stretches(rows: Any) -> Any:
    """A number above zero for each stretch of True, 0 for False."""
    return np.cumsum(rows & ~np.insert(rows[:-1], 0, False)) * rows
