"""The venues that can be fetched from, as data: what is asked, what comes back, and in which units.

Sources: the venues' own pages on their REST interfaces, and the calls that ccxt 4.5 makes of them, November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from foundation.errors import ParameterError, suggestion

Key = int | str
_PLAIN = {bar: bar for bar in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")}
_HOURS = {"1h": "1H", "2h": "2H", "4h": "4H", "6h": "6Hutc", "12h": "12Hutc", "1d": "1Dutc"}


@dataclass(frozen=True)
class Endpoint:
    """One kind of data at a venue: the call, its parameters, and where each number stands in a row of the answer.

    `call`: the name of ccxt's method, or a path. `params`: templates over id, bar, product, category, settle, page,
    and the bounds of what is asked, bars or settlements with since <= stamp < end: `since` and `end` in
    milliseconds, `since_before` and `last` one less, `..._s` in seconds, `..._iso` as ISO time;
    `next_iso` is the close of the first bar. `limit`: rows in one answer. `longest_days`: the longest span it takes.
    `rows`: the keys that lead to the list of rows. `columns`: ours by theirs. `stamp`: the unit of the stamps;
    `stamped_at`: the end of its bar that a row is stamped at. `symbol`: where a row names its symbol, if it
    does. `recent`: the call for bars among the latest `recent_bars`. `numbered`: newest first, page by page.
    """

    call: str
    params: Mapping[str, str | int]
    limit: int
    columns: Mapping[str, Key]
    rows: tuple[str, ...] = ()
    stamp: Literal["ms", "s", "iso"] = "ms"
    stamped_at: Literal["open", "close"] = "open"
    symbol: str | None = None
    longest_days: float = float("inf")
    recent: str | None = None
    recent_bars: int = 0
    numbered: bool = False


@dataclass(frozen=True)
class Venue:
    """One venue and kind of contract: how ccxt names it, and its endpoints by kind of data.

    `ccxt`: the class, or None where our own client speaks. `options`: what ccxt is told. `subtype`: linear,
    inverse or any. `bars`: its name of each bar length. `time`: the call that tells its time, and the keys to
    it. `tiers`: how margin tiers are had: `open`, `signed` (needs a key), or why not. `method`: how the venue
    reckons margin, see Contract. `contracts`: whether volume counts contracts. `coin_lots`: whether orders of an
    inverse contract are counted in coins. `contract_value`: where its brackets count contracts, the call that tells
    the mark price, its parameters, and the keys to it. `archive`: the folder of its monthly files, if it has one.
    """

    key: str
    ccxt: str | None
    endpoints: Mapping[str, Endpoint]
    bars: Mapping[str, str]
    time: tuple[str, tuple[Key, ...]]
    tiers: str
    method: str
    subtype: Literal["linear", "inverse", "any"] = "any"
    options: Mapping[str, object] = field(default_factory=dict)
    markets_call: str = "fetch_markets"
    contracts: bool = False
    coin_lots: bool = False
    contract_value: tuple[str, Mapping[str, str], tuple[Key, ...]] | None = None
    archive: str | None = None
    example: str = "BTCUSDT"

    def endpoint(self, kind: str) -> Endpoint:
        """The endpoint of a kind of data. Raises ParameterError where the venue has none."""
        if kind not in self.endpoints:
            offered = ", ".join(self.endpoints)
            raise ParameterError("only", f"{self.key} offers no {kind}", value=kind, fix=f"it offers {offered}")
        return self.endpoints[kind]


def _prices(*keys: Key) -> dict[str, Key]:
    return dict(zip(("timestamp", "open", "high", "low", "close", "volume"), keys, strict=False))


def _binance(key: str, prefix: str, ccxt_type: str, archive: str, days: float, volume: int, example: str) -> Venue:
    window: dict[str, str | int] = {"symbol": "{id}", "startTime": "{since}", "endTime": "{last}", "limit": 1000}
    candles = Endpoint(
        f"{prefix}PublicGetKlines", {**window, "interval": "{bar}"}, 1000, _prices(0, 1, 2, 3, 4, volume),
        longest_days=days,
    )  # fmt: skip
    mark = replace(candles, call=f"{prefix}PublicGetMarkPriceKlines", columns=_prices(0, 1, 2, 3, 4))
    rates: dict[str, Key] = {"timestamp": "fundingTime", "funding_rate": "fundingRate"}
    funding = Endpoint(f"{prefix}PublicGetFundingRate", window, 1000, rates, symbol="symbol", longest_days=days)
    return Venue(
        key, "binance", {"candles": candles, "mark": mark, "funding": funding}, _PLAIN,
        (f"{prefix}PublicGetTime", ("serverTime",)), "signed", "binance", "linear" if prefix == "fapi" else "inverse",
        {"fetchMarkets": {"types": [ccxt_type]}}, archive=archive, example=example,
    )  # fmt: skip


def _bybit(subtype: Literal["linear", "inverse"], volume: int, example: str) -> Venue:
    window: dict[str, str | int] = {"category": subtype, "symbol": "{id}"}
    bars = {**window, "interval": "{bar}", "start": "{since}", "end": "{last}", "limit": 1000}
    rows = ("result", "list")
    candles = Endpoint("publicGetV5MarketKline", bars, 1000, _prices(0, 1, 2, 3, 4, volume), rows)
    mark = replace(candles, call="publicGetV5MarketMarkPriceKline", columns=_prices(0, 1, 2, 3, 4))
    rates: dict[str, Key] = {"timestamp": "fundingRateTimestamp", "funding_rate": "fundingRate"}
    asked = {**window, "startTime": "{since}", "endTime": "{last}", "limit": 200}
    funding = Endpoint("publicGetV5MarketFundingHistory", asked, 200, rates, rows, symbol="symbol")
    minutes = {"1m": "1", "3m": "3", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "4h": "240"}
    return Venue(
        f"bybit_{subtype}", "bybit", {"candles": candles, "mark": mark, "funding": funding},
        {**minutes, "6h": "360", "12h": "720", "1d": "D"}, ("publicGetV5MarketTime", ("time",)), "open", "bybit",
        subtype, {"fetchMarkets": {"types": [subtype]}}, example=example,
    )  # fmt: skip


def _okx() -> Venue:
    window: dict[str, str | int] = {"instId": "{id}", "before": "{since_before}", "after": "{end}", "limit": 100}
    candles = Endpoint(
        "publicGetMarketHistoryCandles", {**window, "bar": "{bar}"}, 100, _prices(0, 1, 2, 3, 4, 6), ("data",),
        recent="publicGetMarketCandles", recent_bars=1400,
    )  # fmt: skip
    mark = replace(
        candles, call="publicGetMarketHistoryMarkPriceCandles", columns=_prices(0, 1, 2, 3, 4),
        recent="publicGetMarketMarkPriceCandles",
    )  # fmt: skip
    rates: dict[str, Key] = {"timestamp": "fundingTime", "funding_rate": "realizedRate"}
    funding = Endpoint("publicGetPublicFundingRateHistory", window, 100, rates, ("data",), symbol="instId")
    bars = {bar: _HOURS.get(bar, bar) for bar in _PLAIN if bar != "8h"}
    return Venue(
        "okx", "okx", {"candles": candles, "mark": mark, "funding": funding}, bars,
        ("publicGetPublicTime", ("data", 0, "ts")), "open", "closing_fee",
        options={"fetchMarkets": {"types": ["swap"]}},
        contract_value=("publicGetPublicMarkPrice", {"instType": "SWAP", "instId": "{id}"}, ("data", 0, "markPx")),
        example="BTC-USDT-SWAP",
    )  # fmt: skip


def _bitget() -> Venue:
    market: dict[str, str | int] = {"symbol": "{id}", "productType": "{product}"}
    window = {**market, "granularity": "{bar}", "startTime": "{since}", "endTime": "{end}", "limit": 200}
    candles = Endpoint(
        "publicMixGetV2MixMarketHistoryCandles", window, 200, _prices(0, 1, 2, 3, 4, 5), ("data",), longest_days=90
    )
    mark = replace(candles, call="publicMixGetV2MixMarketHistoryMarkCandles", columns=_prices(0, 1, 2, 3, 4))
    rates: dict[str, Key] = {"timestamp": "fundingTime", "funding_rate": "fundingRate"}
    numbered: dict[str, str | int] = {**market, "pageSize": 100, "pageNo": "{page}"}
    funding = Endpoint(
        "publicMixGetV2MixMarketHistoryFundRate", numbered, 100, rates, ("data",), symbol="symbol", numbered=True
    )
    bars = {bar: _HOURS.get(bar, bar) for bar in _PLAIN if bar != "8h"}
    return Venue(
        "bitget", "bitget", {"candles": candles, "mark": mark, "funding": funding}, bars,
        ("publicCommonGetV2PublicTime", ("data", "serverTime")), "open", "closing_fee",
        coin_lots=True, options={"fetchMarkets": {"types": ["swap"]}},
    )  # fmt: skip


def _bingx() -> Venue:
    market: dict[str, str | int] = {"symbol": "{id}", "startTime": "{since_before}", "endTime": "{last}"}
    names = _prices("time", "open", "high", "low", "close", "volume")
    bars: dict[str, str | int] = {**market, "interval": "{bar}", "limit": 1440}
    candles = Endpoint("swapV3PublicGetQuoteKlines", bars, 1440, names, ("data",))
    mark = replace(
        candles, call="swapV1PublicGetMarketMarkPriceKlines",
        columns=_prices("openTime", "open", "high", "low", "close"),
    )  # fmt: skip
    rates: dict[str, Key] = {"timestamp": "fundingTime", "funding_rate": "fundingRate"}
    funding = Endpoint(
        "swapV2PublicGetQuoteFundingRate", {**market, "limit": 1000}, 1000, rates, ("data",), symbol="symbol"
    )
    return Venue(
        "bingx", "bingx", {"candles": candles, "mark": mark, "funding": funding}, _PLAIN,
        ("swapV2PublicGetServerTime", ("data", "serverTime")), "bingx names no leverage in its brackets",
        "closing_fee", "linear",
        markets_call="fetch_swap_markets", example="BTC-USDT",
    )  # fmt: skip


def _gate() -> Venue:
    window: dict[str, str | int] = {"settle": "{settle}", "from": "{since_s}", "to": "{last_s}"}
    bars: dict[str, str | int] = {**window, "contract": "{id}", "interval": "{bar}"}
    names = _prices("t", "o", "h", "l", "c", "v")
    candles = Endpoint("publicFuturesGetSettleCandlesticks", bars, 1900, names, stamp="s")
    prices = {name: key for name, key in names.items() if name != "volume"}
    mark = replace(candles, params={**bars, "contract": "mark_{id}"}, columns=prices)
    rates: dict[str, Key] = {"timestamp": "t", "funding_rate": "r"}
    asked: dict[str, str | int] = {**window, "contract": "{id}", "limit": 1000}
    funding = Endpoint("publicFuturesGetSettleFundingRate", asked, 1000, rates, stamp="s")
    kept = ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "1d")
    return Venue(
        "gate", "gate", {"candles": candles, "mark": mark, "funding": funding}, {bar: bar for bar in kept},
        ("publicSpotGetTime", ("server_time",)), "open", "closing_fee", "linear", contracts=True, example="BTC_USDT",
        options={"fetchMarkets": {"types": ["swap"]}},
    )  # fmt: skip


def _bitmex() -> Venue:
    window: dict[str, str | int] = {"symbol": "{id}", "reverse": "false"}
    bars: dict[str, str | int] = {
        **window, "binSize": "{bar}", "partial": "false", "count": 1000, "startTime": "{next_iso}",
        "endTime": "{end_iso}",
    }  # fmt: skip
    names = _prices("timestamp", "open", "high", "low", "close", "homeNotional")
    candles = Endpoint("trade/bucketed", bars, 1000, names, stamp="iso", stamped_at="close", symbol="symbol")
    rates: dict[str, Key] = {"timestamp": "timestamp", "funding_rate": "fundingRate"}
    asked: dict[str, str | int] = {**window, "count": 500, "startTime": "{since_iso}", "endTime": "{last_iso}"}
    funding = Endpoint("funding", asked, 500, rates, stamp="iso", symbol="symbol")
    return Venue(
        "bitmex", None, {"candles": candles, "funding": funding}, {bar: bar for bar in ("1m", "5m", "1h", "1d")},
        ("", ("timestamp",)), "bitmex publishes no brackets", "bitmex", example="XBTUSD",
    )  # fmt: skip


VENUES: Mapping[str, Venue] = {
    venue.key: venue
    for venue in (
        _binance("binance_usdm", "fapi", "linear", "data/futures/um/monthly", float("inf"), 5, "BTCUSDT"),
        _binance("binance_coinm", "dapi", "inverse", "data/futures/cm/monthly", 199, 7, "BTCUSD_PERP"),
        _bybit("linear", 5, "BTCUSDT"),
        _bybit("inverse", 6, "BTCUSD"),
        _okx(),
        _bitget(),
        _bingx(),
        _gate(),
        _bitmex(),
    )
}


def find_venue(key: str) -> Venue:
    """The venue of a key. Raises ParameterError with a suggestion."""
    if key not in VENUES:
        raise ParameterError("venue", "cannot be fetched from", value=key, fix=suggestion(key, VENUES))
    return VENUES[key]
