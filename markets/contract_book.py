"""The contract book: contracts that were fetched, with their days, in `contracts/` of a data folder."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from foundation.errors import DataError, ParameterError
from foundation.files import atomic_file
from markets.contract import Contract, find_contract

_KEY = re.compile(r"([A-Za-z0-9_]+):([A-Za-z0-9][A-Za-z0-9._-]*)")


def book_path(folder: str | Path, venue: str, symbol: str) -> Path:
    """The file of one contract below a data folder; it holds one table for each day on which the figures changed."""
    return Path(folder) / "contracts" / f"{venue}_{symbol}.toml"


def read_book(folder: str | Path, venue: str, symbol: str) -> list[Contract]:
    """The contracts of a file, the earliest first; none where there is no file. Raises DataError."""
    path = book_path(folder, venue, symbol)
    if not path.is_file():
        return []
    try:
        tables: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))["contract"]
        contracts = [Contract(**table) for table in tables]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ParameterError) as error:
        raise DataError(
            path, f"is no book of contracts ({error})", fix="remove it and fetch the contract again"
        ) from None
    return sorted(contracts, key=lambda contract: contract.date)


def write_contract(folder: str | Path, contract: Contract) -> bool:
    """Whether a contract was put into its book: not where the latest there has the same figures.

    One of the same day gives way; those of other days stay.
    """
    book = read_book(folder, contract.venue, contract.symbol)
    if book and _figures(book[-1]) == _figures(contract):
        return False
    book = [*(one for one in book if one.date != contract.date), contract]
    tables = [one.model_dump(mode="json", exclude_none=True) for one in sorted(book, key=lambda one: one.date)]
    with atomic_file(book_path(folder, contract.venue, contract.symbol)) as scratch:
        scratch.write_text(tomli_w.dumps({"contract": tables}), "utf-8")
    return True


def latest_contract(folder: str | Path, key: str) -> Contract | None:
    """The latest contract named `venue:symbol` in the book of a data folder, or None."""
    found = _KEY.fullmatch(key)
    book = read_book(folder, found[1], found[2]) if found else []
    return book[-1] if book else None


def find_traded(folder: str | Path, key: str) -> Contract:
    """The contract of a run: the latest one fetched into the data folder, else the registered one.

    Raises ParameterError where there is neither.
    """
    return latest_contract(folder, key) or find_contract(key)


def _figures(contract: Contract) -> dict[str, Any]:
    return contract.model_dump(exclude={"date"})
