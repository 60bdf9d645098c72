"""Writers of the store that are killed, that meet each other, and that a reader watches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from test_series import CANDLES, NOW, append, candles, same

from foundation.errors import CrossgateError
from markets.series import append_rows, read_rows

TREE = Path(__file__).resolve().parent.parent
HOLD = """
import sys, time
from pathlib import Path
from markets import series
from test_series import CANDLES, candles, append
write = series.write_manifest
def slow(home, manifest):
    print("writing", flush=True)
    time.sleep(60)
    write(home, manifest)
series.write_manifest = slow
append(Path(sys.argv[1]), candles(range(5)))
"""


def test_kills_and_rivals_break_no_promise_and_every_fault_is_seen() -> None:
    """Writers die at every step and at random and meet each other: nothing is lost, doubled or half-written.

    The same trials end with a broken promise for every fault planted in the store.
    """
    answer = subprocess.run(
        [sys.executable, "tests/store_faults.py"], cwd=TREE, capture_output=True, text=True, check=True
    )
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found.pop("none") is False, answer.stdout
    assert len(found) == 7
    assert [name for name, caught in found.items() if not caught] == [], answer.stdout + answer.stderr


def test_a_second_writer_says_who_holds_the_series_and_goes_on_when_it_dies(tmp_path: Path) -> None:
    """While another process writes, an append waits and names it; readers read; killed, it leaves no trace."""
    append(tmp_path, candles(range(3)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TREE), str(TREE / "tests")))}
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, cwd=TREE, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            who = rf"is being written by process {process.pid} \(an append to binance_usdm:BTCUSDT candles 1h\)"
            with pytest.raises(CrossgateError, match=who):
                append_rows(tmp_path, CANDLES, candles([9]), source="second", fetched_at=NOW, wait_seconds=0.1)
            assert same(read_rows(tmp_path, CANDLES), candles(range(3)))
        finally:
            os.kill(process.pid, signal.SIGKILL)
    assert append(tmp_path, candles(range(6))) == (3, 3, 0)


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    """Appends of several threads come one after the other, and all of them arrive."""
    threads = [threading.Thread(target=append, args=(tmp_path, candles(range(10 * k, 10 * k + 10)))) for k in range(4)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(read_rows(tmp_path, CANDLES), candles(range(40)))
    assert time.monotonic() - start < 60
