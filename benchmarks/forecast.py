"""The forecasts measured, skill and speed: each figure beside its target, and what was not measured by its name.

    python benchmarks/forecast.py [SECTION ...] [--data DIR] [--first-seed N] [--require-all]

Sections: planted, volatility, sp500, stepping, windows, walk_forward, intervals, skill_nulls, gpu (all by default).
The last line counts what was met, missed and not measured, for want of recorded data (--data, CROSSGATE_DATA) or of
a CUDA device. Exit code 1 on a miss; with --require-all also where something was not measured.
The targets were set before anything was measured. Times are CPU seconds, which other work on the machine disturbs
less than the clock.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TREE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TREE))

from benchmarks.figures import Figure, NotMeasured, Tally  # noqa: E402 - found only once the tree is on the path
from benchmarks.planted import PROBLEMS, Problem  # noqa: E402
from benchmarks.volatility_problems import expected_qlike, garch, har_leverage, stock_index  # noqa: E402
from markets.candles import FloatArray  # noqa: E402
from models.fitted import TrainedNetwork  # noqa: E402
from models.parameters import FeatureParams, LSTMParams  # noqa: E402
from models.recurrence import fresh_state, make_cell, run_cell  # noqa: E402
from models.samples import Sample, build_sample  # noqa: E402
from models.schedule import split_rows  # noqa: E402
from models.skill import oracle_ratio  # noqa: E402
from models.variance import bar_variance, base_log, fit_base  # noqa: E402
from models.variance_level import first_level, level_path, sample_levels  # noqa: E402
from models.walkforward import member_seeds  # noqa: E402

SEEDS, DATA_SEEDS, TEST, GAP = 5, 5, 20_000, 64
PLANTED = {"momentum": 0.95, "regimes, phi 0.4": 0.95, "regimes, phi 0.25": 0.92, "gated feature": 0.74}
# The first refit on the S&P 500 sees this many sessions, and these many refits follow each other.
FIRST, REFITS = 1500, 9


class Options(NamedTuple):
    """The folder of recorded data, if there is one, and the first seed of the planted series."""

    data: Path | None
    first_seed: int


class Ensemble(NamedTuple):
    """What an ensemble says of the rows after its training: a mean and a sigma as log returns, and the CPU seconds.

    The sigma of the output `volatility` is of the size of ranges here, which is what is learned and measured.
    `level`: that of the variance at each row, whose root is part of sigma; 1 without recalibration. `validation`: the
    mean loss of its networks on the rows that choose their weights.
    """

    mean: FloatArray
    sigma: FloatArray
    seconds: float
    level: FloatArray
    validation: float


def forecast_ensemble(sample: Sample, last: int, end: int, params: LSTMParams, seeds: int = SEEDS) -> Ensemble:
    """Networks trained on the rows before `last`, less a gap, asked at the rows from `last` up to `end`."""
    from models.training import train_network

    networks, columns, seconds = list[TrainedNetwork](), [], 0.0
    for seed in member_seeds(0, seeds):
        start = time.process_time()
        trained: TrainedNetwork = train_network(sample, last - GAP, GAP, "standard", params, seed)
        seconds += time.process_time() - start
        rows = sample.features[last - params.replay : end]
        networks.append(trained)
        columns.append(trained.forecast(rows, trained.fresh_state())[params.replay :, :2])
    said, ranges = np.mean(columns, axis=0), params.output == "volatility"
    level = sample_levels(said, sample, slice(last, end), networks, first_level(networks))[:-1]
    if ranges:
        said = np.mean([one / [1.0, network.slope] for one, network in zip(columns, networks, strict=True)], axis=0)
    mean, sigma = said.T * sample.volatility[last:end]
    validation = float(np.mean([network.loss for network in networks]))
    return Ensemble(mean, np.sqrt(level) * sigma, seconds / seeds, level, validation)


def ratios(make: Callable[[int, int], Problem], bars: int, params: LSTMParams, first: int) -> tuple[FloatArray, float]:
    """The share of the oracle's skill that an ensemble reaches on each data seed, and the CPU seconds a model."""
    reached, seconds = [], []
    for seed in range(first, first + DATA_SEEDS):
        problem = make(bars + TEST, seed)
        made = forecast_ensemble(problem.sample(params), bars, bars + TEST, params)
        reached.append(oracle_ratio(made.mean, problem.oracle[bars:]))
        seconds.append(made.seconds)
    return np.array(reached), float(np.median(seconds))


def planted(options: Options) -> Iterator[Figure]:
    """Skill as a share of the oracle's, the median over data seeds, by ensembles of the default settings."""
    params = LSTMParams()
    for name, target in PLANTED.items():
        reached, seconds = ratios(PROBLEMS[name], 40_000, params, options.first_seed)
        note = f"{np.round(reached, 3).tolist()}, {seconds:.2f} CPU s a model"
        yield Figure(f"{name}, 40,000 bars, share of the oracle's skill", float(np.median(reached)), ">=", target, note)
    reached, seconds = ratios(PROBLEMS["momentum"], 20_000, params, options.first_seed)
    note = f"{np.round(reached, 3).tolist()}"
    yield Figure("momentum, 20,000 bars, share of the oracle's skill", float(np.median(reached)), ">=", 0.95, note)
    yield Figure("momentum, 20,000 bars, CPU seconds a model", seconds, "<=", 1.0)


VARIANCE_BASES: dict[str, dict[str, Any]] = {
    "leverage": {"har_bars": (4, 12, 32, 64, 128)},
    "har": {"har_bars": (1, 5, 22)},
    "ewma": {},
}


def base_variance(sample: Sample, last: int, end: int, params: LSTMParams) -> FloatArray:
    """What the variance base says alone, without a network, of the rows that `forecast_ensemble` forecasts."""
    rows = split_rows(sample, last - GAP, GAP, params)
    fit = slice(rows.fit_first, rows.fit_last)
    slopes = fit_base(sample.variance[fit].astype(np.float64), sample.base[fit], params)
    made: FloatArray = np.exp(base_log(slopes, sample.base[last:end], params)) * np.square(sample.volatility[last:end])
    return made


def volatility(options: Options) -> Iterator[Figure]:
    """The loss of sigmas learned by Student-t likelihood, as a share of what the trailing one loses, on each base.

    On each series the loss on the validation rows chooses the base, as a user could; each alone stands in the note.
    """
    bars, regrets = 20_000, {base: list[float]() for base in VARIANCE_BASES}
    alone, chosen = list[float](), list[str]()
    for seed in range(options.first_seed, options.first_seed + DATA_SEEDS):
        problem = garch(bars + TEST, seed)
        true = np.square(problem.oracle[bars:])
        losses = dict[str, float]()
        for base, more in VARIANCE_BASES.items():
            params = LSTMParams(output="student", burn_in=64, **{"variance_base": base, **more})
            sample = problem.sample(params)
            made = forecast_ensemble(sample, bars, bars + TEST, params)
            trailing, losses[base] = expected_qlike(np.square(sample.volatility[bars:]), true), made.validation
            regrets[base].append(expected_qlike(np.square(made.sigma), true) / trailing)
            if base == "leverage":
                alone.append(expected_qlike(base_variance(sample, bars, bars + TEST, params), true) / trailing)
        chosen.append(min(losses, key=losses.__getitem__))
    regret = float(np.median([regrets[base][row] for row, base in enumerate(chosen)]))
    each = (f"{base}: {np.median(found):.3f}, {np.round(found, 3).tolist()}" for base, found in regrets.items())
    note = f"chosen: {', '.join(chosen)}; {'; '.join(each)}; leverage without a network: {np.median(alone):.3f}"
    name = "QLIKE regret, 20,000 bars (0 oracle, 1 EWMA), base chosen by validation loss"
    yield Figure(name, regret, "<=", 0.10, note)


INDEX_MODEL = LSTMParams(
    output="volatility", variance_base="leverage", har_bars=(2, 5, 12, 32, 128), hidden=8, dropout=0.1,
    validation=0.1, burn_in=64, steps=100, learning_rate=0.01, recalibration_bars=250,
)  # fmt: skip
# Learning rate, dropout and units: the best of eight on the NASDAQ composite (benchmarks/recalibration.py settings).
FROZEN_MODEL = INDEX_MODEL.replaced(learning_rate=0.02, dropout=0.0)


class IndexRun(NamedTuple):
    """QLIKE on a stock index by expanding refits: of HAR with leverage by its form, of the base alone, the network's.

    `plain`: of the network without its running level. `har_followed`: of the best form with one.
    """

    hars: dict[str, float]
    base: float
    plain: float
    loss: float
    har_followed: float


def run_index(name: str, params: LSTMParams, seeds: int = SEEDS) -> IndexRun:
    """The forecasts of the next session's range variance, measured."""
    candles = stock_index(name)
    variance, edges = bar_variance(candles, "parkinson"), np.linspace(FIRST, len(candles), REFITS + 1).astype(int)
    blocks, later = list(pairwise(edges.tolist())), variance[FIRST:]
    hars = {
        form: np.concatenate([har_leverage(variance, candles.close, a, form)[a - 1 : b - 1] for a, b in blocks])
        for form in ("level", "root", "log")
    }
    losses = {form: expected_qlike(values, later) for form, values in hars.items()}
    sample = build_sample(candles, FeatureParams(columns=("return:1", "return:5", "return:22")), params)
    parts = [forecast_ensemble(sample, a - 1, b - 1, params, seeds) for a, b in blocks]
    made, level = (np.concatenate([getattr(part, name) for part in parts]) for name in ("sigma", "level"))
    base = np.concatenate([base_variance(sample, a - 1, b - 1, params) for a, b in blocks])
    best = hars[min(losses, key=losses.__getitem__)]
    starts = np.append(1.0, np.full(len(best) - 1, np.nan))
    followed = level_path(later, best, starts, max(params.recalibration_bars, 1))[:-1] * best
    return IndexRun(
        losses, expected_qlike(base, later), expected_qlike(np.square(made) / level, later),
        expected_qlike(np.square(made), later), expected_qlike(followed, later),
    )  # fmt: skip


def sp500_volatility(_: Options) -> Iterator[Figure]:
    """The next session's range variance, expanding refits, against HAR with leverage: in logarithms, and the best form.

    The regression of logarithms, its level fitted to QLIKE, is the usual one; that of deviations is better here. The
    settings and the bars of the running level were chosen on the NASDAQ composite (benchmarks/recalibration.py).
    """
    run = run_index("sp500", FROZEN_MODEL)
    best = min(run.hars.values())
    forms = ", ".join(f"{form} {value:.3f}" for form, value in run.hars.items())
    note = f"network {run.loss:.3f}, its variance base alone {run.base:.3f}, HAR with leverage {forms}"
    yield Figure(
        "S&P 500, QLIKE over that of HAR with leverage, logarithms", run.loss / run.hars["log"], "<=", 0.97, note
    )
    note = (
        f"{run.plain / best:.3f} without the running level; HAR with such a level, too: {run.har_followed / best:.3f}"
    )
    yield Figure("S&P 500, QLIKE over that of its best form", run.loss / best, "<=", 0.97, note)


def stepping(_: Options) -> Iterator[Figure]:
    """One network's step in compiled code (H = 32, 12 columns), against torch on a window of 64 bars."""
    import torch

    from models.network import ForecastNetwork
    from models.training import one_thread

    params = LSTMParams(hidden=32)
    torch.manual_seed(0)
    network = ForecastNetwork(12, params).eval()
    torch.nn.init.normal_(network.head.weight, std=0.05)
    rows = np.random.default_rng(0).normal(size=(20_000, 12)).astype(np.float32)
    cell = make_cell({name: values.numpy() for name, values in network.state_dict().items()}, params)
    run_cell(cell, rows[:10], fresh_state(params))
    state = fresh_state(params)
    step = best_seconds(lambda: [run_cell(cell, rows[row : row + 1], state) for row in range(len(rows))]) / len(rows)
    together = best_seconds(lambda: run_cell(cell, rows, state)) / len(rows)
    with one_thread(), torch.inference_mode():
        window = torch.from_numpy(rows[:64]).unsqueeze(0)
        torch_step = best_seconds(lambda: [network(window) for _ in range(100)]) / 100
        whole = network(torch.from_numpy(rows).unsqueeze(0))[0][0].numpy()
    apart = float(np.abs(run_cell(cell, rows, fresh_state(params)) - whole).max())
    note = f"a call a bar; {1e6 * together:.2f} a bar where one call is given all of them"
    yield Figure("one step of the network, microseconds", 1e6 * step, "<=", 5.0, note)
    yield Figure("a torch window of 64 bars over one step", torch_step / step, ">=", 30.0)
    yield Figure("steps and one torch pass apart", apart, "<=", 1e-6, "20,000 bars")
    yield from live_steps()


def live_steps() -> Iterator[Figure]:
    """A bar of the default features alone, and of a live forecaster of three default networks with its interval."""
    from markets.demo import demo_market
    from models.features import parse_columns
    from models.forecasts import market_bars
    from models.stepping import FeatureStepper
    from models.trained import train_model

    market, features = demo_market().rows(0, 4000), FeatureParams()
    live = train_model(market.rows(0, 2000), model=LSTMParams(steps=1, device="cpu"), seeds=3, workers=1)
    stepper, bars = FeatureStepper(parse_columns(features.columns), market.candles.bar), list(market_bars(market, []))

    def pass_over(reset: Callable[[], None], step: Callable[[Any], Any]) -> float:
        def work() -> None:
            reset()
            for bar in bars:
                step(bar)

        work()
        return 1e6 * best_seconds(work) / len(bars)

    alone, whole = pass_over(stepper.reset, stepper.step), pass_over(live.reset, live.forecast)
    yield Figure("one step of five features, microseconds", alone, "<=", 15.0)
    yield Figure("one step of a live forecaster, microseconds", whole, "<=", 60.0, "5 features, 3 networks, interval")


def windows(_: Options) -> Iterator[Figure]:
    """Windows of the reference shape, 16 -> 64 x 2 -> 1 over 64 bars, a second of one core."""
    import torch

    from models.network import ForecastNetwork
    from models.training import one_thread
    from models.windows import forecast_windows

    torch.manual_seed(0)
    network = ForecastNetwork(16, LSTMParams(hidden=64, layers=2, head="linear")).eval()
    rows = np.random.default_rng(0).normal(size=(6_000, 16)).astype(np.float32)
    seconds = best_seconds(lambda: forecast_windows(network, rows, 64))
    square = torch.ones(512, 512)
    with one_thread():
        product = best_seconds(lambda: [square @ square for _ in range(10)]) / 10
    note = f"while one core multiplies matrices at {2 * 512**3 / product / 1e9:.0f} GFLOP/s"
    yield Figure("windows a second and core", (len(rows) - 63) / seconds, ">=", 12_000.0, note)


def best_seconds(work: Callable[[], Any], rounds: int = 7) -> float:
    """The fewest CPU seconds that some work took."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


WALK = """
import sys
import crossgate as cg
from markets.candles import utc
market = cg.load_market("binance_usdm:BTCUSDT", "ohlcv/binance_um_BTCUSDT_1h.parquet", data=sys.argv[1],
                        start="2019-01-01", end="2025-01-01")
made = cg.walk_forward(market, train="365d", test="90d", seeds=3, workers=2, cache=False)
first, last = (utc(stamp)[:10] for stamp in market.candles.timestamp[[0, -1]])
print(len(made.series[market.symbol]), len(set(made.series[market.symbol].model.tolist())), first, last)
"""


def walk_forward(options: Options) -> Iterator[Figure | NotMeasured]:
    """BTCUSDT by the hour, all of 2019 to 2024 that the data has, quarterly refits of three networks, from nothing."""
    name = "BTCUSDT walk-forward on two cores, seconds of the clock"
    if options.data is None:
        yield NotMeasured(f"{name}, at most 60", "it needs --data DIR or CROSSGATE_DATA")
        return
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-c", WALK, str(options.data)]
    ran = subprocess.run(command, cwd=TREE, stdout=subprocess.PIPE, text=True, check=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    forecasts, folds, first, last = ran.stdout.split()
    note = f"candles {first} to {last}, {forecasts} forecasts, {folds} refits; {cpu / 2.0:.0f} CPU seconds a core"
    yield Figure(name, wall, "<=", 60.0, note)


SECTIONS: dict[str, Callable[[Options], Iterator[Figure | NotMeasured]]] = {
    "planted": planted,
    "volatility": volatility,
    "sp500": sp500_volatility,
    "stepping": stepping,
    "windows": windows,
    "walk_forward": walk_forward,
}
# Measured by scripts of their own, which print their figures: their files and sections.
SCRIPTS = {
    "intervals": ["benchmarks/intervals.py"],
    "skill_nulls": ["benchmarks/skill_nulls.py"],
    "gpu": ["benchmarks/grouped_training.py", "folds", "cudnn", "skill"],
}


def main() -> int:
    """Prints the chosen sections and how they ended; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, *SCRIPTS, []], metavar="SECTION")
    parser.add_argument("--data", type=Path, default=os.environ.get("CROSSGATE_DATA"))
    parser.add_argument("--first-seed", type=int, default=0, help="draw the planted series from this seed on")
    parser.add_argument("--require-all", action="store_true", help="what is not measured fails, too")
    chosen = parser.parse_args()
    options = Options(None if chosen.data is None else Path(chosen.data).resolve(), chosen.first_seed)
    tally = Tally()
    for name in chosen.sections or [*SECTIONS, *SCRIPTS]:
        if name in SCRIPTS:
            tally.run(*SCRIPTS[name])
        else:
            tally.report(SECTIONS[name](options))
    print(tally)
    return tally.exit_code(chosen.require_all)


if __name__ == "__main__":
    sys.exit(main())
