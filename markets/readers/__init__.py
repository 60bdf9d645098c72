"""Readers of market data files: one module for each family of formats, and a registry that tells them apart."""

from foundation.lazy import lazy_exports

_EXPORTS = {
    "Defect": "reading",
    "FORMATS": "registry",
    "ReadOptions": "reading",
    "Reading": "reading",
    "join_readings": "reading",
    "read_file": "registry",
}
__all__ = sorted(_EXPORTS)
__getattr__ = lazy_exports(__name__, _EXPORTS)
