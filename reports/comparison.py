"""Comparison: several runs side by side, as a table, as text and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from shutil import get_terminal_size

import pandas as pd

from backtests.run.result import Result
from foundation.errors import ParameterError
from reports.catalogue import COMPARED
from reports.comparison_text import comparison_summary
from reports.curves import EquityCurve
from reports.fingerprints import alteration
from reports.folders import Run, played, read_run
from reports.overlap import holding_overlap, return_correlation, shared_entries
from reports.paired import Differences, paired_differences

_UNSET = "not set"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs side by side, by distinct names; `str()` is text that fits the terminal. `path`: its HTML page, if any."""

    runs: Mapping[str, Run]
    path: Path | None = None

    @cached_property
    def table(self) -> pd.DataFrame:
        """The metrics, a row each, with one column per run, and the rung of the verdict; None where undefined."""
        figures = {name: {"rung": run.rung, **run.metrics} for name, run in self.runs.items()}
        columns = {name: [one.get(metric) for metric in COMPARED] for name, one in figures.items()}
        return pd.DataFrame(columns, index=pd.Index(COMPARED, name="metric"), dtype=object)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """The settings in which the runs differ, by full key, with one column per run; the name is left out."""
        keys = list(dict.fromkeys(key for run in self.runs.values() for key in run.settings))
        rows = {key: [run.settings.get(key, _UNSET) for run in self.runs.values()] for key in keys if key != "run.name"}
        different = {key: values for key, values in rows.items() if len(set(values)) > 1}
        return pd.DataFrame.from_dict(different, orient="index", columns=list(self.runs), dtype=object)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What makes these runs hard to set against one another."""
        runs = list(self.runs.values())
        found = [f"{name}: {alteration(run.altered)}" for name, run in self.runs.items() if run.altered]
        if len({str(sorted(run.record["markets"].items())) for run in runs}) > 1:
            found.append("The runs were played on different market data.")
        if len({(int(run.curve.timestamp[0]), int(run.curve.timestamp[-1])) for run in runs}) > 1:
            found.append("The runs cover different spans of time.")
        if len({run.curve.cash for run in runs}) > 1:
            found.append("The runs start with different cash.")
        if len({run.record["settlement"] for run in runs}) > 1:
            found.append("The runs are settled in different currencies.")
        if len({run.record["forecasts"] for run in runs}) > 1:
            found.append("The runs use different forecasts.")
        if any(run.record["synthetic"] for run in runs):
            found.append("A run was played on a synthetic market, which says nothing about a real one.")
        return tuple(found)

    @cached_property
    def curves(self) -> dict[str, EquityCurve]:
        """The equity curves of the runs by name."""
        return {name: run.curve for name, run in self.runs.items()}

    @cached_property
    def paired(self) -> dict[str, Differences]:
        """What each run has more than the first, with the range of that."""
        return paired_differences(self.curves)

    @cached_property
    def correlation(self) -> pd.DataFrame:
        """The correlation of the runs' returns."""
        return return_correlation(self.curves)

    @cached_property
    def overlap(self) -> pd.DataFrame:
        """The bars on which two runs hold the same side, over those on which either holds any."""
        return holding_overlap({name: run.positions for name, run in self.runs.items()})

    @cached_property
    def entries(self) -> pd.DataFrame:
        """The share of a row's entries that the column's run made too."""
        return shared_entries({name: run.positions for name, run in self.runs.items()})

    @property
    def played(self) -> tuple[str, ...]:
        """What was played: one line where it is the same for all runs, else one for each, with its name."""
        lines = {name: played(run) for name, run in self.runs.items()}
        alike = len(set(lines.values())) == 1
        return tuple(lines.values())[:1] if alike else tuple(f"{name}: {line}" for name, line in lines.items())

    @property
    def currency(self) -> str:
        """The settlement currency of the runs, or all of theirs."""
        return " or ".join(dict.fromkeys(str(run.record["settlement"]) for run in self.runs.values()))

    def __str__(self) -> str:
        return str(comparison_summary(self, get_terminal_size((100, 24)).columns))


def compare(*runs: str | Path | Result, out: str | Path | None = None) -> Comparison:
    """The comparison of two or more runs, each a run folder or a Result.

    With `out`, the name of an HTML file (or of a folder for comparison.html), a page with the equity
    curves over one another is written there. Raises ParameterError for fewer than two runs, DataError for a
    folder that holds no run.
    """
    if len(runs) < 2:
        raise ParameterError("runs", f"are too few to compare: {len(runs)}", fix="name two run folders or more")
    comparison = Comparison(_named([read_run(run) for run in runs]))
    if out is None:
        return comparison
    from reports.comparison_page import write_page

    return replace(comparison, path=write_page(comparison, Path(out)))


def _named(runs: Sequence[Run]) -> dict[str, Run]:
    """The runs by name; where names meet, the folder's name is added, then a number."""
    names = [run.name for run in runs]
    folders = [f"{run.name} ({Path(run.where).resolve().name})" if run.where else run.name for run in runs]
    distinct = [folder if names.count(name) > 1 else name for name, folder in zip(names, folders, strict=True)]
    named: dict[str, Run] = {}
    for name, run in zip(distinct, runs, strict=True):
        number, label = 1, name
        while label in named:
            number += 1
            label = f"{name} #{number}"
        named[label] = run
    return named
