"""Options that several commands take: written once, and Ctrl-C is told the same way by every search."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from backtests.searches.search import read_search
from crossgate.options import searching
from foundation.errors import ParameterError
from foundation.trials import TrialLedger


def test_an_interrupted_search_says_what_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 130 and one line on standard error; other faults come through as they are."""
    with pytest.raises(typer.Exit) as caught, searching(None, "what is missing"):
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "crossgate: interrupted; the same command goes on with what is missing\n"
    with pytest.raises(ZeroDivisionError), searching(None, "what is missing"):
        raise ZeroDivisionError


def test_a_search_is_read_once(tmp_path: Path) -> None:
    """Keywords that are left out have their defaults; what makes no sense is refused before anything is played."""
    ledger = TrialLedger(tmp_path)
    found = read_search({"risk.leverage": "1:5"}, {"ledger": ledger, "seed": 3, "constraints": ("trades>=5",)})
    assert (found.trials, found.seed, found.workers, found.storage) == (200, 3, None, None)
    assert [one.metric for one in found.goals.objectives] == ["sharpe"]
    assert len(found.goals.constraints) == 1
    assert found.ledger is ledger
    with pytest.raises(ParameterError, match="should be a whole number, 1 or more"):
        read_search({"risk.leverage": "1:5"}, {"trials": 0})
    with pytest.raises(TypeError, match="trails"):
        read_search({"risk.leverage": "1:5"}, {"trails": 5})  # type: ignore[typeddict-unknown-key]
