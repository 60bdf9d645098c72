"""Tuning: settings chosen by what earlier ones came to, for one goal or several, within constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd

from backtests.exchange.records import Records
from backtests.kernel.tally import TALLY, rate
from backtests.run.replay import check_replay
from backtests.run.result import Result
from backtests.run.tables import Tables, on_tables
from backtests.searches.goals import Goals
from backtests.searches.ground import Ground, compile_kernel, make_ground, play_tables
from backtests.searches.search import Search, SearchWords, read_search
from backtests.searches.search_text import table_text, undefined_text
from backtests.searches.searched import parse_value
from backtests.searches.study import Asked, Study
from foundation.chain import Head
from foundation.compilation import rules_fingerprint
from foundation.dimensions import Dimension
from foundation.errors import CrossgateError, ParameterError
from foundation.fingerprint import fingerprint
from foundation.locks import sole_writer
from foundation.parallel import Crew
from foundation.progress import progress
from foundation.seals import check_sealed
from foundation.trials import TrialLedger, batch_of
from markets.market import Market
from models.forecasts import Forecasts

# Trials asked for at once: enough to share signals and workers, few enough to learn from one another.
BATCH = 20
LOCK = ".tune.lock"
SMALL = 20_000_000


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a tuning came to.

    `table`: a row a trial under its number: its values by `table.key`, its metrics as in metrics.json, and whether
    it was `feasible`. `best`: the number of the best feasible trial, or with several objectives those of the Pareto
    front, by the first one; empty where no trial is feasible. `replayed`: what Backtrader made of each of them.
    `importance`: by objective, how much each parameter explains. `trials`: all that the ledger holds for
    these contracts and times, this tuning included, and `head` where it ended then.
    """

    base: Tables
    space: tuple[Dimension, ...]
    goals: Goals
    table: pd.DataFrame
    best: tuple[int, ...]
    replayed: Mapping[int, Result]
    importance: Mapping[str, Mapping[str, float]]
    trials: int
    ground: Ground
    head: Head

    def __len__(self) -> int:
        return len(self.table)

    def values(self, number: int) -> dict[str, Any]:
        """The values of a trial, by `table.key`, as a config writes them."""
        row = self.table.loc[number]
        return {
            one.name: row[one.name].item() if hasattr(row[one.name], "item") else row[one.name] for one in self.space
        }

    def tables(self, number: int | None = None) -> Tables:
        """The tables of a trial, by default of the best one."""
        chosen = self.best[0] if number is None else number
        return self.base.changed(self.values(chosen))

    @property
    def refused(self) -> int:
        """How many trials had values that contradict each other, and were not played."""
        return int(self.table["trades"].isna().sum())

    @property
    def undefined(self) -> dict[str, int]:
        """By metric of the goals, how many trials that were played have none, where some do: they rank last."""
        missing = self.table[list(self.goals.metrics)].isna().sum().to_dict()
        return {str(name): count - self.refused for name, count in missing.items() if count > self.refused}

    def __str__(self) -> str:
        feasible = int(self.table["feasible"].sum())
        head = f"{len(self):,} trials, {feasible:,} feasible; {self.trials:,} trials on this data in the ledger"
        head += f"\n{self.refused:,} trials were refused: their values contradict each other" if self.refused else ""
        head = "\n".join(filter(None, [head, undefined_text(self.undefined, len(self), "trials")]))
        if not self.best:
            return head
        names = [one.name for one in self.space]
        shown = [
            *names,
            *dict.fromkeys([*(one.metric for one in self.goals.objectives), "sharpe", "max_drawdown", "trades"]),
        ]
        front = (
            "\nthe Pareto front, none of which is beaten in every objective:" if len(self.goals.objectives) > 1 else ""
        )
        return f"{head}{front}\n{table_text(self.table.loc[list(self.best), shown])}"


@on_tables
def tune(
    markets: list[Market],
    forecasts: Forecasts,
    base: Tables,
    *,
    over: Mapping[str, Any],
    **words: Unpack[SearchWords],
) -> Tuned:
    """The best of some trials, each chosen by what the earlier ones came to (tree-structured Parzen estimator).

    `over`: by `table.key` a range such as "0.5%:5%" or "0.001:0.05:log", or a list of values. `words`: the keywords
    `trials`, `objectives`, `constraints`, `seed`, `storage`, `workers` and `ledger`, see `SearchWords`. Every trial is
    put down in the ledger before it is looked at. The best ones are played again by Backtrader, and a single fill that
    differs raises CrossgateError. Raises ParameterError for values that no table takes, SealedError where the data
    reaches into a sealed stretch.
    """
    asked = read_search(over, words)
    ground = tuning_ground(markets, forecasts, base, asked.space)
    return _finished(markets, ground, base, search(ground, base, asked), asked.ledger)


def tuning_ground(markets: Sequence[Market], forecasts: Forecasts, base: Tables, space: Sequence[Dimension]) -> Ground:
    """The ground of all settings that a space holds around a base."""
    return make_ground(markets, forecasts, [base, *_corners(base, space)])


def _corners(base: Tables, space: Sequence[Dimension]) -> list[Tables]:
    """Settings with the longest averages, the highest leverage, the longest impact and the dearest costs of a space."""
    ends = {one.name: [parse_value(one.name, value) for value in one.ends] for one in space}
    # A half-spread counts on top of the slippage.
    dearest = max(ends.get("costs.slippage_bps", [base.costs.slippage_bps]))
    base = replace(base, costs=base.costs.model_copy(update={"slippage_bps": dearest}))
    made = [base]
    for name, values in ends.items():
        table, _, key = name.partition(".")
        if key in ("slow", "fast", "atr_bars", "leverage", "impact", "half_spread"):
            tables = [getattr(base, table).model_copy(update={key: value}) for value in values]
            made += [replace(base, **{table: one}) for one in tables]
    return made


def search(ground: Ground, base: Tables, asked: Search, what: str = "Tuning") -> Study:
    """The study of a search after its trials, each of which stands in the ledger; `what`: for the progress bar."""
    check_sealed(asked.ledger, ground.spans)
    record = {"space": {one.name: one.record() for one in asked.space}, **asked.goals.record()}
    markets = [one.fingerprint for one in ground.stage.played]
    content = fingerprint(markets, ground.forecasts.fingerprint, ground.stage.start, base.record(), record, asked.seed)
    name = f"crossgate {content}"
    small = BATCH * ground.bars < SMALL
    count = 1 if small else asked.workers
    if not small:
        compile_kernel(ground, base)
    with Crew((ground,), count) as crew, _sole(asked.storage):
        study = Study(name, asked.space, asked.goals, asked.storage, asked.seed, rules_fingerprint())
        batches = (study.untold > 0) - (-max(asked.trials - len(study) - study.untold, 0) // BATCH)
        for _ in progress(range(batches), f"{what}, {asked.trials:,} trials", batches):
            left = min(BATCH, asked.trials - len(study))
            if left <= 0:
                break
            with study.asking(left) as batch:
                _play_batch(ground, base, study, batch, record, content, crew, asked.ledger)
    return study


def _sole(storage: Path | str | None) -> AbstractContextManager[None]:
    """The right to write to a folder of one's own; a database is shared."""
    return sole_writer(storage / LOCK, "a tuning", patience=1.0) if isinstance(storage, Path) else nullcontext()


def _play_batch(
    ground: Ground,
    base: Tables,
    study: Study,
    asked: Sequence[Asked],
    record: Mapping[str, Any],
    content: str,
    crew: Crew,
    ledger: TrialLedger,
) -> None:
    """Plays what was asked, puts all of it down in the ledger, what contradicts itself too, then tells of it."""
    made: list[tuple[Asked, Tables]] = []
    refused: list[tuple[Asked, str]] = []
    for one in asked:
        try:
            made.append((one, base.changed(one.values)))
        except ParameterError as error:
            refused.append((one, str(error)))
    made.sort(key=lambda pair: repr(pair[1].signals))
    tallies = _tallies(crew, [tables for _, tables in made])
    metrics = rate(tallies, ground.bars_per_year, ground.cash)
    per_bar = metrics["sharpe"] / np.sqrt(ground.bars_per_year)
    batch = fingerprint(content, sorted(repr(one.values) for one in asked))
    blocks = tallies["blocks"] if made else None
    grid = {**record, "study": content}
    ledger.record(batch_of("tune", ground.spans, grid, batch, per_bar, len(asked)), blocks)
    with study.telling():
        for one, reason in refused:
            study.tell(one, {}, reason)
        for row, (one, _) in enumerate(made):
            study.tell(one, {name: float(values[row]) for name, values in metrics.items()})


def _tallies(crew: Crew, tables: Sequence[Tables]) -> Records:
    if not tables:
        return np.zeros(0, dtype=TALLY)
    parts = [part for part in np.array_split(np.arange(len(tables)), crew.size) if len(part)]
    calls = [([tables[row] for row in part],) for part in parts]
    with closing(crew.stream(play_tables, calls, len(calls))) as results:
        return np.concatenate(list(results))


def _finished(markets: Sequence[Market], ground: Ground, base: Tables, study: Study, ledger: TrialLedger) -> Tuned:
    table, best = study.table, tuple(study.best)
    if table.empty or not len(table.columns):
        raise CrossgateError("tuning: no trial was played")
    unplayed = Tuned(base, study.space, study.goals, table, best, {}, {}, 0, ground, Head(0, ""))
    replayed = {
        number: check_replay(
            markets, ground.forecasts, unplayed.tables(number), f"trial {number}", study.metrics(number)
        )
        for number in progress(best, "Playing the best again by Backtrader", len(best))
    }
    head, trials = ledger.head(), ledger.tried(ground.spans).trials
    return replace(unplayed, replayed=replayed, importance=study.importance(), trials=trials, head=head)
