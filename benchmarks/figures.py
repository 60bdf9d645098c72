"""Figures of benchmarks: each beside its target, counted as met, missed or not measured."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

TREE = Path(__file__).resolve().parent.parent


class Figure(NamedTuple):
    """A measured figure and its target: at least (">=") or at most ("<=")."""

    name: str
    value: float
    relation: str
    target: float
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is met; a figure that is no number meets none."""
        return self.value >= self.target if self.relation == ">=" else self.value <= self.target

    def __str__(self) -> str:
        said = f"{self.name}: {self.value:.4g} {self.relation} {self.target:g}"
        return f"{'met   ' if self.met else 'MISSED'} {said}" + (f"   ({self.note})" if self.note else "")


class NotMeasured(NamedTuple):
    """A figure with a target that could not be measured here, and why not."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"NOT MEASURED {self.name}: {self.why}"


class Tally:
    """How many figures of a benchmark met their targets, missed them, and were not measured."""

    def __init__(self) -> None:
        self.met = self.missed = self.skipped = 0

    def report(self, found: Iterable[Figure | NotMeasured]) -> None:
        """Prints and counts figures as they come."""
        for one in found:
            print(one, flush=True)
            self.count(str(one))

    def count(self, line: str) -> None:
        """Counts the figure that a printed line speaks of, if it does of one."""
        self.skipped += "NOT MEASURED" in line
        self.missed += "MISSED" in line
        self.met += bool(re.search(r"(^|\s)met(\s|$)", line)) and "MISSED" not in line

    def run(self, script: str, *words: str) -> None:
        """Runs a benchmark of its own, shows what it prints and counts it; one that fails without a miss is a miss."""
        before = self.missed
        command = [sys.executable, "-u", script, *words]
        with subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                self.count(line.rstrip())
        if process.returncode and self.missed == before:
            print(f"MISSED {script}: ended with {process.returncode}", flush=True)
            self.missed += 1

    def __str__(self) -> str:
        return f"{self.met} met, {self.missed} missed, {self.skipped} not measured"

    def exit_code(self, require_all: bool) -> int:
        """1 for a miss and, with `require_all`, for a figure that was not measured; else 0."""
        return int(self.missed > 0 or (require_all and self.skipped > 0))
