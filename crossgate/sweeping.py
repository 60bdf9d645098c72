"""Sweeping: a config and a grid in, the metrics of all settings out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import crossgate as cg
from backtests.grids import read_axis
from backtests.sweeps import Sweep
from crossgate.config import load_config
from crossgate.job import check_ledger, check_markets, check_reach, load_markets, make_forecasts
from foundation.errors import ParameterError
from foundation.files import atomic_file
from foundation.trials import TrialLedger


def sweep_job(
    config: Path, grid: Sequence[str], overrides: Sequence[str] = (), data: Path | None = None, out: Path | None = None
) -> Sweep:
    """The sweep of a config over some axes, its table written to the parquet file `out`.

    Raises ParameterError or DataError before any model trains for what can be checked before.
    """
    axes = dict(map(read_axis, grid))
    if len(axes) < len(grid):
        raise ParameterError("--grid", "names a parameter twice", fix="give all its values at once")
    if out is not None:
        check_reach(out)
        if out.is_dir() or out.suffix != ".parquet":
            raise ParameterError("out", "is no parquet file", value=str(out), fix="such as runs/stops.parquet")
    settings = load_config(config, overrides)
    check_ledger(TrialLedger())
    markets = load_markets(settings, data)
    check_markets(settings, markets)
    forecasts = make_forecasts(settings, markets)
    found = cg.sweep(
        markets, forecasts, settings.strategy, settings.risk, settings.account, settings.costs, over=axes
    )  # fmt: skip
    if out is not None:
        with atomic_file(out.expanduser()) as scratch:
            found.table.astype(dict.fromkeys(axes, str)).to_parquet(scratch, index=False)
    return found
