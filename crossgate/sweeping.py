"""Sweeping: a config and a grid in, the folder of a sweep with its report out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import crossgate as cg
from backtests.grids import Grid, read_axis
from backtests.sweeps import Sweep
from backtests.tables import Tables
from crossgate.config import load_config
from crossgate.job import check_reach, searched
from foundation.errors import ParameterError
from reports.sweep_report import check_sweep_folder, write_sweep


def sweep_job(
    config: Path, grid: Sequence[str], overrides: Sequence[str] = (), data: Path | None = None, out: Path | None = None
) -> tuple[Sweep, Path]:
    """The sweep of a config over some axes, and the path of its report in the folder `out`, else below runs/.

    Raises ParameterError or DataError before any model trains for what can be checked before.
    """
    axes = dict(map(read_axis, grid))
    if len(axes) < len(grid):
        raise ParameterError("--grid", "names a parameter twice", fix="give all its values at once")
    settings = load_config(config, overrides, data)
    folder = check_sweep_folder(out or Path("runs") / f"{settings.run.name}-sweep")
    check_reach(folder)
    Grid(Tables(settings.strategy, settings.risk, settings.account, settings.costs), axes)
    markets, forecasts = searched(settings, data)
    found = cg.sweep(
        markets, forecasts, settings.strategy, settings.risk, settings.account, settings.costs,
        over=axes, folder=folder,
    )  # fmt: skip
    return found, write_sweep(found, folder, name=f"Sweep of {settings.run.name}", config=settings.record())
