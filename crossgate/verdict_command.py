"""The command `crossgate verdict`: where a run stops on the ladder, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossgate.options import AsJson, Data, RunPath

if TYPE_CHECKING:
    from rich.console import Console

    from reports.verdict import Verdict

_MARKS = {"passed": ("+", "green"), "failed": ("x", "bold red"), "unknown": ("?", "yellow"), "not asked": ("-", "dim")}


def verdict(run: RunPath, data: Data = None, as_json: AsJson = False) -> None:
    """Say which rung of the ladder a run does not climb, and why."""
    from crossgate.judging import judge_run
    from crossgate.run_commands import print_json

    found = judge_run(run, data)
    if as_json:
        print_json(found.record())
    else:
        print_verdict(found)


def print_verdict(found: Verdict) -> None:
    """The verdict and its ladder."""
    from crossgate.terminal import open_console

    console = open_console()
    print_headline(console, found.record())
    for one in found.rungs:
        mark, colour = _MARKS[one.state]
        console.print(f"  {mark} {one.number} {one.title}: {one.text}", style=colour, markup=False)


def print_headline(console: Console, record: dict[str, Any]) -> None:
    """The rung, the headline and the reason of a stored verdict."""
    from reports.verdict import RUNGS, place

    colour = "bold red" if record["rung"] < RUNGS - 1 else "bold green"
    console.print(f"Verdict, {place(record['rung'])}: {record['headline']}", style=colour, markup=False)
    console.print(record["reason"], markup=False)
