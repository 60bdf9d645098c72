"""Recorded order books that are made up: messages of a venue's streams for a book whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

MILLISECOND = 1_000_000
BEGIN = 1_700_000_000_000  # a whole second, milliseconds


def messages(seconds: int = 30, seed: int = 1, begin: int = BEGIN) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Binance messages: one snapshot after two early updates, then ten updates and some trades a second.

    And what the book truly held after each update: `time` (ms), `last` and the two sides by price.
    """
    random = np.random.default_rng(seed)
    mid, last, sent, truth = 1000.0, 100, [], []
    bids = {mid - 0.1 * k: float(random.integers(1, 50)) for k in range(1, 31)}
    asks = {mid + 0.1 * k: float(random.integers(1, 50)) for k in range(1, 31)}
    bids, asks = ({round(price, 1): size for price, size in side.items()} for side in (bids, asks))
    trade = 0
    for step in range(seconds * 10):
        now, changes = begin + 100 * step, {"b": [], "a": []}
        for side, held in (("b", bids), ("a", asks)):
            for price in random.choice(sorted(held), 3, replace=False).tolist():
                size = float(random.integers(0, 50)) if len(held) > 20 else float(random.integers(1, 50))
                held[price] = size
                if size == 0.0:
                    del held[price]
                changes[side].append([f"{price:.1f}", f"{size:.3f}"])
        ids = {"U": last + 1, "u": last + 5, "pu": last}
        last += 5
        sent.append({"stream": "x@depth", "data": {"e": "depthUpdate", "E": now, "T": now, "s": "X", **ids, **changes}})
        truth.append({"time": now, "last": last, "bids": dict(bids), "asks": dict(asks)})
        if step == 2:
            # The snapshot comes late: it holds the second update, and the third has to be put upon it.
            known = truth[1]
            levels = {side: [[f"{p:.1f}", f"{q:.3f}"] for p, q in known[side].items()] for side in ("bids", "asks")}
            sent.append({"lastUpdateId": known["last"], "E": now + 1, "T": now, **levels})
        for _ in range(int(random.integers(0, 3))):
            trade += 1
            buyer = bool(random.integers(0, 2))
            price = min(asks) if buyer else max(bids)
            row = {"e": "trade", "E": now + 50, "T": now + 50, "s": "X", "t": trade, "m": not buyer}
            sent.append({"stream": "x@trade", "data": {**row, "p": f"{price:.1f}", "q": f"{random.integers(1, 9)}"}})
    return sent, truth


def write_messages(path: Path, sent: list[dict[str, Any]], lag: int = 0) -> Path:
    """A file of messages, each received `lag` milliseconds after the exchange's time of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for message in sent:
        time = message.get("data", message)["E"]
        lines.append(f"{(time + lag) * MILLISECOND} {json.dumps(message)}")
    path.write_text("\n".join(lines) + "\n")
    return path
