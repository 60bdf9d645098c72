"""Seals: the last stretch of data, kept shut until everything is decided, and opened once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from foundation.errors import CrossgateError, ParameterError
from foundation.trials import Span, TrialLedger


class SealedError(CrossgateError):
    """Data that is sealed, and was asked for without opening the seal."""


@dataclass(frozen=True)
class Opening:
    """What opened a seal: the content (fingerprint) of the settings it was opened for, and their name."""

    span: Span
    content: str
    name: str


def seal(ledger: TrialLedger, span: Span) -> None:
    """Seals a contract from `span.first` on; `span.last` says how far its data reached then.

    A contract can be sealed again from bars that came later. Raises ParameterError where `check_seal` does.
    """
    with ledger.turn() as write:
        check_seal(ledger, span)
        current = sealed_span(ledger, span.contract)
        if current is None or current.first != span.first:
            write("seal", {"span": list(span)})


def check_seal(ledger: TrialLedger, span: Span) -> None:
    """Raises ParameterError where a contract cannot be sealed from `span.first` on.

    What lies before a seal has been seen; what lies in it, up to the last bar that it held or that an opening showed,
    is seen or kept for its own opening. A seal that moved on inside would let go of bars without one.
    """
    current = sealed_span(ledger, span.contract)
    if current is None or span.first == current.first:
        return
    if span.first < current.first:
        problem = "is sealed from a later moment already, and what lies before that has been seen"
        raise ParameterError("seal", problem, value=span.contract, fix="seal the data that comes next")
    last = max([current.last, *(one.span.last for one in openings(ledger, span.contract))])
    if span.first <= last:
        problem = f"is sealed from {_utc(current.first)} UTC on already; a seal is opened, never moved on inside"
        fix = f"open it, once, when everything is decided; another one can begin with bars after {_utc(last)} UTC"
        raise ParameterError("seal", problem, value=span.contract, fix=fix)


def sealed_from(ledger: TrialLedger, contract: str) -> int | None:
    """The open of a contract's first sealed bar, UTC nanoseconds; None where nothing is sealed."""
    found = sealed_span(ledger, contract)
    return None if found is None else found.first


def sealed_span(ledger: TrialLedger, contract: str) -> Span | None:
    """The stretch of a contract that is sealed, as far as its data reached then; None where nothing is."""
    found = [one for body in ledger.bodies("seal") if (one := Span.read(body["span"])).contract == contract]
    return max(found, key=lambda one: one.first) if found else None


def check_sealed(ledger: TrialLedger, spans: Iterable[Span]) -> None:
    """Raises SealedError where a span reaches into data that is sealed."""
    for span in spans:
        first = sealed_from(ledger, span.contract)
        if first is not None and span.last >= first:
            since = _utc(first)
            # A made market has no dates to end at, only a number of bars.
            made = span.contract.startswith("synthetic:")
            end = "play fewer bars (market.bars)" if made else f"end before it (market.end = {since!r})"
            fix = f"{end}, or open the seal with crossgate backtest --open-seal, once, when everything is decided"
            raise SealedError(f"{span.contract}: its last stretch is sealed, from {since} UTC on; {fix}")


def open_seal(ledger: TrialLedger, span: Span, content: str, name: str) -> tuple[Opening, ...]:
    """The openings of a contract's seal before this one, oldest first; none of them means that it was unbroken.

    The ledger remembers each. The same content opens it as often as it likes: that shows nothing new.
    Raises ParameterError where nothing is sealed.
    """
    with ledger.turn() as write:
        first = sealed_from(ledger, span.contract)
        if first is None:
            raise ParameterError("seal", "nothing is sealed", value=span.contract, fix="seal its last stretch first")
        before = openings(ledger, span.contract)
        if all(one.content != content for one in before):
            write("opening", {"span": [span.contract, first, span.last], "content": content, "name": name})
    return tuple(one for one in before if one.content != content)


def openings(ledger: TrialLedger, contract: str) -> tuple[Opening, ...]:
    """Every opening of the current seal of a contract, oldest first."""
    first = sealed_from(ledger, contract)
    found = [_opening(body) for body in ledger.bodies("opening")]
    return tuple(one for one in found if one.span[:2] == (contract, first))


def _opening(body: dict[str, Any]) -> Opening:
    return Opening(Span.read(body["span"]), str(body["content"]), str(body["name"]))


def _utc(stamp: int) -> str:
    return datetime.fromtimestamp(stamp // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
