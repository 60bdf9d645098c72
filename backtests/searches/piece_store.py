"""Piece store: the finished pieces of a sweep in a folder, so that it goes on after it was interrupted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from backtests.exchange.records import Records
from backtests.kernel.tally import TALLY
from foundation.errors import ParameterError
from foundation.files import atomic_file
from foundation.locks import sole_writer

FOLDER, MANIFEST, LOCK = "pieces", "unfinished.json", ".sweep.lock"
SETTINGS_FILE = "settings.parquet"
# The file of a piece, or its scratch file.
PIECE = re.compile(r"\.?[0-9]{12}\.npy")


class PieceStore:
    """The pieces of one sweep below its folder: arrays of TALLY records, each file whole or not there.

    `content`: the fingerprint of all that the tallies hang on, the compiled rules included, and what they are
    cut into. A folder with unfinished pieces of something else is refused.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder = folder / FOLDER
        self._manifest = folder / MANIFEST
        self._content = {str(key): value for key, value in content.items()}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The block that may write pieces; no other process does meanwhile."""
        with sole_writer(self._manifest.with_name(LOCK), "a sweep", patience=1.0):
            self._begin()
            yield

    def _begin(self) -> None:
        try:
            kept = json.loads(self._manifest.read_text("utf-8"))
        except (OSError, ValueError):
            kept = None
        if kept is None:
            self._clear()
        elif kept != self._content:
            where = self._manifest.parent
            fix = f"go on with that, name another folder, or remove {where}"
            raise ParameterError("out", self._strange(kept), value=str(where), fix=fix)
        self.folder.mkdir(parents=True, exist_ok=True)
        if kept is None:
            with atomic_file(self._manifest) as scratch:
                scratch.write_text(json.dumps(self._content, indent=2, sort_keys=True) + "\n", "utf-8")

    def _strange(self, kept: Any) -> str:
        """What a folder holds that these settings cannot go on with."""
        count = kept.get("settings") if isinstance(kept, dict) else None
        what = f"an unfinished sweep of {count:,} settings" if isinstance(count, int) else "an unfinished sweep"
        if count != self._content.get("settings"):
            return f"holds {what}, which are others"
        if kept.get("content") == self._content.get("content"):
            return f"holds {what}, played by another version of crossgate or on another kind of processor"
        return f"holds {what} that differ from these, or were played on other data or forecasts"

    def read(self, begin: int, end: int) -> Records | None:
        """The tallies of the settings from number `begin` to `end`; None where they are not there whole."""
        try:
            tallies = np.load(self._path(begin), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return tallies if tallies.dtype == TALLY and len(tallies) == end - begin else None

    def write(self, begin: int, tallies: Records) -> None:
        """Keeps a piece, which from then on outlasts an interrupt."""
        with atomic_file(self._path(begin)) as scratch, scratch.open("wb") as file:
            np.save(file, tallies, allow_pickle=False)

    def finish(self) -> None:
        """Removes the pieces: the sweep is over, and what it came to is written elsewhere."""
        self._manifest.unlink(missing_ok=True)
        self._clear()

    def _clear(self) -> None:
        """Removes the pieces, and their folder where it holds nothing else."""
        for path in self.folder.glob("*"):
            if PIECE.match(path.name):
                path.unlink()
        with suppress(OSError):
            self.folder.rmdir()

    def _path(self, begin: int) -> Path:
        return self.folder / f"{begin:012d}.npy"
