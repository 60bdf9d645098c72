"""Seals: the last stretch of data is looked at once, and the ledger remembers."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from foundation import seals
from foundation.errors import ParameterError
from foundation.seals import SealedError, check_sealed, open_seal, openings, seal, sealed_from
from foundation.trials import Span, TrialLedger

BTC = "binance_usdm:BTCUSDT"
LAST = Span(BTC, 500, 600)


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    """A ledger in which BTC is sealed from 500 on."""
    made = TrialLedger(tmp_path)
    seal(made, LAST)
    return made


def test_sealed_data_is_refused(ledger: TrialLedger) -> None:
    """A span that reaches one bar into the sealed stretch is refused; one that ends before it is not."""
    check_sealed(ledger, [Span(BTC, 0, 499), Span("binance_usdm:ETHUSDT", 0, 900)])
    with pytest.raises(SealedError, match=r"its last stretch is sealed.*end before it \(market\.end = '1970-01-01"):
        check_sealed(ledger, [Span(BTC, 0, 500)])
    made = "synthetic:DEMOUSDT 0123"
    seal(ledger, Span(made, 500, 999))
    with pytest.raises(SealedError, match=r"play fewer bars \(market\.bars\), or open") as refused:
        check_sealed(ledger, [Span(made, 0, 999)])
    assert "market.end" not in str(refused.value)


def test_an_opening_is_remembered(ledger: TrialLedger) -> None:
    """The first opening finds the seal unbroken; another one is told of the first."""
    assert open_seal(ledger, LAST, "settings a", "first") == ()
    (before,) = open_seal(ledger, LAST, "settings b", "second")
    assert (before.content, before.name) == ("settings a", "first")
    assert len(openings(ledger, BTC)) == 2


def test_the_same_settings_open_a_seal_once(ledger: TrialLedger) -> None:
    """A run that is made again shows nothing new, and is not counted."""
    assert open_seal(ledger, LAST, "settings a", "first") == ()
    assert open_seal(ledger, LAST, "settings a", "again") == ()
    assert len(openings(ledger, BTC)) == 1


def test_a_seal_moves_forward_only(ledger: TrialLedger) -> None:
    """What comes after is sealed anew, with no opening yet; what lies before cannot be sealed any more."""
    open_seal(ledger, LAST, "settings a", "first")
    seal(ledger, Span(BTC, 700, 800))
    assert sealed_from(ledger, BTC) == 700
    assert openings(ledger, BTC) == ()
    with pytest.raises(ParameterError, match="from a later moment"):
        seal(ledger, Span(BTC, 500, 800))


@pytest.mark.parametrize("opened", [False, True])
def test_a_seal_is_not_slipped_off(ledger: TrialLedger, opened: bool) -> None:
    """One that moved on inside would show bars without an opening: refused, up to the last bar held or shown."""
    through = 600
    if opened:
        through = 650
        open_seal(ledger, LAST._replace(last=through), "settings a", "first")
    head = ledger.head()
    for first in (501, 600, through):
        with pytest.raises(ParameterError, match=r"sealed from 1970-01-01 .* already.*open it, once.*after 1970-01-01"):
            seal(ledger, Span(BTC, first, 800))
    assert (ledger.head(), sealed_from(ledger, BTC)) == (head, 500)
    with pytest.raises(SealedError):
        check_sealed(ledger, [Span(BTC, 0, 550)])
    seal(ledger, Span(BTC, through + 1, 800))
    assert sealed_from(ledger, BTC) == through + 1


def test_sealing_twice_is_sealing_once(ledger: TrialLedger) -> None:
    """The same seal again writes nothing."""
    head = ledger.head()
    seal(ledger, LAST)
    assert ledger.head() == head


def test_nothing_sealed_has_no_seal_to_open(tmp_path: Path) -> None:
    """A contract that was never sealed says so."""
    with pytest.raises(ParameterError, match="nothing is sealed"):
        open_seal(TrialLedger(tmp_path), LAST, "settings", "first")


def test_of_two_that_open_at_once_one_is_told_of_the_other(
    ledger: TrialLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first reads stays true until it has written: the second reads after it, however slow the first is."""
    found: list[int] = []

    def slowly(*given: Any) -> Any:
        known = openings(*given)
        time.sleep(0.1)
        return known

    def opens(name: str) -> None:
        found.append(len(open_seal(TrialLedger(ledger.folder), LAST, f"settings {name}", name)))

    monkeypatch.setattr(seals, "openings", slowly)
    both = [threading.Thread(target=opens, args=(name,)) for name in "ab"]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(found) == [0, 1]


@pytest.mark.parametrize(
    ("bar", "opens", "refused"), [(1, 499, False), (1, 500, True), (24, 476, False), (24, 477, True)]
)
def test_a_longer_bar_does_not_look_through_a_seal(ledger: TrialLedger, bar: int, opens: int, refused: bool) -> None:
    """A bar reaches up to its close: one that opens before the seal and closes behind its first moment is refused."""
    spans = [Span.of_bars(BTC, 0, opens, bar)]
    with pytest.raises(SealedError) if refused else nullcontext():
        check_sealed(ledger, spans)
