"""Progress of long work, shown on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], description: str, total: int) -> Generator[T]:
    """The same items, with a progress bar while they are worked through; without a `description` none is shown.

    Drawn on standard error when that is a terminal; elsewhere one line says what is being done. Nothing is shown
    without a description: for the rounds of longer work that has a bar of its own.
    """
    with _shown(description, total) as bar:
        yield from items if bar is None else bar.track(items, total=total, description=description)


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[float], None]]:
    """As `progress`, for work that says itself how much is done: it calls what is yielded, with up to `total`."""
    with _shown(description, total) as bar:
        if bar is None:
            yield untold
        else:
            task = bar.add_task(description, total=total)
            yield lambda done: bar.update(task, completed=done)


def untold(_done: float) -> None:
    """In the place of a bar where none is shown."""


@contextmanager
def _shown(description: str, total: int) -> Iterator[Any]:
    """What draws bars on a terminal; None elsewhere, after one line if there is something to say."""
    if description and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            yield bar
        return
    if description:
        print(f"{description} ({total}) ...", file=sys.stderr, flush=True)
    yield None
