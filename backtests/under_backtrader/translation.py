"""Backtrader's words for an order, checked and written as a row of the exchange."""

from __future__ import annotations

import datetime as dt
import difflib
import math
from collections.abc import Mapping
from functools import cache
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
# Backtrader's own keywords of buy and sell, and those that this broker adds.
OPTIONS = (
    "price", "plimit", "exectype", "valid", "oco", "trailamount", "trailpercent", "parent", "tradeid", "transmit"
)  # fmt: skip
DISTANCES = (*records.EXIT_DISTANCES, *records.STOP_DISTANCES)
ADDED = ("leverage", "reduce_only", "reason", *DISTANCES)
_TRAILS = ("trailamount", "trailpercent")
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


# The same by Backtrader's numbers, the name first; none given is the first.
PLAYED: dict[Any, tuple[str, int, bool]] = dict(enumerate((name, *kind) for name, kind in KINDS.items()))
PLAYED[None] = PLAYED[0]
# Those whose level, or kind, changes while they wait.
MOVING = frozenset(number for number, (_, kind, trails) in PLAYED.items() if trails or kind == records.STOP_LIMIT)


def kind_name(exectype: int | None) -> str:
    """Backtrader's name of an order kind; raises ParameterError for one that is not played."""
    if exectype not in PLAYED:
        value = "Historical" if exectype == len(KINDS) else exectype
        problem, fix = "is not a kind this broker plays", f"allowed: {', '.join(KINDS)}"
        raise ParameterError("exectype", problem, value=value, fix=fix)
    return PLAYED[exectype][0]


def check_order(kind: str, side: str, given: Any, added: Mapping[str, Any]) -> None:
    """Raises ParameterError for a keyword of an order that says nothing which can be played.

    `given`: Backtrader's own keywords, as the parameters of an order; `added`: all others; `kind`: Backtrader's name.
    """

    def refuse(name: str, value: object, problem: str, fix: str) -> None:
        where = f"in the {kind} order to {side} {given.data.symbol} given at {utc(given.data.open_time)} UTC"
        raise ParameterError(name, f"{problem}, {where}", value=value, fix=fix)

    if not _is_above_zero(given.size):
        refuse("size", given.size, "should be a number above 0", "a fraction of a contract is allowed")
    _check_number("price", given.price, refuse)
    plain = given.pricelimit is given.trailamount is given.trailpercent is None
    if not plain or KINDS[kind][1]:
        _check_levels(kind, given, refuse)
    if given.valid is not None:
        _check_valid(given.data, given.valid, refuse)
    if given.oco is not None or given.parent is not None:
        _check_others(kind, given, refuse)
    if added:
        _check_added(kind, given.parent, added, refuse)


def _is_above_zero(value: object) -> bool:
    if type(value) is float or type(value) is int:
        return 0 < value < math.inf
    return isinstance(value, Real) and math.isfinite(value) and float(value) > 0


def _check_number(name: str, value: object, refuse: Any) -> None:
    if value is not None and not _is_above_zero(value):
        refuse(name, value, "should be a number above 0", "leave it out, or wait until it is known")


def _check_levels(kind: str, given: Any, refuse: Any) -> None:
    """The limit of a stop-limit and the distance of a trail stand where they mean something, and only there."""
    number, trails = KINDS[kind]
    distances = {name: getattr(given, name) for name in _TRAILS if getattr(given, name) is not None}
    for name, value in {"plimit": given.pricelimit, **distances}.items():
        _check_number(name, value, refuse)
    if given.pricelimit is not None and number != records.STOP_LIMIT:
        refuse("plimit", given.pricelimit, "is the limit of a StopLimit", "the limit of a Limit order is its price")
    if distances and not trails:
        name, value = next(iter(distances.items()))
        refuse(name, value, "is the distance of a StopTrail or StopTrailLimit", "use one of these")
    if trails and len(distances) != 1:
        value = " and ".join(distances) or "none"
        refuse("trailamount, trailpercent", value, "one of them should be given", "an amount of price, or a fraction")
    if trails and distances.get("trailpercent", 0.0) >= 1:
        refuse("trailpercent", given.trailpercent, "should be below 1", "0.02 is 2 %")


def _check_others(kind: str, given: Any, refuse: Any) -> None:
    """The orders that an order names are orders, and the exit of a bracket waits for a level."""
    for name in ("oco", "parent"):
        other = getattr(given, name)
        if other is not None and not hasattr(other, "ref"):
            refuse(name, other, "should be an order", "hand in what buy or sell returned")
    if given.parent is not None and kind in ("Market", "Close"):
        levels = "allowed: Limit, Stop, StopLimit, StopTrail, StopTrailLimit"
        refuse("exectype", kind, "cannot be the exit of a bracket", levels)


def _check_valid(data: Any, valid: object, refuse: Any) -> None:
    """A validity is a date, a span or a day number that lies ahead."""
    if isinstance(valid, dt.date):
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
        if name not in ADDED and (meant := _meant(name)):
            refuse(name, added[name], "is not a keyword", f'did you mean "{meant}"?')
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


@cache
def _meant(name: str) -> str:
    """The keyword that a name is a misspelling of; '' for one of a strategy's own."""
    return next(iter(difflib.get_close_matches(name, (*OPTIONS, *ADDED), n=1, cutoff=0.8)), "")


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
    _, kind, trails = PLAYED[order.exectype]
    info, parent, size = order.info, order.parent, order.created.size
    # In the order of the record, which is written fastest so.
    new = {
        "id": order.ref, "parent": 0 if parent is None else parent.ref, "symbol": symbol,
        "group": order.ref if order.oco is None else group_of(order),
        "expires": calendar.first_after(order.valid, now) if order.valid else 0,
        "due": calendar.last_of_session(order.dteos, now) if kind == records.CLOSE else 0,
        "kind": kind, "side": 1 if size > 0 else -1,
        "reduce_only": parent is not None or bool(info.get("reduce_only", False)),
        "status": records.LIVE if parent is None else records.SLEEPING,
        "reason": _REASONS[info.get("reason", "order")], "quantity": abs(size),
    }  # fmt: skip
    if kind not in (records.MARKET, records.CLOSE):
        _add_levels(new, order, tick)
    new["leverage"] = info.get("leverage", leverage)
    if info:
        new |= {name: info[name] for name in records.EXIT_DISTANCES if name in info}
    if trails:
        new["trail_amount"], new["trail_rate"] = order.trailamount or 0.0, order.trailpercent or 0.0
    if parent is not None:
        new["share"] = min(1.0, abs(size / parent.created.size))
        if info:
            new |= {name: info[name] for name in records.STOP_DISTANCES if name in info}
    return new


def _add_levels(new: dict[str, Any], order: Any, tick: float) -> None:
    """The level of an order, and the limit of a stop-limit, on ticks."""
    kind, side, created = new["kind"], new["side"], order.created
    if not created.price > 0:
        fix = f"a distance below the price of {created.pclose:g}"
        raise ParameterError("trailamount", "puts the stop at or below zero", value=order.trailamount, fix=fix)
    if order.p.price is None and (order.info.get("trailing_rate", 0.0) > 0 or order.info.get("trailing", 0.0) > 0):
        return  # it starts at its trailing distance from the entry's fill
    stands = kind == records.STOP and not new["reduce_only"]
    new["price"] = _on_tick(created.price, tick, up=side > 0 if stands else side < 0)
    if kind == records.STOP_LIMIT:
        new["limit"] = _on_tick(created.pricelimit, tick, up=side < 0)


def group_of(order: Any) -> int:
    """The number of an order's OCO group: that of the order which the others name, directly or through others."""
    while order.oco is not None:
        order = order.oco
    return int(order.ref)


def read_back(order: Any, row: Any) -> None:
    """Brings Backtrader's order up to date with its row: where a trail stands, whether a stop-limit was triggered."""
    order.triggered = PLAYED[order.exectype][1] == records.STOP_LIMIT and row.kind == records.LIMIT
    order.created.price = row.limit if order.triggered else row.price
    if order.exectype in (order.StopLimit, order.StopTrailLimit):
        order.created.pricelimit = row.price if order.triggered else row.limit


def _on_tick(price: float, tick: float, *, up: bool) -> float:
    return float(round_up(price, tick) if up else round_down(price, tick))
