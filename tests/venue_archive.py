"""The monthly files of a made-up Binance: zips of twelve columns, each with the SHA-256 in a file of its own."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import PurePosixPath

import pandas as pd
from venue_truth import BARS, Truth

_PATH = re.compile(r"/data/futures/(um|cm)/monthly/(klines|markPriceKlines)/([A-Z_0-9]+)/(\w+)/(.+\.zip)(\.CHECKSUM)?")
_HEAD = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def archive_file(truth: Truth, path: str) -> bytes | None:
    """The bytes at a path of the archive, or None: months that are not over, or before the listing, are not there."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    branch, folder, symbol, bar, name, checksum = found.groups()
    month = pd.Period(PurePosixPath(name).stem[-7:], "M")
    start, end = int(month.to_timestamp().value), int((month + 1).to_timestamp().value)
    # The venue puts a month up some days after its end.
    if end + 3 * BARS["1d"] > truth.now or name != f"{symbol}-{bar}-{month}.zip":
        return None
    mark = folder == "markPriceKlines"
    rows = truth.closed(symbol, "mark" if mark else "candles", BARS[bar], start, end)
    if not rows:
        return None
    lines = [_HEAD]
    for stamp, o, h, lo, c, volume in rows:
        base = 0.0 if mark else volume
        # A file of COIN-M counts contracts of 100 USD as its volume, and coins as what others call quote volume.
        counted, other = (base * c / 100.0, base) if branch == "cm" else (base, base * c)
        opened, closed = stamp // 1_000_000, (stamp + BARS[bar]) // 1_000_000 - 1
        lines.append(f"{opened},{o},{h},{lo},{c},{counted!r},{closed},{other!r},{0 if mark else 9},0,0,0")
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as zipped:
        member = zipfile.ZipInfo(name.replace(".zip", ".csv"), (2024, 1, 1, 0, 0, 0))
        zipped.writestr(member, "\n".join(lines) + "\n")
    data = body.getvalue()
    return f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode() if checksum else data
