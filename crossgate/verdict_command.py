"""The command `crossgate verdict`: where a run stops on the ladder, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from crossgate.options import AsJson, Data, RunPath

if TYPE_CHECKING:
    from reports.verdict import Verdict

_MARKS = {"passed": ("+", "green"), "failed": ("x", "bold red"), "unknown": ("?", "yellow"), "not asked": ("-", "dim")}


def verdict(run: RunPath, data: Data = None, as_json: AsJson = False) -> None:
    """Say which rung of the ladder a run does not climb, and why.

    Exit code 1 for a folder that was altered.
    """
    from crossgate.judging import judge_run
    from crossgate.run_commands import print_json
    from reports.fingerprints import altered_files
    from reports.stored_verdict import stored_record

    kept, found = stored_record(run), judge_run(run, data)
    altered = altered_files(run)
    before = None if kept is None else int(kept["verdict"]["rung"])
    if as_json:
        altered_list = None if altered is None else list(altered)
        print_json({**found.record(), "rung_when_written": before, "altered": altered_list})
    else:
        print_verdict(found, before, altered)
    if altered:
        raise typer.Exit(1)


def print_verdict(found: Verdict, before: int | None, altered: Sequence[str] | None) -> None:
    """The verdict and its ladder; `before`: the rung when the run was written, `altered`: what was changed since."""
    from crossgate.summary import coloured
    from crossgate.terminal import open_console
    from reports.fingerprints import FILE, alteration
    from reports.summary import Summary, verdict_lines
    from reports.verdict import place

    console = open_console()
    if altered:
        console.print(alteration(altered), style="bold red", markup=False)
    console.print(coloured(Summary(tuple(verdict_lines(found.record())))))
    if before is not None and before != found.rung:
        console.print(f"When it was written it stood on {place(before)}.", style="yellow", markup=False)
    for one in found.rungs:
        mark, colour = _MARKS[one.state]
        console.print(f"  {mark} {one.number} {one.title}: {one.text}", style=colour, markup=False)
    if altered is None:
        text = f"The folder keeps no {FILE}, so whether a file of it was altered cannot be told."
        console.print(text, style="yellow", markup=False)
