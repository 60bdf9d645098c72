"""Checkpoints: the state of a training that may be killed, alone or in a group, so that it can go on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from foundation.errors import DataError
from foundation.files import atomic_file, cache_home
from foundation.fingerprint import fingerprint

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
        """Keeps a state of tensors and plain values."""
        try:
            with atomic_file(self.path) as scratch:
                torch.save(state, scratch)
        except OSError as error:
            fix = "set CROSSGATE_CACHE to a folder that can be written, or pass cache=False"
            raise DataError(self.path, f"cannot be written ({error.strerror})", fix=fix) from None
        self._written = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The state that was kept; None where there is none that is whole."""
        try:
            state: dict[str, Any] = torch.load(self.path, weights_only=True)
        # torch answers a damaged file with almost any kind of error.
        except Exception:  # noqa: BLE001
            return None
        return state

    def remove(self) -> None:
        """Removes the file, if there is one."""
        # A cache folder that is a file holds none either; writing to it says so.
        with suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()


class GroupCheckpoint(Checkpoint):
    """The checkpoint of networks that train as one program, and beside it a file that says which they are.

    `keys`: the fingerprints of all that each training depends on, in the order of the group.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(f"group-{fingerprint(list(keys))}")
        self.keys, self.members = list(keys), self.path.with_suffix(".json")

    def write(self, state: dict[str, Any]) -> None:
        """Keeps a state, and whose it is."""
        super().write(state)
        with atomic_file(self.members) as scratch:
            Path(scratch).write_text(json.dumps(self.keys), "utf-8")

    def remove(self) -> None:
        """Removes both files, if they are there."""
        super().remove()
        with suppress(FileNotFoundError, NotADirectoryError):
            self.members.unlink()


def begun_groups(keys: Collection[str]) -> list[list[str]]:
    """The groups of which a checkpoint is kept and all trainings are among `keys`; none has a member of another."""
    found, free = list[list[str]](), set(keys)
    for path in sorted((cache_home() / "checkpoints").glob("group-*.json")):
        try:
            members = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(members, list) and members and set(members) <= free:
            found.append(members)
            free -= set(members)
    return found
