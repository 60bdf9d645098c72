"""Progress: a bar on a terminal, one line elsewhere, and nothing without a description."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

import pytest

from foundation.progress import progress, progress_bar


class Terminal(io.StringIO):
    """A standard error on which bars are drawn."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of a hundred columns. A test puts it in the place of standard error, which pytest sets before."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_items_move_a_bar(terminal: Terminal) -> None:
    """The same items; the bar ends at all of them."""
    with redirect_stderr(terminal):
        assert list(progress(iter("abcd"), "Working", 4)) == list("abcd")
    assert "Working" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_work_tells_its_bar(terminal: Terminal) -> None:
    """What is done in part is drawn in part."""
    with redirect_stderr(terminal), progress_bar("Training", 8) as told:
        told(2.0)
    assert " 25%" in terminal.getvalue()
    assert "100%" not in terminal.getvalue()


def test_elsewhere_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal what is being done is said once; without a description nothing is."""
    with progress_bar("Training", 8) as told:
        told(2.0)
    assert list(progress([1, 2], "Working", 2)) == [1, 2]
    assert capsys.readouterr().err == "Training (8) ...\nWorking (2) ...\n"
    with progress_bar("", 8) as told:
        told(2.0)
    assert list(progress([1, 2], "", 2)) == [1, 2]
    assert capsys.readouterr().err == ""
