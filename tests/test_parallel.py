"""Work spread over processes: in the order of the calls, and stopped without a sound."""

from __future__ import annotations

import threading

import pytest

from foundation.errors import DataError
from foundation.parallel import processors, run_all


def number(value: int) -> tuple[int, int]:
    """A value and its square, for the workers."""
    return value, value * value


def failing(value: int) -> int:
    """Fails at three, for the workers."""
    if value == 3:
        raise DataError("piece 3", "is broken")
    return value


def test_results_come_in_the_order_of_the_calls_whatever_the_workers(capsys: pytest.CaptureFixture[str]) -> None:
    """One worker or two, the results are the same and in the order asked for; progress goes to standard error."""
    calls = [(value,) for value in range(7)]
    alone = run_all(number, calls, "counting", workers=1)
    assert alone == [(value, value * value) for value in range(7)]
    assert run_all(number, calls, "counting", workers=2) == alone
    assert run_all(number, [], "counting") == []
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "counting (7) ..." in printed.err


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_is_raised_here(workers: int) -> None:
    """A mistake in one piece of work arrives as itself."""
    with pytest.raises(DataError, match="piece 3: is broken"):
        run_all(failing, [(value,) for value in range(5)], "failing", workers=workers)


def test_work_handed_in_while_workers_are_killed_ends_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that hands out work finds a piece nobody waits for any more: it goes on, and ends with its workers."""
    from joblib.externals.loky import process_executor

    complaints: list[object] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    run_all(number, [(value,) for value in range(2)], "counting", workers=2)
    executor = process_executor.ProcessPoolExecutor(max_workers=1)
    assert executor.submit(number, 3).result() == (3, 9)
    manager = executor._executor_manager_thread
    executor._work_ids.put(77)
    executor.shutdown(wait=False, kill_workers=True)
    manager.join(30.0)
    assert not manager.is_alive()
    assert complaints == []
    # Anything else that goes astray is still an error.
    executor._flags.kill_workers = False
    executor._work_ids.put(78)
    with pytest.raises(KeyError, match="78"):
        manager.add_call_item_to_queue()


def test_there_is_a_processor() -> None:
    """The number of usable processors is at least one."""
    assert processors() >= 1
