"""What each venue answers: the shapes of its JSON for the calls that are made of it, filled from a Truth.

Sources: the examples on the venues' pages and in ccxt 4.5. Each keeps its own habits: newest first or oldest first,
bounds included or not, milliseconds, seconds or ISO time, and which end of a bar a row is stamped at.
"""

# A stand-in takes what it is handed, whether it uses every argument or not.
# ruff: noqa: ARG005

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import venue_markets as markets
from venue_truth import BARS, DAY, HOUR, MINUTE, Row, Truth

MS = 1_000_000
Query = dict[str, str]
Rows = list[Row]


class Refusal(Exception):
    """An answer that is an error: its HTTP status and its JSON."""

    def __init__(self, status: int, payload: Any) -> None:
        super().__init__(str(payload))
        self.status = status
        self.payload = payload


def answer(truth: Truth, path: str, query: Query) -> Any:
    """The JSON of one request."""
    handler = _ROUTES.get(path)
    if handler is None:
        raise Refusal(404, {"code": 404, "msg": f"no such path: {path}"})
    return handler(truth, query)


def _length(name: str) -> int:
    minutes = {"60": HOUR, "240": 4 * HOUR, "D": DAY, "1H": HOUR, "4H": 4 * HOUR, "1Dutc": DAY}
    found = minutes.get(name) or BARS.get(name) or (int(name) * MINUTE if name.isdigit() else None)
    if found is None:
        raise Refusal(400, {"code": -1120, "msg": "Invalid interval."})
    return found


def _in_ms(query: Query, since: str, until: str) -> tuple[int, int]:
    return int(query.get(since, 0)) * MS, int(query.get(until, 10**14)) * MS


# Binance: oldest first, both bounds included, twelve columns of text and numbers.


def _binance_klines(kind: str, base: int) -> Callable[[Truth, Query], Any]:
    def klines(truth: Truth, query: Query) -> Any:
        bar = _length(query["interval"])
        start, end = _in_ms(query, "startTime", "endTime")
        if base == 7 and end - start > 200 * DAY:
            raise Refusal(400, {"code": -4088, "msg": "Maximum time interval is 200 days."})
        rows = truth.bars(query["symbol"], kind, bar, start, end)[: min(int(query.get("limit", 500)), 1500)]
        return [_binance_row(row, bar, kind == "mark", base) for row in rows]

    return klines


def _binance_row(row: Row, bar: int, mark: bool, base: int) -> list[Any]:
    stamp, o, h, lo, c, volume = row
    amounts = {5: repr(volume), 7: repr(volume * c)} if base == 5 else {5: repr(volume * c / 100), 7: repr(volume)}
    if mark:
        amounts = {5: "0", 7: "0"}
    prices = [f"{price:.8f}" for price in (o, h, lo, c)]
    return [stamp // MS, *prices, amounts[5], (stamp + bar) // MS - 1, amounts[7], 60, "0", "0", "0"]


def _binance_funding(truth: Truth, query: Query) -> Any:
    start, end = _in_ms(query, "startTime", "endTime")
    rows = truth.settlements(query["symbol"], start, end)[: min(int(query.get("limit", 100)), 1000)]
    return [
        {"symbol": query["symbol"], "fundingTime": stamp // MS, "fundingRate": f"{rate:.8f}", "markPrice": ""}
        for stamp, rate in rows
    ]


# Bybit: newest first, both bounds included, text; the answer names symbol and category.


def _bybit(truth: Truth, query: Query, rows: list[Any]) -> Any:
    result = {"category": query.get("category", ""), "symbol": query.get("symbol", ""), "list": rows}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": truth.now // MS}


def _bybit_kline(kind: str) -> Callable[[Truth, Query], Any]:
    def kline(truth: Truth, query: Query) -> Any:
        start, end = _in_ms(query, "start", "end")
        rows = truth.bars(query["symbol"], kind, _length(query["interval"]), start, end)
        rows = rows[::-1][: min(int(query.get("limit", 200)), 1000)]
        return _bybit(truth, query, [_bybit_row(row, kind, query["category"]) for row in rows])

    return kline


def _bybit_row(row: Row, kind: str, category: str) -> list[str]:
    stamp, o, h, lo, c, volume = row
    prices = [str(stamp // MS), *(f"{price:.1f}" for price in (o, h, lo, c))]
    if kind == "mark":
        return prices
    # An inverse contract counts USD as its volume and coins as its turnover.
    amounts = (volume, volume * c) if category == "linear" else (volume * c, volume)
    return [*prices, *(repr(amount) for amount in amounts)]


def _bybit_funding(truth: Truth, query: Query) -> Any:
    start, end = _in_ms(query, "startTime", "endTime")
    rows = truth.settlements(query["symbol"], start, end)[::-1][: min(int(query.get("limit", 200)), 200)]
    listed = [
        {"symbol": query["symbol"], "fundingRate": f"{rate:.6f}", "fundingRateTimestamp": str(stamp // MS)}
        for stamp, rate in rows
    ]
    return _bybit(truth, query, listed)


# OKX: newest first, `after` is older than and `before` newer than, neither included; at most 100 rows of history.


def _okx(rows: list[Any]) -> Any:
    return {"code": "0", "msg": "", "data": rows}


def _okx_candles(kind: str, history: bool) -> Callable[[Truth, Query], Any]:
    def candles(truth: Truth, query: Query) -> Any:
        bar = _length(query["bar"])
        before, after = _in_ms(query, "before", "after")
        rows = truth.bars(query["instId"], kind, bar, before + 1, after - 1)[::-1]
        if not history:
            rows = [row for row in rows if row[0] > truth.now - 1440 * bar]
        return _okx([_okx_row(row, kind, row[0] + bar <= truth.now) for row in rows[: int(query.get("limit", 100))]])

    return candles


def _okx_row(row: Row, kind: str, over: bool) -> list[str]:
    stamp, o, h, lo, c, volume = row
    prices = [str(stamp // MS), *(f"{price:.1f}" for price in (o, h, lo, c))]
    amounts = [] if kind == "mark" else [repr(volume * 100), repr(volume), repr(volume * c)]
    return [*prices, *amounts, "1" if over else "0"]


def _okx_funding(truth: Truth, query: Query) -> Any:
    before, after = _in_ms(query, "before", "after")
    # The venue hands out three months.
    rows = truth.settlements(query["instId"], max(before + 1, truth.now - 92 * DAY), after - 1)[::-1]
    return _okx(
        [
            {
                "instType": "SWAP", "instId": query["instId"], "fundingTime": str(stamp // MS), "method": "next_period",
                "fundingRate": f"{rate + 1e-6:.6f}", "realizedRate": f"{rate:.6f}",
            }
            for stamp, rate in rows[: int(query.get("limit", 100))]
        ]
    )  # fmt: skip


# Bitget: oldest first, at most 200 bars; funding newest first, in numbered pages without bounds.


def _bitget(truth: Truth, data: Any) -> Any:
    return {"code": "00000", "msg": "success", "requestTime": truth.now // MS, "data": data}


def _bitget_candles(kind: str) -> Callable[[Truth, Query], Any]:
    def candles(truth: Truth, query: Query) -> Any:
        start, end = _in_ms(query, "startTime", "endTime")
        if end - start > 90 * DAY:
            raise Refusal(400, {"code": "00001", "msg": "startTime and endTime: more than 90 days"})
        rows = truth.bars(query["symbol"], kind, _length(query["granularity"]), start, end)
        return _bitget(truth, [_bitget_row(row) for row in rows[-min(int(query.get("limit", 100)), 200) :]])

    return candles


def _bitget_row(row: Row) -> list[str]:
    stamp, o, h, lo, c, volume = row
    return [str(stamp // MS), *(f"{price:.1f}" for price in (o, h, lo, c)), repr(volume), repr(volume * c)]


def _bitget_funding(truth: Truth, query: Query) -> Any:
    size, page = int(query.get("pageSize", 20)), int(query.get("pageNo", 1))
    rows = truth.settlements(query["symbol"], 0, truth.now)[::-1][(page - 1) * size : page * size]
    found = [
        {"symbol": query["symbol"], "fundingRate": f"{rate:.6f}", "fundingTime": str(stamp // MS)}
        for stamp, rate in rows
    ]
    return _bitget(truth, found)


# BingX: newest first, objects; bars of the mark price name their open and their close.


def _bingx(data: Any) -> Any:
    return {"code": 0, "msg": "", "data": data}


def _bingx_klines(kind: str) -> Callable[[Truth, Query], Any]:
    def klines(truth: Truth, query: Query) -> Any:
        bar = _length(query["interval"])
        start, end = _in_ms(query, "startTime", "endTime")
        rows = truth.bars(query["symbol"], kind, bar, start, end)[::-1][: min(int(query.get("limit", 500)), 1440)]
        return _bingx([_bingx_row(row, kind, bar) for row in rows])

    return klines


def _bingx_row(row: Row, kind: str, bar: int) -> dict[str, Any]:
    stamp, o, h, lo, c, volume = row
    prices = {"open": f"{o:.1f}", "close": f"{c:.1f}", "high": f"{h:.1f}", "low": f"{lo:.1f}"}
    if kind == "mark":
        return {**prices, "volume": "0.00", "openTime": stamp // MS, "closeTime": (stamp + bar) // MS - 1}
    return {**prices, "volume": repr(volume), "time": stamp // MS}


def _bingx_funding(truth: Truth, query: Query) -> Any:
    start, end = _in_ms(query, "startTime", "endTime")
    rows = truth.settlements(query["symbol"], start, end)[::-1][: min(int(query.get("limit", 100)), 1000)]
    return _bingx(
        [{"symbol": query["symbol"], "fundingRate": f"{rate:.8f}", "fundingTime": stamp // MS} for stamp, rate in rows]
    )


# Gate: oldest first, seconds, objects; volume counts contracts; mark prices are those of a contract `mark_...`.


def _gate_candles(truth: Truth, query: Query) -> Any:
    bar = _length(query["interval"])
    start, end = int(query["from"]) * 1000 * MS, int(query["to"]) * 1000 * MS
    if (end - start) // bar > 2000:
        raise Refusal(400, {"label": "INVALID_PARAM_VALUE", "message": "too many candlesticks"})
    contract = query["contract"]
    mark = contract.startswith("mark_")
    rows = truth.bars(contract.removeprefix("mark_"), "mark" if mark else "candles", bar, start, end)
    return [_gate_row(row, mark) for row in rows]


def _gate_row(row: Row, mark: bool) -> dict[str, Any]:
    stamp, o, h, lo, c, volume = row
    prices = {"t": stamp // MS // 1000, "o": f"{o:.1f}", "h": f"{h:.1f}", "l": f"{lo:.1f}", "c": f"{c:.1f}"}
    return prices if mark else {**prices, "v": volume * 10_000, "sum": repr(volume * c)}


def _gate_funding(truth: Truth, query: Query) -> Any:
    start, end = int(query["from"]) * 1000 * MS, int(query["to"]) * 1000 * MS
    rows = truth.settlements(query["contract"], start, end + 999 * MS)[::-1][: int(query.get("limit", 100))]
    return [{"t": stamp // MS // 1000, "r": f"{rate:.6f}"} for stamp, rate in rows]


# BitMEX: oldest first, ISO time, bars stamped at their close.


def _bitmex_iso(stamp: int) -> str:
    return markets.iso(stamp // MS)


def _bitmex_buckets(truth: Truth, query: Query) -> Any:
    bar = _length(query["binSize"])
    start, end = (markets.from_iso(query[name]) * MS for name in ("startTime", "endTime"))
    rows = [
        row for row in truth.bars(query["symbol"], "candles", bar, start - bar, end - bar) if row[0] + bar <= truth.now
    ]
    return [
        {
            "timestamp": _bitmex_iso(stamp + bar), "symbol": query["symbol"], "open": o, "high": h, "low": lo,
            "close": c, "trades": 10, "volume": round(volume * c), "vwap": c, "lastSize": 100,
            "turnover": round(volume * 1e8), "homeNotional": volume, "foreignNotional": round(volume * c),
        }
        for stamp, o, h, lo, c, volume in rows[: min(int(query.get("count", 100)), 1000)]
    ]  # fmt: skip


def _bitmex_funding(truth: Truth, query: Query) -> Any:
    start, end = (markets.from_iso(query[name]) * MS for name in ("startTime", "endTime"))
    rows = truth.settlements(query["symbol"], start, end)[: min(int(query.get("count", 100)), 500)]
    return [
        {
            "timestamp": _bitmex_iso(stamp), "symbol": query["symbol"], "fundingInterval": "2000-01-01T08:00:00.000Z",
            "fundingRate": rate, "fundingRateDaily": 3 * rate,
        }
        for stamp, rate in rows
    ]  # fmt: skip


def _fixed(payload: Any) -> Callable[[Truth, Query], Any]:
    return lambda truth, query: payload


_ROUTES: dict[str, Callable[[Truth, Query], Any]] = {
    "/fapi/v1/time": lambda truth, query: {"serverTime": truth.now // MS},
    "/fapi/v1/exchangeInfo": _fixed(markets.BINANCE_USDM),
    "/fapi/v1/klines": _binance_klines("candles", 5),
    "/fapi/v1/markPriceKlines": _binance_klines("mark", 5),
    "/fapi/v1/fundingRate": _binance_funding,
    "/fapi/v1/leverageBracket": markets.binance_brackets,
    "/dapi/v1/time": lambda truth, query: {"serverTime": truth.now // MS},
    "/dapi/v1/exchangeInfo": _fixed(markets.BINANCE_COINM),
    "/dapi/v1/klines": _binance_klines("candles", 7),
    "/dapi/v1/markPriceKlines": _binance_klines("mark", 7),
    "/dapi/v1/fundingRate": _binance_funding,
    "/v5/market/time": lambda truth, query: _bybit(truth, query, []),
    "/v5/market/instruments-info": lambda truth, query: _bybit(truth, query, markets.bybit(query)),
    "/v5/market/kline": _bybit_kline("candles"),
    "/v5/market/mark-price-kline": _bybit_kline("mark"),
    "/v5/market/funding/history": _bybit_funding,
    "/v5/market/risk-limit": lambda truth, query: _bybit(truth, query, markets.bybit_tiers(query)),
    "/api/v5/public/time": lambda truth, query: _okx([{"ts": str(truth.now // MS)}]),
    "/api/v5/public/instruments": _fixed(_okx(markets.OKX)),
    "/api/v5/public/mark-price": lambda truth, query: _okx([{"instId": query["instId"], "markPx": "1000.0"}]),
    "/api/v5/public/position-tiers": _fixed(_okx(markets.OKX_TIERS)),
    "/api/v5/public/funding-rate-history": _okx_funding,
    "/api/v5/market/history-candles": _okx_candles("candles", True),
    "/api/v5/market/candles": _okx_candles("candles", False),
    "/api/v5/market/history-mark-price-candles": _okx_candles("mark", True),
    "/api/v5/market/mark-price-candles": _okx_candles("mark", False),
    "/api/v2/public/time": lambda truth, query: _bitget(truth, {"serverTime": str(truth.now // MS)}),
    "/api/v2/mix/market/contracts": lambda truth, query: _bitget(truth, markets.bitget(query)),
    "/api/v2/mix/market/history-candles": _bitget_candles("candles"),
    "/api/v2/mix/market/history-mark-candles": _bitget_candles("mark"),
    "/api/v2/mix/market/history-fund-rate": _bitget_funding,
    "/api/v2/mix/market/query-position-lever": lambda truth, query: _bitget(truth, markets.BITGET_TIERS),
    "/openApi/swap/v2/server/time": lambda truth, query: _bingx({"serverTime": truth.now // MS}),
    "/openApi/swap/v2/quote/contracts": _fixed(_bingx(markets.BINGX)),
    "/openApi/swap/v3/quote/klines": _bingx_klines("candles"),
    "/openApi/swap/v1/market/markPriceKlines": _bingx_klines("mark"),
    "/openApi/swap/v2/quote/fundingRate": _bingx_funding,
    "/api/v4/spot/time": lambda truth, query: {"server_time": truth.now // MS},
    "/api/v4/futures/usdt/contracts": _fixed(markets.GATE),
    "/api/v4/futures/btc/contracts": _fixed([]),
    "/api/v4/futures/usdt/candlesticks": _gate_candles,
    "/api/v4/futures/usdt/funding_rate": _gate_funding,
    "/api/v4/futures/usdt/risk_limit_tiers": _fixed(markets.GATE_TIERS),
    "/api/v1": lambda truth, query: {"name": "BitMEX API", "version": "2.0.0", "timestamp": truth.now // MS},
    "/api/v1/instrument": lambda truth, query: [one for one in markets.BITMEX if one["symbol"] == query["symbol"]],
    "/api/v1/instrument/active": _fixed(markets.BITMEX),
    "/api/v1/trade/bucketed": _bitmex_buckets,
    "/api/v1/funding": _bitmex_funding,
}
