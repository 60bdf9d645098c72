"""The report of a sweep: what its folder holds besides the metrics of all settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backtests.searches.search_folder import check_sweep_folder
from backtests.searches.sweeps import Sweep
from foundation.trials import TrialLedger
from reports.evidence import backtest_overfitting
from reports.search_folder import write_files


def write_sweep(
    found: Sweep,
    folder: str | Path,
    *,
    name: str = "Sweep",
    config: Mapping[str, Any] | None = None,
    ledger: TrialLedger | None = None,
) -> Path:
    """The path of report.html in the folder of a sweep, beside sweep.json, sweep.png and the config, if there is one.

    Each file is written whole or not at all. Raises ParameterError for a folder that holds anything else.
    """
    from reports.report import write_json
    from reports.sweep_page import render_sweep

    target, overfitting = check_sweep_folder(folder), backtest_overfitting(found.blocks)
    made: dict[str, bytes | str] = {
        "sweep.json": write_json(sweep_record(found, overfitting)),
        "sweep.png": _picture(found, name),
        "report.html": render_sweep(found, name, ledger or TrialLedger(), overfitting),
    }
    write_files(target, made, config)
    return target / "report.html"


def sweep_record(found: Sweep, overfitting: float) -> dict[str, Any]:
    """What a sweep came to, as JSON can hold it."""
    return {
        "settings": len(found),
        "grid": found.grid.record(),
        "trials": found.trials,
        "ledger": found.head._asdict(),
        "overfitting": plain(overfitting),
        "best": {by: rows(found, by, 10) for by in ("plateau", "sharpe")},
        "effects": [
            {str(name): plain(value) for name, value in row.items()} for row in found.effects.to_dict("records")
        ],
        "idle": found.idle,
        "undefined": found.undefined,
        "replayed": sorted(found.replayed),
        "markets": {one.symbol: one.fingerprint for one in found.ground.stage.played},
        "forecasts": found.ground.forecasts.fingerprint,
    }


def rows(found: Sweep, by: str, count: int) -> list[dict[str, Any]]:
    """The best settings with their numbers, as JSON can hold them."""
    best = found.best(by, count).reset_index().to_dict("records")
    return [{str(name): plain(value) for name, value in row.items()} for row in best]


def plain(value: Any) -> Any:
    """A value as JSON can hold it: what is not defined is null."""
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _picture(found: Sweep, name: str) -> bytes:
    from reports.figures import PICTURE
    from reports.heat_maps import heat_maps
    from reports.images import render_png
    from reports.search_figures import draw_effects, draw_map

    maps = heat_maps(found)
    title = f"{name}: plateaus of the Sharpe ratio"
    return render_png(
        draw_map(maps[0], PICTURE, title) if maps else draw_effects(found.effects, found.grid.runs, PICTURE)
    )
