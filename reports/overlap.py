"""Overlap: how alike runs are, by their returns and by what they held."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from reports.curves import EquityCurve
from reports.paired import common_returns


def return_correlation(curves: Mapping[str, EquityCurve]) -> pd.DataFrame:
    """The correlation of the runs' returns on the bars that all played; NaN where it is not defined."""
    names, returns = list(curves), common_returns(curves)
    table = np.full((len(names), len(names)), np.nan)
    if returns is not None and returns.shape[1] > 1:
        moving = np.flatnonzero(np.ptp(returns, axis=1) > 0.0)
        if len(moving):
            table[np.ix_(moving, moving)] = np.atleast_2d(np.corrcoef(returns[moving]))
    return pd.DataFrame(table, index=names, columns=names)


def holding_overlap(positions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The bars on which two runs hold the same side of the same market, over those on which either holds any.

    1 for runs that always hold alike, 0 for runs that never do; NaN where neither ever holds. `positions`: the
    positions of each run at every bar's close.
    """
    names = list(positions)
    sides = [
        np.sign(one.set_index(["timestamp", "symbol"])["position"]).rename(name) for name, one in positions.items()
    ]
    held = pd.concat(sides, axis="columns").fillna(0.0).to_numpy()
    table = np.full((len(names), len(names)), np.nan)
    for row in range(len(names)):
        for column in range(len(names)):
            one, other = held[:, row], held[:, column]
            either = int(((one != 0.0) | (other != 0.0)).sum())
            if either:
                table[row, column] = float(((one == other) & (one != 0.0)).sum()) / either
    return pd.DataFrame(table, index=names, columns=names)


def shared_entries(positions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The share of a row's entries at whose bar the column's run entered the same side of the same market too."""
    names, entries = list(positions), [_entries(one) for one in positions.values()]
    table = [[len(one & other) / len(one) if one else np.nan for other in entries] for one in entries]
    return pd.DataFrame(table, index=names, columns=names)


def _entries(positions: pd.DataFrame) -> set[tuple[str, int, float]]:
    """The bars on whose close a position is held that was not at the close before: symbol, moment, side."""
    found: set[tuple[str, int, float]] = set()
    for symbol, own in positions.groupby("symbol"):
        side = np.sign(own["position"].to_numpy())
        began = np.flatnonzero((side != 0.0) & (side != np.concatenate(([0.0], side[:-1]))))
        stamps = pd.DatetimeIndex(own["timestamp"]).as_unit("ns").asi8
        found |= {(str(symbol), int(stamps[row]), float(side[row])) for row in began}
    return found
