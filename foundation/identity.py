"""Identity: which crossgate this is, so that two that are not the same never work on one result."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# The rooms that decide what a run comes to; what is said of it afterwards is none of its versions.
ROOMS = ("foundation", "markets", "models", "strategies", "backtests")


@cache
def own_sources() -> str:
    """The fingerprint of the sources that decide, with contracts and brackets: another one for every change."""
    # Here, so that --help loads no numpy.
    from foundation.fingerprint import tree_fingerprint

    root = Path(__file__).resolve().parent.parent
    return tree_fingerprint([root / room for room in ROOMS], (".py", ".toml", ".csv"))


@cache
def own_identity() -> str:
    """The version of crossgate and the fingerprint of its sources, as a person can compare them."""
    try:
        number = version("crossgate")
    except PackageNotFoundError:
        number = "not installed as a package"
    return f"crossgate {number}, sources {own_sources()}"
