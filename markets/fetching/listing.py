"""Listing: what a venue says of one perpetual contract, in the units of the project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from foundation.errors import ParameterError
from markets.contract import Contract
from markets.fetching.venues import Venue
from markets.tiers import MarginTiers

_NEEDED = ("tick", "lot", "taker_fee", "maker_fee", "maintenance_rate")
_TOLD = (
    *_NEEDED, "minimum_quantity", "minimum_notional", "maximum_market_quantity", "maximum_leverage", "liquidation_fee",
)  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """One perpetual at a venue.

    `id`: the venue's own symbol; `unified`: ccxt's. `product`, `settle`: words that some calls need.
    `contract_size`: base units (linear) or quote units (inverse) in one contract. Figures are None where the
    venue does not say them. `tick`: quote currency; `lot` and the quantities: base units of a linear
    contract, quote units of an inverse one; fees and rates: fractions; `funding_hours`: between settlements.
    """

    id: str
    unified: str
    kind: Literal["linear", "inverse", "quanto"]
    settlement: str
    product: str
    settle: str
    contract_size: float
    tick: float | None
    lot: float | None
    minimum_quantity: float | None
    minimum_notional: float | None
    maximum_market_quantity: float | None
    taker_fee: float | None
    maker_fee: float | None
    maintenance_rate: float | None
    maximum_leverage: float | None
    liquidation_fee: float | None
    funding_hours: float | None


def ccxt_listing(market: Mapping[str, Any]) -> Listing:
    """The listing of a market as ccxt has parsed it, with what only the raw answer says."""
    raw = market["info"]
    # Bybit counts units; what ccxt calls its contract size is the smallest order.
    size = 1.0 if "lotSizeFilter" in raw else float(market["contractSize"] or 1.0)
    kind: Literal["linear", "inverse"] = "linear" if market["linear"] else "inverse"
    amount, limits = market["precision"]["amount"], market["limits"]
    products = {"USDT": "USDT-FUTURES", "USDC": "USDC-FUTURES"}
    minutes, hours = _number(raw, "fundingInterval"), _number(raw, "fundInterval", "fundingIntervalHours")
    seconds = _number(raw, "funding_interval")
    interval = (minutes / 60.0) if minutes else hours or (seconds / 3600.0 if seconds else None)
    percent = _number(raw, "maintMarginPercent")
    return Listing(
        id=market["id"],
        unified=market["symbol"],
        kind=kind,
        settlement=market["settle"],
        product=products.get(market["settle"], "COIN-FUTURES"),
        settle=str(market["settleId"]).lower(),
        contract_size=size,
        tick=market["precision"]["price"],
        lot=_times(amount, size),
        minimum_quantity=_times(limits["amount"]["min"], size),
        minimum_notional=limits["cost"]["min"],
        maximum_market_quantity=_times(_market_limit(market), size),
        taker_fee=market["taker"],
        maker_fee=market["maker"],
        maintenance_rate=percent / 100.0 if percent else _number(raw, "maintenance_rate"),
        maximum_leverage=limits["leverage"]["max"],
        liquidation_fee=_number(raw, "liquidationFee"),
        funding_hours=interval,
    )


def bitmex_listing(raw: Mapping[str, Any]) -> Listing:
    """The listing of an instrument of BitMEX: one contract of an inverse one is 1 USD."""
    kind: Literal["linear", "inverse", "quanto"] = "linear"
    if raw.get("isInverse"):
        kind = "inverse"
    elif raw.get("isQuanto"):
        kind = "quanto"
    units = 1.0 if kind == "inverse" else 1.0 / float(raw.get("underlyingToPositionMultiplier") or 1.0)
    margin = float(raw["initMargin"])
    clock = str(raw.get("fundingInterval") or "")
    return Listing(
        id=raw["symbol"],
        unified=raw["symbol"],
        kind=kind,
        settlement={"XBt": "XBT", "USDt": "USDT"}.get(raw["settlCurrency"], raw["settlCurrency"]),
        product="",
        settle="",
        contract_size=units,
        tick=float(raw["tickSize"]),
        lot=float(raw["lotSize"]) * units,
        minimum_quantity=float(raw["lotSize"]) * units,
        minimum_notional=None,
        maximum_market_quantity=None,
        taker_fee=float(raw["takerFee"]),
        maker_fee=float(raw["makerFee"]),
        maintenance_rate=float(raw["maintMargin"]),
        maximum_leverage=1.0 / margin if margin > 0.0 else None,
        liquidation_fee=None,
        funding_hours=float(clock[11:13]) if len(clock) > 13 else None,
    )


def as_contract(
    venue: Venue, listing: Listing, date: str, known: Contract | None, tiers: MarginTiers | None
) -> Contract:
    """The listing as the contract of a run; what the venue does not say comes from `known`, and `source` says so.

    The brackets are the fetched `tiers`, else those of `known`; without any, the maintenance rate is what the venue
    says beside the filters. Needs a listing that leaves nothing `unsaid`.
    """
    values, borrowed = _figures(listing, known, tiers)
    if venue.method == "bitmex" and listing.kind == "linear":
        # Its maintenance margin holds the fee for closing, as at the venues of that method.
        values["method"] = "closing_fee"
    source = f"fetched from {venue.key}, fees of a regular user as the venue or ccxt lists them"
    if tiers is not None:
        source += f"; brackets of {tiers.date}"
    if borrowed and known is not None:
        source += f"; {', '.join(borrowed)} as in: {known.source}"
    named = {"venue": venue.key, "symbol": listing.id, "kind": listing.kind, "settlement": listing.settlement}
    figures: dict[str, Any] = {"method": venue.method, **named, **values}
    contract = Contract(**figures, source=source, date=date)
    if tiers is not None:
        return contract.with_tiers(tiers)
    return contract if known is None or not known.tiers else contract.with_tiers(known.margin_tiers)


def unsaid(listing: Listing, known: Contract | None, tiers: MarginTiers | None) -> list[str]:
    """The figures that a contract needs and nobody says."""
    values, _ = _figures(listing, known, tiers)
    return [name for name in _NEEDED if name not in values]


def _figures(listing: Listing, known: Contract | None, tiers: MarginTiers | None) -> tuple[dict[str, Any], list[str]]:
    """The figures of a contract, and the names of those that come from the registered one."""
    told = {name: getattr(listing, name) for name in _TOLD}
    values = {name: float(value) for name, value in told.items() if value is not None}
    figures: dict[str, Any] = dict(values)
    if listing.funding_hours is not None:
        figures["funding_interval"] = f"{listing.funding_hours:g}h"
    if tiers is not None:
        figures |= {"maintenance_rate": float(tiers.rates[0]), "maximum_leverage": float(tiers.leverages[0])}
    elif known is not None:
        figures.pop("maintenance_rate", None)
    borrowed = [] if known is None else [name for name in (*_TOLD, "funding_interval") if name not in figures]
    return {**figures, **{name: getattr(known, name) for name in borrowed}}, borrowed


def _market_limit(market: Mapping[str, Any]) -> float | None:
    """The largest order at the market: of Binance, Bybit and OKX."""
    raw = market["info"]
    limit = (market["limits"].get("market") or {}).get("max")
    return limit or _number(raw, "maxMktSz") or _number(raw.get("lotSizeFilter") or {}, "maxMktOrderQty")


def _times(amount: Any, size: float) -> float | None:
    """An amount of contracts in units, to twelve digits; None where there is none."""
    return None if amount is None else float(f"{float(amount) * size:.12g}")


def _number(raw: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        try:
            return float(raw[name])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def parse_name(name: str) -> tuple[str, str]:
    """The venue and the symbol of `VENUE:SYMBOL`. Raises ParameterError."""
    venue, colon, symbol = name.partition(":")
    if not (venue and colon and symbol):
        raise ParameterError("symbol", "is no VENUE:SYMBOL", value=name, fix="such as binance_usdm:BTCUSDT")
    return venue, symbol
