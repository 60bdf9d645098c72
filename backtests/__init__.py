"""The exchange that plays orders over a market, and Backtrader on top of it."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "AccountParams": "parameters",
    "CandleFeed": "feed",
    "Cerebro": "loop",
    "CoarserFeed": "coarser",
    "CostParams": "parameters",
    "Forward": "forward",
    "FuturesBroker": "broker",
    "Result": "result",
    "Sweep": "sweeps",
    "Totals": "ledger",
    "Tuned": "tuning",
    "backtest": "engine",
    "OwnParams": "own_strategy",
    "run_baselines": "baselines",
    "run_strategy": "own_run",
    "sweep": "sweeps",
    "tune": "tuning",
    "tune_forward": "forward",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
