"""Model search: trials of other sizes, lengths, rates and features, judged on inner validation folds only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import foundation.dimensions
from foundation.errors import ParameterError
from foundation.files import cache_home
from foundation.fingerprint import fingerprint, source_fingerprint
from foundation.journals import open_journal
from foundation.progress import progress
from foundation.seals import check_sealed
from foundation.trials import Span, TrialLedger, batch_of
from foundation.units import roughly
from markets.candles import FloatArray
from markets.market import Market
from models.cache import forecast_source, training_source
from models.devices import training_device
from models.inner_folds import PIECES, extreme_models, inner_jobs, make_ground, piece_losses
from models.jobs import on_cpu, run_jobs
from models.parameters import FeatureParams, LSTMParams, WalkForwardParams
from models.search_parameters import SearchParams
from models.selection import Lead, measure_lead
from models.walkforward import as_list, member_seeds

if TYPE_CHECKING:
    import optuna

# Trials that are asked for before one of them is judged: as many whatever the number of workers, which changes nothing.
BATCH = 4
# The modules that draw trials, cut their folds and judge them; a test reads what they import.
JUDGES = (
    "model_search", "search_parameters", "inner_folds", "row_losses", "scores", "ensemble", "members", "schedule",
    "walkforward",
)  # fmt: skip
# The mark of a round that was judged: number, losses and whether it was judged on all folds, of each of its trials. It
# is one record, so that a round counts as a whole or not at all; what a killed process did not tell is told from it.
ROUND_MARK = "round"
# What a trial draws that has left out every feature: the one that it is shown.
ALONE = "the only feature"
# Trials that start without being asked, and what a step of a network takes of one core at the usual sizes.
MOST_TRIALS, SECONDS_A_STEP = 1_000, 0.015
# Trials that are judged on all folds before any is given up early.
WHOLE_TRIALS = 5


@dataclass(frozen=True, eq=False)
class ModelSearch:
    """What a model search came to.

    `table`: a row a trial in its order, with its values, `state` (complete, or pruned after `folds`) and `loss`, the
    mean over the validation rows; the first row is the config as written. `model`, `features`: the settings of the
    lowest loss; `varied`: the fields of the model that were. `lead`: how far that lies below the config as written,
    and how much of it choosing explains. `trials`: all that the ledger holds for these contracts and times.
    """

    table: pd.DataFrame
    model: LSTMParams
    features: FeatureParams
    varied: tuple[str, ...]
    lead: Lead
    trials: int

    def toml(self) -> str:
        """The best settings as a piece of a config."""
        import tomli_w

        model = {name: getattr(self.model, name) for name in self.varied}
        return tomli_w.dumps({"model": model, "features": {"columns": list(self.features.columns)}})

    def __str__(self) -> str:
        tried, written = self.table.iloc[1:], self.table.iloc[:1]
        best = pd.concat([tried.sort_values("loss", kind="stable").head(10), written])
        shown = best.to_string(index=False, float_format=lambda value: f"{value:.5g}")
        pruned = int((tried["state"] == "pruned").sum())
        head = (
            f"{len(tried):,} trials, {pruned:,} of them given up early; the best by loss, a mean over validation rows "
            "(lower is better), and the config as written"
        )
        return f"{head}\n{shown}\n\n{self.lead}\n\n{self.toml()}"


@dataclass(frozen=True, eq=False)
class Setting:
    """One setting of a search: a model, and which of the candidate features it is shown."""

    model: LSTMParams
    columns: tuple[str, ...]

    def values(self, varied: Sequence[str]) -> dict[str, Any]:
        """What the setting says of some fields of the model."""
        return {name: getattr(self.model, name) for name in varied}

    def row(self, varied: Sequence[str], losses: Sequence[float], state: str) -> dict[str, Any]:
        """The setting as a row of the table."""
        loss = float(np.mean(losses)) if len(losses) else np.nan
        return {
            "loss": loss,
            "state": state,
            "folds": len(losses) // PIECES,
            **self.values(varied),
            "columns": " ".join(self.columns),
        }


def tune_model(
    markets: Market | Sequence[Market],
    model: LSTMParams | None = None,
    features: FeatureParams | None = None,
    *,
    walk: WalkForwardParams | None = None,
    search: SearchParams | None = None,
    trials: int = 50,
    seed: int = 0,
    workers: int | None = None,
    ledger: TrialLedger | None = None,
    most: int | None = MOST_TRIALS,
) -> ModelSearch:
    """A search for model settings by Optuna's tree of Parzen estimators, with median pruning after each fold.

    Trials are judged on the inner folds alone (see SearchParams): rows from the first test on, and their gap, are cut
    off before anything is looked at. The same arguments go on where a search was stopped, in the cache, and come
    to the same trials for any number of workers. Every trial is put down in the `ledger`. More than `most` trials are
    refused, with what they would take; None tries any number. Raises ParameterError or
    DataError, for too few bars before anything trains, and SealedError where those folds reach into sealed data.
    """
    model, features = LSTMParams.of(model, "model"), FeatureParams.of(features, "features")
    walk, search = WalkForwardParams.of(walk, "walk"), SearchParams.of(search, "search")
    if trials < 1:
        raise ParameterError("trials", "should be 1 or above", value=trials)
    check_model_trials(trials, len(as_list(markets)), model, search, most)
    task = _Task(as_list(markets), model, features, walk, search, seed, workers, ledger or TrialLedger())
    names = ", ".join(ground.market.symbol for ground in task.grounds)
    study = open_study(task.key)
    rounds = 1 + -(-max(trials - len(finished(study)), 0) // BATCH)
    said = on_cpu(f"Searching models for {names} in rounds of {BATCH} trials", model)
    list(progress(task.rounds(study, trials), said, rounds))
    return task.result(study, trials)


def _span(market: Market, last: int) -> Span:
    """The candles of a market up to the bar `last`."""
    stamps = market.candles.timestamp
    return Span.of_bars(market.trial_key, stamps[0], stamps[last], market.candles.bar)


def open_study(key: str) -> optuna.Study:
    """The study of that name in the cache; what a killed process judged counts, what it left half done does not."""
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_journal(cache_home() / "searches" / f"{key}.journal")
    study = optuna.create_study(
        storage=storage, study_name=key, load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=WHOLE_TRIALS),
    )  # fmt: skip
    tell_rounds(study)
    for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(one.number, state=TrialState.FAIL)
    return study


def tell_rounds(study: optuna.Study) -> None:
    """Tells of the trials in rounds that were judged and marked, as far as they were not told."""
    from optuna.trial import TrialState

    running = {one.number for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))}
    for number, (losses, whole) in judged(study).items():
        if number in running and whole:
            study.tell(number, float(np.mean(losses)))
        elif number in running:
            study.tell(number, state=TrialState.PRUNED)


def judged(study: optuna.Study) -> dict[int, tuple[list[float], bool]]:
    """The losses of the trials in rounds that were judged, and whether on all folds, by number."""
    marks = [one.user_attrs.get(ROUND_MARK, []) for one in study.get_trials(deepcopy=False)]
    return {number: (losses, whole) for mark in marks for number, losses, whole in mark}


def search_source(device: str) -> list[str]:
    """The fingerprints of the source that trains on a device, draws and judges, and the versions of what is below."""
    own, root = Path(__file__).parent, Path(foundation.dimensions.__file__).parent
    judged = [source_fingerprint(own, JUDGES), source_fingerprint(root, ["dimensions"])]
    return [*training_source(device), forecast_source(), *judged, f"optuna {version('optuna')}"]


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that were judged or pruned, in their order."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def check_model_trials(trials: int, markets: int, model: LSTMParams, search: SearchParams, most: int | None) -> None:
    """Raises ParameterError for a search of more than `most` trials, with what it would train and take."""
    if most is None or trials <= most:
        return
    networks = trials * search.folds * search.seeds * markets
    takes = roughly(networks * model.steps * SECONDS_A_STEP)
    problem = (
        f"asks for {trials:,} trials, where {most:,} start without being asked: up to {networks:,} networks, in the "
        f"order of {takes} of one core"
    )
    fix = f"ask for fewer: the same command goes on from them; or go on with --yes (in Python most={trials})"
    raise ParameterError("trials", problem, fix=fix)


class _Task:
    """A search at work: its ground, its settings, and how they are judged."""

    def __init__(
        self, markets: Sequence[Market], model: LSTMParams, features: FeatureParams, walk: WalkForwardParams,
        search: SearchParams, seed: int, workers: int | None, ledger: TrialLedger,
    ) -> None:  # fmt: skip
        self.candidates = tuple(dict.fromkeys((*features.columns, *search.columns)))
        self.dimensions = search.dimensions
        self.varied = tuple(one.name for one in self.dimensions)
        # A single feature is always shown.
        self.optional = self.candidates if search.features and len(self.candidates) > 1 else ()
        if not self.varied and not self.optional:
            raise ParameterError("model_search.space", "varies nothing", fix="a setting, or a second feature to try")
        extremes, everything = extreme_models(model, self.dimensions), features.replaced(columns=self.candidates)
        self.grounds = [make_ground(market, extremes, everything, walk, search.folds) for market in markets]
        self.written, self.features, self.search = Setting(model, features.columns), features, search
        self.seeds, self.seed, self.workers = member_seeds(seed, search.seeds), seed, workers
        self.ledger, self.written_losses = ledger, list[float]()
        data = [part for one in self.grounds for part in (one.sample.features, one.sample.target)]
        settings = [one.model_dump(mode="json") for one in (model, features, walk, search)]
        self.key = fingerprint(*data, settings, seed, search_source(training_device(model)))

    def rounds(self, study: optuna.Study, trials: int) -> Iterator[None]:
        """Judges the config as written, then trials round by round until there are enough."""
        check_sealed(self.ledger, self._judged())
        for fold in range(self.search.folds):
            self.written_losses += self._judge([self.written], fold)[0].tolist()
        self._record(-1, self.written)
        for number, one in enumerate(finished(study)):
            self._record(number, self._setting(one.params))
        yield
        while (done := len(finished(study))) < trials:
            self._round(study, done, min(BATCH, trials - done))
            yield

    def result(self, study: optuna.Study, trials: int) -> ModelSearch:
        """The table, the best setting, and how much of its lead is selection."""
        made = finished(study)[:trials]
        told = judged(study)
        losses = [told[one.number][0] for one in made]
        settings = [self._setting(one.params) for one in made]
        states = [one.state.name.lower() for one in made]
        rows = [self.written.row(self.varied, self.written_losses, "as written")]
        rows += [one.row(self.varied, lost, state) for one, lost, state in zip(settings, losses, states, strict=True)]
        whole = [number for number, state in enumerate(states) if state == "complete"]
        pieces = np.array([losses[number] for number in whole])
        best = min(whole, key=lambda number: float(np.mean(losses[number])), default=-1)
        ahead = best >= 0 and np.mean(losses[best]) < np.mean(self.written_losses)
        setting = settings[best] if ahead else self.written
        features = self.features.replaced(columns=setting.columns)
        lead = measure_lead(pieces, np.array(self.written_losses), self.seed)
        tried = self.ledger.tried(self._spans()).trials
        return ModelSearch(pd.DataFrame(rows), setting.model, features, self.varied, lead, tried)

    def _round(self, study: optuna.Study, done: int, count: int) -> None:
        import optuna

        asked: list[tuple[optuna.Trial, Setting]] = []
        for number in range(done, done + count):
            # A sampler of its own for each trial: a search that was stopped draws the same ones.
            study.sampler = optuna.samplers.TPESampler(seed=member_seeds(self.seed, number + 1)[-1])
            trial = study.ask()
            asked.append((trial, self._suggest(trial)))
        losses: dict[int, list[float]] = {trial.number: [] for trial, _ in asked}
        running = asked
        for fold in range(self.search.folds):
            found = self._judge([setting for _, setting in running], fold)
            for (trial, _), pieces in zip(running, found, strict=True):
                losses[trial.number] += pieces.tolist()
                trial.report(float(np.mean(losses[trial.number])), fold)
            if fold < self.search.folds - 1:
                running = [one for one in running if not one[0].should_prune()]
        whole = {trial.number for trial, _ in running}
        asked[-1][0].set_user_attr(ROUND_MARK, [(number, lost, number in whole) for number, lost in losses.items()])
        tell_rounds(study)
        for number, (_, setting) in enumerate(asked, done):
            self._record(number, setting)

    def _suggest(self, trial: optuna.Trial) -> Setting:
        for one in self.dimensions:
            one.choose(trial)
        shown = [trial.suggest_categorical(f"feature {name}", (True, False)) for name in self.optional]
        if self.optional and not any(shown):
            trial.suggest_categorical(ALONE, self.optional)
        return self._setting(trial.params)

    def _setting(self, drawn: Mapping[str, Any]) -> Setting:
        """The setting of what a trial drew: where it left out every feature, the one that it drew to be shown alone."""
        left = tuple(name for name in self.candidates if drawn.get(f"feature {name}", True))
        columns = left or (drawn[ALONE],)
        return Setting(
            self.written.model.replaced(**{one.name: one.chosen(drawn[one.name]) for one in self.dimensions}), columns
        )

    def _judge(self, settings: Sequence[Setting], fold: int) -> list[FloatArray]:
        """The losses of each setting in the pieces of a fold, the mean over markets."""
        jobs = [
            inner_jobs(ground, ground.folds[fold], one.columns, self.features.scaling, one.model, self.seeds)
            for one in settings
            for ground in self.grounds
        ]
        made = iter(run_jobs([job for several in jobs for job in several], "", self.workers, cache=True))
        found = []
        for one in settings:
            losses = [
                piece_losses(ground, ground.folds[fold], [next(made) for _ in self.seeds], one.model)
                for ground in self.grounds
            ]
            found.append(np.asarray(np.mean(losses, axis=0), dtype=np.float64))
        return found

    def _record(self, number: int, setting: Setting) -> None:
        """Puts a trial down in the ledger; the same one counts once."""
        grid = {**setting.values(self.varied), "columns": list(setting.columns)}
        content = fingerprint(self.key, number)
        self.ledger.record(batch_of("model search", self._spans(), grid, content, [], trials=1))

    def _judged(self) -> list[Span]:
        """The candles that trials are trained and judged on, with those of their labels."""
        made = []
        for one in self.grounds:
            stamps, last = one.market.candles.timestamp, len(one.sample) - 1 + one.sample.horizon
            made.append(_span(one.market, min(last, len(stamps) - 1)))
        return made

    def _spans(self) -> list[Span]:
        """All candles of each market: a model that was chosen on a part of them is played on the rest."""
        return [_span(one.market, len(one.market.candles) - 1) for one in self.grounds]
