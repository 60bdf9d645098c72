"""The contracts that a made-up venue lists, in the shape in which each venue lists them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(milliseconds: int) -> str:
    """Milliseconds as ISO time: 2024-01-01T00:00:00.000Z."""
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> int:
    """ISO time as milliseconds."""
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - _EPOCH) // timedelta(milliseconds=1)


def _binance(symbol: str, base: str, quote: str, margin: str, **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "pair": base + quote,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": margin,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC"],
        **more,
    }


def _filters(tick: str, lot: str, notional: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"filterType": "PRICE_FILTER", "tickSize": tick, "minPrice": "1", "maxPrice": "1000000"},
        {"filterType": "LOT_SIZE", "stepSize": lot, "minQty": lot, "maxQty": "1000"},
        {"filterType": "MARKET_LOT_SIZE", "stepSize": lot, "minQty": lot, "maxQty": "120"},
    ]
    return found if notional is None else [*found, {"filterType": "MIN_NOTIONAL", "notional": notional}]


BINANCE_USDM = {
    "timezone": "UTC",
    "serverTime": 0,
    "rateLimits": [],
    "exchangeFilters": [],
    "symbols": [
        _binance("BTCUSDT", "BTC", "USDT", "USDT", status="TRADING", filters=_filters("0.10", "0.001", "100")),
        _binance("ETHUSDT", "ETH", "USDT", "USDT", status="TRADING", filters=_filters("0.01", "0.001", "20")),
        _binance("XYZUSDT", "XYZ", "USDT", "USDT", status="TRADING", filters=_filters("0.01", "0.1", "5")),
    ],
}
BINANCE_COINM = {
    "timezone": "UTC",
    "serverTime": 0,
    "rateLimits": [],
    "exchangeFilters": [],
    "symbols": [
        _binance(
            "BTCUSD_PERP",
            "BTC",
            "USD",
            "BTC",
            contractStatus="TRADING",
            contractSize=100,
            filters=_filters("0.1", "1", None),
        ),
        _binance(
            "ETHUSD_PERP",
            "ETH",
            "USD",
            "ETH",
            contractStatus="TRADING",
            contractSize=10,
            filters=_filters("0.01", "1", None),
        ),
    ],
}


def binance_brackets(truth: Any, query: dict[str, str]) -> Any:
    """The brackets of every symbol, which Binance tells to signed requests only."""
    from venue_payloads import Refusal

    if "signature" not in query:
        raise Refusal(401, {"code": -2014, "msg": "API-key format invalid."})
    if abs(int(query["timestamp"]) - truth.now // 1_000_000) > 10_000:
        raise Refusal(400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."})
    rows = [
        (1, 125, 0, 50_000, 0.004, 0.0),
        (2, 100, 50_000, 600_000, 0.005, 50.0),
        (3, 50, 600_000, 3_000_000, 0.01, 3050.0),
    ]
    brackets = [
        {
            "bracket": n,
            "initialLeverage": lev,
            "notionalCap": cap,
            "notionalFloor": floor,
            "maintMarginRatio": rate,
            "cum": cum,
        }
        for n, lev, floor, cap, rate, cum in rows
    ]
    return [
        {"symbol": symbol, "notionalCoef": 1.0, "brackets": brackets} for symbol in ("BTCUSDT", "ETHUSDT", "XYZUSDT")
    ]


def bybit(query: dict[str, str]) -> list[dict[str, Any]]:
    """The instruments of a category; none before their launch."""
    if query.get("status") == "PreLaunch":
        return []
    linear = query["category"] == "linear"
    return [
        {
            "symbol": f"{base}{'USDT' if linear else 'USD'}",
            "status": "Trading",
            "baseCoin": base,
            "contractType": "LinearPerpetual" if linear else "InversePerpetual",
            "quoteCoin": "USDT" if linear else "USD",
            "launchTime": "1585526400000",
            "deliveryTime": "0",
            "deliveryFeeRate": "",
            "priceScale": "2",
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
            "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
            "lotSizeFilter": {
                "maxOrderQty": "1190",
                "minOrderQty": "0.001" if linear else "1",
                "qtyStep": "0.001" if linear else "1",
                "postOnlyMaxOrderQty": "1190",
                "maxMktOrderQty": "500",
                "minNotionalValue": "5",
            },
            "unifiedMarginTrade": True,
            "fundingInterval": 480,
            "settleCoin": "USDT" if linear else base,
        }
        for base in ("BTC", "ETH")
    ]


def bybit_tiers(query: dict[str, str]) -> list[dict[str, Any]]:
    """The risk limits of a symbol."""
    rows = [("1", "2000000", "0.005", "0.01", "100.00"), ("2", "2600000", "0.0056", "0.0111", "90.00")]
    return [
        {
            "id": int(n),
            "symbol": query["symbol"],
            "riskLimitValue": cap,
            "maintenanceMargin": rate,
            "initialMargin": first,
            "isLowestRisk": int(n == "1"),
            "maxLeverage": leverage,
            "mmDeduction": "",
        }
        for n, cap, rate, first, leverage in rows
    ]


def _okx(symbol: str, base: str, linear: bool) -> dict[str, Any]:
    quote = "USDT" if linear else "USD"
    return {
        "alias": "",
        "baseCcy": "",
        "category": "1",
        "ctMult": "1",
        "ctType": "linear" if linear else "inverse",
        "ctVal": "0.01" if linear else "100",
        "ctValCcy": base if linear else "USD",
        "expTime": "",
        "instFamily": f"{base}-{quote}",
        "instId": symbol,
        "instType": "SWAP",
        "lever": "100",
        "listTime": "1606468572000",
        "lotSz": "0.01" if linear else "0.1",
        "maxLmtSz": "1000000",
        "maxMktSz": "12000",
        "minSz": "0.01" if linear else "0.1",
        "optType": "",
        "quoteCcy": "",
        "settleCcy": "USDT" if linear else base,
        "state": "live",
        "stk": "",
        "tickSz": "0.1",
        "uly": f"{base}-{quote}",
    }


OKX = [_okx("BTC-USDT-SWAP", "BTC", True), _okx("ETH-USDT-SWAP", "ETH", True), _okx("BTC-USD-SWAP", "BTC", False)]
# The venue counts contracts of 0.01 BTC and begins a bracket one step above the one before.
OKX_TIERS = [
    {
        "baseMaxLoan": "",
        "imr": imr,
        "instFamily": "BTC-USDT",
        "instId": "",
        "maxLever": lever,
        "maxSz": most,
        "minSz": least,
        "mmr": mmr,
        "optMgnFactor": "0",
        "quoteMaxLoan": "",
        "tier": tier,
        "uly": "BTC-USDT",
    }
    for tier, least, most, mmr, imr, lever in (
        ("1", "0", "1000", "0.004", "0.01", "100"),
        ("2", "1000.01", "2000", "0.005", "0.013", "75"),
    )
]


def bitget(query: dict[str, str]) -> list[dict[str, Any]]:
    """The contracts of a product type; only those margined in USDT are listed."""
    if query["productType"] != "USDT-FUTURES":
        return []
    return [
        {
            "symbol": f"{base}USDT",
            "baseCoin": base,
            "quoteCoin": "USDT",
            "buyLimitPriceRatio": "0.01",
            "sellLimitPriceRatio": "0.01",
            "feeRateUpRatio": "0.005",
            "makerFeeRate": "0.0002",
            "takerFeeRate": "0.0006",
            "openCostUpRatio": "0.01",
            "supportMarginCoins": ["USDT"],
            "minTradeNum": "0.001",
            "priceEndStep": "1",
            "volumePlace": "3",
            "pricePlace": "1",
            "sizeMultiplier": "0.001",
            "symbolType": "perpetual",
            "minTradeUSDT": "5",
            "maxSymbolOrderNum": "200",
            "maxProductOrderNum": "400",
            "maxPositionNum": "150",
            "symbolStatus": "normal",
            "offTime": "-1",
            "limitOpenTime": "-1",
            "deliveryTime": "",
            "deliveryStartTime": "",
            "deliveryPeriod": "",
            "launchTime": "",
            "fundInterval": "8",
            "minLever": "1",
            "maxLever": "125",
            "posLimit": "0.05",
            "maintainTime": "",
        }
        for base in ("BTC", "ETH")
    ]


BITGET_TIERS = [
    {"symbol": "BTCUSDT", "level": level, "startUnit": floor, "endUnit": cap, "leverage": lever, "keepMarginRate": rate}
    for level, floor, cap, lever, rate in (
        ("1", "0", "150000", "125", "0.004"),
        ("2", "150000", "900000", "100", "0.005"),
    )
]
BINGX = [
    {
        "contractId": "100",
        "symbol": f"{base}-USDT",
        "size": "0.0001",
        "quantityPrecision": 4,
        "pricePrecision": 1,
        "feeRate": 0.0005,
        "makerFeeRate": 0.0002,
        "takerFeeRate": 0.0005,
        "tradeMinLimit": 0,
        "tradeMinQuantity": 0.0001,
        "tradeMinUSDT": 2,
        "maxLongLeverage": 125,
        "maxShortLeverage": 125,
        "currency": "USDT",
        "asset": base,
        "status": 1,
        "apiStateOpen": "true",
        "apiStateClose": "true",
        "ensureTrigger": True,
        "triggerFeeRate": "0.00050000",
    }
    for base in ("BTC", "ETH")
]
GATE = [
    {
        "name": f"{base}_USDT",
        "type": "direct",
        "quanto_multiplier": "0.0001",
        "ref_discount_rate": "0",
        "order_price_deviate": "0.5",
        "maintenance_rate": "0.005",
        "mark_type": "index",
        "last_price": "1000",
        "mark_price": "1000",
        "index_price": "1000",
        "funding_rate_indicative": "0.000219",
        "mark_price_round": "0.01",
        "funding_offset": 0,
        "in_delisting": False,
        "risk_limit_base": "1000000",
        "interest_rate": "0.0003",
        "order_price_round": "0.1",
        "order_size_min": 1,
        "ref_rebate_rate": "0.2",
        "funding_interval": 28800,
        "risk_limit_step": "1000000",
        "leverage_min": "1",
        "leverage_max": "100",
        "risk_limit_max": "8000000",
        "maker_fee_rate": "-0.00025",
        "taker_fee_rate": "0.00075",
        "funding_rate": "0.002053",
        "order_size_max": 1000000,
        "funding_next_apply": 1610035200,
        "config_change_time": 1593158867,
        "orders_limit": 50,
        "create_time": 1568620800,
    }
    for base in ("BTC", "ETH")
]
GATE_TIERS = [
    {"maintenance_rate": "0.004", "tier": 1, "initial_rate": "0.008", "leverage_max": "125", "risk_limit": "1000000"},
    {"maintenance_rate": "0.005", "tier": 2, "initial_rate": "0.01", "leverage_max": "100", "risk_limit": "2000000"},
]
BITMEX: list[dict[str, Any]] = [
    {
        "symbol": symbol,
        "rootSymbol": symbol[:3],
        "state": "Open",
        "typ": "FFWCSX",
        "lotSize": lot,
        "tickSize": tick,
        "multiplier": multiplier,
        "settlCurrency": currency,
        "isInverse": inverse,
        "isQuanto": quanto,
        "underlyingToPositionMultiplier": units,
        "initMargin": 0.01,
        "maintMargin": 0.005,
        "makerFee": 0.0002,
        "takerFee": 0.0005,
        "fundingInterval": "2000-01-01T08:00:00.000Z",
    }
    for symbol, lot, tick, multiplier, currency, inverse, quanto, units in (
        ("XBTUSD", 100, 0.1, -100000000, "XBt", True, False, None),
        ("XBTUSDT", 1000, 0.1, 1, "USDt", False, False, 1000000),
        ("ETHUSD", 1, 0.05, 100, "XBt", False, True, None),
    )
]
