"""`crossgate skill`: what the forecasts of a run were worth, and what one run's gained over another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable
from rich.text import Text

from crossgate.terminal import open_console
from foundation.errors import DataError
from models.evidence import Evidence, forecast_evidence
from models.paired import PairedSkill, compare_tracks
from models.skill import Skill
from models.track import Track
from reports.skill_tables import paired_table, retraining_table, skill_record, skill_table, skill_tables
from reports.tables import Table
from reports.tracks import read_retrainings, read_tracks

_TONES = {"loss": "red", "gain": "green"}


def measure_runs(runs: Sequence[Path]) -> tuple[list[Evidence], list[PairedSkill]]:
    """The evidence on each market of the first run; with several runs also their gains over each other, by market.

    Raises DataError for a folder that holds no forecasts, and where the runs share no market.
    """
    named = _named(runs)
    first = next(iter(named.values()))
    evidence = [forecast_evidence(track) for track in first.values()]
    if len(runs) < 2:
        return evidence, []
    common = [symbol for symbol in first if all(symbol in tracks for tracks in named.values())]
    if not common:
        raise DataError(" and ".join(named), "have no market in common", fix="name runs on the same market")
    pairs = [{name: tracks[symbol] for name, tracks in named.items()} for symbol in common]
    return evidence, [compare_tracks(one) for one in pairs]


def measure_retraining(run: Path, data: Path | None = None) -> list[PairedSkill]:
    """What retraining is worth on each market of a run, by models of its config, trained now where none are kept."""
    from crossgate.config import load_config
    from crossgate.job import compare_retraining, load_markets
    from crossgate.side_files import data_folder

    config, place = load_config(run / "config.toml", data=data), data_folder(run, data)
    return list(compare_retraining(config, load_markets(config, place)))


def runs_record(runs: Sequence[Path], retraining: bool = False, data: Path | None = None) -> dict[str, Any]:
    """What `measure_runs` found, and `measure_retraining` where it is asked, as JSON can hold it."""
    evidence, compared = measure_runs(runs)
    record: dict[str, Any] = {
        "run": str(runs[0]),
        "markets": {one.skill.symbol: skill_record(one) for one in evidence},
    }
    if alarms := read_retrainings(runs[0]):
        record["retrainings"] = [one._asdict() for one in alarms]
    if compared:
        record["compared"] = {one.symbol: skill_record(one) for one in compared}
    if retraining:
        record["retraining"] = {one.symbol: skill_record(one) for one in measure_retraining(runs[0], data)}
    return record


def print_runs(runs: Sequence[Path], retraining: bool = False, data: Path | None = None) -> None:
    """The verdict on each market, then the tables."""
    evidence, compared = measure_runs(runs)
    compared += measure_retraining(runs[0], data) if retraining else []
    out = open_console()
    for one in evidence:
        verdict = f"{one.skill.symbol}: {one.verdict}"
        out.print(Text(verdict, f"bold {_colour(one.skill)}"), soft_wrap=True)
    headline = skill_table([one.skill for one in evidence])
    alarms = retraining_table(read_retrainings(runs[0]))
    tables = [*([headline] if headline else []), *skill_tables(evidence), *([alarms] if alarms else [])]
    for table in [*tables, *(paired_table(one) for one in compared)]:
        out.print()
        out.print(_rich(table))
    for pair in compared:
        for gain in pair.gains:
            out.print(f"{pair.symbol}: {gain}.", soft_wrap=True)


def _colour(skill: Skill) -> str:
    """Green for skill that no naive forecast has, yellow for skill that one has, too, and where it cannot be told."""
    return "yellow" if skill.short else "red" if not skill.evident else "yellow" if skill.beaten_by else "green"


def _named(runs: Sequence[Path]) -> dict[str, Mapping[str, Track]]:
    """The tracks of each run by the name of its folder; by the whole path where two have the same name."""
    names = [path.resolve().name for path in runs]
    distinct = len(set(names)) == len(names)
    return {name if distinct else str(path): read_tracks(path) for name, path in zip(names, runs, strict=True)}


def _rich(table: Table) -> RichTable:
    made = RichTable(title=table.caption, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, head in enumerate(table.heads):
        made.add_column(head, justify="left" if number in table.text_columns else "right")
    for row in table.rows:
        made.add_row(*(Text(cell.text, _TONES.get(cell.tone, "")) for cell in row))
    return made
