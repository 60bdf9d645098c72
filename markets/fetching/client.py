"""Clients: one venue each, spoken to through ccxt, or by our own client where ccxt does not know it."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, Protocol

from foundation.errors import DataError, ParameterError, suggestion
from markets.fetching.clock import Pace
from markets.fetching.connection import Connection
from markets.fetching.download import Missing, download
from markets.fetching.listing import Listing, bitmex_listing, ccxt_listing
from markets.fetching.retry import Refused, Retrier, Transient, retry_after
from markets.fetching.venues import Key, Venue

INSTALL = "pip install '.[data]' in the folder of crossgate, which brings ccxt"
# Statuses that asking again does not change: wrong request, no permission, no such thing, not from this place.
_FINAL = (400, 401, 403, 404, 405, 410, 422, 451)
_BITMEX = "https://www.bitmex.com"
_BITMEX_SECONDS = 2.0


class Client(Protocol):
    """What fetching needs of a venue. Every request waits for the rate limit and is retried; see Retry."""

    venue: Venue
    retrier: Retrier

    def call(self, name: str, params: Mapping[str, str | int]) -> Any:
        """The JSON answer to one public call."""

    def keep_time(self, milliseconds: int) -> None:
        """Takes over the time of the venue, for whatever has to be stamped with it."""

    def listing(self, symbol: str) -> Listing:
        """The perpetual of that symbol. Raises ParameterError with a suggestion."""

    def brackets(self, listing: Listing) -> list[dict[str, Any]]:
        """The margin brackets of a contract, as ccxt's leverage tiers."""


def open_client(venue: Venue, connection: Connection) -> Client:
    """A client of the venue; nothing is asked yet. Raises ParameterError where ccxt is not installed."""
    return BitmexClient(venue, connection) if venue.ccxt is None else CcxtClient(venue, connection)


def venue_time(client: Client) -> int:
    """The venue's own time in nanoseconds: what is over and what is still running is told by it alone."""
    name, keys = client.venue.time
    answer = client.call(name, {})
    milliseconds = int(dig(client, answer, keys))
    client.keep_time(milliseconds)
    return milliseconds * 1_000_000


def dig(client: Client, answer: Any, keys: tuple[Key, ...]) -> Any:
    """The part of an answer that keys lead to. Raises DataError where the answer has another shape."""
    for key in keys:
        try:
            answer = answer[key]
        except (KeyError, IndexError, TypeError):
            shown = json.dumps(answer, default=str)[:120]
            raise DataError(client.venue.key, f'answered without "{key}": {shown}', fix="try again later") from None
    return answer


class CcxtClient:
    """A venue through ccxt, which knows addresses, signatures and the meaning of error codes.

    Every HTTP request of ccxt goes through `_patient`: its own limiter is off, ours is on.
    """

    def __init__(self, venue: Venue, connection: Connection) -> None:
        try:
            import ccxt
        except ImportError:
            raise ParameterError("data fetch", "needs ccxt, which is not installed", fix=INSTALL) from None
        self.venue = venue
        self._ccxt = ccxt
        self._clock = connection.clock
        self._status: int | None = None
        self._headers: Mapping[str, str] = {}
        self.retrier = Retrier(venue.key, connection.retry, connection.clock)
        self._exchange = getattr(ccxt, str(venue.ccxt))(
            {
                "enableRateLimit": False,
                "timeout": int(connection.timeout_seconds * 1000),
                "options": dict(venue.options),
                "apiKey": connection.key,
                "secret": connection.secret,
            }
        )
        exchange = self._exchange
        exchange.has["fetchCurrencies"] = False
        exchange.session.trust_env = True
        if connection.base_url is not None:
            exchange.urls["api"] = _rebased(exchange.urls["api"], connection.base_url.rstrip("/"))
        apart = connection.seconds_apart
        self._pace = Pace(connection.clock, exchange.rateLimit / 1000.0 if apart is None else apart)
        self._fetch2 = exchange.fetch2
        exchange.fetch2 = self._patient
        exchange.on_rest_response = self._noted

    def call(self, name: str, params: Mapping[str, str | int]) -> Any:
        return getattr(self._exchange, name)(dict(params))

    def keep_time(self, milliseconds: int) -> None:
        began = self._clock.monotonic()
        self._exchange.milliseconds = lambda: milliseconds + int((self._clock.monotonic() - began) * 1000)

    def listing(self, symbol: str) -> Listing:
        exchange = self._exchange
        exchange.set_markets(getattr(exchange, self.venue.markets_call)({}))
        ours = {one["id"]: one for one in exchange.markets.values() if self._is_ours(one)}
        if symbol not in ours:
            problem = f"is no perpetual of {self.venue.key}"
            raise ParameterError("symbol", problem, value=symbol, fix=near_symbols(symbol, ours))
        return ccxt_listing(ours[symbol])

    def brackets(self, listing: Listing) -> list[dict[str, Any]]:
        exchange = self._exchange
        if self.venue.tiers == "signed":
            subtype = {"subType": listing.kind}
            found = exchange.fetch_leverage_tiers([listing.unified], subtype)
            return list(found.get(listing.unified, []))
        return list(exchange.fetch_market_leverage_tiers(listing.unified))

    def _is_ours(self, market: Mapping[str, Any]) -> bool:
        return bool(market["swap"]) and (self.venue.subtype == "any" or bool(market[self.venue.subtype]))

    def _noted(self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any) -> str:
        self._status, self._headers = code, headers
        return body.strip()

    def _patient(self, path: str, api: Any, method: str, params: Any, config: Any) -> Any:
        cost = self._exchange.calculate_rate_limiter_cost(api, method, path, params, config)

        def once() -> Any:
            self._pace.wait(float(cost))
            self._status, self._headers = None, {}
            try:
                answer = self._fetch2(path, api, method, params, config)
            except self._ccxt.OperationFailed as error:
                raise self._failure(error) from None
            except self._ccxt.BaseError as error:
                raise Refused(_shown(error)) from None
            # ccxt hands a body that is no JSON out as text: it was cut, or comes from something in between.
            if not isinstance(answer, dict | list):
                raise Transient("its answer was cut short or is no JSON")
            return answer

        return self.retrier.run(f"{method} {path}", once)

    def _failure(self, error: Exception) -> Exception:
        if self._status in _FINAL and not isinstance(error, self._ccxt.DDoSProtection):
            return Refused(f"HTTP {self._status}, {_shown(error)}")
        named = {429: "too many requests", 418: "banned for too many requests", None: "no whole answer"}
        reason = named.get(self._status, f"HTTP {self._status}")
        if isinstance(error, self._ccxt.RequestTimeout):
            reason = "no answer in time"
        return Transient(reason, retry_after(self._headers.get("Retry-After"), self._headers.get("Date")))


class BitmexClient:
    """BitMEX by its public REST interface: ccxt 4.5.90 has no class for it."""

    def __init__(self, venue: Venue, connection: Connection) -> None:
        self.venue = venue
        self.retrier = Retrier(venue.key, connection.retry, connection.clock)
        self._root = f"{(connection.base_url or _BITMEX).rstrip('/')}/api/v1"
        self._timeout = connection.timeout_seconds
        apart = connection.seconds_apart
        self._pace = Pace(connection.clock, _BITMEX_SECONDS if apart is None else apart)

    def call(self, name: str, params: Mapping[str, str | int]) -> Any:
        url = f"{self._root}/{name}".rstrip("/")
        if params:
            url += "?" + urllib.parse.urlencode(params)

        def once() -> Any:
            self._pace.wait()
            try:
                return json.loads(download(url, self._timeout))
            except Missing:
                raise Refused("HTTP 404, there is no such thing") from None
            except ValueError:
                raise Transient("its answer was cut short or is no JSON") from None

        return self.retrier.run(f"GET {name or 'time'}", once)

    def keep_time(self, milliseconds: int) -> None:
        """Nothing is signed."""

    def listing(self, symbol: str) -> Listing:
        found = self.call("instrument", {"symbol": symbol})
        if not found:
            known = {one["symbol"]: one for one in self.call("instrument/active", {}) if one.get("typ") == "FFWCSX"}
            raise ParameterError("symbol", "is no perpetual of bitmex", value=symbol, fix=near_symbols(symbol, known))
        return bitmex_listing(found[0])

    def brackets(self, listing: Listing) -> list[dict[str, Any]]:
        return []


def near_symbols(symbol: str, known: Mapping[str, Any]) -> str:
    """The symbols that a typo may have meant: by their letters, else how many there are."""
    hint = suggestion(symbol.upper(), known)
    if hint.startswith("did you mean"):
        return hint
    starts = sorted(one for one in known if one.startswith(symbol[:3].upper()))[:5]
    return f"it lists {len(known)}, such as {', '.join(starts or sorted(known)[:5])}"


def _rebased(urls: Any, base: str) -> Any:
    """Addresses with their hosts replaced by `base`, their paths kept."""
    if isinstance(urls, dict):
        return {name: _rebased(one, base) for name, one in urls.items()}
    return re.sub(r"^https?://[^/]+", base, str(urls))


def _shown(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
