"""Locks: one writer at a time, whatever happens to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from foundation.errors import CrossgateError
from foundation.locks import sole_writer

TREE = Path(__file__).resolve().parent.parent
HOLD = """
import sys, time
from pathlib import Path
from foundation.locks import sole_writer
with sole_writer(Path(sys.argv[1]), "a long write"):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock, once it has said so."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], cwd=TREE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_told_who_holds_the_place(tmp_path: Path) -> None:
    """A writer that waits in vain names the process and what it does."""
    with hold(tmp_path / "lock") as process:
        try:
            with (
                pytest.raises(CrossgateError, match=rf"process {process.pid} \(a long write\)"),
                sole_writer(tmp_path / "lock", "mine", patience=0.1),
            ):
                pytest.fail("two writers at once")
        finally:
            process.kill()


def test_a_killed_writer_holds_nothing(tmp_path: Path) -> None:
    """The lock of a process that was killed is free at once."""
    with hold(tmp_path / "lock") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with sole_writer(tmp_path / "lock", "mine", patience=1.0):
        assert f"process {os.getpid()}" in (tmp_path / "lock.holder").read_text()
    assert not (tmp_path / "lock.holder").exists()


def test_threads_take_turns(tmp_path: Path) -> None:
    """Of many threads only one is ever inside."""
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(5):
            with sole_writer(tmp_path / "lock", "count"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.001)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_an_error_in_the_block_frees_the_place(tmp_path: Path) -> None:
    """What goes wrong inside comes out, and the next writer gets in."""
    with pytest.raises(ValueError, match="inside"), sole_writer(tmp_path / "lock", "mine"):
        raise ValueError("inside")
    with sole_writer(tmp_path / "lock", "mine", patience=0.1):
        pass


@pytest.mark.parametrize("place", ["file/inside/lock", "closed/lock"])
def test_a_place_that_cannot_be_written_to_is_said(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the place of a folder, or a folder of somebody else: one line."""
    from filelock import FileLock

    (tmp_path / "file").touch()
    if place.startswith("closed"):
        denied = PermissionError(13, "Permission denied")
        monkeypatch.setattr(FileLock, "acquire", lambda *_, **__: (_ for _ in ()).throw(denied))
    with (
        pytest.raises(CrossgateError, match=r"cannot be written to \(.+\); name a place you may write to"),
        sole_writer(tmp_path / place, "mine"),
    ):
        pytest.fail("written nowhere")
