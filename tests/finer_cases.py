"""Random finer bars that make a given bar: the same open, extremes and close, on last and on mark prices."""

from __future__ import annotations

from random import Random
from typing import Any

PARTS = 4


def finer_bars(chance: Random, bar: dict[str, Any], tick: float) -> list[dict[str, Any]]:
    """A few finer bars in time order that join to the bar; now and then their mark is not known."""
    opens, closes = [bar["open"]], []
    for _ in range(PARTS - 1):
        way = chance.choice([0.0, 0.3, 0.5, 0.7, 1.0])
        price = round((bar["low"] + way * (bar["high"] - bar["low"])) / tick) * tick
        closes.append(min(bar["high"], max(bar["low"], price)))
        opens.append(closes[-1])
    closes.append(bar["close"])
    rows = [{"open": o, "high": max(o, c), "low": min(o, c)} for o, c in zip(opens, closes, strict=True)]
    chance.choice(rows)["high"] = bar["high"]
    chance.choice(rows)["low"] = bar["low"]
    known, middle = chance.random() < 0.8, (bar["mark_low"] + bar["mark_high"]) / 2
    for row in rows:
        row["mark_high"] = chance.uniform(middle, bar["mark_high"]) if known else None
        row["mark_low"] = chance.uniform(bar["mark_low"], middle) if known else None
    if known:
        chance.choice(rows)["mark_high"] = bar["mark_high"]
        chance.choice(rows)["mark_low"] = bar["mark_low"]
    return rows
