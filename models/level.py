"""Level: the odds at which a test of forecasts may take chance for skill, and how many forecasts that takes."""

from __future__ import annotations

SIGNIFICANCE = 0.05
# The fewest forecasts with a known outcome that are called skilled, whatever a test says: the tests were simulated from
# so many on. On fewer one lucky stretch is most of the sample.
LEAST_FORECASTS = 300
# The fewest rows with an error, a test or a coverage of their own: on fewer the tests alarm too often.
LEAST_ROWS = 100
