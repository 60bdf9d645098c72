"""Mistakes that a person can mend: each is one line that says what, where and how."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class CrossgateError(Exception):
    """A mistake in what was asked for or handed in; its text is one readable line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    def __reduce__(self) -> tuple[Any, ...]:
        """The recipe by which a worker process sends the error home, whatever its constructor takes."""
        return _restored, (type(self), str(self), self.__dict__)


class ParameterError(CrossgateError):
    """A parameter that is unknown, missing, of the wrong unit or out of range.

    The text is `key = value: problem; fix`. `key` is the full name, such as `risk.leverage`.
    """

    def __init__(self, key: str, problem: str, *, value: object = None, fix: str = "") -> None:
        shown = key if value is None else f"{key} = {_shorten(value)}"
        super().__init__(f"{shown}: {problem}{'; ' + fix if fix else ''}")
        self.key = key


class DataError(CrossgateError):
    """Market data that cannot be used as it is: names the file, the row and the defect."""

    def __init__(self, where: object, problem: str, *, fix: str = "") -> None:
        super().__init__(f"{where}: {problem}{'; ' + fix if fix else ''}")


class LookAheadError(CrossgateError):
    """A forecast whose model has seen the bar it forecasts from, or a later one."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """The text `did you mean "x"?` for the known word nearest to a typo, else the known words."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else f"known: {', '.join(names)}"


def _restored(kind: type[CrossgateError], message: str, state: dict[str, Any]) -> CrossgateError:
    error = kind.__new__(kind)
    CrossgateError.__init__(error, message)
    error.__dict__.update(state)
    return error


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
