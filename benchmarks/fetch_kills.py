"""A fetch of three years killed at 50 random moments, next to one left alone: `python benchmarks/fetch_kills.py`.

Real processes fetch candles, mark prices and funding from a venue on this machine and are ended by SIGKILL. After
each kill the stored rows have to be rows of the venue, each once; in the end all of them. Exits with 1 on a miss.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fetch_desk import truth
from fetch_kills import kill_often
from venue_server import serving
from venue_truth import DAY, LISTED

KILLS = 50
DAYS = 1096
# By pages, through months of an archive and pages, and by pages that a venue hands out newest first.
RUNS = (("binance_usdm", False, KILLS), ("binance_usdm", True, 10), ("bybit_linear", False, 10))


def main() -> int:
    """Prints what the kills left, beside the target; 1 where a row was lost, doubled or changed."""
    missed = 0
    for venue, archive, kills in RUNS:
        began = time.process_time()
        with tempfile.TemporaryDirectory() as folder, serving(truth(now=LISTED + DAYS * DAY)) as served:
            done = kill_often(
                served, Path(folder), kills, venue=venue, bar="1h", since="2023-01-01", archive=archive
            )  # fmt: skip
        good = done.broken == 0 and done.whole and done.same_as_undisturbed and done.kills == kills
        missed += not good
        by = "archive and pages" if archive else "pages"
        print(
            f"{venue}, three years of 1h by {by}: {done.kills} kills (target {kills}) at {done.spread} states, "
            f"{done.broken} left wrong rows (target 0), whole in the end: {done.whole}, the same as undisturbed: "
            f"{done.same_as_undisturbed} (targets True); {time.process_time() - began:.0f} s of CPU here"
        )
    print("missed" if missed else "met")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
