"""The command `crossgate seal`: the last stretch of a config's data, kept shut until everything is decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossgate.options import AsJson, ConfigPath, Data, Overrides

if TYPE_CHECKING:
    from markets.market import Market


def seal(
    config: ConfigPath,
    last: Annotated[
        str | None,
        typer.Option("--last", metavar="DURATION", help="How much, such as 180d; else what is sealed is told."),
    ] = None,
    overrides: Overrides = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Seal the last stretch of a config's data.

    Without --last: tell what is sealed, and who opened it.
    """
    from crossgate.config import load_config
    from crossgate.job import load_markets
    from crossgate.run_commands import print_json
    from markets.market import common_span

    markets = common_span(load_markets(load_config(config, overrides or (), data), data))
    if last is not None:
        seal_markets(markets, last)
    told = [seal_record(market) for market in markets]
    if as_json:
        print_json({"seals": told})
        return
    for one in told:
        typer.echo(_line(one))


def seal_markets(markets: Sequence[Market], last: str) -> None:
    """Seals the bars of some markets that open in the last stretch of a length such as "180d"."""
    from crossgate.job import whole_span
    from foundation import seals
    from foundation.errors import ParameterError
    from foundation.trials import TrialLedger
    from foundation.units import nanoseconds

    try:
        length = nanoseconds(last)
    except ValueError as error:
        raise ParameterError("--last", str(error), value=last, fix="such as 180d") from None
    spans = []
    for market in markets:
        whole = whole_span(market)
        first = whole.last + 1 - max(length // market.candles.bar, 1) * market.candles.bar
        if first <= whole.first:
            raise ParameterError("--last", f"leaves no bar of {market.symbol} unsealed", value=last, fix="seal less")
        spans.append(whole._replace(first=first))
    for span in spans:
        seals.check_seal(TrialLedger(), span)
    for span in spans:
        seals.seal(TrialLedger(), span)


def seal_record(market: Market) -> dict[str, Any]:
    """What is sealed of a market's contract, and who opened it, as JSON can hold it."""
    from foundation.seals import openings, sealed_from
    from foundation.trials import TrialLedger
    from markets.candles import utc

    first = sealed_from(TrialLedger(), market.trial_key)
    opened = [] if first is None else openings(TrialLedger(), market.trial_key)
    return {
        "contract": market.contract.key,
        "sealed_from": None if first is None else utc(first),
        "opened_by": [one.name for one in opened],
    }


def _line(record: dict[str, Any]) -> str:
    if record["sealed_from"] is None:
        return f"{record['contract']}: nothing is sealed"
    names = ", ".join(record["opened_by"])
    told = f"opened by {names}" if names else "unbroken"
    return f"{record['contract']}: sealed from {record['sealed_from']} UTC on, {told}"
