"""The word on standard error that says why the first run takes its time: the trading rules are being compiled."""

from __future__ import annotations

import sys
import time
from multiprocessing import parent_process

from numba.core.event import Event, Listener

# Seconds of compiling after which people are told why they wait.
PATIENCE = 1.0
TEXT = "Compiling the trading rules, once for this version and processor"


class CompilationNotice(Listener):
    """Says on standard error that rules are being compiled, once they have taken longer than PATIENCE seconds.

    A terminal shows how many there are by now; elsewhere one line says it once. Worker processes say nothing.
    """

    def __init__(self) -> None:
        self.depth, self.rules, self.begun, self.said = 0, 0, 0.0, False

    def on_start(self, event: Event) -> None:
        """A rule begins to be compiled, or one that it calls."""
        if self.depth == 0:
            self.begun = time.monotonic()
        self.depth += 1

    def on_end(self, event: Event) -> None:
        """A rule has been compiled."""
        self.depth -= 1
        self.rules += 1
        live, waited = sys.stderr.isatty(), time.monotonic() - self.begun
        if (waited < PATIENCE and not self.said) or parent_process() is not None:
            return
        if live:
            sys.stderr.write("\r\033[K" if self.depth == 0 else f"\r{TEXT}: {self.rules} ")
            sys.stderr.flush()
        elif not self.said:
            sys.stderr.write(f"{TEXT} ...\n")
        self.said = True
