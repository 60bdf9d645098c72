"""What an examination comes to as JSON can hold it, kept beside the verdict so that nothing has to be played again."""

from __future__ import annotations

from typing import Any

import numpy as np

from backtests.doubts.controls import BANDS, Fan, Luck
from backtests.doubts.distance import SHARES
from backtests.doubts.examination import Examination
from backtests.doubts.playback import Outcome
from markets.candles import FloatArray
from reports.plain import plain


def examined_record(found: Examination) -> dict[str, Any]:
    """All figures of an examination, fans and curves at their points; what is not finite is null."""
    controls, sensitivity = found.controls, found.sensitivity
    record: dict[str, Any] = plain(
        {
            "ours": _outcome(controls.ours) | {"bars_of_a_trade": controls.held},
            "simpler": {name: _outcome(one) for name, one in controls.simpler.items()},
            "random_entries": _luck(controls.random),
            "permuted_forecasts": None if controls.permuted is None else _luck(controls.permuted),
            "attribution": [] if found.attribution is None else [one._asdict() for one in found.attribution.parts],
            "intrabar": {name: _outcome(one) for name, one in sensitivity.intrabar.items()},
            "trades": sensitivity.trades,
            "depending_trades": sensitivity.depending,
            "bound_liquidations": sensitivity.bound,
            "limit_fill": {name: _outcome(one) for name, one in sensitivity.limit_fill.items()},
            "costs": {f"{multiple:g}": _outcome(one) for multiple, one in sensitivity.costs.items()},
            "break_even_costs": sensitivity.break_even,
            "one_bar_late": _outcome(sensitivity.delayed),
            "odds": [one._asdict() for one in found.odds.odds],
            "odds_bars": found.odds.bars,
            "stops": None if found.stops is None else vars(found.stops),
            "distance": {
                one.symbol: {
                    "bars": one.held,
                    "safe": one.safe,
                    "rates": dict(zip(map(str, SHARES), one.rates, strict=True)),
                    "average_true_ranges": dict(zip(map(str, SHARES), one.atrs, strict=True)),
                    "margin_median": one.margin[0],
                    "margin_largest": one.margin[1],
                }
                for one in found.distances
            },
        }
    )
    return record


def _outcome(found: Outcome) -> dict[str, Any]:
    kept = found._asdict()
    del kept["equity"]
    return kept


def _luck(found: Luck) -> dict[str, Any]:
    return {
        "draws": found.draws,
        "p": found.p,
        "place": found.place,
        "trades": found.trades,
        "bars_of_a_trade": found.held,
        "as_many_trades": found.near._asdict(),
        **({} if found.counted is None else {"counted": _outcome(found.counted)}),
        "sharpe": dict(zip(map(str, BANDS), _quantiles(found.sharpe), strict=True)),
        "total_return": dict(zip(map(str, BANDS), _quantiles(found.total_return), strict=True)),
        "fan": _fan(found.fan),
    }


def _fan(fan: Fan) -> dict[str, Any]:
    bands = {f"{level:g}": band.tolist() for level, band in zip(BANDS, fan.bands, strict=True)}
    return {"timestamp": fan.timestamp.tolist(), "ours": fan.ours.tolist(), "bands": bands}


def _quantiles(values: FloatArray) -> list[float]:
    found: list[float] = np.quantile(values, BANDS).tolist()
    return found
