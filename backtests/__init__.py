"""The exchange that plays orders over a market, and Backtrader on top of it."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "AccountParams": "exchange.parameters",
    "CandleFeed": "under_backtrader.feed",
    "Cerebro": "under_backtrader.loop",
    "CoarserFeed": "under_backtrader.coarser",
    "CostParams": "exchange.parameters",
    "Forward": "searches.forward",
    "FuturesBroker": "under_backtrader.broker",
    "Result": "run.result",
    "Sweep": "searches.sweeps",
    "Totals": "under_backtrader.ledger",
    "Tuned": "searches.tuning",
    "backtest": "run.engine",
    "OwnParams": "run.own_strategy",
    "run_baselines": "doubts.baselines",
    "run_strategy": "run.own_run",
    "sweep": "searches.sweeps",
    "tune": "searches.tuning",
    "tune_forward": "searches.forward",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
