"""Interpretation in tables: what networks rest on, for a page, a run folder and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.interpretation import FORGET, Interpretation
from reports import formats
from reports.tables import Cell, Table

TABLE = "interpretation"
# Bars of an attribution that are told apart from those before them.
LATEST_BARS = 8


def importance_table(found: Interpretation) -> Table:
    """Each feature by its importance, with the share of the attributions that it has and how recent they are."""
    shares = dict(zip(found.features, found.attributions.T, strict=True))
    total = float(found.attributions.sum()) or 1.0
    rows = []
    for one in found.importance:
        # The variance base is shown as several columns, which change places together.
        own = shares.get(one.feature, sum(v for k, v in shares.items() if k not in _shuffled_alone(found)))
        sizes = np.asarray(own)
        errors = one.rise / one.error if one.error > 0.0 else 0.0
        recent = float(sizes[-LATEST_BARS:].sum() / sizes.sum()) if sizes.sum() > 0.0 else None
        cells = (
            formats.decimal(one.rise, digits=5, signed=True),
            formats.decimal(one.error, digits=5),
            formats.decimal(errors, digits=1, signed=True),
            formats.percent(float(sizes.sum()) / total),
            formats.percent(recent),
        )
        rows.append(
            [
                Cell(one.feature),
                *(Cell(text, "loss" if number == 0 and one.rise < 0 else "") for number, text in enumerate(cells)),
            ]
        )
    heads = ["Feature", "Loss rises by", "its error", "in errors", "Attributions", f"of the last {LATEST_BARS} bars"]
    loss = f"{found.loss}, {formats.decimal(found.mean_loss)} a bar"
    caption = f"{found.symbol}: {loss}; what it rises by when a feature is shuffled in blocks"
    return Table(caption, heads, rows)


def _shuffled_alone(found: Interpretation) -> set[str]:
    return {one.feature for one in found.importance}


def memory_sentence(found: Interpretation) -> str:
    """How long the units of the networks remember."""
    low, middle, high = (formats.count(float(value)) for value in np.quantile(found.memory, [0.0, 0.5, 1.0]))
    return (
        f"{found.symbol}: the units of the networks remember from {low} to {high} bars, half of them {middle} or fewer."
    )


def interpretation_record(found: Interpretation) -> dict[str, Any]:
    """Importance, attributions and memories as JSON can hold them; what varies over time stands in the table."""
    return {
        "bars": found.bars,
        "loss": found.loss,
        "mean_loss": found.mean_loss,
        "importance": [one._asdict() for one in found.importance],
        "features": list(found.features),
        "attributions": found.attributions.tolist(),
        "attribution_gap": found.gap,
        "memory": found.memory.tolist(),
    }


def interpretation_frame(several: Sequence[Interpretation]) -> pd.DataFrame:
    """A row a bar: timestamp (bar OPEN), symbol, the coefficient of each feature, and the forget gates."""
    return pd.concat([_frame(one) for one in several], ignore_index=True)


def _frame(found: Interpretation) -> pd.DataFrame:
    columns: dict[str, Any] = {"timestamp": pd.to_datetime(found.timestamp, utc=True), "symbol": found.symbol}
    if found.coefficients is not None:
        columns |= {f"coefficient {name}": found.coefficients[:, at] for at, name in enumerate(found.features)}
    return pd.DataFrame(columns | {f"forget gates, {name}": found.forget[:, at] for at, name in enumerate(FORGET)})
