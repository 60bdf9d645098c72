"""Sweeping: a config and a grid in, the folder of a sweep with its report out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import crossgate as cg
from backtests.run.tables import Tables
from backtests.searches.grids import Grid, read_axis
from backtests.searches.search_folder import check_sweep_folder
from backtests.searches.search_size import MOST_SETTINGS, check_settings, count_settings
from backtests.searches.sweeps import Sweep, read_ranking
from crossgate.config import load_config
from crossgate.job import check_reach, load_markets, searched
from foundation.errors import ParameterError
from reports.sweep_report import write_sweep


def sweep_job(
    config: Path, grid: Sequence[str], overrides: Sequence[str] = (), data: Path | None = None, out: Path | None = None,
    most: int | None = MOST_SETTINGS, by: str = "plateau",
) -> tuple[Sweep, Path]:  # fmt: skip
    """The sweep of a config over some axes, and the path of its report in the folder `out`, else below runs/.

    `by`: what the best will be chosen by. More than `most` settings are refused, with what they would take. Raises
    ParameterError or DataError before any model trains for what can be checked before.
    """
    axes = dict(map(read_axis, grid))
    if len(axes) < len(grid):
        raise ParameterError("--grid", "names a parameter twice", fix="give all its values at once")
    settings = load_config(config, overrides, data)
    read_ranking(by, count_settings(axes))
    folder = check_sweep_folder(out or Path("runs") / f"{settings.run.name}-sweep")
    check_reach(folder)
    if most is not None and count_settings(axes) > most:
        check_settings(axes, sum(len(one.candles) for one in load_markets(settings, data)), most)
    Grid(Tables(settings.rules, settings.risk, settings.account, settings.costs), axes)
    markets, forecasts = searched(settings, data)
    found = cg.sweep(
        markets, forecasts, settings.rules, settings.risk, settings.account, settings.costs,
        over=axes, folder=folder, most=most,
    )  # fmt: skip
    return found, write_sweep(found, folder, name=f"Sweep of {settings.run.name}", config=settings.record())
