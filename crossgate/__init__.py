"""crossgate: LSTM forecasts, confirmed by a moving-average crossover, played on leveraged crypto futures.

Type `import crossgate as cg`. Public names load on first use, so that this import stays quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

from crossgate.tree import check_tree

if TYPE_CHECKING:
    from backtests.exchange.parameters import AccountParams, CostParams
    from backtests.run.engine import backtest
    from backtests.run.own_run import run_strategy
    from backtests.searches.forward import tune_forward
    from backtests.searches.sweeps import sweep
    from backtests.searches.tuning import tune
    from foundation.cluster import on_cluster
    from markets.book_series import load_book_market
    from markets.demo import demo_market
    from markets.exogenous_files import ExogenousParams, load_exogenous
    from markets.store import load_market
    from models.features import feature
    from models.model_search import tune_model
    from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
    from models.proof import check_feature
    from models.walkforward import walk_forward
    from reports.comparison import compare
    from reports.report import write_report
    from strategies.parameters import CrossoverParams, RiskParams

__version__ = "0.1.0"
__all__ = [
    "AccountParams",
    "CostParams",
    "CrossoverParams",
    "ExogenousParams",
    "FeatureParams",
    "LSTMParams",
    "RiskParams",
    "WalkForwardParams",
    "backtest",
    "check_feature",
    "compare",
    "demo_market",
    "feature",
    "load_book_market",
    "load_exogenous",
    "load_market",
    "on_cluster",
    "run_strategy",
    "sweep",
    "tune",
    "tune_forward",
    "tune_model",
    "walk_forward",
    "write_report",
]

_ROOM = {
    **dict.fromkeys(("AccountParams", "CostParams", "backtest", "run_strategy"), "backtests"),
    **dict.fromkeys(("sweep", "tune", "tune_forward"), "backtests"),
    "on_cluster": "foundation",
    **dict.fromkeys(("CrossoverParams", "RiskParams"), "strategies"),
    **dict.fromkeys(("FeatureParams", "LSTMParams", "WalkForwardParams"), "models"),
    **dict.fromkeys(("check_feature", "feature", "tune_model", "walk_forward"), "models"),
    **dict.fromkeys(("ExogenousParams", "demo_market", "load_book_market", "load_exogenous", "load_market"), "markets"),
    **dict.fromkeys(("compare", "write_report"), "reports"),
}

check_tree()


def __getattr__(name: str) -> Any:
    if name not in _ROOM:
        raise AttributeError(f"module 'crossgate' has no attribute {name!r}")
    if _ROOM[name] == "backtests":
        _tell_results()
    return getattr(importlib.import_module(_ROOM[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]


def _tell_results() -> None:
    """`print(result)` says what reports know of a run, and loads them no sooner."""
    from backtests.run.result import Result, tell_by

    def told(result: Result) -> str:
        from reports.summary import summary_of

        return str(summary_of(result))

    tell_by(told)
