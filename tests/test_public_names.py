"""The public names: what each package offers, that all of it loads, and that none of it loads too early."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import crossgate

TREE = Path(__file__).resolve().parent.parent
ROOMS = ("foundation", "markets", "models", "strategies", "backtests", "reports")
FRONT_DOOR = {
    "AccountParams", "CostParams", "CrossoverParams", "ExogenousParams", "FeatureParams", "LSTMParams", "RiskParams",
    "WalkForwardParams", "backtest", "check_feature", "compare", "demo_market", "feature", "load_book_market",
    "load_exogenous", "load_market", "on_cluster", "run_strategy", "sweep", "tune", "tune_forward", "tune_model",
    "walk_forward", "write_report",
}  # fmt: skip


def test_the_front_door_is_pinned() -> None:
    """A public name is added or taken away on purpose, here and there."""
    assert set(crossgate.__all__) == FRONT_DOOR


@pytest.mark.parametrize("package", ["crossgate", *ROOMS])
def test_every_public_name_loads(package: str) -> None:
    """Every name in `__all__` can be had, and is the one that was defined, not a module."""
    room = importlib.import_module(package)
    assert room.__all__ == sorted(room.__all__)
    for name in room.__all__:
        thing = getattr(room, name)
        assert callable(thing), name
        assert getattr(thing, "__name__", name) == name


@pytest.mark.parametrize("package", ["crossgate", *ROOMS])
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    """A lazy package answers a typo as any module does."""
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'walk_backward'"):
        importlib.import_module(package).walk_backward  # noqa: B018


def test_no_module_hides_a_public_name() -> None:
    """No module has the name of something its package exports: importing it would take that name's place."""
    for package in ("crossgate", *ROOMS):
        modules = {path.stem for path in (TREE / package).rglob("*.py")}
        assert not modules & set(importlib.import_module(package).__all__), package


def test_editors_see_the_names_that_python_resolves() -> None:
    """The imports for type checkers and the public names are the same list."""
    tree = ast.parse((TREE / "crossgate" / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(crossgate.__all__)
    assert set(crossgate.__all__) <= set(dir(crossgate))


HEAVY = "torch matplotlib scipy.stats scipy.optimize statsmodels arch skfolio sklearn optuna dask"


def test_the_import_is_light() -> None:
    """`import crossgate` and the command line load none of the libraries that do the work."""
    working = "numpy pandas pyarrow numba backtrader pydantic scipy talib ccxt jinja2"
    for code in ("import crossgate", "import crossgate.command_line"):
        assert loaded_after(code, f"{HEAVY} {working}") == []


def test_a_list_of_runs_is_light(tmp_path: Path) -> None:
    """`crossgate runs` works with figures that are written already: no array, no table, no statistics."""
    words = ["crossgate", "runs", str(tmp_path)]
    code = f"import sys; sys.argv = {words}\nfrom crossgate.command_line import main\n"
    code += "try: main()\nexcept SystemExit: pass"
    assert loaded_after(code, f"{HEAVY} numpy pandas pyarrow numba backtrader scipy talib jinja2") == []


def test_statistics_are_loaded_only_where_they_are_used() -> None:
    """Neither the engine, the kernel, a config nor a report imports a library of statistics that it might not need."""
    modules = "crossgate.config, crossgate.job, crossgate.sweeping, reports.report"
    modules += ", backtests.run.engine, backtests.kernel.kernel"
    assert loaded_after(f"import {modules}", HEAVY.replace("matplotlib", "")) == []


def test_playing_kept_forecasts_leaves_torch_alone() -> None:
    """Forecasts are played, measured and reported without torch."""
    code = (
        "import crossgate as cg, numpy as np\n"
        "from models import ForecastSeries, Forecasts\n"
        "market = cg.demo_market(bars=600)\n"
        "stamps = market.candles.timestamp[300:]\n"
        "zeros = np.zeros(300)\n"
        "series = ForecastSeries(stamps, market.oracle[300:], zeros + 0.01, stamps - 1, zeros)\n"
        "result = cg.backtest(market, Forecasts({market.symbol: series}))\n"
        "import reports\n"
        "reports.compute_metrics(result)"
    )
    assert loaded_after(code, "torch") == []


def loaded_after(code: str, modules: str) -> list[str]:
    """Those of some modules that a fresh Python holds after running code."""
    code += f"\nimport sys; print(sorted(set({modules.split()}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: list[str] = ast.literal_eval(answer.stdout.splitlines()[-1])
    return found
