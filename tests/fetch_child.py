"""A fetch in a process of its own, to be killed: python fetch_child.py URL FOLDER VENUE SYMBOL BAR SINCE ARCHIVE."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from markets.fetching.connection import Connection
from markets.fetching.fetching import fetch_market

if __name__ == "__main__":
    url, folder, venue, symbol, bar, since, archive = sys.argv[1:]
    fetch_market(
        f"{venue}:{symbol}", bar, since, out=folder, only=["funding", "mark", "candles"], archive=archive == "archive",
        connection=Connection(base_url=url, seconds_apart=0.0),
    )  # fmt: skip
