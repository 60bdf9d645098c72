"""Listeners: who among a strategy, its analyzers and observers wants to be told of what."""

from __future__ import annotations

from typing import Any

import backtrader as bt

_NEXT = ("next", "prenext", "nextstart", "_next", "_prenext", "_nextstart")
_ORDERS = ("notify_order", "_notify_order")
_VALUES = ("notify_cashvalue", "notify_fund", "_notify_cashvalue", "_notify_fund")


class Listeners:
    """What has to be told in a run of one strategy.

    `orders`: whether anyone wants to hear of orders. `values`: whether of the account at every bar. `analyzers`:
    those that do something at every bar.
    """

    def __init__(self, strategy: Any) -> None:
        analyzers = [*strategy.analyzers, *strategy._slave_analyzers]
        hears = _overrides(strategy, bt.Strategy, ("notify_order",))
        self.orders = bool(hears or strategy.getobservers() or any(_wants(one, _ORDERS) for one in analyzers))
        hears = _overrides(strategy, bt.Strategy, ("notify_cashvalue", "notify_fund"))
        self.values = bool(hears or any(_wants(one, _VALUES) for one in analyzers))
        self.analyzers = [one for one in strategy.analyzers if _wants(one, _NEXT)]


def _wants(analyzer: Any, names: tuple[str, ...]) -> bool:
    """Whether an analyzer, or one inside it, has its own way with any of some methods."""
    return _overrides(analyzer, bt.Analyzer, names) or any(_wants(child, names) for child in analyzer._children)


def _overrides(one: Any, base: type, names: tuple[str, ...]) -> bool:
    return any(name in vars(one) or getattr(type(one), name) is not getattr(base, name) for name in names)
