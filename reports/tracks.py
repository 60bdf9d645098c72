"""Tracks on disk: the forecasts of a run beside its candles, as one table from which all of their skill follows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from backtests.run.result import Result
from foundation.errors import DataError
from markets.candles import FloatArray, IntArray
from models.forecasts import COLUMNS, EXTRAS, Forecasts, ForecastSeries, Retraining
from models.track import Track, track_of

TABLE = "forecasts"
_PRICES = ("high", "low", "close", "touched")
_EXTRAS = ("oracle", "degrees_of_freedom", "up_probability", "position")
_MEMBER, _QUANTILE = "member_", "quantile_"


def result_tracks(result: Result) -> list[Track]:
    """The tracks of a result's markets, in their order."""
    return [track_of(market, result.forecasts) for market in result.markets]


def forecast_table(result: Result) -> pd.DataFrame:
    """The forecasts of a result beside its candles, a row a bar, earlier bars included; they carry no forecast.

    Columns: timestamp (bar OPEN), symbol, high, low, close, touched, mean and sigma of the NEXT bar's log return,
    trained_through and model (-1 for none) of the row; where known, oracle, degrees_of_freedom, up_probability,
    position, member_1 ..., and quantile_P for each level P.
    """
    return pd.concat([_frame(track) for track in result_tracks(result)], ignore_index=True)


def _frame(track: Track) -> pd.DataFrame:
    columns = {
        "timestamp": pd.to_datetime(track.timestamp, utc=True),
        "symbol": track.symbol,
        **{name: getattr(track, name) for name in _PRICES},
        "mean": track.mean,
        "sigma": track.sigma,
        "trained_through": pd.to_datetime(np.where(track.model < 0, pd.NaT.value, track.trained_through), utc=True),
        "model": track.model,
    }
    columns |= {name: values for name in _EXTRAS if (values := getattr(track, name)) is not None}
    if track.members is not None:
        columns |= {f"{_MEMBER}{number + 1}": values for number, values in enumerate(track.members.T)}
    if track.quantiles is not None:
        columns |= {
            f"{_QUANTILE}{level!r}": values for level, values in zip(track.levels, track.quantiles.T, strict=True)
        }
    return pd.DataFrame(columns)


def read_tracks(folder: str | Path) -> dict[str, Track]:
    """The tracks that a run folder holds, by symbol; raises DataError that names the file where it holds none."""
    place = Path(folder).expanduser()
    file, record, fix = place / f"{TABLE}.parquet", place / "run.json", "run the backtest again"
    if not place.is_dir():
        problem = "is no folder" if place.exists() else "does not exist"
        raise DataError(place, problem, fix="name a folder that a backtest wrote")
    for needed in (file, record):
        if not needed.is_file():
            raise DataError(place, f"holds no {needed.name}, from which skill is measured", fix=fix)
    try:
        table = pd.read_parquet(file)
        bar = int(json.loads(record.read_text("utf-8"))["bar_nanoseconds"])
        return {str(symbol): _track(str(symbol), rows, bar) for symbol, rows in table.groupby("symbol", sort=False)}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(file, f"is damaged ({type(error).__name__})", fix=fix) from None


def read_retrainings(folder: str | Path) -> list[Retraining]:
    """The alarms of drift that a run folder holds, none for a run of before there were any; raises DataError."""
    record = Path(folder).expanduser() / "run.json"
    try:
        return [Retraining(**one) for one in json.loads(record.read_text("utf-8")).get("retrainings", [])]
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise DataError(record, f"is damaged ({type(error).__name__})", fix="run the backtest again") from None


def forecasts_of(tracks: Mapping[str, Track], name: str) -> Forecasts:
    """The forecasts that some tracks hold, as they were played; raises what a ForecastSeries raises."""
    return Forecasts({symbol: _series(track) for symbol, track in tracks.items()}, name)


def _series(track: Track) -> ForecastSeries:
    rows = track.model >= 0
    columns = {name: getattr(track, name)[rows] for name in COLUMNS}
    said = {name: values[rows] for name in EXTRAS if (values := getattr(track, name)) is not None}
    return ForecastSeries(**columns, **said, levels=track.levels)


def _track(symbol: str, rows: pd.DataFrame, bar: int) -> Track:
    found = rows.dropna(axis="columns", how="all")

    def values(name: str) -> FloatArray:
        return np.asarray(rows[name], dtype=np.float64)

    def group(prefix: str) -> list[str]:
        return [str(name) for name in found.columns if str(name).startswith(prefix)]

    members, quantiles = group(_MEMBER), group(_QUANTILE)
    model = np.asarray(rows["model"], dtype=np.int64)
    return Track(
        symbol=symbol,
        bar=bar,
        timestamp=_stamps(rows["timestamp"]),
        high=values("high"),
        low=values("low"),
        close=values("close"),
        touched=np.asarray(rows["touched"], dtype=np.bool_),
        mean=values("mean"),
        sigma=values("sigma"),
        trained_through=np.where(model < 0, -1, _stamps(rows["trained_through"])),
        model=model,
        members=np.column_stack([values(name) for name in members]) if members else None,
        levels=tuple(float(name.removeprefix(_QUANTILE)) for name in quantiles),
        quantiles=np.column_stack([values(name) for name in quantiles]) if quantiles else None,
        **{name: values(name) if name in found else None for name in _EXTRAS},
    )


def _stamps(column: pd.Series[pd.Timestamp]) -> IntArray:
    return np.asarray(column.dt.tz_localize(None), dtype="datetime64[ns]").astype(np.int64)
