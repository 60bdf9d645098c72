"""Level: the odds at which a test of forecasts may take chance for skill."""

from __future__ import annotations

SIGNIFICANCE = 0.05
