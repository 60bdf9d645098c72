"""Packing: arrays as short text that a page carries and its scripts read back."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

_KINDS: dict[str, np.dtype[Any]] = {"f": np.dtype("<f4"), "d": np.dtype("<f8"), "i": np.dtype("<i4")}


def pack(values: npt.ArrayLike, *, exact: bool = False) -> dict[str, Any]:
    """An array as JSON can hold it: floats as 32 bits (seven digits) or `exact`, whole numbers as 32 bits.

    Whole numbers are sent as their differences. The bytes are sorted by their place in a number, which squeezes
    better, then deflated and written in base64. Raises OverflowError for a whole number beyond 32 bits.
    """
    array = np.asarray(values)
    kind = "i" if array.dtype.kind != "f" else "d" if exact else "f"
    if kind == "i":
        array = np.diff(array.astype(np.int64), prepend=0)
        if len(array) and np.abs(array).max() > 2**31 - 1:
            raise OverflowError("a page holds whole numbers of 32 bits")
    plain = np.ascontiguousarray(array.astype(_KINDS[kind]))
    planes = plain.view(np.uint8).reshape(-1, plain.itemsize).T.tobytes()
    return {"kind": kind, "count": len(plain), "data": base64.b64encode(zlib.compress(planes, 6)).decode("ascii")}


def unpack(block: dict[str, Any]) -> npt.NDArray[Any]:
    """The array that `pack` packed, as the scripts of a page read it."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(block["data"])), dtype=np.uint8)
    kind = _KINDS[block["kind"]]
    plain = np.ascontiguousarray(planes.reshape(kind.itemsize, -1).T).view(kind).ravel()
    return np.cumsum(plain, dtype=np.int64) if block["kind"] == "i" else plain
