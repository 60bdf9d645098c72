"""Checkpoints: the state of a training that may be killed, so that it can go on where it was."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import torch

from foundation.errors import DataError
from foundation.files import atomic_file, cache_home

# A training that is shorter than this never writes one.
SECONDS = 20.0


class Checkpoint:
    """The file that keeps one training's state while it runs: whole or not at all, gone when the training is done.

    `key`: the fingerprint of all that the training depends on. A training that goes on from it comes to the same
    bits as one that was never stopped. A file that is damaged is as good as none.
    """

    def __init__(self, key: str) -> None:
        self.path = cache_home() / "checkpoints" / f"{key}.pt"
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last one is old enough for the next."""
        return time.monotonic() - self._written >= SECONDS

    def write(self, state: dict[str, Any]) -> None:
        """Keeps a state of tensors and plain values, with torch's random state."""
        try:
            with atomic_file(self.path) as scratch:
                torch.save({**state, "torch random": torch.get_rng_state()}, scratch)
        except OSError as error:
            fix = "set CROSSGATE_CACHE to a folder that can be written, or pass cache=False"
            raise DataError(self.path, f"cannot be written ({error.strerror})", fix=fix) from None
        self._written = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The state that was kept, torch's random state set back to it; None where there is none that is whole."""
        try:
            state: dict[str, Any] = torch.load(self.path, weights_only=True)
            torch.set_rng_state(state.pop("torch random"))
        # torch answers a damaged file with almost any kind of error.
        except Exception:  # noqa: BLE001
            return None
        return state

    def remove(self) -> None:
        """Removes the file, if there is one."""
        # A cache folder that is a file holds none either; writing to it says so.
        with suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()
