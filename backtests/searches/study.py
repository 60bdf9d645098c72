"""Study: the trials of a tuning, kept by Optuna, asked for and told in batches."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from backtests.searches.goals import Goals, metric_names
from foundation.dimensions import Dimension
from foundation.errors import ParameterError
from foundation.interrupts import held_interrupt
from foundation.journals import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.storages import BaseStorage
    from optuna.study import Study as OptunaStudy
    from optuna.trial import FrozenTrial, Trial

JOURNAL = "journal.log"
# Trials by chance, before what was learned from them says where to look.
FIRST = 20


# The mark of a batch that was asked for to its end: the numbers of its trials, on the last of them.
BATCH_MARK = "batch"


class Asked(NamedTuple):
    """A trial to be played, with its values by `table.key`; `told`: a process that was stopped told of it already."""

    trial: Trial
    values: dict[str, Any]
    told: bool = False


class Study:
    """The trials of one search, by its `name`, in a storage; the same name goes on with those that are there.

    `place`: a folder for a journal, the URL of a database that several processes may share, or None for memory.
    `rules`: the fingerprint of what the trials are played by; raises ParameterError where the storage holds the same
    search by others. What is asked next depends on the seed and on the trials that were told alone; a batch that was
    stopped half told is gone on with first, in a folder. So a search that was interrupted or killed comes to the same
    trials.
    """

    def __init__(
        self, name: str, space: Sequence[Dimension], goals: Goals, place: Path | str | None, seed: int, rules: str = ""
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.goals, self._seed = tuple(space), goals, seed
        storage = open_storage(place)
        _check_rules(optuna.get_all_study_names(storage), name, rules, place)
        directions = [one.direction for one in goals.objectives]
        self.optuna: OptunaStudy = optuna.create_study(
            storage=storage, study_name=f"{name} {rules}".rstrip(), directions=directions, load_if_exists=True
        )
        self._own = isinstance(place, Path)
        self._left = self._take_up() if self._own else []

    def __len__(self) -> int:
        return sum(map(_counts, self.optuna.get_trials(deepcopy=False)))

    @property
    def untold(self) -> int:
        """How many trials are left of a batch that a process in the same folder was stopped at."""
        return sum(not one.told for one in self._left)

    def ask(self, count: int) -> list[Asked]:
        """The next trials, all at once."""
        from optuna.samplers import TPESampler

        seed = int(np.random.SeedSequence([self._seed, len(self)]).generate_state(1)[0])
        self.optuna.sampler = TPESampler(seed=seed, n_startup_trials=FIRST)
        asked = []
        for _ in range(count):
            trial = self.optuna.ask()
            values = {one.name: one.choose(trial) for one in self.space}
            trial.set_user_attr("values", values)
            asked.append(Asked(trial, values))
        if asked and self._own:
            asked[-1].trial.set_user_attr(BATCH_MARK, [one.trial.number for one in asked])
        return asked

    def tell(self, asked: Asked, metrics: Mapping[str, float], refused: str = "") -> None:
        """What a trial came to; one that was `refused`, or never traded, counts and has no value."""
        trial, goals = asked.trial, self.goals
        if asked.told:
            return
        # A process that was killed may have set some of them.
        known = trial.constraints
        for one in goals.constraints:
            if not refused and str(one) not in known:
                trial.set_constraint(str(one), one.broken_by(metrics))
        trial.set_user_attr("metrics", {name: _plain(value) for name, value in metrics.items()})
        values = [math.nan if refused else metrics[one.metric] for one in goals.objectives]
        trial.set_user_attr("told", refused or "played")
        from optuna.trial import TrialState

        if refused or any(map(math.isnan, values)):
            self.optuna.tell(trial, state=TrialState.FAIL)
        else:
            self.optuna.tell(trial, values)

    @contextmanager
    def asking(self, count: int) -> Iterator[list[Asked]]:
        """The next trials, those first that a process in the same folder was stopped at.

        Of an interrupted block those that it left untold stay under way in a folder, for the next to take up. In a
        database, where others have trials under way too, they are as if never asked.
        """
        from optuna.trial import TrialState

        asked, self._left = self._left or self.ask(count), []
        try:
            yield asked
        except BaseException:
            for one in () if self._own else asked:
                self.optuna.tell(one.trial, state=TrialState.FAIL, skip_if_finished=True)
            raise

    @contextmanager
    def telling(self) -> Iterator[None]:
        """The block that tells of a batch, which an interrupt does not cut in a database: none could be taken up."""
        with nullcontext() if self._own else held_interrupt():
            yield

    @property
    def best(self) -> list[int]:
        """The numbers of the best trials that keep all constraints: one, or the Pareto front by the first objective."""
        if len(self.goals.objectives) == 1:
            kept = [one for one in self.optuna.get_trials(deepcopy=False) if _kept(one)]
            sign = 1.0 if self.goals.objectives[0].rising else -1.0
            return [max(kept, key=lambda one: (sign * one.values[0], -one.number)).number] if kept else []
        first = self.goals.objectives[0]
        front = sorted(self.optuna.best_trials, key=lambda one: one.values[0], reverse=first.rising)
        seen = {tuple(one.values): one.number for one in reversed(front)}
        return list(dict.fromkeys(seen[tuple(one.values)] for one in front))

    def values(self, number: int) -> dict[str, Any]:
        """The values of a trial, by `table.key`, as a config writes them."""
        return dict(self.optuna.get_trials(deepcopy=False)[number].user_attrs["values"])

    def metrics(self, number: int) -> dict[str, float]:
        """What a trial came to, by metric; NaN where undefined, empty for one that was refused."""
        return _known(self.optuna.get_trials(deepcopy=False)[number])

    @property
    def table(self) -> pd.DataFrame:
        """A row a trial under its number: its values, its metrics, and whether it kept the constraints."""
        none = dict.fromkeys(metric_names(), math.nan)
        rows = [
            {"trial": one.number, **one.user_attrs["values"], **none, **_known(one), "feasible": _kept(one)}
            for one in self.optuna.get_trials(deepcopy=False)
            if _counts(one)
        ]
        return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame()

    def importance(self) -> dict[str, dict[str, float]]:
        """How much of each objective each parameter explains (PED-ANOVA), by metric; none for few trials."""
        import warnings

        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        found: dict[str, dict[str, float]] = {}
        if sum(_complete(one) for one in self.optuna.get_trials(deepcopy=False)) < 2 * FIRST:
            return found
        for at, one in enumerate(self.goals.objectives):
            sign = -1.0 if one.rising else 1.0
            with warnings.catch_warnings():
                # The evaluator looks for low targets, which is why the sign is turned.
                warnings.simplefilter("ignore", UserWarning)
                found[one.metric] = get_param_importances(
                    self.optuna, evaluator=PedAnovaImportanceEvaluator(), target=partial(_target, at, sign)
                )
        return found

    def _take_up(self) -> list[Asked]:
        """The whole of a batch of which a process that was stopped left some untold; the folder is this process's.

        What it asked for without coming to the end of a batch is as if never asked.
        """
        from optuna import Trial
        from optuna.trial import TrialState

        made = self.optuna.get_trials(deepcopy=False)
        marks = (one.user_attrs[BATCH_MARK] for one in reversed(made) if BATCH_MARK in one.user_attrs)
        batch: list[int] = next(marks, [])
        running = {one.number for one in made if one.state is TrialState.RUNNING}
        for number in sorted(running - set(batch)):
            self.optuna.tell(number, state=TrialState.FAIL)
        if not running & set(batch):
            return []
        # A handle of a trial that is there; the storage knows it by another number.
        kept = [made[number] for number in batch]
        ids = [one._trial_id for one in kept]
        return [
            Asked(Trial(self.optuna, known), dict(one.user_attrs["values"]), one.number not in running)
            for known, one in zip(ids, kept, strict=True)
        ]


def open_storage(place: Path | str | None) -> BaseStorage:
    """Optuna's storage at a place, as in Study; raises ParameterError or DataError where it cannot be opened."""
    from optuna.exceptions import StorageInternalError
    from optuna.storages import InMemoryStorage, RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    if place is None:
        return InMemoryStorage()
    if isinstance(place, Path):
        return open_journal(place / JOURNAL)
    try:
        return RDBStorage(place)
    except (ImportError, ValueError, SQLAlchemyError, StorageInternalError) as error:
        fix = "such as sqlite:///study.db or postgresql://user@host/name, with its driver installed"
        reason = _shown(str(error).partition("\n")[0])
        raise ParameterError("--storage", f"cannot be opened ({reason})", value=_shown(place), fix=fix) from None


def _check_rules(names: Sequence[str], name: str, rules: str, place: Path | str | None) -> None:
    """Raises ParameterError where a storage holds a search that was played by other rules."""
    held = [one for one in names if one.partition(name)[:2] == ("", name) and one != f"{name} {rules}"]
    if rules and held:
        problem = "holds trials of this search that another version of crossgate played, by other rules"
        fix = "name another folder or database, or go on with that version"
        raise ParameterError("storage", problem, value=_shown(str(place)), fix=fix)


def _shown(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)


def _counts(one: FrozenTrial) -> bool:
    return "told" in one.user_attrs and one.state.is_finished()


def _complete(one: FrozenTrial) -> bool:
    return one.state.name == "COMPLETE"


def _kept(one: FrozenTrial) -> bool:
    return _complete(one) and all(value <= 0.0 for value in one.constraints.values())


def _target(at: int, sign: float, one: FrozenTrial) -> float:
    return sign * float(one.values[at])


def _known(one: FrozenTrial) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in one.user_attrs["metrics"].items()}


def _plain(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
