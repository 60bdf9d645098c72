"""Storage of trained models: weights as safetensors with their settings as JSON, in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from foundation.errors import DataError, ParameterError
from foundation.files import atomic_file
from models.ensemble import SymbolModel
from models.features import Float32Array
from models.fitted import read_network
from models.parameters import FeatureParams, LSTMParams
from models.trained import TrainedModel

FILE_NAME = "model.safetensors"
FORMAT = 2
# One metadata key only: the order of several is random, and with it the bytes of the file.
_KEY = "crossgate"


def save_model(model: TrainedModel, path: Path | str) -> Path:
    """The file that a trained model was written to, whole or not at all; equal models give equal bytes.

    `path` names the file (`*.safetensors`), or a folder that then holds `model.safetensors`.
    """
    tensors = {
        f"{symbol}/{number}/{name}": np.ascontiguousarray(values)
        for symbol, one in model.symbols.items()
        for number, member in enumerate(one.members)
        for name, values in member.weights.items()
    }
    record = {
        "format": FORMAT,
        "features": model.features.model_dump(mode="json"),
        "model": model.model.model_dump(mode="json"),
        "symbols": {symbol: _symbol_record(one) for symbol, one in model.symbols.items()},
    }
    file = model_file(path)
    with atomic_file(file) as scratch:
        safetensors.numpy.save_file(tensors, scratch, {_KEY: json.dumps(record, sort_keys=True)})
    return file


def load_model(path: Path | str) -> TrainedModel:
    """The trained model in a file or folder that `save_model` wrote; raises DataError that names the file."""
    file = model_file(path)
    if not file.is_file():
        raise DataError(file, "is not there", fix="train a model first, or mend the path")
    try:
        with safetensors.safe_open(file, framework="numpy") as opened:
            record = json.loads((opened.metadata() or {})[_KEY])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
        if record["format"] != FORMAT:
            raise DataError(file, f"has the format {record['format']}, this version reads {FORMAT}", fix="train anew")
        return _read(record, tensors)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            file, f"is not a whole model file ({type(error).__name__})", fix="train and save anew"
        ) from None
    except ParameterError as error:
        raise DataError(file, f"holds settings that this version does not know: {error}", fix="train anew") from None


def model_file(path: Path | str) -> Path:
    """The file of a model that is saved at a path, which may name a folder."""
    path = Path(path).expanduser()
    return path if path.suffix == ".safetensors" else path / FILE_NAME


def _symbol_record(one: SymbolModel) -> dict[str, Any]:
    return {
        "bar": one.bar,
        "trained_through": one.trained_through,
        "members": [member.record() for member in one.members],
    }


def _read(record: Mapping[str, Any], tensors: Mapping[str, Float32Array]) -> TrainedModel:
    features, model = FeatureParams(**record["features"]), LSTMParams(**record["model"])
    symbols = {}
    for symbol, one in record["symbols"].items():
        members = []
        for number, member in enumerate(one["members"]):
            start = f"{symbol}/{number}/"
            weights = {name.removeprefix(start): values for name, values in tensors.items() if name.startswith(start)}
            members.append(read_network(member, weights, model))
        symbols[symbol] = SymbolModel(int(one["bar"]), int(one["trained_through"]), tuple(members))
    return TrainedModel(features, model, symbols)
