"""Listeners: who among a strategy, its analyzers and observers wants to be told of what, and how they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt

_NEXT = ("next", "prenext", "nextstart", "_next", "_prenext", "_nextstart")
_ORDERS = ("notify_order", "_notify_order")
# Own ways of a strategy with news of orders, whatever its `notify_order` is.
_NEWS = ("_notify", "_addnotification")
_VALUES = ("notify_cashvalue", "notify_fund", "_notify_cashvalue", "_notify_fund")


class Listeners:
    """What has to be told in a run of one strategy.

    `orders`: whether anyone wants to hear of orders. `ends`: whether of those that have ended, at least; a
    `notify_order` that is marked `of_ends` hears of these alone. `values`: whether of the account at every bar.
    `analyzers`: those that do something at every bar.
    """

    def __init__(self, strategy: Any) -> None:
        analyzers = [*strategy.analyzers, *strategy._slave_analyzers]
        hears = _overrides(strategy, bt.Strategy, ("notify_order", *_NEWS))
        rests = bool(strategy.getobservers() or any(_wants(one, _ORDERS) for one in analyzers))
        marked = hasattr(strategy.notify_order, "of_ends") and not _overrides(strategy, bt.Strategy, _NEWS)
        self.ends = bool(hears or rests)
        self.orders = bool((hears and not marked) or rests)
        hears = _overrides(strategy, bt.Strategy, ("notify_cashvalue", "notify_fund"))
        self.values = bool(hears or any(_wants(one, _VALUES) for one in analyzers))
        self.analyzers = [one for one in strategy.analyzers if _wants(one, _NEXT)]


def _wants(analyzer: Any, names: tuple[str, ...]) -> bool:
    """Whether an analyzer, or one inside it, has its own way with any of some methods."""
    return _overrides(analyzer, bt.Analyzer, names) or any(_wants(child, names) for child in analyzer._children)


def _overrides(one: Any, base: type, names: tuple[str, ...]) -> bool:
    return any(name in vars(one) or getattr(type(one), name) is not getattr(base, name) for name in names)


def hearing(strategy: Any) -> Callable[[Any], None]:
    """How a strategy takes an order with news: Backtrader's `_addnotification`, or its own."""
    if type(strategy)._addnotification is not bt.Strategy._addnotification:
        return strategy._addnotification  # type: ignore[no-any-return]

    def hear(order: Any) -> None:
        strategy._orderspending.append(order)
        if order.executed.size:
            _trade(strategy, order)

    return hear


def _trade(strategy: Any, order: Any) -> None:
    """The new fills of an order as parts of trades, as Backtrader does it; what opened or closed one is told."""
    data = order.data if order.data._compensate is None else order.data._compensate
    made, told = strategy._trades[data][order.tradeid], strategy._tradespending
    options = {"data": data, "tradeid": order.tradeid, "historyon": strategy._tradehistoryon}
    if not made:
        made.append(bt.Trade(**options))
    trade = made[-1]
    for bit in order.executed.getpending():
        if bit.closed:
            trade.update(order, bit.closed, bit.price, bit.closedvalue, bit.closedcomm, bit.pnl, order.comminfo)
            if trade.isclosed:
                told.append(_copy(trade))
        if bit.opened:
            if trade.isclosed:
                trade = bt.Trade(**options)
                made.append(trade)
            trade.update(order, bit.opened, bit.price, bit.openedvalue, bit.openedcomm, bit.pnl, order.comminfo)
            if trade.isclosed:
                told.append(_copy(trade))
        if trade.justopened:
            told.append(_copy(trade))


def _copy(trade: Any) -> Any:
    twin = object.__new__(type(trade))
    twin.__dict__ = trade.__dict__.copy()
    return twin


def telling(strategy: Any, values: bool) -> Callable[[], None]:
    """How a strategy and its analyzers are told the news of a bar: Backtrader's `_notify`, or its own.

    `values`: whether anyone wants to hear of the account as well, which is asked for then.
    """
    if values or type(strategy)._notify is not bt.Strategy._notify:
        return strategy._notify  # type: ignore[no-any-return]

    def tell() -> None:
        analyzers = [*strategy.analyzers, *strategy._slave_analyzers]
        for order in strategy._orderspending:
            strategy.notify_order(order)
            for analyzer in analyzers:
                analyzer._notify_order(order)
        for trade in strategy._tradespending:
            strategy.notify_trade(trade)
            for analyzer in analyzers:
                analyzer._notify_trade(trade)

    return tell
