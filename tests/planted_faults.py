"""Planted faults: a module with one mistake in its source, to show that a test notices it."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType


def mutated(name: str, right: str, wrong: str) -> ModuleType:
    """The module `name` with one piece of its source replaced; its compiled functions run as plain Python.

    Raises AssertionError where the piece does not stand there exactly once. The true module is untouched.
    """
    honest = importlib.import_module(name)
    source = Path(str(honest.__file__)).read_text("utf-8")
    assert source.count(right) == 1, f"{right!r} stands {source.count(right)} times in {name}"
    faulty = ModuleType(f"{name}_with_a_fault")
    faulty.__file__ = honest.__file__
    sys.modules[faulty.__name__] = faulty
    try:
        plain = re.sub(r"@rule(\([a-z_]+=True\))?\n", "", source.replace(right, wrong))
        exec(compile(plain, f"{name} with a fault", "exec"), faulty.__dict__)
    finally:
        del sys.modules[faulty.__name__]
    return faulty
