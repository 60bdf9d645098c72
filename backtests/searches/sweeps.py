"""Sweep: many settings of one strategy on the same forecasts, played by the kernel, the best ones by Backtrader too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd

from backtests.exchange.records import Records
from backtests.kernel.tally import TALLY, rate
from backtests.run.recount import RELATIVE, ZERO
from backtests.run.replay import check_replay
from backtests.run.result import Result
from backtests.run.tables import Tables, on_tables
from backtests.searches.goals import read_objective
from backtests.searches.grids import Grid, read_axes
from backtests.searches.ground import Ground, compile_kernel, grid_ground, play_numbers, play_range
from backtests.searches.landscape import at_edges, best_numbers, effects, grid_plateau, idle_axes
from backtests.searches.piece_store import SETTINGS_FILE, PieceStore
from backtests.searches.search_folder import check_sweep_folder
from backtests.searches.search_size import MOST_SETTINGS, check_settings
from backtests.searches.search_text import column_type, table_text, undefined_text
from foundation.chain import Head
from foundation.compilation import compiled_folder
from foundation.errors import CrossgateError, ParameterError
from foundation.fingerprint import fingerprint
from foundation.parallel import check_workers, stream_all
from foundation.seals import check_sealed
from foundation.threads import map_threads
from foundation.trials import TrialLedger, as_ledger, batch_of
from markets.candles import FloatArray, IntArray
from markets.market import Market
from models.forecasts import Forecasts

# The most settings in a piece, and the most bars times settings: a piece takes well below a second.
PIECE, PIECE_BARS = 2000, 5_000_000
# Bars times settings below which threads share the work: other processes would take longer to start.
SMALL = 50_000_000
# Up to how many settings the table holds all of them; of more it holds this many of the best, by either measure.
WHOLE, BEST = 100_000, 1000
# Among how many times as many they are looked for: settings that came to the same are kept once.
DEEP = 50
# Of how many settings block sums are kept: of more, those of a sample.
MOST_BLOCKS = 5000


@dataclass(frozen=True, eq=False)
class Sweep:
    """What the settings of a grid came to.

    `table`: a row a setting under its number, its values by `table.key`, then its metrics as in metrics.json, NaN where
    undefined, and `plateau`: the worst Sharpe ratio among the setting and its neighbours on axes of numbers
    or distances, corners too. Beyond 100,000 settings it holds the 1,000 best by Sharpe ratio and by plateau.
    `sharpe`, `plateau`: of all settings, by number. `blocks`: sums of bar returns and of their squares, shape
    (settings, 2, 16), for the probability of overfitting; of more than 5,000 settings a random sample. `trials`: all
    that the ledger holds for these contracts and times, this sweep included, and `head` where it ended then.
    `replayed`: what Backtrader made of the settings with the best Sharpe ratio and the best plateau, by number.
    """

    grid: Grid
    table: pd.DataFrame
    sharpe: FloatArray
    plateau: FloatArray
    blocks: FloatArray
    trials: int
    replayed: Mapping[int, Result]
    ground: Ground
    head: Head

    def __len__(self) -> int:
        return len(self.grid)

    @property
    def whole(self) -> bool:
        """Whether the table holds every setting."""
        return len(self.table) == len(self.grid)

    @cached_property
    def chosen(self) -> int | None:
        """The number of the setting to take: the best plateau, of equal ones the best Sharpe ratio; None for none."""
        found = best_numbers(self.plateau, 1, self.sharpe)
        return int(found[0]) if len(found) else None

    def best(self, metric: str = "sharpe", count: int = 10) -> pd.DataFrame:
        """The best settings by a metric, or by "plateau", equal ones by Sharpe ratio; raises ParameterError otherwise.

        A metric that is better low, such as max_drawdown, ranks from below; one that is neither takes ":max" or ":min"
        behind it. Of settings that came to the same in every metric the first one stands for all.
        """
        name, rising = read_ranking(metric, len(self))
        sides = [not rising, False] if name != "sharpe" else [not rising]
        ranked = self.table.sort_values([name, "sharpe"][: len(sides)], ascending=sides, kind="stable")
        metrics = [one for one in ranked if one != "plateau" and one not in self.grid.axes]
        return ranked[~ranked[metrics].duplicated()].head(count)

    @cached_property
    def undefined(self) -> dict[str, int]:
        """By metric, how many settings have none, where some do: they rank last. Of a large sweep of two metrics only.

        Such as those of a setting that never traded, and a profit factor without a losing trade.
        """
        columns = {"plateau": self.plateau, "sharpe": self.sharpe}
        if self.whole:
            columns |= {str(name): self.table[name].to_numpy() for name in self.table if name not in self.grid.axes}
        counts = {name: int(np.isnan(values).sum()) for name, values in columns.items()}
        return {name: count for name, count in counts.items() if count}

    @cached_property
    def idle(self) -> list[str]:
        """The parameters that change nothing here: settings that differ in one alone have the same Sharpe ratio."""
        return idle_axes(self.grid, self.sharpe)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """What each value of each axis does on its own: the median, worst and best Sharpe over all else."""
        return effects(self.grid, self.sharpe)

    @cached_property
    def at_edges(self) -> list[str]:
        """The parameters at the end of whose values the `chosen` setting stands: more of them should be tried."""
        return [] if self.chosen is None else at_edges(self.grid, self.sharpe, self.chosen)

    def __str__(self) -> str:
        shown = [*self.grid.axes, "total_return", "sharpe", "plateau", "max_drawdown", "trades", "liquidations"]
        head = f"{len(self):,} settings; {self.trials:,} trials on this data in the ledger"
        ranked = {name: self.undefined.get(name, 0) for name in ("plateau", "sharpe")}
        head = "\n".join(filter(None, [head, undefined_text(ranked, len(self), "settings")]))
        return f"{head}\n{table_text(self.best('plateau')[shown])}"


@on_tables
def sweep(
    markets: list[Market],
    forecasts: Forecasts,
    base: Tables,
    *,
    over: Mapping[str, Any],
    workers: int | None = None,
    ledger: TrialLedger | Path | str | None = None,
    folder: Path | str | None = None,
    most: int | None = MOST_SETTINGS,
) -> Sweep:
    """Every combination of the values in `over`, by `table.key`, on the same markets and forecasts.

    Nothing is trained. The settings are played by the compiled kernel, whose fills are those of `backtest`; those with
    the best Sharpe ratio and the best plateau are played again by Backtrader, and a single fill that differs raises
    CrossgateError. All settings are put down in the `ledger` of trials. With a `folder` each finished piece is kept
    there, an interrupted sweep goes on where it was, and `settings.parquet` there holds the metrics of all settings.
    The folder must be new, empty, or a sweep. `over`: lists, ranges or arrays of values, or texts as on the command
    line. Memory does not grow with the grid but for 16 bytes a setting. A grid of more than `most` settings is refused
    with what it would take; None plays any. Raises ParameterError for that and for a value that no table takes,
    SealedError where the data reaches into a sealed stretch.
    """
    check_workers(workers)
    axes, ledger = read_axes(over), as_ledger(ledger)
    check_settings(axes, sum(len(one.candles) for one in markets), most)
    grid, folder = Grid(base, axes), None if folder is None else check_sweep_folder(folder)
    ground = grid_ground(markets, forecasts, grid)
    check_sealed(ledger, ground.spans)
    content = _content(ground, grid)
    if folder is None:
        return _finished(markets, ground, grid, _played(ground, grid, workers, None), ledger, content)
    store = PieceStore(folder, {"content": content, "settings": len(grid), "rules": compiled_folder().name})
    with store.opened():
        # From here on pieces can be read in the folder: an interrupted sweep counts.
        ledger.record(batch_of("sweep", ground.spans, grid.record(), content, [], len(grid)))
        found = _finished(markets, ground, grid, _played(ground, grid, workers, store), ledger, content)
        _write_settings(found, ground, store, folder / SETTINGS_FILE)
        store.finish()
    return found


@dataclass
class _Summary:
    """What is kept of the tallies as they come: all of a small grid, of a large one a sample."""

    sharpe: FloatArray
    sample: IntArray
    blocks: FloatArray
    tallies: Records | None

    def take(self, begin: int, tallies: Records, ratios: FloatArray) -> None:
        """A piece, from a setting's number on."""
        end = begin + len(tallies)
        self.sharpe[begin:end] = ratios
        first, last = np.searchsorted(self.sample, (begin, end))
        self.blocks[first:last] = tallies["blocks"][self.sample[first:last] - begin]
        if self.tallies is not None:
            self.tallies[begin:end] = tallies


def _played(ground: Ground, grid: Grid, workers: int | None, store: PieceStore | None) -> _Summary:
    """What the settings came to; pieces that a store holds are not played again."""
    count = len(grid)
    drawn = range(count) if count <= MOST_BLOCKS else Random(count).sample(range(count), MOST_BLOCKS)
    sample = np.sort(np.fromiter(drawn, dtype=np.int64))
    tallies = np.zeros(count, dtype=TALLY) if count <= WHOLE else None
    blocks = np.zeros((len(sample), *TALLY["blocks"].shape))
    summary = _Summary(np.full(count, np.nan), sample, blocks, tallies)
    missing = []
    for begin, end in _pieces(grid, ground):
        kept = None if store is None else store.read(begin, end)
        if kept is None:
            missing.append((begin, end))
        else:
            summary.take(begin, kept, _ratios(ground, kept))
    small = sum(end - begin for begin, end in missing) * ground.bars < SMALL
    done = count - sum(end - begin for begin, end in missing)
    if missing:
        # In this thread, which hears of Ctrl-C, and not in each worker process.
        compile_kernel(ground, grid.tables(0))
    description = f"Playing {count:,} settings" + (f", {done:,} of which were kept" if done else "")
    if small:
        stream = map_threads(
            lambda piece: play_range(ground, grid, *piece), missing, len(missing), description, alone=workers == 1
        )
    else:
        stream = stream_all(play_range, missing, len(missing), description, shared=(ground, grid), workers=workers)
    with closing(stream) as results:
        for (begin, _), played in zip(missing, results, strict=True):
            if store is not None:
                store.write(begin, played)
            summary.take(begin, played, _ratios(ground, played))
    return summary


def _pieces(grid: Grid, ground: Ground) -> Iterator[tuple[int, int]]:
    size = max(1, min(PIECE, PIECE_BARS // max(ground.bars, 1)))
    for begin in range(0, len(grid), size):
        yield begin, min(begin + size, len(grid))


def _ratios(ground: Ground, tallies: Records) -> FloatArray:
    return rate(tallies, ground.bars_per_year, ground.cash)["sharpe"]


def _finished(
    markets: Sequence[Market], ground: Ground, grid: Grid, summary: _Summary, ledger: TrialLedger, content: str
) -> Sweep:
    """The sweep, after all settings were put down in the ledger and the best ones replayed."""
    ratios, level = summary.sharpe, grid_plateau(grid, summary.sharpe)
    # Before anything can stop the sweep: what was played counts.
    per_bar = ratios / np.sqrt(ground.bars_per_year)
    ledger.record(batch_of("sweep", ground.spans, grid.record(), content, per_bar), summary.blocks)
    if summary.tallies is not None:
        numbers, tallies = np.arange(len(grid)), summary.tallies
    else:
        numbers = np.union1d(_leading(ratios, ratios), _leading(level, ratios))
        tallies = play_numbers(ground, grid, numbers)
        _check_again(numbers, ratios[numbers], _ratios(ground, tallies))
    table = tabulate(grid, numbers, tallies, level[numbers], ground)
    winners = [*best_numbers(ratios, 1), *best_numbers(level, 1, ratios)]
    replayed = {}
    for number in map(int, dict.fromkeys(winners)):
        told: dict[str, Any] = {str(name): value for name, value in table.loc[number].items()}
        told["sharpe"] = ratios[number]
        replayed[number] = check_replay(markets, ground.forecasts, grid.tables(number), f"setting {number}", told)
    head, trials = ledger.head(), ledger.tried(ground.spans).trials
    return Sweep(grid, table, ratios, level, summary.blocks, trials, replayed, ground, head)


def _check_again(numbers: IntArray, ranked: FloatArray, again: FloatArray) -> None:
    """Raises CrossgateError where a setting that is played again here has not the Sharpe ratio it was ranked by."""
    apart = ~np.isclose(ranked, again, rtol=RELATIVE, atol=ZERO, equal_nan=True)
    if apart.any():
        row = int(np.argmax(apart))
        found = f"was ranked by a Sharpe ratio of {ranked[row]:.10g}, and comes to {again[row]:.10g} here"
        raise CrossgateError(f"setting {numbers[row]}: {found}; sweep again in a new folder, or without --cluster")


def _leading(values: FloatArray, ratios: FloatArray) -> IntArray:
    """The numbers of the best settings by some values that a large sweep keeps: those of one Sharpe ratio once."""
    best = best_numbers(values, BEST * DEEP, ratios)
    _, first = np.unique(ratios[best], return_index=True)
    return best[np.sort(first)[:BEST]]


def tabulate(grid: Grid, numbers: IntArray, tallies: Records, level: FloatArray, ground: Ground) -> pd.DataFrame:
    """A row for each of some settings: its values by `table.key`, its plateau and its metrics."""
    values = {name: pd.Series(list(grid.axes[name])).take(row) for name, row in grid.columns(numbers).items()}
    columns: dict[str, Any] = {name: one.to_numpy() for name, one in values.items()}
    metrics = rate(tallies, ground.bars_per_year, ground.cash)
    return pd.DataFrame({**columns, "plateau": level, **metrics}, index=pd.Index(numbers, name="setting"))


def _write_settings(found: Sweep, ground: Ground, store: PieceStore, path: Path) -> None:
    """The metrics of all settings in a parquet file, piece after piece."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from foundation.files import atomic_file

    with atomic_file(path) as scratch:
        writer = None
        for begin, end in _pieces(found.grid, ground):
            tallies, numbers = store.read(begin, end), np.arange(begin, end)
            if tallies is None:
                tallies = play_range(ground, found.grid, begin, end)
            rows = tabulate(found.grid, numbers, tallies, found.plateau[begin:end], ground)
            rows = rows.astype({name: column_type(values) for name, values in found.grid.axes.items()})
            part = pa.Table.from_pandas(rows.reset_index(), preserve_index=False)
            writer = writer or pq.ParquetWriter(scratch, part.schema)
            writer.write_table(part)
        if writer is not None:
            writer.close()


def read_ranking(metric: str, settings: int) -> tuple[str, bool]:
    """The column that a word asks to rank so many settings by, and whether high is best; raises ParameterError."""
    if metric == "plateau":
        return metric, True
    asked = read_objective(metric, "metric", ("plateau",))
    if settings > WHOLE and asked.metric != "sharpe":
        fix = "sharpe or plateau; all settings stand in the folder's settings.parquet"
        raise ParameterError("metric", "is kept for the best settings only", value=metric, fix=fix)
    return asked.metric, asked.rising


def _content(ground: Ground, grid: Grid) -> str:
    markets = [one.fingerprint for one in ground.stage.played]
    base = grid.base
    fixed = [one.model_dump(mode="json") for one in (base.strategy, base.risk, base.account, base.costs)]
    return fingerprint(markets, ground.forecasts.fingerprint, fixed, grid.record())
