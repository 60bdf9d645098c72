"""Sealing: a run that reaches into sealed data is let in by opening the seal, or kept out."""

from __future__ import annotations

from backtests.run.result import Result
from foundation.errors import ParameterError
from foundation.seals import check_sealed, open_seal, openings, sealed_from
from foundation.trials import Span, TrialLedger
from reports.certainty import content_of, span_of


def admit(result: Result, ledger: TrialLedger, *, opening: bool = False) -> None:
    """Lets a run be reported on; with `opening` the seals that it reaches into are opened for it, and the ledger knows.

    Raises SealedError where a run reaches into sealed data that was not opened for this very run, and ParameterError
    where there is nothing to open.
    """
    spans, content = [span_of(market, result) for market in result.markets], content_of(result)
    reached = [span for span in spans if _reaches(ledger, span)]
    if opening and not reached:
        fix = "seal a stretch first, and play a run that reaches into it"
        raise ParameterError("open_seal", "the run reaches into nothing that is sealed", fix=fix)
    for span in reached:
        if opening:
            open_seal(ledger, span, content, result.name)
        elif all(one.content != content for one in openings(ledger, span.contract)):
            check_sealed(ledger, [span])


def _reaches(ledger: TrialLedger, span: Span) -> bool:
    first = sealed_from(ledger, span.contract)
    return first is not None and span.last >= first
