"""The tree that crossgate was started from, and the check that its rooms are its own."""

import importlib.util
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
ROOMS = ("foundation", "markets", "models", "strategies", "backtests", "reports", "witness")


def check_tree() -> None:
    """Raises ImportError when a package of another project stands in for one of ours.

    The rooms have generic names, so a stranger earlier on the import path could hide one of them.
    """
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        ours = TREE / room / "__init__.py"
        if spec is None or spec.origin is None or Path(spec.origin).resolve() != ours:
            found = "nothing" if spec is None else spec.origin or list(spec.submodule_search_locations or ())
            raise ImportError(
                f"crossgate needs its own package {room!r} at {ours.parent}, but Python finds {found}; "
                "remove or rename the stranger, or start Python in another folder"
            )
