"""Untraded: why a run made no trade, from its decisions and orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports import formats

if TYPE_CHECKING:
    import pandas as pd


def explain_no_trade(decisions: pd.DataFrame, orders: pd.DataFrame) -> str:
    """Why nothing was traded, as far as decisions and orders tell, with the most frequent reason."""
    refused = orders[orders["status"] == "refused"]
    if len(refused):
        count = "The only order was" if len(refused) == 1 else f"{len(refused):,} orders were"
        return f"{count} refused, {_most(refused['reason'])}."
    if decisions.empty:
        return "The strategy gave no order that filled; why, it keeps to itself."
    wanted = decisions[decisions["signal"] != 0]
    if wanted.empty:
        return f"The rule said hold at every bar, {_most(decisions['reason'])}."
    return f"The rule gave a signal on {len(wanted):,} bars, and none became a fill."


def _most(reasons: pd.Series[Any]) -> str:
    """The most frequent of some reasons, and how often it was."""
    counts = reasons.astype(str).value_counts()
    if counts.empty:
        return "without a reason"
    share = "always" if len(counts) == 1 else f"in {formats.percent(counts.iloc[0] / counts.sum())} of them"
    return f"{share} because: {counts.index[0]}"
