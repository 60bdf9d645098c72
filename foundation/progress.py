"""Progress of long work, shown on standard error."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], description: str, total: int) -> Generator[T]:
    """The same items, with a progress bar while they are worked through; without a `description` none is shown.

    Drawn on standard error when that is a terminal; elsewhere one line says what is being done. Nothing is shown
    without a description: for the rounds of longer work that has a bar of its own.
    """
    if not description:
        yield from items
        return
    if not sys.stderr.isatty():
        print(f"{description} ({total}) ...", file=sys.stderr, flush=True)
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=description, total=total, console=Console(stderr=True), transient=True)
