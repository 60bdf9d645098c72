"""Search: what a tuning looks for and how, in the words of the caller and read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from backtests.searches.goals import Goals, read_goals
from backtests.searches.search_size import MOST_TRIALS, check_trials
from backtests.searches.space import read_space
from foundation.dimensions import Dimension
from foundation.errors import ParameterError
from foundation.parallel import check_workers
from foundation.trials import TrialLedger, as_ledger


class SearchWords(TypedDict, total=False):
    """How a search is made, by keyword; each may be left out.

    `trials` (200): how many settings are played in all. `objectives` (`("sharpe",)`): metrics, the first one ranks;
    several give a Pareto front. `constraints`: such as "max_drawdown<=30%", "trades>=50". `seed` (0). `storage`: a
    folder for a journal, or the URL of a database that several processes may share; the same search goes on there until
    there are `trials` of them; by default nothing is kept. `workers`: processes, by default one a core. `ledger`: of
    trials, or its folder, by default the one of `ledger_home`. `most` (20,000): more trials in all, those of every fold
    of a walk-forward, are refused; None plays any number.
    """

    trials: int
    objectives: Sequence[str]
    constraints: Sequence[str]
    seed: int
    storage: Path | str | None
    workers: int | None
    ledger: TrialLedger | Path | str | None
    most: int | None


@dataclass(frozen=True)
class Search:
    """A search as it was read: the space, the goals, and the rest of SearchWords."""

    space: tuple[Dimension, ...]
    goals: Goals
    ledger: TrialLedger
    trials: int = 200
    seed: int = 0
    storage: Path | str | None = None
    workers: int | None = None


def read_search(over: Mapping[str, Any], words: SearchWords, folds: int = 0) -> Search:
    """The search over some values by `table.key`, once or for `folds`; raises ParameterError for what makes no sense.

    `over`: by `table.key` a range such as "0.5%:5%" or "0.001:0.05:log", or a list of values.
    """
    rest: dict[str, Any] = dict(words)
    goals = read_goals(rest.pop("objectives", ("sharpe",)), rest.pop("constraints", ()))
    ledger, most = as_ledger(rest.pop("ledger", None)), rest.pop("most", MOST_TRIALS)
    found = Search(tuple(read_space(over)), goals, ledger, **rest)
    check_workers(found.workers)
    for name, least in (("trials", 1), ("seed", 0)):
        value = getattr(found, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ParameterError(name, f"should be a whole number, {least} or more", value=value)
    check_trials(found.trials, folds, most)
    return found
