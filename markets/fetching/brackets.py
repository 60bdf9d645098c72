"""Brackets: the margin tiers that a venue states, in the settlement currency, kept by the day of the statement."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foundation.errors import DataError
from markets.fetching.client import Client, dig
from markets.fetching.listing import Listing
from markets.series import SeriesKey, append_rows
from markets.tiers import MarginTiers, maintenance_amounts

_NAMES = {
    "floor": "minNotional",
    "cap": "maxNotional",
    "maintenance_rate": "maintenanceMarginRate",
    "maximum_leverage": "maxLeverage",
}


def fetch_tiers(client: Client, listing: Listing, date: str) -> MarginTiers:
    """The brackets that a venue states now, checked: no gaps, rates that rise, leverages that fall.

    Where a venue counts contracts, they are valued at its mark price of this moment. Raises DataError.
    """
    where = f"{client.venue.key}:{listing.id} tiers"
    rows = client.brackets(listing)
    if not rows:
        raise DataError(where, "was answered without brackets", fix="fetch the rest with --only")
    try:
        columns = {ours: np.array([float(row[theirs]) for row in rows]) for ours, theirs in _NAMES.items()}
    except (KeyError, TypeError, ValueError):
        raise DataError(where, f"has a bracket without a figure: {str(rows[0])[:120]}", fix="try again later") from None
    if (columns["maintenance_rate"] * columns["maximum_leverage"] > 1.0).all():
        # Maintenance never exceeds the margin that the highest leverage leaves: these rates are in percent.
        columns["maintenance_rate"] = columns["maintenance_rate"] / 100.0
    order = np.argsort(columns["floor"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    if client.venue.contract_value is not None:
        value = _contract_value(client, listing)
        columns = {**columns, "floor": columns["floor"] * value, "cap": columns["cap"] * value}
        # The venue counts whole contracts, so a bracket begins one of them above the cap before it.
        columns["floor"][1:] = columns["cap"][:-1]
        columns["floor"][0] = 0.0
    floors, caps, rates, leverages = columns.values()
    return MarginTiers(listing.id, date, floors, caps, rates, leverages, maintenance_amounts(floors, rates), where)


def store_tiers(folder: Path, client: Client, tiers: MarginTiers, source: str, now: int) -> int:
    """The number of brackets that were new in the store of a data folder; 0 where the latest ones say the same."""
    columns = {
        "timestamp": np.full(len(tiers.floors), now, dtype=np.int64),
        "floor": tiers.floors,
        "cap": tiers.caps,
        "maintenance_rate": tiers.rates,
        "maximum_leverage": tiers.leverages,
        "maintenance_amount": tiers.amounts,
    }
    key = SeriesKey(client.venue.key, tiers.symbol, "tiers")
    return append_rows(folder, key, columns, source=source, fetched_at=now).added


def _contract_value(client: Client, listing: Listing) -> float:
    """What one contract is worth in the settlement currency, at the venue's mark price."""
    assert client.venue.contract_value is not None
    name, params, keys = client.venue.contract_value
    words = {key: value.format(id=listing.id) for key, value in params.items()}
    mark = float(dig(client, client.call(name, words), keys))
    return listing.contract_size * mark if listing.kind == "linear" else listing.contract_size / mark
