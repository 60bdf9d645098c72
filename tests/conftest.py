"""What all tests share: the seed of random examples, and where real data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: the first call of a compiled rule takes a while. Derandomised: a failure is a failure again.
settings.register_profile("crossgate", deadline=None, derandomize=True)
settings.load_profile("crossgate")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real market data; tests that need it are skipped where there is none."""
    named = os.environ.get("CROSSGATE_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "ohlcv").is_dir():
        pytest.skip("no real market data here: set CROSSGATE_DATA to a folder with ohlcv/, funding/ and mark/")
    return folder
