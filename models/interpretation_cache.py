"""Interpretation cache: what networks rest on, kept by the content of the market and of their forecasts."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from foundation.errors import DataError
from foundation.files import atomic_file, cache_home
from foundation.fingerprint import fingerprint, tree_fingerprint
from markets.market import Market
from models.forecasts import Forecasts
from models.interpretation import Importance, Interpretation, interpret

_ARRAYS = ("attributions", "timestamp", "coefficients", "forget", "memory")
_PLAIN = ("symbol", "bars", "loss", "mean_loss", "gap")


def kept_interpretation(market: Market, forecasts: Forecasts, *, seed: int = 0) -> Interpretation:
    """`interpret` of the networks behind some forecasts of a market; worked out once for each content and seed.

    Raises DataError where the forecasts come without networks, or the cache cannot be written.
    """
    ensembles = forecasts.ensembles
    if ensembles is None:
        raise DataError("forecasts", "come without their networks", fix="make them with walk_forward")
    settings = [one.model_dump(mode="json") for one in (ensembles.features, ensembles.model)]
    source = tree_fingerprint([Path(__file__).parent], (".py",))
    key = fingerprint(market.fingerprint, forecasts.fingerprint, settings, seed, source)
    path = cache_home() / "interpretations" / key[:2] / f"{key}.npz"
    found = _read(path)
    if found is None:
        found = interpret(market, ensembles, seed=seed)
        _write(path, found)
    return found


def _read(path: Path) -> Interpretation | None:
    """What a file keeps; None where it is absent or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        record = json.loads(str(kept.pop("record")))
        importance = tuple(Importance(*one) for one in record.pop("importance"))
        values: dict[str, Any] = {"coefficients": None, **kept, **record}
        values |= {"importance": importance, "features": tuple(record["features"])}
        return Interpretation(**values)
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, found: Interpretation) -> None:
    record = {name: getattr(found, name) for name in _PLAIN} | {
        "features": list(found.features),
        "importance": [list(one) for one in found.importance],
    }
    arrays = {name: value for name in _ARRAYS if (value := getattr(found, name)) is not None}
    try:
        with atomic_file(path) as scratch:
            np.savez(scratch, record=np.array(json.dumps(record)), **arrays)
    except OSError as error:
        fix = "set CROSSGATE_CACHE to a folder that can be written"
        raise DataError(path, f"cannot be written ({error.strerror})", fix=fix) from None
