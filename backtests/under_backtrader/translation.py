"""Backtrader's words for an order, checked and written as a row of the exchange."""

from __future__ import annotations

import datetime as dt
import difflib
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.exchange import records
from foundation.errors import ParameterError, suggestion
from markets.candles import utc
from markets.filters import round_down, round_up

# Backtrader's kinds by their names: what the exchange plays them as, and whether they trail.
KINDS = {
    "Market": (records.MARKET, False),
    "Close": (records.CLOSE, False),
    "Limit": (records.LIMIT, False),
    "Stop": (records.STOP, False),
    "StopLimit": (records.STOP_LIMIT, False),
    "StopTrail": (records.STOP, True),
    "StopTrailLimit": (records.STOP_LIMIT, True),
}
# Backtrader's own keywords of buy and sell, with their defaults; and those that this broker adds.
OPTIONS: dict[str, Any] = dict.fromkeys(
    ("price", "plimit", "exectype", "valid", "oco", "trailamount", "trailpercent", "parent")
) | {"tradeid": 0, "transmit": True}
DISTANCES = (*records.EXIT_DISTANCES, *records.STOP_DISTANCES)
ADDED = ("leverage", "reduce_only", "reason", *DISTANCES)
_REASONS = {reason: number for number, reason in enumerate(records.FILL_REASONS)}


class Calendar:
    """The bars of a run as Backtrader counts time: days of their opens, and when the last one closes."""

    def __init__(self, days: npt.NDArray[np.float64], bar_days: float) -> None:
        self.days, self.end = days, float(days[-1]) + bar_days

    def first_after(self, day: float, now: int) -> int:
        """The number of the first bar after bar `now` that opens later than a day."""
        return max(int(np.searchsorted(self.days, day, side="right")), now + 1)

    def last_of_session(self, session_end: float, now: int) -> int:
        """The number of the bar at whose close a session ends, but one after bar `now`; beyond the data, their length.

        A bar that opens exactly at the end of the session is its last.
        """
        after = int(np.searchsorted(self.days, session_end, side="left"))
        if after == len(self.days):
            return max(after - 1, now + 1) if self.end > session_end else after
        return after if self.days[after] == session_end else max(after - 1, now + 1)


# Backtrader's names of the order kinds by their numbers; none given is the first.
_NAMES: dict[Any, str] = {None: "Market"} | dict(
    enumerate(("Market", "Close", "Limit", "Stop", "StopLimit", "StopTrail", "StopTrailLimit", "Historical"))
)


def kind_name(exectype: int | None) -> str:
    """Backtrader's name of an order kind; raises ParameterError for one that is not played."""
    name = _NAMES.get(exectype, exectype) if exectype is None or isinstance(exectype, int) else exectype
    if name not in KINDS:
        raise ParameterError(
            "exectype", "is not a kind this broker plays", value=name, fix=f"allowed: {', '.join(KINDS)}"
        )
    return str(name)


def check_order(
    kind: str, side: str, data: Any, size: float, given: Mapping[str, Any], added: Mapping[str, Any]
) -> None:
    """Raises ParameterError for a keyword of an order that says nothing which can be played.

    `given`: Backtrader's own keywords, `added`: all others; `kind`: Backtrader's name of it.
    """

    def refuse(name: str, value: object, problem: str, fix: str) -> None:
        where = f"in the {kind} order to {side} {data.symbol} given at {utc(data.open_time)} UTC"
        raise ParameterError(name, f"{problem}, {where}", value=value, fix=fix)

    if not _is_above_zero(size):
        refuse("size", size, "should be a number above 0", "a fraction of a contract is allowed")
    for name in ("price", "plimit", "trailamount", "trailpercent"):
        if given[name] is not None and not _is_above_zero(given[name]):
            refuse(name, given[name], "should be a number above 0", "leave it out, or wait until it is known")
    _check_levels(kind, given, refuse)
    _check_valid(data, given["valid"], refuse)
    for name in ("oco", "parent"):
        if given[name] is not None and not hasattr(given[name], "ref"):
            refuse(name, given[name], "should be an order", "hand in what buy or sell returned")
    if given["parent"] is not None and kind in ("Market", "Close"):
        refuse(
            "exectype",
            kind,
            "cannot be the exit of a bracket",
            "allowed: Limit, Stop, StopLimit, StopTrail, StopTrailLimit",
        )
    _check_added(kind, given["parent"], added, refuse)


def _is_above_zero(value: object) -> bool:
    if type(value) is float:
        return 0.0 < value < math.inf
    return isinstance(value, Real) and math.isfinite(value) and float(value) > 0


def _check_levels(kind: str, given: Mapping[str, Any], refuse: Any) -> None:
    """The limit of a stop-limit and the distance of a trail stand where they mean something, and only there."""
    number, trails = KINDS[kind]
    if given["plimit"] is not None and number != records.STOP_LIMIT:
        refuse("plimit", given["plimit"], "is the limit of a StopLimit", "the limit of a Limit order is its price")
    distances = [name for name in ("trailamount", "trailpercent") if given[name] is not None]
    if distances and not trails:
        refuse(
            distances[0], given[distances[0]], "is the distance of a StopTrail or StopTrailLimit", "use one of these"
        )
    if trails and len(distances) != 1:
        value = " and ".join(distances) or "none"
        refuse("trailamount, trailpercent", value, "one of them should be given", "an amount of price, or a fraction")
    if trails and given["trailpercent"] is not None and given["trailpercent"] >= 1:
        refuse("trailpercent", given["trailpercent"], "should be below 1", "0.02 is 2 %")


def _check_valid(data: Any, valid: object, refuse: Any) -> None:
    """A validity is a date, a span or a day number that lies ahead."""
    if valid is None or isinstance(valid, dt.date):
        return
    fix = "a date or datetime, a timedelta above 0, bt.Order.DAY, or a day number from bt.date2num"
    if isinstance(valid, dt.timedelta):
        if valid < dt.timedelta():
            refuse("valid", valid, "lies in the past", fix)
    elif isinstance(valid, bool) or not isinstance(valid, Real) or not math.isfinite(valid):
        refuse("valid", valid, "is no time", fix)
    elif float(valid) <= data.datetime[0]:
        refuse("valid", valid, "is a day number that is not later than the bar", fix)


def _check_added(kind: str, parent: Any, added: Mapping[str, Any], refuse: Any) -> None:
    """The keywords that this broker adds; others are kept as info, but for misspellings."""
    for name in added:
        near = [] if name in ADDED else difflib.get_close_matches(name, (*OPTIONS, *ADDED), n=1, cutoff=0.8)
        if near:
            refuse(name, added[name], "is not a keyword", f'did you mean "{near[0]}"?')
    leverage, reason = added.get("leverage", 1.0), added.get("reason", "order")
    if not _is_above_zero(leverage):
        refuse("leverage", leverage, "should be a number above 0", "leave it out for the broker's own")
    if reason not in records.FILL_REASONS:
        refuse("reason", reason, "is not a reason of a fill", suggestion(str(reason), records.FILL_REASONS))
    if not isinstance(added.get("reduce_only", False), bool | int):
        refuse("reduce_only", added["reduce_only"], "should be True or False", "True: it never opens")
    for name, distance in added.items():
        if name in DISTANCES:
            _check_distance(name, distance, kind, parent, refuse)


def _check_distance(name: str, distance: object, kind: str, parent: Any, refuse: Any) -> None:
    moves = name in records.STOP_DISTANCES
    below = not isinstance(distance, Real) or not float(distance) >= 0
    if parent is None or below or (moves and kind != "Stop"):
        who = "the stop" if moves else "the exits"
        fix = f"{who} of a bracket may take 0 or more, measured from the fill of the parent"
        refuse(name, distance, "cannot be used here", fix)


def order_values(order: Any, symbol: int, tick: float, calendar: Calendar, now: int, leverage: float) -> dict[str, Any]:
    """The fields of the ORDER record of a Backtrader order that was given at the close of bar `now`; others are zero.

    `symbol`: the number of its feed, `tick`: of its contract, `leverage`: when it names none.
    Raises ParameterError for a trail that begins at or below zero.
    """
    kind, trails = KINDS[order.getordername()]
    side, info, parent = (1 if order.isbuy() else -1), order.info, order.parent
    reduces, size = parent is not None or bool(info.get("reduce_only", False)), order.created.size
    new = {name: distance for name, distance in info.items() if name in DISTANCES}
    new |= {
        "id": order.ref, "symbol": symbol, "kind": kind, "side": side, "group": group_of(order), "reduce_only": reduces,
        "parent": 0 if parent is None else parent.ref, "leverage": info.get("leverage", leverage),
        "reason": _REASONS[info.get("reason", "order")], "quantity": abs(size),
    }  # fmt: skip
    if parent is not None:
        new["share"] = min(1.0, abs(size / parent.created.size))
    if kind == records.CLOSE:
        new["due"] = calendar.last_of_session(order.dteos, now)
    if order.valid:
        new["expires"] = calendar.first_after(order.valid, now)
    if kind in (records.MARKET, records.CLOSE):
        return new
    if trails:
        new["trail_amount"], new["trail_rate"] = order.trailamount or 0.0, order.trailpercent or 0.0
        if not order.created.price > 0:
            fix = f"a distance below the price of {order.created.pclose:g}"
            raise ParameterError("trailamount", "puts the stop at or below zero", value=order.trailamount, fix=fix)
    if order.p.price is None and (new.get("trailing_rate", 0.0) > 0 or new.get("trailing", 0.0) > 0):
        return new  # it starts at its trailing distance from the entry's fill
    stands = kind == records.STOP and not reduces
    new["price"] = _on_tick(order.created.price, tick, up=side > 0 if stands else side < 0)
    if kind == records.STOP_LIMIT:
        new["limit"] = _on_tick(order.created.pricelimit, tick, up=side < 0)
    return new


def group_of(order: Any) -> int:
    """The number of an order's OCO group: that of the order which the others name, directly or through others."""
    while order.oco is not None:
        order = order.oco
    return int(order.ref)


def read_back(order: Any, row: Any) -> None:
    """Brings Backtrader's order up to date with its row: where a trail stands, whether a stop-limit was triggered."""
    order.triggered = KINDS[order.getordername()][0] == records.STOP_LIMIT and row.kind == records.LIMIT
    order.created.price = row.limit if order.triggered else row.price
    if order.exectype in (order.StopLimit, order.StopTrailLimit):
        order.created.pricelimit = row.price if order.triggered else row.limit


def _on_tick(price: float, tick: float, *, up: bool) -> float:
    return float(round_up(price, tick) if up else round_down(price, tick))
