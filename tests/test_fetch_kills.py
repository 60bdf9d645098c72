"""A fetch that is killed at any moment: nothing is lost, nothing is there twice, and the next run completes it."""

from __future__ import annotations

from pathlib import Path

from fetch_desk import truth
from fetch_kills import kill_often
from venue_server import serving
from venue_truth import DAY, LISTED


def test_killed_fetches_end_like_one_that_was_left_alone(tmp_path: Path) -> None:
    """Three SIGKILLs at random moments of real processes leave whole rows each time, and the same store in the end.

    `benchmarks/fetch_kills.py` does it fifty times over three years.
    """
    with serving(truth(now=LISTED + 120 * DAY)) as served:
        done = kill_often(served, tmp_path, 3, venue="binance_usdm", bar="1h", since="2023-01-01", archive=True)
    assert done.kills == 3
    assert done.broken == 0
    assert done.whole
    assert done.same_as_undisturbed
