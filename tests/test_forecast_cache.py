"""Forecast cache: a network is kept by what trains it, its forecasts by what they are asked of, and by nothing else."""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
from planted_faults import mutated
from planted_market import FEW, SHORT, TINY, planted_market

import models.cache
from foundation.fingerprint import source_fingerprint
from markets.market import Market
from models.cache import FORECASTS, TRAINS, TRAINS_IN_GROUPS, FoldJob, forecast_key
from models.fitted import TrainedNetwork
from models.fold_forecasts import run_job
from models.forecasts import Forecasts
from models.model_search import JUDGES
from models.parameters import WARM_UP, LSTMParams, Output
from models.samples import build_sample
from models.training import train_networks
from models.walkforward import walk_forward

pytestmark = pytest.mark.usefixtures("own_cache")
LONG = planted_market(900)
MARKET = LONG.rows(0, 800)
OUTPUTS = get_args(Output)
# What these modules make stands in the name of a network itself (rows and what they are made of, the device), or is the
# same whether a training was stopped or not (checkpoints), or is a word or a limit of what is said later (level).
UNCOUNTED = {"cache", "schedule", "devices", "checkpoints", "features", "own_features", "targets", "level"}
# Another value of each setting.
OTHER: dict[str, Any] = {
    "output": "gaussian", "hidden": 5, "layers": 2, "head": "linear", "start": "zero", "dropout": 0.2, "steps": 3,
    "batch": 9, "chunk": 33, "burn_in": 5, "learning_rate": 0.03, "weight_decay": 0.1, "averaging": 0.5,
    "validation": 0.3, "check": 1, "patience": 1, "volatility_bars": 5, "replay": 140, "variance_base": "leverage",
    "har_bars": (1, 7), "range_measure": "true_range", "levels": (0.1, 0.2, 0.5, 0.8, 0.9), "barrier_sigma": 1.0,
    "barrier_bars": 6, "turnover_cost": 0.2, "device": "cpu",
    "recalibration_bars": 30,
}  # fmt: skip


def forecast(market: Market = MARKET, model: LSTMParams = TINY, **settings: object) -> Forecasts:
    """A tiny walk-forward of two folds and two seeds, in this process."""
    return walk_forward(market, model, FEW, **{"walk": SHORT, "workers": 1, **settings})


def job_of(params: LSTMParams, market: Market = MARKET) -> FoldJob:
    """A training on the rows before 600, which forecasts the rest."""
    return FoldJob(build_sample(market, FEW, params), 600, 60, 640, "standard", params, 5)


def trained(job: FoldJob) -> TrainedNetwork:
    """The network of a job, trained anew."""
    return train_networks(job.rows, job.scaling, job.params, job.seed)[0]


def test_later_bars_train_no_fold_anew(trainings: list[object]) -> None:
    """Appended bars train the folds they add; those before, the last one too, keep network and forecasts to the bit."""
    before = forecast()
    assert len(trainings) == 4
    after = forecast(LONG)
    assert len(trainings) == 6
    one, other = before.series["TEST"], after.series["TEST"]
    assert np.array_equal(one.mean, other.mean[: len(one)])
    assert np.array_equal(one.sigma, other.sigma[: len(one)])
    assert forecast(LONG, cache=False).fingerprint == after.fingerprint


@pytest.mark.parametrize("name", ["replay", "levels", "turnover_cost", "barrier_bars", "har_bars", "range_measure"])
def test_what_no_training_reads_trains_nothing(name: str, trainings: list[object]) -> None:
    """`replay` makes other forecasts of the same networks; settings of other outputs change nothing at all."""
    before = forecast()
    changed = TINY.replaced(**{name: OTHER[name]})
    after = forecast(model=changed)
    assert len(trainings) == 4
    assert after.fingerprint == forecast(model=changed, cache=False).fingerprint
    assert after.fingerprint == before.fingerprint or name == "replay"


def check_settings(output: str) -> None:
    """Where a setting leaves the name of a network as it is, the network is the same to the bit."""
    params = TINY.replaced(output=output, steps=4, check=2, device="auto")
    job = job_of(params)
    made = trained(job)
    for name, value in OTHER.items():
        if (output, name) == ("quantiles", "recalibration_bars"):
            continue
        other = job_of(params.replaced(**{name: value}))
        if other.network_key == job.network_key:
            again = trained(other)
            assert again.record() == made.record(), name
            for weight, values in made.weights.items():
                assert np.array_equal(again.weights[weight], values), name


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_setting_counts_that_changes_a_network(output: str) -> None:
    """For each output and each setting, equal names mean equal bits."""
    assert set(OTHER) == set(LSTMParams.model_fields)
    check_settings(output)


@pytest.mark.parametrize(
    ("output", "unread"),
    [
        ("quantiles", "levels"),
        ("position", "turnover_cost"),
        ("mean", "burn_in"),
        ("mean", "head"),
        ("student", "recalibration_bars"),
        ("student", "start"),
    ],
)
def test_a_setting_that_is_forgotten_is_seen(output: str, unread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the name of a network leaves out one of the settings that its training reads."""
    honest = LSTMParams.used_in_training

    def forgetful(params: LSTMParams) -> dict[str, Any]:
        return {name: value for name, value in honest(params).items() if name not in (unread, "has_coefficients")}

    monkeypatch.setattr(LSTMParams, "used_in_training", forgetful)
    with pytest.raises(AssertionError):
        check_settings(output)


def check_rows(params: LSTMParams) -> None:
    """One bar of training data makes another network; one of the test makes other forecasts of the same one."""
    job = job_of(params)
    fields = ["features", "target", "returns", *(["variance"] if job.sample.har else [])]
    for row in (job.rows[0][1].fit_first, 300, 599, 600, 650):
        for field in fields:
            array = getattr(job.sample, field).copy()
            array[row] += 0.125
            other = replace(job, sample=replace(job.sample, **{field: array}))
            assert (other.network_key != job.network_key) == (row < 600), (field, row)
            asked = forecast_key(job.network_key, other) != forecast_key(job.network_key, job)
            assert asked == (field == "features" and row >= job.test_first - params.replay), (field, row)
    assert replace(job, last=590).network_key != job.network_key
    assert replace(job, gap=61).network_key != job.network_key
    assert replace(job, seed=6).network_key != job.network_key
    assert replace(job, scaling="robust").network_key != job.network_key
    assert replace(job, test_first=650).network_key == job.network_key
    assert forecast_key("x", replace(job, test_first=650)) != forecast_key("x", job)


@pytest.mark.parametrize("base", ["ewma", "har"])
def test_one_bar_of_training_data_counts(base: str) -> None:
    """Inputs, targets, returns and, with a base, variances of each training row are part of the name; no others."""
    check_rows(TINY.replaced(variance_base=base, replay=128))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("arrays = [sample.features, sample.target,", "arrays = [sample.features,"),
        ("read = slice(first, rows.check_last)", "read = slice(first, None)"),
        ("read = slice(first, rows.check_last)", "read = slice(first + 1, rows.check_last)"),
        ("read = slice(first, rows.check_last)", "read = slice(first, rows.check_last - 1)"),
        ("return [[row - first for row in rows], sample.har", "return [sample.har"),
        ("*([sample.variance] if sample.har else [])", ""),
        ("device, lead.seed]", "device]"),
        ("settings = [lead.scaling, job.shared,", "settings = [job.shared,"),
        ("fingerprint(network, job.shown, job.tested,", "fingerprint(network, job.tested,"),
        ("fingerprint(network, job.shown, job.tested,", "fingerprint(network, job.sample.features, job.tested,"),
    ],
)
def test_faults_of_the_names_are_seen(right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a name that forgets a part of what trains, or holds rows that do not."""
    faulty = mutated("models.cache", right, wrong)
    monkeypatch.setattr(models.cache, "network_key", faulty.network_key)
    monkeypatch.setattr(sys.modules[__name__], "forecast_key", faulty.forecast_key)
    with pytest.raises(AssertionError):
        check_rows(TINY.replaced(variance_base="har", replay=128))


def modules_at_work(work: Callable[[], object]) -> set[str]:
    """The modules of models/ whose functions some work runs through, but for UNCOUNTED."""
    folder, seen = Path(models.cache.__file__).parent, set[str]()

    def watch(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            seen.add(frame.f_code.co_filename)

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    inside = {Path(one).relative_to(folder).with_suffix("").as_posix() for one in seen if one.startswith(str(folder))}
    return inside - UNCOUNTED


def imported(modules: Iterable[str]) -> set[str]:
    """The modules of models/ from which some of its modules take names, constants too."""
    folder, found = Path(models.cache.__file__).parent, set[str]()
    for module in modules:
        for node in ast.walk(ast.parse((folder / f"{module}.py").read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("models."):
                found.add(str(node.module).removeprefix("models.").replace(".", "/"))
    return found


def check_sources(trains: Collection[str], grouped: Collection[str], judges: Collection[str]) -> None:
    """What counted modules import is counted, too."""
    assert imported(trains) <= {*trains, *UNCOUNTED}
    assert imported(grouped) <= {*trains, *grouped, *FORECASTS, *UNCOUNTED}
    assert imported(FORECASTS) <= {*trains, *FORECASTS, *UNCOUNTED}
    # Of the walk-forward seeds and folds are taken, of forecasts a type; selection speaks of a search that is over.
    taken = imported(set(judges) - {"walkforward"}) - {"forecasts", "jobs", "selection"}
    assert taken <= {*trains, *FORECASTS, *judges, *(UNCOUNTED - {"schedule"})}


def test_what_counted_sources_import_counts() -> None:
    """A constant that a training reads is no call that could be watched: the imports of the sources say where it is."""
    check_sources(TRAINS, TRAINS_IN_GROUPS, JUDGES)


@pytest.mark.parametrize(
    "missing", ["parameters", "samples", "losses", "grouped/scan", "schedule", "scores", "walkforward"]
)
def test_a_source_that_is_forgotten_is_seen(missing: str) -> None:
    """Planted: lists without one of their modules."""
    lists = [[name for name in names if name != missing] for names in (TRAINS, TRAINS_IN_GROUPS, JUDGES)]
    with pytest.raises(AssertionError):
        check_sources(lists[0], lists[1], lists[2])


def test_another_warm_up_is_another_network(tmp_path: Path) -> None:
    """With another constant in the source of the parameters, every network has another name."""
    folder = Path(models.cache.__file__).parent
    for name in TRAINS:
        shutil.copy(folder / f"{name}.py", tmp_path)
    assert source_fingerprint(tmp_path, TRAINS) == models.cache.training_source("cpu")[0]
    text = (tmp_path / "parameters.py").read_text("utf-8")
    assert text.count(f"WARM_UP = {WARM_UP}") == 1
    (tmp_path / "parameters.py").write_text(text.replace(f"WARM_UP = {WARM_UP}", "WARM_UP = 16"))
    assert source_fingerprint(tmp_path, TRAINS) != models.cache.training_source("cpu")[0]


@pytest.mark.parametrize(
    ("device", "library"), [("cpu", "torch"), ("cpu", "numpy"), ("cpu", "scipy"), ("cpu", "numba"), ("cuda", "triton")]
)
def test_another_library_is_another_network(device: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each library below the arithmetic counts, and on a GPU the compiler of its kernels and the card."""
    source = models.cache.training_source.__wrapped__
    before, honest = source(device), models.cache.version
    monkeypatch.setattr(models.cache, "version", lambda name: "0" if name == library else honest(name))
    if library == "triton":
        monkeypatch.setattr(models.cache, "installed_triton", lambda: "0")
    assert source(device) != before
    monkeypatch.undo()
    monkeypatch.setattr(models.cache, "gpu_name", lambda: "another card")
    assert (source(device) != before) == (device == "cuda")


def test_the_source_that_counts_is_the_source_at_work() -> None:
    """All outputs and bases: every module that trains, or asks a network, is one of those whose source is kept by."""
    trains, asks = set[str](), set[str]()
    for number, output in enumerate(OUTPUTS):
        base = ("ewma", "har", "leverage")[number % 3]
        level = 0 if output == "quantiles" else 30
        params = TINY.replaced(output=output, steps=1, variance_base=base, dropout=0.1, recalibration_bars=level)
        job = job_of(params)
        job.network_key  # noqa: B018 - made before, so that only the training is watched
        trains |= modules_at_work(lambda job=job: trained(job))
        run_job(job, True)
        asks |= modules_at_work(lambda job=job: models.fold_forecasts.kept_job(job))
    assert trains == set(TRAINS)
    assert asks <= {*TRAINS, *FORECASTS}


def test_remarks_change_no_source(tmp_path: Path) -> None:
    """Comments, docstrings and layout are no part of a module's fingerprint; a number in it is."""
    plain = 'def f(x):\n    """Says."""\n    return x + 1\n'
    again = 'def f(x):  # a remark\n    """Says otherwise."""\n\n    return (x\n            + 1)\n'
    prints = []
    for text in (plain, again, plain.replace("1", "2"), plain.replace('"""Says."""', "x = 1")):
        (tmp_path / "one.py").write_text(text)
        prints.append(source_fingerprint(tmp_path, ["one"]))
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_another_source_asks_anew_or_trains_anew(trainings: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Source that only asks networks makes new forecasts and no new network; source that trains makes both."""
    first = forecast()
    monkeypatch.setattr(models.cache, "forecast_source", lambda: "another")
    columns: list[object] = []
    honest = models.fold_forecasts.keep_columns
    monkeypatch.setattr(models.fold_forecasts, "keep_columns", lambda *call: columns.append(call) or honest(*call))
    assert forecast().fingerprint == first.fingerprint
    assert (len(trainings), len(columns)) == (4, 4)
    monkeypatch.setattr(models.cache, "training_source", lambda _: ["another"])
    assert forecast().fingerprint == first.fingerprint
    assert (len(trainings), len(columns)) == (8, 8)


def test_a_module_stands_by_its_name() -> None:
    """Every module of the lists is there."""
    assert isinstance(models.cache, ModuleType)
    models.cache.training_source.cache_clear()
    assert len(models.cache.training_source("cuda")) == 1 + len(models.cache.LIBRARIES) + 2
    assert models.cache.training_source("cuda") != models.cache.training_source("cpu")
