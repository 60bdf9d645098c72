"""The terminal: where the command line prints to."""

from __future__ import annotations

import sys

from rich.console import Console


def open_console() -> Console:
    """Standard output; lines are folded in a terminal only."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())
